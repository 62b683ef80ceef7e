// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"encoding/json"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/quarantine"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/mail"
)

// Stats returns figures of jobs.
func Stats(s housekeeping.Stats) client.Stats {
	out := client.Stats{
		TimeZone: s.Zone.String(), Jobs: s.Jobs, Tasks: s.Tasks,
		Days: []client.DayMoved{}, Nodes: []client.NodeMoved{},
	}
	for _, d := range s.Days {
		out.Days = append(out.Days, client.DayMoved{Day: d.Day.Format(time.DateOnly), Moved: moved(d)})
	}
	for _, n := range s.Nodes {
		out.Nodes = append(out.Nodes, client.NodeMoved{Name: n.Name, From: moved(n.From), To: moved(n.To)})
	}
	return out
}

func moved(m housekeeping.Moved) client.Moved {
	return client.Moved{Tasks: m.Tasks, Failed: m.Failed, Images: m.Images, Bytes: m.Bytes}
}

// AuditEntry returns a row of the audit log.
func AuditEntry(r audit.Row) client.AuditEntry {
	out := client.AuditEntry{
		Seq: r.Seq, ID: r.ID, At: r.At, UserID: r.UserID, Username: r.Username,
		Via: r.Via, Peer: r.Peer, Action: r.Action, Object: r.Object,
		PatientID: r.PatientID, StudyUID: r.StudyUID, Source: r.Source,
		Destination: r.Destination, Profile: r.Profile, ProfileSHA256: r.ProfileSHA256,
		Detail: map[string]any{}, Hash: r.Hash,
	}
	_ = json.Unmarshal([]byte(r.Detail), &out.Detail) // one that was tampered with is shown as empty; verify finds it
	return out
}

// Caller returns a caller that the receiver turned away.
func Caller(c receive.RejectedCaller) client.RejectedCaller {
	out := client.RejectedCaller{
		ID: c.ID, Server: c.Server, CallingAE: c.CallingAe, CalledAE: c.CalledAe, Address: c.Address, Reason: c.Reason,
		Detail: c.Sentence(), Calls: c.Calls, First: c.FirstAt, Last: c.LastAt,
	}
	if !c.Allows() {
		return out
	}
	out.Command = c.Command()
	out.Change = &client.ServerChange{Retrieve: &client.RetrieveChange{AddAddressRanges: []string{c.Address}}}
	if c.Reason == nodes.CallCalledTitle {
		out.Change.Retrieve = &client.RetrieveChange{MoveDestination: &c.CalledAe}
	}
	return out
}

// Quarantined returns an instance in quarantine.
func Quarantined(q quarantine.Quarantined) client.QuarantinedObject {
	return client.QuarantinedObject{
		ID: q.ID, Server: q.Server, CallingAE: q.CallingAe, Address: q.Address,
		SOPClassUID: q.SopClassUid, SOPInstanceUID: q.SopInstanceUid,
		TransferSyntaxUID: q.TransferSyntaxUid, Bytes: q.Bytes, ArrivedAt: q.ArrivedAt, Here: q.Here,
	}
}

// Mail returns a mail.
func Mail(m mail.Posted) client.Mail {
	out := client.Mail{
		ID: m.ID, Recipient: m.Recipient, Subject: m.Subject, Status: m.Status,
		Attempts: int(m.Attempts), Error: m.Error, CreatedAt: m.CreatedAt, EndedAt: m.EndedAt,
	}
	if m.Status == mail.Pending {
		out.NextAttempt = &m.NextAt
	}
	return out
}
