// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"github.com/adit-go/adit/db"
)

// How an actor came in.
const (
	ViaSession = "session"
	ViaToken   = "token"
	ViaSystem  = "system" // adit itself, or a command on the server's own machine
)

// Acts that are no change: what adit does by itself or for somebody.
const (
	ActStart    = "application.start"
	ActStop     = "application.stop"
	ActBegin    = "task.begin"    // a study begins to move
	ActTransfer = "task.transfer" // a run of a task has moved images
	ActSearch   = "server.search" // a server was asked for studies
)

// Actor is who acts, as the audit log names them.
type Actor struct {
	UserID   int64
	Username string
	Via      string   // ViaSession, ViaToken, ViaSystem
	Peer     string   // address of the caller, with or without a port
	Session  *Session // by which they came in; nil: by none
}

type actorKey struct{}

// WithActor says who acts in what is done under the context.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf gives who acts: adit itself where nobody was named.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Via: ViaSystem}
}

// Entry is what the audit log says of one act. Detail holds names of changed fields and plain settings; never a secret, and no
// value of a patient but the keys of a search.
type Entry struct {
	Action              string // resource.verb, as in job.create
	Object              string // what it was done to, as in "job 12"
	PatientID, StudyUID string // of the source
	Source, Destination string // names of DICOM nodes
	Profile             string // of de-identification; empty: nothing was changed
	ProfileSHA256       string // hexadecimal
	Detail              map[string]any
}

// Record writes an entry to the audit log, in the caller's transaction: with what it tells of, or not at all. It waits for no other
// writer; the sealer chains the row within a second of the commit.
func Record(ctx context.Context, q *db.Queries, e Entry) error {
	if e.Detail == nil {
		e.Detail = map[string]any{}
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fmt.Errorf("the audit entry %s can't be written: %w", e.Action, err)
	}
	a := ActorOf(ctx)
	return q.InsertAudit(ctx, db.InsertAuditParams{
		UserID: a.UserID, Username: storable(a.Username), Via: a.Via, Peer: machineOf(a.Peer), Action: e.Action, Object: storable(e.Object),
		PatientID: storable(e.PatientID), StudyUid: storable(e.StudyUID), Source: storable(e.Source), Destination: storable(e.Destination),
		Profile: storable(e.Profile), ProfileSha256: e.ProfileSHA256, Detail: string(detail),
	})
}

// machineOf takes the port off an address, which says nothing a day later.
func machineOf(peer string) string {
	if host, _, err := net.SplitHostPort(peer); err == nil {
		return host
	}
	return peer
}

// storable takes out what the database can't keep in a text: nothing that a PACS sends may keep a transfer from its end.
func storable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
}
