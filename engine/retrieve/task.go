// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/engine/source"
)

// Task is a task as its run knows it: every part of the run has it.
type Task struct {
	svc              *Service
	Held             lease.Held
	Row              db.Task
	Job              jobs.Job
	Src, Dst         nodes.DICOMNode
	Signals          *lease.StopSignals
	Park             <-chan struct{} // of the signals
	Progress         *lease.Progress
	LoadedAt         time.Time // by the database's clock for schedules
	LoadedOn         time.Time // by this process's
	Inv              *source.Inventory
	Instances        *evidence.Instances
	Slots            []*door.Slot
	Sink             sink.Sink
	Before           int32        // instances received by earlier runs
	Crept            atomic.Int64 // bytes that went on within a limit in MB/s
	HeardSource      atomic.Bool  // it answered something
	HeardDestination atomic.Bool

	mu       sync.Mutex
	Warnings []string
}

// NewTask returns a task that was claimed, of which nothing more is known yet.
func (svc *Service) NewTask(held lease.Held, signals *lease.StopSignals, progress *lease.Progress) *Task {
	return &Task{
		svc: svc, Held: held, Signals: signals, Park: signals.Parked,
		Progress: progress, Instances: evidence.NewInstances("", nil),
	}
}

// HeedsNotes reports whether instances are left out that a rejection note of the source names.
func (r *Task) HeedsNotes() bool { return r.Job.LeaveOutRejected }

// Reads reports whether instances of a SOP class are read, whether or not the destination takes them.
func (r *Task) Reads(class string) bool {
	return class == dict.KeyObjectSelectionDocumentStorage && r.HeedsNotes()
}

// HasKeyObjects reports whether key objects have to be read before anything is sent.
func (r *Task) HasKeyObjects() bool {
	return r.HeedsNotes() &&
		(len(r.Inv.NoteSeries) > 0 || slices.ContainsFunc(r.Inv.Series, (*source.SeriesInventory).IsKeyObjects))
}

// omits reports whether the job leaves series of this modality out.
func (r *Task) omits(modality string) bool {
	if modality == source.KeyObjectModality && r.HeedsNotes() { // they are read first
		return false
	}
	return jobs.Pseudonymized(r.Row, r.Job.Job) && slices.Contains(r.svc.Config.ExcludedModalities, modality)
}

// Excludes reports whether the job leaves an instance out, by its own modality or by its SOP class: what the source
// says of the series may be wrong.
func (r *Task) Excludes(modality, class string) bool {
	return jobs.Pseudonymized(r.Row, r.Job.Job) && r.svc.Config.Excludes(modality, class)
}

// NeverTakes reports whether a rule of the destination leaves a SOP class out.
func (r *Task) NeverTakes(class string) bool {
	return r.Dst.Server != nil && slices.Contains(r.Dst.Server.RefusedSopClasses, class)
}

// wanting reports whether something of a series is still missing.
func (r *Task) wanting(s *source.SeriesInventory) bool {
	missing := evidence.Short(s.Counted, r.Instances.Known(s.UID)-r.Instances.Summary.Nameless(s.UID)) > 0
	switch {
	case s.Again:
		return missing || s.UID == "" || r.Instances.Exceeds(s)
	case len(r.Instances.Missing(s, 1)) > 0, r.unheard(s):
		return true
	case s.Listed:
		return false
	case s.Counted >= 0:
		return missing
	}
	return true
}

// unheard reports whether only a retrieve of the whole series can tell of something that an earlier run missed.
func (r *Task) unheard(s *source.SeriesInventory) bool {
	return !s.Ended && r.Instances.Summary.Nameless(s.UID) > 0
}

// lacking reports whether something of a series can be proven to be missing.
func (r *Task) lacking(s *source.SeriesInventory) bool {
	if !s.Provable() && !s.Again {
		return r.Instances.DeliveredOf(s.UID) == 0
	}
	return r.wanting(s)
}

// lacks reports whether something that was asked for has not come: of the instances named, or of the whole series.
func (r *Task) lacks(s *source.SeriesInventory, uids []string) bool {
	switch {
	case uids != nil:
		return slices.ContainsFunc(uids, r.Instances.Absent)
	case r.Instances.Summary.Nameless(s.UID) > 0:
		return true
	case s.Listed && !s.Again:
		return slices.ContainsFunc(slices.Collect(maps.Keys(s.Instances)), r.Instances.Absent)
	}
	return s.Counted < 0 || r.Instances.Known(s.UID) < s.Counted
}

// expectAny lets series come that the source does not list: of the study's modalities.
func (r *Task) expectAny() {
	kinds := dict.StorageClassesOf("")
	for _, modality := range r.Inv.Modalities {
		kinds = append(kinds, dict.StorageClassesOf(modality)...)
	}
	slices.Sort(kinds)
	r.Inv.Kinds = slices.Compact(kinds)
}

// CountExpected counts what the destination is to have in the end.
func (r *Task) CountExpected() {
	n := -r.Instances.Summary.RuledOut()
	for _, s := range r.Inv.Series {
		n += r.Instances.Known(s.UID)
		if !s.Listed {
			n += evidence.Short(s.Counted, r.Instances.Known(s.UID))
		}
	}
	r.Progress.Expected.Store(int32(max(n, 0)))
}

// Warn notes something that people have to know.
func (r *Task) Warn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.Warnings, text) {
		r.Warnings = append(r.Warnings, text)
	}
}

// GaveBack takes down that a slot could not be given back, if there is an error.
func (r *Task) GaveBack(ctx context.Context, err error) {
	if err != nil {
		r.svc.Log.WarnContext(
			ctx, "a slot can't be given back now; it ends with the lease", "task", r.Held.TaskID, "err", err,
		)
	}
}

// Unusable says that the destination can't be used.
func (r *Task) Unusable(err error) error {
	return &fault.AtDestination{Err: fmt.Errorf("the destination %s can't be used: %w", r.Dst.Name, err)}
}

// Asker speaks to the destination over the task's first slot there, of which nothing else may be open.
func (r *Task) Asker() *source.Server {
	return &source.Server{
		Node: r.Dst, Peer: r.svc.nodes.Peer(r.Dst), Slot: r.Sink.Slots()[0], Heard: &r.HeardDestination,
	}
}

// halted reports whether no retrieve may begin over a slot any more.
func (r *Task) halted(slot *door.Slot) bool {
	return lease.IsClosed(r.Signals.Halted) || lease.IsClosed(r.Signals.Of(slot.ID()).Halted)
}

// now returns the instant that schedules are reckoned from.
func (r *Task) now() time.Time { return r.LoadedAt.Add(time.Since(r.LoadedOn)) }

func (r *Task) offlinePatience() time.Duration {
	return time.Duration(r.Src.Server.OfflinePatienceS) * time.Second
}

// sinkPatience is how long the destination may take nothing before a retrieve is ended: half of what the source bears,
// which an archive doesn't lengthen.
func (r *Task) sinkPatience() time.Duration {
	return time.Duration(r.Src.Server.IdleTimeoutS) * time.Second / 2
}

// ClassNeverTaken is the reason of what a rule of the destination leaves out.
const ClassNeverTaken deid.Reason = "a SOP class that the destination never takes"
