// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/sink"
)

// shelf is the destination of plain sinks: files in a directory, behind connections. It has every fault that the suite
// knows of.
type shelf struct {
	root string

	mu       sync.Mutex
	away     bool
	open     int // connections
	epoch    int // connections of another one were dropped
	breaks   bool
	stalls   chan struct{} // of the next instance, which is not answered
	answers  map[string]dimse.Status
	renamed  map[string]bool
	synced   map[string]bool // files that outlive a crash
	released chan struct{}   // closed when the test ends
}

// connection is one to the shelf. nil: none.
type connection struct{ epoch int }

var errAway = errors.New("the shelf is away")

func (s *shelf) connect() (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, errAway
	}
	s.open++
	return &connection{s.epoch}, nil
}

// end ends a connection, if it is still open.
func (s *shelf) end(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != nil && c.epoch == s.epoch {
		s.open--
	}
}

// drop ends all connections.
func (s *shelf) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.open = s.epoch+1, 0
}

// alive reports whether a connection was not dropped.
func (s *shelf) alive(c *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c != nil && c.epoch == s.epoch
}

// fault returns what goes wrong with the next instance, once.
func (s *shelf) fault() (breaks bool, stalls chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	breaks, stalls = s.breaks, s.stalls
	s.breaks, s.stalls = false, nil
	return breaks, stalls
}

// answer returns what the shelf says of an instance, and whether under another UID.
func (s *shelf) answer(uid string) (status dimse.Status, renamed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers[uid], s.renamed[uid]
}

// sync makes files outlive a crash.
func (s *shelf) sync(files []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range files {
		s.synced[name] = true
	}
}

// crash takes away what does not outlive it.
func (s *shelf) crash(t *testing.T) {
	s.drop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, path := range filesBelow(t, s.root) {
		if name, _ := filepath.Rel(s.root, path); !s.synced[name] {
			require.NoError(t, os.Remove(path))
		}
	}
}

// plain is a sink as it should be. The broken ones are made of it.
type plain struct {
	shelf *shelf
	slots []*door.Slot

	mu          sync.Mutex
	connections []*connection // by worker
	accepted    map[string][]string
	dirty       []string // files that don't outlive a crash yet
}

func (p *plain) Gone(_ context.Context, delivered []db.DeliveredRow) (gone []string, _ error) {
	for _, d := range delivered {
		if info, err := os.Lstat(filepath.Join(p.shelf.root, d.File)); err != nil || info.Size() != d.FileBytes {
			gone = append(gone, d.SourceSopUid)
		}
	}
	return gone, nil
}

func (p *plain) Begin(context.Context) error { return nil }

func (p *plain) Expect([]string) {}

func (p *plain) Slots() []*door.Slot { return p.slots }

func (p *plain) SetSlots(slots []*door.Slot) { p.slots = slots }

func (p *plain) Workers() int { return max(1, len(p.slots)) }

// Prepare takes everything but large instances.
func (p *plain) Prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error) {
	p.Close(ctx)
	if err := p.Enter(ctx, 0); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted = maps.Clone(proposed)
	delete(p.accepted, dict.MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
	return p.accepted, nil
}

func (p *plain) Enter(ctx context.Context, worker int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := p.shelf.connect()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.connections) <= worker {
		p.connections = append(p.connections, nil)
	}
	p.connections[worker] = c
	return err
}

func (p *plain) Leave(_ context.Context, worker int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if worker < len(p.connections) {
		p.shelf.end(p.connections[worker])
		p.connections[worker] = nil
	}
	return nil
}

func (p *plain) HangUp(ctx context.Context) { p.Close(ctx) }

func (p *plain) Close(context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.connections {
		p.shelf.end(c)
	}
	p.connections = nil
}

func (p *plain) Commit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shelf.sync(p.dirty)
	p.dirty = nil
	return nil
}

// ready returns the connection of a worker, opened anew if it was dropped.
func (p *plain) ready(ctx context.Context, worker int) (*connection, error) {
	p.mu.Lock()
	var c *connection
	if worker < len(p.connections) {
		c = p.connections[worker]
	}
	p.mu.Unlock()
	if p.shelf.alive(c) {
		return c, nil
	}
	if err := p.Enter(ctx, worker); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connections[worker], nil
}

func (p *plain) Put(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
	p.mu.Lock()
	accepted := slices.Contains(p.accepted[o.Class], o.Syntax)
	p.mu.Unlock()
	if !accepted {
		return 0, &dimse.NoContextError{SOPClassUID: o.Class, TransferSyntaxUID: o.Syntax}
	}
	for _, uid := range []string{o.UID, o.Names.Series, o.Names.Study} {
		if !fault.ValidUID(uid) {
			return 0, &sink.Refusal{Status: dimse.InvalidSOPInstance, Reason: "no UID"}
		}
	}
	if _, err := p.ready(ctx, worker); err != nil {
		return 0, err
	}
	breaks, stalls := p.shelf.fault()
	switch {
	case breaks:
		_, _ = io.CopyN(io.Discard, o.Open(), 100) // memory to memory
		p.shelf.drop()
		return 0, errors.New("the connection broke")
	case stalls != nil:
		_, _ = io.Copy(io.Discard, o.Open()) // memory to memory
		close(stalls)
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-p.shelf.released:
			return 0, errors.New("the test is over")
		}
	}
	data, err := io.ReadAll(o.Open())
	if err != nil {
		return 0, err
	}
	return p.place(o, data)
}

// place takes an instance that has come whole.
func (p *plain) place(o *sink.Outgoing, data []byte) (dimse.Status, error) {
	status, renamed := p.shelf.answer(o.UID)
	switch {
	case renamed:
		return dimse.Success, sink.ErrOtherInstance
	case status.Class() == dimse.ClassFailure:
		return status, nil
	}
	file := fileOf(o)
	if old, err := os.ReadFile(filepath.Join(p.shelf.root, file)); err == nil && another(old, o) {
		return 0, &sink.Refusal{Status: dimse.DuplicateSOPInstance, Reason: "there is another one"}
	}
	return status, p.write(file, o, data)
}

// another reports whether a Part 10 file is one of another series or study than an instance.
func another(file []byte, o *sink.Outgoing) bool {
	_, obj, err := stream.OpenFile(bytes.NewReader(file), stream.Limits{})
	if err != nil {
		return true
	}
	defer func() { _ = obj.Close() }() // it was only read
	h := obj.Header()
	return h.Text(dict.SeriesInstanceUID) != o.Names.Series || h.Text(dict.StudyInstanceUID) != o.Names.Study
}

// write writes a file.
func (p *plain) write(file string, o *sink.Outgoing, data []byte) error {
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: o.Class, MediaStorageSOPInstanceUID: o.UID, TransferSyntaxUID: o.Syntax,
	}
	b := append(meta.AppendTo(nil), data...)
	path := filepath.Join(p.shelf.root, file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
		return err
	}
	o.File, o.FileBytes = file, int64(len(b))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirty = append(p.dirty, file)
	return nil
}

// fileOf names the file of an instance, below the root.
func fileOf(o *sink.Outgoing) string {
	n := o.Names
	all := fmt.Appendf(
		nil, "%q %q %q %q %q", n.PatientID, n.StudyDate, n.StudyTime, n.SeriesNumber, n.SeriesDescription,
	)
	of := sha256.Sum256(all)
	return filepath.Join(fmt.Sprintf("%x", of[:8]), o.UID+".dcm")
}

// newPlain returns a plain sink, and all that can be done to its destination.
func newPlain(t *testing.T, of func(p *plain) sink.Sink) Subject {
	t.Helper()
	root := filepath.Join(t.TempDir(), "here", "shelf")
	require.NoError(t, os.MkdirAll(root, 0o755))
	s := &shelf{
		root: root, answers: map[string]dimse.Status{}, renamed: map[string]bool{}, synced: map[string]bool{},
		released: make(chan struct{}),
	}
	t.Cleanup(func() { close(s.released) })
	doors := door.NewDoor(nil)
	next := func() sink.Sink {
		return of(&plain{shelf: s, slots: []*door.Slot{doors.Slot(1, 1), doors.Slot(2, 1), doors.Slot(3, 1)}})
	}
	// each does something to all files of an instance, as a sink that is broken has none, or several.
	each := func(uid string, do func(path string) error) {
		for _, path := range filesBelow(t, root) {
			if filepath.Base(path) == uid+".dcm" {
				require.NoError(t, do(path))
			}
		}
	}
	with := func(change func()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		change()
	}
	return Subject{
		Sink: next(), Root: root, Drop: s.drop,
		Held: func() ([]Instance, error) { return Files(root) },
		Crash: func() sink.Sink {
			s.crash(t)
			return next()
		},
		Quiet: func(context.Context) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.open > 0 {
				return fmt.Errorf("%d connections", s.open)
			}
			return nil
		},
		Away: func() { with(func() { s.away = true }) },
		Refuse: func(uid string) dimse.Status {
			with(func() { s.answers[uid] = dimse.DataSetMismatch })
			return dimse.DataSetMismatch
		},
		Answer: func(uid string, status dimse.Status) { with(func() { s.answers[uid] = status }) },
		Rename: func(uid string) { with(func() { s.renamed[uid] = true }) },
		Break:  func() { with(func() { s.breaks = true }) },
		Stall: func() <-chan struct{} {
			came := make(chan struct{})
			with(func() { s.stalls = came })
			return came
		},
		Lose: func(uid string) { each(uid, os.Remove) },
		Cut:  func(uid string) { each(uid, func(path string) error { return os.Truncate(path, 1000) }) },
	}
}

// filesBelow lists the files below a directory.
func filesBelow(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}
