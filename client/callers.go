// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"iter"
	"time"
)

// RejectedCaller is who called ADIT's receiver and was turned away, as far as that is known.
type RejectedCaller struct {
	ID        int64     `json:"id"`
	Server    string    `json:"server" doc:"Name of the server that it may have been: whose AE title it used, or whose address it has; empty if there is none."`
	CallingAE string    `json:"calling_ae" doc:"As told, with ? for what can't be shown; empty where it was not told, or where too many callers were counted together."`
	CalledAE  string    `json:"called_ae" doc:"Where that is the reason."`
	Address   string    `json:"address" doc:"From which it called; empty where too many callers were counted together."`
	Reason    string    `json:"reason" enum:"address,host,without_tls,certificate,no_certificate,plain_to_tls,tls_to_plain,calling_ae_title,called_ae_title" doc:"Why it was turned away."`
	Detail    string    `json:"detail" doc:"What happened, and what to do, in words."`
	Calls     int64     `json:"calls"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	// Command and Change let the server call so, if one change of its settings does.
	Command string        `json:"command,omitempty" doc:"The command that lets the server call so, if one change of its settings does. Whether it was that server is for people to say."`
	Change  *ServerChange `json:"change,omitempty" doc:"The same change, for PATCH /servers/{server}."`
}

// RejectedCallers lists who called the receiver and was turned away, the newest first.
func (c *Client) RejectedCallers(ctx context.Context) iter.Seq2[RejectedCaller, error] {
	return list[RejectedCaller](ctx, c, "/api/v1/rejected-callers", nil)
}
