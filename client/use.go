// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"iter"
	"time"
)

// APIUse is how much a user used the API on a day, by one token or by sessions, for one operation.
type APIUse struct {
	ID           int64     `json:"id" doc:"Number of the row." example:"512"`
	Day          string    `json:"day" format:"date" doc:"Day in UTC." example:"2026-11-23"`
	Username     string    `json:"username" doc:"Who used it, by the username that they have now." example:"researcher"`
	TokenID      int64     `json:"token_id,omitempty" doc:"Number of the API token, which may be gone; absent: by sessions." example:"12"`
	Token        string    `json:"token,omitempty" doc:"Description of the token, as it was when the first request was counted." example:"nightly export"`
	Operation    string    `json:"operation" doc:"What was asked for: the operationId of this document. Empty for requests that were refused before that was known, and for those beyond what is counted apart." example:"list-jobs"`
	Requests     int64     `json:"requests" doc:"How many requests." example:"1440"`
	ClientErrors int64     `json:"client_errors" doc:"How many of them were answered with a status from 400 to 499." example:"3"`
	ServerErrors int64     `json:"server_errors" doc:"How many of them were answered with a status of 500 or above, or broke off." example:"0"`
	Bytes        int64     `json:"bytes" doc:"Bytes of all answers." example:"524288"`
	Last         time.Time `json:"last" doc:"When the last of them was answered." example:"2026-11-23T09:00:00Z"`
}

// UseFilter chooses rows of the use of the API. Empty fields match everything.
type UseFilter struct {
	Username string
	From, To string // first and last day in UTC, as 2026-11-23
}

// Use lists who used the API how much, the latest first. What was asked within the last minute may be missing. It is
// for staff.
func (c Users) Use(ctx context.Context, f UseFilter) iter.Seq2[APIUse, error] {
	return list[APIUse](ctx, c.caller, "/api/v1/api-use", query(map[string]any{
		"user": f.Username, "from": f.From, "to": f.To,
	}))
}
