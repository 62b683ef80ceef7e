// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// AuditEntry is a row of the audit log: who did what.
type AuditEntry struct {
	Seq           int64          `json:"seq,omitempty" doc:"Place in the chain; absent for about a second, until the row is sealed."`
	ID            int64          `json:"id"`
	At            time.Time      `json:"at"`
	UserID        int64          `json:"user_id" doc:"0: nobody, as in a login that failed, or ADIT itself."`
	Username      string         `json:"username"`
	Via           string         `json:"via" doc:"session, token or system: how the user came in; system: ADIT acted on the user's behalf, or by itself."`
	Peer          string         `json:"peer" doc:"Address of the caller."`
	Action        string         `json:"action" example:"task.transfer" doc:"What was done: task.transfer is a study that was moved, server.search a search, session.begin a login, and so on."`
	Object        string         `json:"object" example:"task 12" doc:"What it was done to."`
	PatientID     string         `json:"patient_id" doc:"At the source."`
	StudyUID      string         `json:"study_uid" doc:"At the source."`
	Source        string         `json:"source" doc:"DICOM node."`
	Destination   string         `json:"destination" doc:"DICOM node."`
	Profile       string         `json:"profile" doc:"Of de-identification, with its version; empty: nothing was de-identified."`
	ProfileSHA256 string         `json:"profile_sha256"`
	Detail        map[string]any `json:"detail" doc:"What else there is to be known; depends on the action."`
	Hash          string         `json:"hash,omitempty" doc:"SHA-256 of the row and the hash of the one before it in the chain, in hexadecimal."`
}

// AuditFilter chooses rows of the audit log. Empty fields match everything.
type AuditFilter struct {
	StudyUID, PatientID string // exact
	Username            string // in any case of letters
	Action              string
	From, Until         time.Time // from the first one on, before the second
	Limit               int       // of a page; 0: the server's default
}

func (f AuditFilter) query() url.Values {
	q := url.Values{}
	for key, value := range map[string]string{"study": f.StudyUID, "patient": f.PatientID, "user": f.Username, "action": f.Action} {
		if value != "" {
			q.Set(key, value)
		}
	}
	for key, at := range map[string]time.Time{"from": f.From, "until": f.Until} {
		if !at.IsZero() {
			q.Set(key, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

// Audit gives rows of the audit log, newest first, which leaves a row itself. It is for staff.
func (c *Client) Audit(ctx context.Context, f AuditFilter) iter.Seq2[AuditEntry, error] {
	return list[AuditEntry](ctx, c, "/api/v1/audit", f.query())
}
