// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"iter"
	"time"
)

// AuditEntry is a row of the audit log: who did what.
type AuditEntry struct {
	Seq           int64          `json:"seq,omitempty" doc:"Place in the chain; absent for about a second, until the row is sealed." example:"5119"`
	ID            int64          `json:"id" doc:"Number of the row, which rises in the order of writing." example:"5120"`
	At            time.Time      `json:"at" doc:"When it was done." example:"2026-11-23T08:15:30Z"`
	UserID        int64          `json:"user_id" doc:"0: nobody, as in a login that failed, or ADIT itself." example:"7"`
	Username      string         `json:"username" doc:"Username of who did it, as it was then; empty if nobody was known." example:"researcher"`
	Via           string         `json:"via" doc:"session, token or system: how the user came in; system: ADIT acted on the user's behalf, or by itself." example:"token"`
	Peer          string         `json:"peer" doc:"Address of the caller; empty where ADIT acted by itself." example:"192.0.2.7"`
	Action        string         `json:"action" example:"task.transfer" doc:"What was done: task.transfer is a study that was moved, server.search a search, session.begin a login, and so on."`
	Object        string         `json:"object" example:"task 12" doc:"What it was done to."`
	PatientID     string         `json:"patient_id" doc:"Patient ID at the source; empty if it is about no patient." example:"PHANTOM-001"`
	StudyUID      string         `json:"study_uid" doc:"Study Instance UID at the source; empty if it is about no study." example:"1.2.826.0.1.3680043.8.498.1"`
	Source        string         `json:"source" doc:"Name of the DICOM node that data came from; empty: none." example:"PACS"`
	Destination   string         `json:"destination" doc:"Name of the DICOM node that data went to; empty: none." example:"research"`
	Profile       string         `json:"profile" doc:"De-identification profile and its version; empty: nothing was de-identified." example:"adit-default 1"`
	ProfileSHA256 string         `json:"profile_sha256" doc:"SHA-256 of what the profile says, in hexadecimal; empty without a profile." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	Detail        map[string]any `json:"detail" doc:"What else is known of it; which properties there are depends on the action." example:"{\"job\":4711}"`
	Hash          string         `json:"hash,omitempty" doc:"SHA-256 of the row and the hash of the one before it in the chain, in hexadecimal." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
}

// AuditFilter chooses rows of the audit log. Empty fields match everything.
type AuditFilter struct {
	StudyUID  string    `json:"study_uid,omitempty" maxLength:"64" doc:"Only rows about this Study Instance UID at the source." example:"1.2.826.0.1.3680043.8.498.1"`
	PatientID string    `json:"patient_id,omitempty" maxLength:"64" doc:"Only rows about this Patient ID at the source, exactly as it is written." example:"PHANTOM-001"`
	Username  string    `json:"user,omitempty" maxLength:"150" doc:"Only what this user did, by the username in any case of letters." example:"researcher"`
	Action    string    `json:"action,omitempty" maxLength:"64" doc:"Only this kind of act." example:"task.transfer"`
	From      time.Time `json:"from,omitzero" doc:"Only rows from then on (RFC 3339)." example:"2026-11-01T00:00:00Z"`
	Until     time.Time `json:"until,omitzero" doc:"Only rows before then (RFC 3339)." example:"2026-12-01T00:00:00Z"`
	Part
}

// List returns rows of the audit log, newest first, which leaves a row itself. It is for staff.
func (c Audit) List(ctx context.Context, f AuditFilter) iter.Seq2[AuditEntry, error] {
	return search[AuditEntry](ctx, c.caller, "/api/v1/audit:search", func(cursor string) any {
		f.Cursor = cursor
		return f
	})
}
