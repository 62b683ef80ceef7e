// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs/internal/rest"
	"github.com/adit-go/adit/dicom/stream"
)

// EventKind names a point at which Config.Gate is called.
type EventKind string

// The points, in the order of an operation.
const (
	AtFind         EventKind = "find"          // before the answers to a C-FIND
	AtMatch        EventKind = "match"         // before each match of a C-FIND
	AtGet          EventKind = "get"           // before the first sub-operation of a C-GET
	AtMove         EventKind = "move"          // before the first sub-operation of a C-MOVE
	AtSubOperation EventKind = "sub-operation" // before each C-STORE of a C-GET or C-MOVE
	AtSent         EventKind = "sent"          // when a C-STORE of a C-GET or C-MOVE was answered and recorded
	AtCancelAbort  EventKind = "cancel abort"  // before C-CANCEL is answered by an abort
	AtGetEnd       EventKind = "get end"       // before the final response of a C-GET
	AtMoveEnd      EventKind = "move end"      // before the final response of a C-MOVE
	// before each C-STORE that comes after the final response; ctx ends with the PACS
	AtLate          EventKind = "late"
	AtStore         EventKind = "store"          // before the data set of a C-STORE is read
	AtStoreResponse EventKind = "store response" // when it was read, kept and recorded, before the answer

	AtWebRequest EventKind = rest.AtRequest // before a request of DICOMweb is looked at
	AtWebObject  EventKind = rest.AtObject  // before each object of WADO-RS
	AtWebSent    EventKind = rest.AtSent    // when it was sent and recorded
	AtWebPart    EventKind = rest.AtPart    // before each part of STOW-RS is read
	AtWebKept    EventKind = rest.AtKept    // when its data set was read, kept and recorded, before the answer
	AtWebMatch   EventKind = rest.AtMatch   // when an answer of a search, or of metadata, was written
	AtWebAnswer  EventKind = rest.AtAnswer  // before the answer of STOW-RS
)

// Event is given to Config.Gate.
type Event struct {
	Kind        EventKind
	Association int    // counted from 1
	CallingAE   string //
	// of the match or instance, counted from 1: within the operation, or of all that arrived by C-STORE
	Number         int
	SOPInstanceUID string          // of sub-operations and stores
	Canceled       <-chan struct{} // closed when C-CANCEL has come; nil for stores

	StudyInstanceUID string           // that a C-FIND, C-GET or C-MOVE asks for
	Level            string           // of a C-FIND, or of what a request of DICOMweb is about; IMAGE for metadata
	Answer           *stream.DataSet  // AtMatch, AtWebMatch
	Transfer         *Transfer        // AtSent, AtStoreResponse, AtWebKept
	Result           *dimse.GetResult // AtGetEnd, AtMoveEnd
	Request          *WebRequest      // of DICOMweb; valid until Gate returns
}

// maxRecords bounds each list of a Log: a demo runs for weeks.
const maxRecords = 50_000

// Log is what a PACS saw since it started; of each list the first 50,000. It may be written as JSON.
type Log struct {
	Open, Peak, Total int // associations: open now, most at once, ever accepted
	Rejected          int
	Lost              int // associations that ended otherwise than by a release
	BytesReceived     int64
	Finds             []Query
	Gets              []Query
	Moves             []Query
	Stores            []Transfer // received, whatever they were answered
	Broken            []Transfer // received in part
	Sent              []Transfer // answered by the peer, or sent by WADO-RS
	Web               WebCounts
	Requests          []WebRequest // of DICOMweb, as they came
}

// WebCounts counts connections and requests of DICOMweb.
type WebCounts struct {
	Open, Peak, Total                              int // requests: open now, most at once, ever
	Connections, PeakConnections, TotalConnections int
}

// WebRequest is a request of DICOMweb.
type WebRequest = rest.Request

// Query is a C-FIND, C-GET or C-MOVE.
type Query struct {
	Association        int
	CallingAE          string
	MessageID          uint16
	MoveDestination    string // of a C-MOVE
	SOPClassUID        string
	Level              string
	Keys               map[string][]string // by keyword or tag, with what was asked; empty for universal matching
	PatientIDs         []string
	StudyInstanceUIDs  []string
	SeriesInstanceUIDs []string
	SOPInstanceUIDs    []string
	Time               time.Time
}

// Transfer is an instance that came or went.
type Transfer struct {
	Association       int    // over which it came, or over which the C-GET or C-MOVE did
	CallingAE         string // of what came
	MoveOriginatorAE  string // empty: absent
	MoveOriginatorID  uint16
	SOPClassUID       string
	SOPInstanceUID    string
	TransferSyntaxUID string
	Bytes             int64  // of the data set
	SHA256            string // of the data set, hexadecimal
	Status            uint16 // that was answered
	Lost              bool   // it came by STOW-RS, and was not kept though no failure was answered
	Time              time.Time
}

// UIDs lists the SOP Instance UIDs.
func UIDs(transfers []Transfer) []string {
	list := make([]string, len(transfers))
	for i, t := range transfers {
		list[i] = t.SOPInstanceUID
	}
	return list
}

// Recorder remembers what a PACS saw, and lets tests wait for it. It may be used from any goroutine.
type Recorder struct {
	mu      sync.Mutex
	log     Log
	changed chan struct{} // closed at each change, and replaced
}

func newRecorder() *Recorder { return &Recorder{changed: make(chan struct{})} }

// Log returns a copy of what was seen.
func (r *Recorder) Log() Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.log
	l.Finds, l.Gets, l.Moves = slices.Clone(l.Finds), slices.Clone(l.Gets), slices.Clone(l.Moves)
	l.Requests = slices.Clone(l.Requests)
	l.Stores, l.Broken, l.Sent = slices.Clone(l.Stores), slices.Clone(l.Broken), slices.Clone(l.Sent)
	return l
}

// Wait returns when done is true, or with the cause of ctx. done is called under a lock after each change: it must be
// quick, must not keep the log, and must not call the recorder.
func (r *Recorder) Wait(ctx context.Context, done func(l *Log) bool) error {
	for {
		r.mu.Lock()
		ok, changed := done(&r.log), r.changed
		r.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// WaitStores waits until at least n instances were received whole.
func (r *Recorder) WaitStores(ctx context.Context, n int) error {
	return r.Wait(ctx, func(l *Log) bool { return len(l.Stores) >= n })
}

// WaitSent waits until at least n instances were sent and answered.
func (r *Recorder) WaitSent(ctx context.Context, n int) error {
	return r.Wait(ctx, func(l *Log) bool { return len(l.Sent) >= n })
}

// WaitGets waits until at least n C-GET requests came.
func (r *Recorder) WaitGets(ctx context.Context, n int) error {
	return r.Wait(ctx, func(l *Log) bool { return len(l.Gets) >= n })
}

// WaitMoves waits until at least n C-MOVE requests came.
func (r *Recorder) WaitMoves(ctx context.Context, n int) error {
	return r.Wait(ctx, func(l *Log) bool { return len(l.Moves) >= n })
}

// WaitFinds waits until at least n C-FIND requests came.
func (r *Recorder) WaitFinds(ctx context.Context, n int) error {
	return r.Wait(ctx, func(l *Log) bool { return len(l.Finds) >= n })
}

// WaitRequests waits until at least n requests of DICOMweb were answered.
func (r *Recorder) WaitRequests(ctx context.Context, n int) error {
	return r.Wait(ctx, func(l *Log) bool { return l.Web.Total-l.Web.Open >= n })
}

// WaitOpen waits until exactly n associations are open.
func (r *Recorder) WaitOpen(ctx context.Context, n int) error {
	return r.Wait(ctx, func(l *Log) bool { return l.Open == n })
}

func (r *Recorder) change(f func(l *Log)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.log)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Recorder) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Open
}

// opened returns the association's number.
func (r *Recorder) opened() (number int) {
	r.change(func(l *Log) {
		l.Open++
		l.Total++
		l.Peak = max(l.Peak, l.Open)
		number = l.Total
	})
	return number
}

func (r *Recorder) closed(err error) {
	r.change(func(l *Log) {
		l.Open--
		if err != nil {
			l.Lost++
		}
	})
}

func (r *Recorder) rejected() { r.change(func(l *Log) { l.Rejected++ }) }

func (r *Recorder) received(n int) { r.change(func(l *Log) { l.BytesReceived += int64(n) }) }

func (r *Recorder) found(q Query) { r.change(func(l *Log) { l.Finds = bounded(l.Finds, q) }) }

func (r *Recorder) got(q Query) { r.change(func(l *Log) { l.Gets = bounded(l.Gets, q) }) }

func (r *Recorder) moved(q Query) { r.change(func(l *Log) { l.Moves = bounded(l.Moves, q) }) }

func (r *Recorder) stored(t Transfer) { r.change(func(l *Log) { l.Stores = bounded(l.Stores, t) }) }

func (r *Recorder) broke(t Transfer) { r.change(func(l *Log) { l.Broken = bounded(l.Broken, t) }) }

func (r *Recorder) sent(t Transfer) { r.change(func(l *Log) { l.Sent = bounded(l.Sent, t) }) }

func bounded[T any](list []T, v T) []T {
	if len(list) == maxRecords {
		return list
	}
	return append(list, v)
}
