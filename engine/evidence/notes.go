// SPDX-License-Identifier: AGPL-3.0-or-later

package evidence

import (
	"maps"
	"slices"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/source"
)

// Notes are the rejection notes of the source.
type Notes struct {
	all      *Instances
	Rejected map[string]deid.Reason // what they reject
	read     map[string]bool        // key objects that were read
}

// ReadNote takes down that a key object was read, and what it rejects.
func (in *Notes) ReadNote(uid string, rejected []string, reason deid.Reason) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	in.read[uid] = true
	for _, uid := range rejected {
		in.Rejected[uid] = reason
	}
}

// Unread counts the instances that the source lists in a series of key objects and that were not read: what was
// delivered was read before.
func (in *Notes) Unread(s *source.SeriesInventory) (n int) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid := range s.Instances {
		f := in.all.facts[uid]
		if !in.read[uid] && (f == nil || f.state == outstanding) {
			n++
		}
	}
	return n
}

// Rejections returns what was rejected at the source, with the reasons.
func (in *Notes) Rejections() map[string]deid.Reason {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	return maps.Clone(in.Rejected)
}

// LeaveRejected leaves out what the source lists and has rejected.
func (in *Notes) LeaveRejected(inv *source.Inventory) {
	for _, s := range inv.Series {
		for uid := range s.Instances {
			if reason, ok := in.RejectionOf(uid); ok && !in.all.Settled(uid) {
				in.all.Leave(uid, s.UID, jobs.LeftOutInstance{UID: uid, Reason: reason}, "")
			}
		}
	}
}

// Rejects reports whether something is rejected that the source lists in a series.
func (in *Notes) Rejects(s *source.SeriesInventory) bool {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid := range in.Rejected {
		if _, listed := s.Instances[uid]; listed {
			return true
		}
	}
	return false
}

// RejectionOf returns why an instance was rejected at the source; false if it was not.
func (in *Notes) RejectionOf(uid string) (deid.Reason, bool) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	reason, ok := in.Rejected[uid]
	return reason, ok
}

// RejectedThere returns the instances that were delivered before they were known to be rejected.
func (in *Notes) RejectedThere() (uids []string) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid := range in.Rejected {
		if f := in.all.facts[uid]; f != nil && f.state == delivered && f.Status != dimse.DuplicateSOPInstance {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}
