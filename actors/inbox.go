// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/retrieve"
)

// inbox knows what the runs of this member want of what arrives by C-MOVE, here or at another member. It is guarded by
// a lock, not by messages: an instance must not wait for a mailbox, and an expectation must be known before its C-MOVE
// goes out. It implements retrieve.Inbox.
type inbox struct {
	listens func() bool     // there is a receiver, here or at another member
	away    func() []string // others with a receiver that can't be reached; nil: there are none
	told    expectant       // tells other members; nil: there are none

	mu    sync.RWMutex
	open  map[*retrieve.Inbound]int    // runs, with their C-MOVEs under way
	moves map[uint16]*retrieve.Inbound // C-MOVEs under way, by message ID
}

// expectant is told of C-MOVEs that begin and end here.
type expectant interface {
	expect(d *retrieve.Inbound, messageID uint16)
	forget(messageID uint16)
}

func newInbox(listens func() bool) *inbox {
	return &inbox{listens: listens, open: map[*retrieve.Inbound]int{}, moves: map[uint16]*retrieve.Inbound{}}
}

// Listens implements retrieve.Inbox.
func (b *inbox) Listens() bool { return b.listens() }

// Away implements retrieve.Inbox.
func (b *inbox) Away() []string {
	if b.away == nil {
		return nil
	}
	return b.away()
}

// Open implements retrieve.Inbox.
func (b *inbox) Open(d *retrieve.Inbound) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[d] = 0
}

// Close implements retrieve.Inbox.
func (b *inbox) Close(d *retrieve.Inbound) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, d)
}

// Expect implements retrieve.Inbox.
func (b *inbox) Expect(d *retrieve.Inbound, messageID uint16) {
	b.mu.Lock()
	b.moves[messageID] = d
	b.open[d]++
	b.mu.Unlock()
	if b.told != nil {
		b.told.expect(d, messageID)
	}
}

// Ended implements retrieve.Inbox.
func (b *inbox) Ended(messageID uint16) {
	b.mu.Lock()
	if d := b.moves[messageID]; d != nil {
		delete(b.moves, messageID)
		b.open[d]--
	}
	b.mu.Unlock()
	if b.told != nil {
		b.told.forget(messageID)
	}
}

// moving reports whether one of these servers is being moved from.
func (b *inbox) moving(servers []int64) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for d, moves := range b.open {
		if moves > 0 && slices.Contains(servers, d.Source()) {
			return true
		}
	}
	return false
}

// arrived is an instance that has come from one of some servers.
type arrived struct {
	*receive.Arrival
	servers []int64
	raw     *rewound // what came of it, to be handed on as it is; nil: it stays here
	told    *header  // of one that is at another member
}

// header is what matters of that of an instance.
type header struct{ study, series string }

// UIDs returns the Study and Series Instance UID of the instance's header, which it reads if nobody has; ok is false if
// it can't be read.
func (a arrived) UIDs() (study, series string, ok bool) {
	if a.told != nil {
		return a.told.study, a.told.series, a.told.study != ""
	}
	if a.raw != nil {
		a.raw.keep = true
		defer func() { a.raw.keep = false }()
	}
	return a.Arrival.UIDs()
}

// rewound keeps what is read of an instance up to the end of its header, so that it can be read from the beginning.
type rewound struct {
	io.Reader
	keep bool
	kept []byte
}

// Read implements io.Reader.
func (r *rewound) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.keep {
		r.kept = append(r.kept, p[:n]...)
	}
	return n, err
}

// WriteTo implements io.WriterTo, which costs one copy less.
func (r *rewound) WriteTo(w io.Writer) (int64, error) {
	if r.keep {
		return io.Copy(w, struct{ io.Reader }{r})
	}
	return io.Copy(w, r.Reader)
}

// again reads all of it.
func (r *rewound) again() io.Reader { return io.MultiReader(bytes.NewReader(r.kept), r.Reader) }

// byMove returns the run whose C-MOVE under way the instance names, if that wants it.
func (b *inbox) byMove(a arrived) []*retrieve.Inbound {
	b.mu.RLock()
	d := b.moves[a.MoveOriginatorMessageID]
	b.mu.RUnlock()
	if d == nil || originator(a.Arrival) != d.CallingAE() || !slices.Contains(a.servers, d.Source()) ||
		!d.Expects(a.SOPInstanceUID) && !wants(d, a) {
		return nil
	}
	return []*retrieve.Inbound{d}
}

// missing returns the runs that miss the instance: those that have a C-MOVE under way, or the others.
func (b *inbox) missing(a arrived, moving bool) []*retrieve.Inbound {
	return b.candidates(a.servers, func(d *retrieve.Inbound, moves int) bool {
		return moves > 0 == moving && d.Misses(a.SOPInstanceUID)
	})
}

// ofSeries returns the runs to whose study and series the instance belongs by its header. Those that have a C-MOVE
// under way come first.
func (b *inbox) ofSeries(a arrived) []*retrieve.Inbound {
	study, series, readable := a.UIDs()
	if !readable {
		return nil
	}
	of := func(moving bool) []*retrieve.Inbound {
		return b.candidates(a.servers, func(d *retrieve.Inbound, moves int) bool {
			return moves > 0 == moving && d.Wants(study, series)
		})
	}
	return append(of(true), of(false)...)
}

func (b *inbox) candidates(servers []int64, wants func(d *retrieve.Inbound, moves int) bool) (
	list []*retrieve.Inbound,
) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for d, moves := range b.open {
		if slices.Contains(servers, d.Source()) && wants(d, moves) {
			list = append(list, d)
		}
	}
	return list
}

// delivery is an instance on its way to a run.
type delivery struct {
	status  dimse.Status
	outcome string
	stopped bool // a run that wanted it was stopped
}

// offer hands the instance to the first of some runs that still takes something.
func (d *delivery) offer(ctx context.Context, a arrived, runs []*retrieve.Inbound) (taken bool) {
	for _, run := range runs {
		status, outcome, ok := take(ctx, run, a.Arrival)
		if ok {
			d.status, d.outcome = status, outcome
			return true
		}
		d.stopped = true
	}
	return false
}

// here hands an instance to a run of this member, in the order of DESIGN.md.
func (b *inbox) here(ctx context.Context, a arrived) (d delivery, taken bool) {
	for _, runs := range []func() []*retrieve.Inbound{
		func() []*retrieve.Inbound { return b.byMove(a) },
		func() []*retrieve.Inbound { return b.missing(a, true) },
		func() []*retrieve.Inbound { return b.missing(a, false) },
		func() []*retrieve.Inbound { return b.ofSeries(a) },
	} {
		if d.offer(ctx, a, runs()) {
			return d, true
		}
	}
	return d, false
}

// wants reports whether an instance is, by its header, of a series that a run is to move.
func wants(d *retrieve.Inbound, a arrived) bool {
	study, series, ok := a.UIDs()
	return ok && d.Wants(study, series)
}

func take(ctx context.Context, d *retrieve.Inbound, a *receive.Arrival) (dimse.Status, string, bool) {
	status, again, ok := d.Take(ctx, a)
	switch {
	case again:
		return status, duplicate, ok
	case status != dimse.Success:
		return status, refused, ok
	}
	return status, taken, ok
}

func originator(a *receive.Arrival) string { return strings.Trim(a.MoveOriginatorAETitle, " ") }
