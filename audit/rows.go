// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/adit-go/adit/db"
)

// Row is a row of the audit log.
type Row struct {
	Seq           int64     `json:"seq,omitempty"` // place in the chain; 0: not sealed yet
	ID            int64     `json:"id"`
	At            time.Time `json:"at"`
	UserID        int64     `json:"user_id"` // 0: nobody, or adit itself
	Username      string    `json:"username"`
	Via           string    `json:"via"`
	Peer          string    `json:"peer"`
	Action        string    `json:"action"`
	Object        string    `json:"object"`
	PatientID     string    `json:"patient_id"`
	StudyUID      string    `json:"study_uid"`
	Source        string    `json:"source"`
	Destination   string    `json:"destination"`
	Profile       string    `json:"profile"`
	ProfileSHA256 string    `json:"profile_sha256"`
	Detail        string    `json:"detail"`         // JSON, as a text: the hash covers each of its bytes
	Hash          string    `json:"hash,omitempty"` // hexadecimal
}

func rowOf(r db.Audit) Row {
	out := Row{
		ID: r.ID, At: r.At.UTC(), UserID: r.UserID, Username: r.Username,
		Via: r.Via, Peer: r.Peer, Action: r.Action, Object: r.Object,
		PatientID: r.PatientID, StudyUID: r.StudyUid, Source: r.Source, Destination: r.Destination, Profile: r.Profile,
		ProfileSHA256: r.ProfileSha256, Detail: r.Detail, Hash: hex.EncodeToString(r.Hash),
	}
	if r.Seq != nil {
		out.Seq = *r.Seq
	}
	return out
}

// row returns what is hashed of an exported row.
func (r Row) row() db.Audit {
	return db.Audit{
		ID: r.ID, At: r.At, UserID: r.UserID, Username: r.Username,
		Via: r.Via, Peer: r.Peer, Action: r.Action, Object: r.Object,
		PatientID: r.PatientID, StudyUid: r.StudyUID, Source: r.Source, Destination: r.Destination, Profile: r.Profile,
		ProfileSha256: r.ProfileSHA256, Detail: r.Detail,
	}
}

// Filter chooses rows of the audit log. Empty fields match everything.
type Filter struct {
	StudyUID, PatientID string    // exact
	Username            string    // in any case of letters
	Action              string    // finds what granted rights, too, which is a row of its own action
	From, Until         time.Time // from the first one on, before the second
	Before              int64     // only rows with a lower ID; 0: from the newest
	Limit               int
}

// List returns rows of the audit log, the newest first, sealed or not.
func (s *Service) List(ctx context.Context, f Filter) ([]Row, error) {
	p := db.ListAuditParams{
		StudyUid: given(f.StudyUID), PatientID: given(f.PatientID),
		Username: given(f.Username), Action: given(f.Action),
		Before: given(f.Before), Most: int32(f.Limit), GrantedBy: grantedBy(f.Action),
	}
	rows, err := s.list(ctx, p, given(f.From), given(f.Until))
	if err != nil {
		return nil, err
	}
	out := make([]Row, len(rows))
	for i, row := range rows {
		out[i] = rowOf(row)
	}
	return out, nil
}

// list is a page of the log, in the order of time where only a part of that is asked for: no index leads to it
// otherwise.
func (s *Service) list(ctx context.Context, p db.ListAuditParams, from, until *time.Time) ([]db.Audit, error) {
	if from == nil && until == nil {
		return s.q.Planned().ListAudit(ctx, p)
	}
	return s.q.Planned().ListAuditBetween(ctx, db.ListAuditBetweenParams{
		StudyUid: p.StudyUid, PatientID: p.PatientID, Username: p.Username,
		Action: p.Action, GrantedBy: p.GrantedBy, FromTime: from, UntilTime: until, Before: p.Before, Most: p.Most,
	})
}

// grantedBy is how the detail of a rights.grant names the act by which it was done. What people chose is in quotes that
// are escaped, and so never looks like it.
func grantedBy(action string) *string {
	if action == "" {
		return nil
	}
	name, err := json.Marshal(action)
	if err != nil {
		panic(err) // it is text
	}
	return new(`"by":` + string(name))
}

// given turns a zero value into nothing.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
