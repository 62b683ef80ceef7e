// SPDX-License-Identifier: AGPL-3.0-or-later

// Package sourcetest is the conformance suite of sources: whoever writes one runs it, as testing/fstest is run for a
// file system.
//
//	func TestArchive(t *testing.T) {
//		sourcetest.Run(t, func(t *testing.T, studies ...*phantom.Study) sourcetest.Subject {
//			a := startArchive(t, studies)
//			return sourcetest.Subject{Source: newArchiveSource(a.URL), Quiet: a.quiet, Break: a.breakAfter}
//		})
//	}
//
// Each promise of source.Source is a subtest with a source of its own, which is driven as engine/retrieve drives one.
// What it brings is held against what the peer has, byte by byte. A source that is moved from brings nothing itself:
// Receiver takes what it sends, and is its Subject.Get.
//
// The functions of Subject are faults that the peer can be made to have, and looks that not every peer allows. A
// promise that needs one that is not there is skipped, and says so: give as many as you can, for a promise that was not
// tried is not kept.
package sourcetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/source"
)

// Getter gets instances as Source.Prepare and Source.Get do.
type Getter func(
	ctx context.Context, w source.Wanted, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
) (dimse.GetResult, error)

// Subject is a source under test, whose peer has some studies and nothing else. A function fails its test if it can't
// do what it is for.
type Subject struct {
	// Source is as retrieve gets it: nothing is open.
	Source source.Source
	// Get is how instances are got from it; nil: by its own Prepare and Get.
	Get Getter

	// Quiet waits until nothing is open at the peer.
	Quiet func(ctx context.Context) error
	// Away takes the peer away: it can't be reached any more.
	Away func()
	// Drop has the peer end what is open, without a word, when that has been idle for a second or more, and returns
	// when it has ended.
	Drop func()
	// BreakList has what connects source and peer break when so many answers to the next question have been sent.
	BreakList func(after int)
	// DenyList has the peer answer the next question at a level (STUDY, SERIES, IMAGE) with a status.
	DenyList func(level string, status dimse.Status)
	// Break has what connects source and peer break in the middle of an instance of the next retrieve, when so many
	// have been sent.
	Break func(after int)
	// Deny has the peer answer the next retrieve with a status, and send nothing.
	Deny func(status dimse.Status)
	// Refuse has the peer fail with an instance in each retrieve.
	Refuse func(uid string)
	// Short has the peer end the next retrieve with success when it has sent so many.
	Short func(after int)
	// Hold has the peer send so many instances of the next retrieve, and nothing more until it is told to stop.
	Hold func(after int)
}

// patience bounds a promise as safety only: what does not end is a fault of the source.
const patience = time.Minute

// Run holds a source against all promises, each in a subtest. newSource is called once for each.
func Run(t *testing.T, newSource func(t *testing.T, studies ...*phantom.Study) Subject) {
	t.Helper()
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			switch err := p.check(t.Context(), newSource(t, studies()...), patience); {
			case errors.Is(err, errNotTried):
				t.Skip(err)
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// Broken returns which of some promises a source breaks, each with how; of all promises, if none is named. It is for
// tests of the suite itself: a source that is known to be broken has to break one. patience is how long a promise may
// take. t fails only if a peer can't be set up.
func Broken(
	t *testing.T, newSource func(t *testing.T, studies ...*phantom.Study) Subject,
	patience time.Duration, names ...string,
) map[string]error {
	t.Helper()
	failed := map[string]error{}
	for _, p := range promises {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			if err := p.check(t.Context(), newSource(t, studies()...), patience); err != nil &&
				!errors.Is(err, errNotTried) {
				failed[p.name] = err
			}
		})
	}
	return failed
}

// Promises returns the names of all promises.
func Promises() []string {
	names := make([]string, len(promises))
	for i, p := range promises {
		names[i] = p.name
	}
	return names
}
