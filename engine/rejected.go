// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/rejection"
	"github.com/adit-go/adit/dicom/stream"
)

// What a rejection note names is left out by rule, and so is the note: it speaks of instances that the destination never sees.
const (
	rejectedAtSource              = "rejected at the source: "
	isNote            deid.Reason = "a note that rejects other images"
	keyObjectModality             = "KO"
)

// heedsNotes reports whether instances are left out that a rejection note of the source names.
func (r *run) heedsNotes() bool { return r.job.LeaveOutRejected }

// reads reports whether instances of a SOP class are read, whether or not the destination takes them.
func (r *run) reads(class string) bool {
	return class == dict.KeyObjectSelectionDocumentStorage && r.heedsNotes()
}

// isKeyObjects reports whether a series holds key objects, some of which may be rejection notes.
func (s *seriesInventory) isKeyObjects() bool {
	return s.modality == keyObjectModality || slices.Contains(s.classes(), dict.KeyObjectSelectionDocumentStorage) && len(s.instances) > 0
}

// readNotes fetches the key objects of a study before all else, so that what they reject is not fetched. Those of series that the task is not
// about are only read.
func (r *run) readNotes(ctx context.Context) error {
	if !r.heedsNotes() {
		return nil
	}
	for _, s := range r.inv.series {
		if !s.isKeyObjects() {
			continue
		}
		if err := r.moveSeries(ctx, s); err != nil {
			return err
		}
	}
	for _, uid := range r.inv.noteSeries {
		s := &seriesInventory{uid: uid, modality: keyObjectModality, counted: -1, kinds: []string{dict.KeyObjectSelectionDocumentStorage}}
		seen := r.instances.notesRead()
		r.use(r.preferred)
		err := r.retrieve(ctx, s, nil, offerLossless)
		if cause := stopped(ctx); cause != nil {
			return cause
		}
		if err != nil && !answered(err) {
			return err
		}
		if r.instances.notesRead() == seen {
			r.warn(fmt.Sprintf("The key objects of series %s could not be read, so images that they reject may be among those sent.", uid))
		}
	}
	r.instances.leaveRejected(r.inv)
	r.countExpected()
	return nil
}

// heedNote takes down what an instance that has come rejects, if it is a rejection note, and reports whether it is one.
func (r *run) heedNote(o *dimse.Incoming, obj *stream.Object) bool {
	if !r.reads(o.SOPClassUID) {
		return false
	}
	note, ok, err := rejection.Of(obj)
	if err != nil {
		r.warn(fmt.Sprintf("The key object %s could not be understood, so images that it rejects may be among those sent: %s.", o.SOPInstanceUID, err))
	}
	r.instances.readNote(note.Instances, deid.Reason(rejectedAtSource+note.Meaning))
	return ok && err == nil
}

// isRule reports whether a reason is that of a rule, and not the profile's.
func isRule(reason deid.Reason) bool {
	return slices.Contains(leftOutByRule, reason) || strings.HasPrefix(string(reason), rejectedAtSource)
}

// readNote takes down that a key object was read, and what it rejects.
func (in *instances) readNote(uids []string, reason deid.Reason) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.notes++
	for _, uid := range uids {
		in.rejected[uid] = reason
	}
}

// notesRead counts the key objects that were read.
func (in *instances) notesRead() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.notes
}

// leaveRejected leaves out what the source lists and has rejected.
func (in *instances) leaveRejected(inv *inventory) {
	for _, s := range inv.series {
		for uid := range s.instances {
			if reason, ok := in.rejectionOf(uid); ok && !in.settled(uid) {
				in.leave(uid, s.uid, leftOut{UID: uid, Reason: reason}, "")
			}
		}
	}
}

// rejects reports whether something is rejected that the source lists in a series.
func (in *instances) rejects(s *seriesInventory) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid := range in.rejected {
		if _, listed := s.instances[uid]; listed {
			return true
		}
	}
	return false
}

// rejectionOf returns why an instance was rejected at the source; false if it was not.
func (in *instances) rejectionOf(uid string) (deid.Reason, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	reason, ok := in.rejected[uid]
	return reason, ok
}

// rejectedThere returns the instances that were delivered before they were known to be rejected.
func (in *instances) rejectedThere() (uids []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid := range in.rejected {
		if f := in.facts[uid]; f != nil && f.state == delivered {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}
