// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/doctor"
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
