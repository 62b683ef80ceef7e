// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/adit-go/adit/db"
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

// hasKeyObjects reports whether key objects have to be read before anything is sent.
func (r *run) hasKeyObjects() bool {
	return r.heedsNotes() && (len(r.inv.noteSeries) > 0 || slices.ContainsFunc(r.inv.series, (*seriesInventory).isKeyObjects))
}

// readNotes fetches the key objects of a study before all else, so that what they reject is not fetched. Those of series that the task is not
// about are only read. Nothing is sent on while it is not known what they reject.
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
		if r.instances.unread(s) > 0 {
			return r.unreadNotes(s)
		}
	}
	for _, uid := range r.inv.noteSeries {
		if err := r.onlyRead(ctx, &seriesInventory{uid: uid, counted: -1, kinds: []string{dict.KeyObjectSelectionDocumentStorage}}); err != nil {
			return err
		}
	}
	r.instances.leaveRejected(r.inv)
	r.countExpected()
	return nil
}

// onlyRead reads the key objects of a series that the task is not about.
func (r *run) onlyRead(ctx context.Context, s *seriesInventory) error {
	if err := r.listInstances(ctx, r.source, r.inv, s, imageKeys); err != nil {
		return err
	}
	maps.DeleteFunc(s.instances, func(_ string, i instance) bool {
		return i.class != "" && i.class != dict.KeyObjectSelectionDocumentStorage
	})
	if s.listed && r.instances.unread(s) == 0 {
		return nil
	}
	r.use(r.preferred)
	err := r.retrieve(ctx, s, nil, offerLossless)
	if cause := stopped(ctx); cause != nil {
		return cause
	}
	if err != nil && !answered(err) {
		return err
	}
	if r.instances.unread(s) > 0 {
		return r.unreadNotes(s)
	}
	return nil
}

// writeRejected keeps what the notes rejected, for runs that can't read them any more.
func (r *run) writeRejected(ctx context.Context, q *db.Queries) error {
	rejected := r.instances.rejections()
	if len(rejected) == 0 {
		return nil
	}
	text, err := json.Marshal(rejected)
	if err != nil {
		return err
	}
	return q.PutRejected(ctx, db.PutRejectedParams{ID: r.held.TaskID, Rejected: text})
}

func (r *run) unreadNotes(s *seriesInventory) error {
	return again("the key objects of series %s at %s could not be read, so it is not known which images they reject, and nothing more was sent; "+
		"retry later, or have rejected images sent as well (adit transfer --rejected send)", s.uid, r.src.Name)
}

// heedNote takes down what an instance that has come rejects, if it is a rejection note, and reports whether it is one.
func (r *run) heedNote(o *dimse.Incoming, obj *stream.Object) (bool, error) {
	if !r.reads(o.SOPClassUID) {
		return false, nil
	}
	note, ok, err := rejection.Of(obj)
	r.instances.readNote(o.SOPInstanceUID, note.Instances, deid.Reason(rejectedAtSource+note.Meaning))
	return ok && err == nil, err
}

// isRule reports whether a reason is that of a rule, and not the profile's.
func isRule(reason deid.Reason) bool {
	return slices.Contains(leftOutByRule, reason) || strings.HasPrefix(string(reason), rejectedAtSource)
}

// readNote takes down that a key object was read, and what it rejects.
func (in *instances) readNote(uid string, rejected []string, reason deid.Reason) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.read[uid] = true
	for _, uid := range rejected {
		in.rejected[uid] = reason
	}
}

// unread counts the instances that the source lists in a series of key objects and that were not read: what was delivered was read before.
func (in *instances) unread(s *seriesInventory) (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid := range s.instances {
		f := in.facts[uid]
		if !in.read[uid] && (f == nil || f.state == outstanding) {
			n++
		}
	}
	return n
}

// rejections returns what was rejected at the source, with the reasons.
func (in *instances) rejections() map[string]deid.Reason {
	in.mu.Lock()
	defer in.mu.Unlock()
	return maps.Clone(in.rejected)
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
		if f := in.facts[uid]; f != nil && f.state == delivered && f.status != dimse.DuplicateSOPInstance {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}
