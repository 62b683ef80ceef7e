// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

type listAudit struct {
	Paging
	Study   string    `query:"study" maxLength:"64" doc:"Study Instance UID at the source. Exact."`
	Patient string    `query:"patient" maxLength:"64" doc:"Patient ID at the source. Exact."`
	User    string    `query:"user" maxLength:"150" doc:"User name, in any case of letters."`
	Action  string    `query:"action" maxLength:"64" example:"task.transfer" doc:"Exact."`
	From    time.Time `query:"from" doc:"Rows from then on (RFC 3339)."`
	Until   time.Time `query:"until" doc:"Rows before then (RFC 3339)."`
}

func (a *API) registerAudit() {
	handle(a, operation{
		method: http.MethodGet, path: "/audit", id: "list-audit", tag: siteTag, errors: []int{403},
		summary: "List who did what, newest first: changes, searches, and every study that was moved (staff). Leaves a row itself",
	}, a.listAudit)
}

func (a *API) listAudit(ctx context.Context, user people.User, in *listAudit) (*body[client.Page[client.AuditEntry]], error) {
	if err := plainText(map[string]string{"study": in.Study, "patient": in.Patient, "user": in.User, "action": in.Action}); err != nil {
		return nil, err
	}
	before, err := in.after()
	if err != nil {
		return nil, err
	}
	rows, err := a.people.ReadAudit(ctx, user, people.AuditFilter{
		StudyUID: in.Study, PatientID: in.Patient, Username: in.User, Action: in.Action, From: in.From, Until: in.Until, Before: before, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, clientAudit, func(r people.AuditRow) int64 { return r.ID }), nil
}

func clientAudit(r people.AuditRow) client.AuditEntry {
	out := client.AuditEntry{
		Seq: r.Seq, ID: r.ID, At: r.At, UserID: r.UserID, Username: r.Username, Via: r.Via, Peer: r.Peer, Action: r.Action, Object: r.Object,
		PatientID: r.PatientID, StudyUID: r.StudyUID, Source: r.Source, Destination: r.Destination, Profile: r.Profile, ProfileSHA256: r.ProfileSHA256,
		Detail: map[string]any{}, Hash: r.Hash,
	}
	_ = json.Unmarshal([]byte(r.Detail), &out.Detail) // one that was tampered with is shown as empty; verify finds it
	return out
}
