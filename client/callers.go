// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"iter"
	"time"
)

// RejectedCaller is who called ADIT's receiver and was turned away, as far as that is known.
type RejectedCaller struct {
	ID        int64     `json:"id" doc:"Number of the entry." example:"17"`
	Server    string    `json:"server" doc:"Name of the server that it may have been: whose AE title it used, or whose address it has; empty if there is none." example:"PACS"`
	CallingAE string    `json:"calling_ae" doc:"As told, with ? for what can't be shown; empty where it was not told, or where too many callers were counted together." example:"PACS"`
	CalledAE  string    `json:"called_ae" doc:"AE title that it called, if that is the reason; otherwise empty." example:"ADIT_OLD"`
	Address   string    `json:"address" doc:"From which it called; empty where too many callers were counted together." example:"192.0.2.7"`
	Reason    string    `json:"reason" enum:"address,host,without_tls,certificate,no_certificate,plain_to_tls,tls_to_plain,calling_ae_title,called_ae_title" doc:"What it was turned away for."`
	Detail    string    `json:"detail" doc:"What happened, and what to do, in words." example:"PACS called from 192.0.2.7, which is no address of its host. Allow the address if it is the server."`
	Calls     int64     `json:"calls" doc:"How often it called and was turned away for this." example:"12"`
	First     time.Time `json:"first" doc:"When it was first turned away for this." example:"2026-11-23T08:15:30Z"`
	Last      time.Time `json:"last" doc:"When it was last turned away for this." example:"2026-11-23T09:00:00Z"`
	// Command and Change let the server call so, if one change of its settings does.
	Command string        `json:"command,omitempty" doc:"The command that lets the server call so, if one change of its settings does. Whether it was that server is for people to say." example:"adit node set PACS --add-address 192.0.2.7"`
	Change  *ServerChange `json:"change,omitempty" doc:"The same change, for PATCH /servers/{server}."`
}

// RejectedCallers lists who called the receiver and was turned away, the newest first.
func (c Servers) RejectedCallers(ctx context.Context) iter.Seq2[RejectedCaller, error] {
	return list[RejectedCaller](ctx, c.caller, "/api/v1/rejected-callers", nil)
}

// Receiver is what a PACS has to know about ADIT.
type Receiver struct {
	AETitle      string `json:"ae_title" doc:"Under it ADIT calls, and receives instances as they are stored." example:"ADIT"`
	PlainAETitle string `json:"plain_ae_title" doc:"Under it ADIT receives only uncompressed instances." example:"ADIT_LE"`
	Port         int    `json:"port,omitempty" doc:"Where the DICOM receiver listens; absent: nowhere without TLS." example:"11112"`
	TLSPort      int    `json:"tls_port,omitempty" doc:"Where it listens with TLS; absent: nowhere." example:"2762"`
}

// Receiver returns what the administrator of a PACS has to enter there. It is for staff.
func (c Servers) Receiver(ctx context.Context) (Receiver, error) {
	var r Receiver
	return r, c.do(ctx, get("/api/v1/receiver", nil), &r)
}
