// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/doctor"
	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/engine/nodes"
)

// ServerNow returns what holds of a server now.
func ServerNow(s nodes.ServerNow) client.ServerNow {
	out := client.ServerNow{
		ID: s.ID, Name: s.Name, Now: s.At, TimeZone: s.Zone, InForce: client.Limits(s.InForce),
		Window: s.Window + 1, Until: Instant(s.Until), Paused: s.Paused, Down: s.Down,
		Takes: s.Takes, NextProbe: Instant(s.NextProbe), BatchInUse: s.BatchInUse, InteractiveInUse: s.LiveInUse,
	}
	if s.InForce.Batch == 0 {
		out.Opens = Instant(s.Opens)
	}
	return out
}

// SchedulePreview returns what a schedule would mean.
func SchedulePreview(p nodes.SchedulePreview) client.SchedulePreview {
	out := client.SchedulePreview{
		ServerNow: ServerNow(p.Now), Over: p.Over, FurtherOver: p.Further, Grace: int(p.Grace / time.Second),
		Starting: p.Starting, Waiting: p.Waiting, Effects: p.Effects,
	}
	if !p.Now.Until.IsZero() {
		out.Next, out.NextWindow, out.NextUntil = new(client.Limits(p.Next.Limits)), p.Next.Window+1, Instant(p.Next.Until)
	}
	if p.Waiting > 0 {
		out.WaitingUntil = Instant(p.Now.Opens)
	}
	return out
}

// ServerUse returns how a server was used.
func ServerUse(u housekeeping.ServerUse) client.ServerUse {
	out := client.ServerUse{From: u.From, To: u.To, Hours: make([]client.HourOfUse, 0, len(u.Hours))}
	for _, h := range u.Hours {
		out.Hours = append(out.Hours, client.HourOfUse{
			Hour: h.Hour, BatchAverage: h.Jobs.Average, BatchMost: h.Jobs.Most,
			InteractiveAverage: h.People.Average, InteractiveMost: h.People.Most,
			From: client.HourMoved{Studies: h.From.Tasks, Instances: h.From.Images, Bytes: h.From.Bytes},
			To:   client.HourMoved{Studies: h.To.Tasks, Instances: h.To.Images, Bytes: h.To.Bytes},
		})
	}
	return out
}

// Finding returns what the check of a DICOM node has found.
func Finding(f doctor.Finding) (line client.CheckLine) {
	if f.Check != nil {
		line.Check = new(client.Check(*f.Check))
	}
	if f.Suggestion != nil {
		line.Suggestion = new(client.Suggestion(*f.Suggestion))
	}
	return line
}

// Instant leaves out what is none.
func Instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
