// SPDX-License-Identifier: AGPL-3.0-or-later

// Package audit is the log of who did what. Every change writes a row with Record, in its own transaction, and Record
// checks there whether the act needs the password again. Each committed row is chained to the one before by its hash,
// so that nobody can change, remove or cut off rows unnoticed. The rows are sent to a receiver of audit messages
// (PS3.15 A.5), and a month of them can be exported and removed from the database.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
)

// How an actor reached ADIT.
const (
	ViaSession = "session"
	ViaToken   = "token"
	ViaSystem  = "system" // adit itself, or a command on the server's own machine
)

// Acts that change nothing in the settings: what adit does on its own or for somebody.
const (
	ActStart    = "application.start"
	ActStop     = "application.stop"
	ActBegin    = "task.begin"      // a study begins to move
	ActTransfer = "task.transfer"   // a run of a task has moved images
	ActSearch   = "server.search"   // a server was searched for studies
	ActRead     = "server.read"     // instances of a server were read by DICOMweb
	ActDownload = "server.download" // a person takes a study away as a zip
	ActStoring  = "server.storing"  // somebody begins to store instances of a study at a server
	ActStore    = "server.store"    // what has become of them
)

// Actor is the person or program that acts, as the audit log names it.
type Actor struct {
	UserID   int64
	Username string
	Via      string  // ViaSession, ViaToken, ViaSystem
	Peer     string  // address of the caller, with or without a port
	Session  Session // by which they came in; nil: by none
}

type actorKey struct{}

// WithActor sets the actor of everything done under the context.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns the actor: adit itself where none was set.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Via: ViaSystem}
}

// Entry is what the audit log says of one act. Detail holds names of changed fields and plain settings; never a secret,
// and no value of a patient but the keys of a search.
type Entry struct {
	Action              string // resource.verb, as in job.create
	Object              string // what it was done to, as in "job 12"
	PatientID, StudyUID string // of the source
	Source, Destination string // names of DICOM nodes
	Profile             string // of de-identification; empty: nothing was changed
	ProfileSHA256       string // hexadecimal
	Detail              map[string]any
	Granted             []string // rights that somebody has by it and had not before; such an entry is a rights.grant
	Lacked              []string // those of them that who gave them lacks
	Widens              bool     // it says where data goes, or lets somebody do more, without being a grant
}

// actGrant is the act by which somebody has rights that they did not have before. It stands out in the audit log, in
// the place of the act by which it was done.
const actGrant = "rights.grant"

// maxDetail is how many bytes of JSON a row holds.
const maxDetail = 64 << 10

// Record writes an entry to the audit log, in the caller's transaction: with what it tells of, or not at all. It waits
// for no other writer; the sealer chains the row within a second of the commit. It returns *Unconfirmed for what takes
// the password (see acts), so it comes before what a transaction can't take back.
func Record(ctx context.Context, q *db.Queries, e Entry) error {
	if e.takesPassword() {
		if err := confirmed(ctx, q); err != nil {
			return err
		}
	}
	e = e.asGrant()
	if e.Detail == nil {
		e.Detail = map[string]any{}
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fmt.Errorf("the audit entry %s can't be written: %w", e.Action, err)
	}
	if len(detail) > maxDetail {
		return &refusal.Invalid{
			Reason: "this request names more than a row of the audit log can hold (64 KiB); split it into several requests",
		}
	}
	a := ActorOf(ctx)
	return q.InsertAudit(ctx, db.InsertAuditParams{
		UserID: a.UserID, Username: a.Username, Via: a.Via, Peer: machineOf(a.Peer), Action: e.Action, Object: e.Object,
		PatientID: e.PatientID, StudyUid: e.StudyUID, Source: e.Source, Destination: e.Destination,
		Profile: e.Profile, ProfileSha256: e.ProfileSHA256, Detail: string(detail),
	})
}

// asGrant makes an entry stand out by which somebody has rights that they did not have before.
func (e Entry) asGrant() Entry {
	if len(e.Granted) == 0 {
		return e
	}
	detail := map[string]any{"by": e.Action, "granted": sorted(e.Granted)}
	if len(e.Lacked) > 0 {
		detail["lacked"] = sorted(e.Lacked)
	}
	maps.Copy(detail, e.Detail)
	e.Action, e.Detail = actGrant, detail
	return e
}

// sorted returns each text of a list once, in their order.
func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// machineOf takes the port off an address, which says nothing a day later.
func machineOf(peer string) string {
	if host, _, err := net.SplitHostPort(peer); err == nil {
		return host
	}
	return peer
}
