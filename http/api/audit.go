// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// auditRoutes are the routes of this file.
type auditRoutes struct{ *API }

func (a *auditRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/audit:search", ID: "search-audit", Tag: siteTag,
		Summary: "Search the audit log",
		Description: "Shows who did what, newest first: changes, searches, and every study that was moved. Use the " +
			"filters to answer who saw or moved a study; an empty object shows all. Reading the log leaves a row in " +
			"it, too.",
		Example: `{"patient_id": "PHANTOM-001", "action": "task.transfer"}`,
	}, a.searchAudit)
}

func (a *auditRoutes) searchAudit(ctx context.Context, user people.User, in *struct{ Body client.AuditFilter }) (
	*route.Body[client.Page[client.AuditEntry]], error,
) {
	f := in.Body
	if err := plainText(map[string]string{
		"study_uid": f.StudyUID, "patient_id": f.PatientID, "user": f.Username, "action": f.Action,
	}); err != nil {
		return nil, err
	}
	part := route.Paging{Cursor: f.Cursor, Limit: f.Limit}
	before, err := part.After()
	if err != nil {
		return nil, err
	}
	rows, err := a.people.ReadAudit(ctx, user, audit.Filter{
		StudyUID: f.StudyUID, PatientID: f.PatientID, Username: f.Username, Action: f.Action,
		From: f.From, Until: f.Until, Before: before, Limit: f.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return route.PageOf(rows, f.Limit, view.AuditEntry, func(r audit.Row) int64 { return r.ID }), nil
}
