// SPDX-License-Identifier: AGPL-3.0-or-later

// Package sinktest is the conformance suite of sinks: whoever writes one runs it, as testing/fstest is run for a file
// system.
//
//	func TestArchive(t *testing.T) {
//		sinktest.Run(t, func(t *testing.T) sinktest.Subject {
//			path := filepath.Join(t.TempDir(), "studies.zip")
//			return sinktest.Subject{
//				Sink: newArchive(path),
//				Held: func() ([]sinktest.Instance, error) { return unpacked(path) },
//			}
//		})
//	}
//
// Each promise of sink.Sink is a subtest with a sink and a destination of its own, which it drives in the order in
// which engine/transfer does: Gone, Begin, Expect, Prepare, Enter and Put by the workers, Commit beside them, HangUp,
// Commit, Gone, Close. Nothing is believed that the sink says: what counts is what the Subject finds at the
// destination.
//
// Every sink has to be given and looked at. The other fields of Subject are faults that the destination can be made to
// have, and looks that not every destination allows. A promise that needs one that is not there is skipped, and says
// so: give as many as you can, for a promise that was not tried is not kept.
package sinktest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/sink"
)

// Instance is what somebody finds at a destination.
type Instance struct {
	UID    string // SOP Instance UID that the destination has it under
	Syntax string // transfer syntax
	Data   []byte // the data set, as it lies there
}

// Subject is a sink under test with its destination. A function fails its test if it can't do what it is for.
type Subject struct {
	// Sink is as transfer gets it: with its slots, and with nothing called yet.
	Sink sink.Sink
	// Held returns every instance that somebody finds at the destination and takes for whole. It is called when nothing
	// is put, after HangUp or Crash. An error says that there is what is no instance: a file that is cut, a name that
	// is another's.
	Held func() ([]Instance, error)

	// Crash ends the sink as the end of its process does, without HangUp, takes from the destination what a power cut
	// may take, and returns the sink that the task's next run has.
	Crash func() sink.Sink
	// Quiet waits until no connection to the destination is open.
	Quiet func(ctx context.Context) error
	// Away takes the destination away: it can't be reached, or is not there.
	Away func()
	// Refuse has the destination refuse an instance, of whose series it has another one, and returns the status that
	// says so.
	Refuse func(uid string) dimse.Status
	// Answer has the destination answer an instance with a status, and keep it unless that is a failure.
	Answer func(uid string, status dimse.Status)
	// Rename has the destination acknowledge an instance under another UID.
	Rename func(uid string)
	// Break has what connects sink and destination break in the middle of the next instance, once.
	Break func()
	// Drop ends what connects sink and destination while nothing is put, without a word.
	Drop func()
	// Stall has the destination answer nothing any more over what connects them now. What it returns is closed when
	// something of the next instance has come to it.
	Stall func() <-chan struct{}
	// Lose takes an instance away from the destination, and Cut takes its end, both behind the sink's back. Only a sink
	// that can tell so by Gone has them.
	Lose, Cut func(uid string)
	// Root is the directory that everything is written below, of which nothing lies above. Only a sink of files has
	// one.
	Root string
	// Replaces says that the destination itself, not the sink, puts what comes into the place of what it has under the
	// same SOP Instance UID.
	Replaces bool
}

// patience bounds a promise as safety only: what does not end is a fault of the sink.
const patience = time.Minute

// Run holds a sink against some promises, each in a subtest; against all, if none is named. newSink is called once for
// each.
func Run(t *testing.T, newSink func(t *testing.T) Subject, names ...string) {
	t.Helper()
	for _, p := range chosen(names) {
		t.Run(p.name, func(t *testing.T) {
			switch err := p.check(t.Context(), newSink(t), patience); {
			case errors.Is(err, errNotTried):
				t.Skip(err)
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// Broken returns which of some promises a sink breaks, each with how; of all promises, if none is named. It is for
// tests of the suite itself: a sink that is known to be broken has to break one. t fails only if a destination can't be
// set up. Subtests are named as those of Run.
func Broken(t *testing.T, newSink func(t *testing.T) Subject, names ...string) map[string]error {
	t.Helper()
	return broken(t, newSink, patience, names...)
}

func broken(t *testing.T, newSink func(*testing.T) Subject, patience time.Duration, names ...string) map[string]error {
	t.Helper()
	failed := map[string]error{}
	for _, p := range chosen(names) {
		t.Run(p.name, func(t *testing.T) {
			if err := p.check(t.Context(), newSink(t), patience); err != nil && !errors.Is(err, errNotTried) {
				failed[p.name] = err
			}
		})
	}
	return failed
}

// chosen returns the promises that are named; all, if none is. It panics at a name that is none.
func chosen(names []string) []promise {
	if len(names) == 0 {
		return promises
	}
	var list []promise
	for _, name := range names {
		i := slices.IndexFunc(promises, func(p promise) bool { return p.name == name })
		if i < 0 {
			panic("sinktest: there is no promise " + name)
		}
		list = append(list, promises[i])
	}
	return list
}

// Promises returns the names of all promises.
func Promises() []string {
	names := make([]string, len(promises))
	for i, p := range promises {
		names[i] = p.name
	}
	return names
}
