// SPDX-License-Identifier: AGPL-3.0-or-later

// Package source is what a task reads from (Source): what it has of a study, and how its instances are got. The sources
// that there are:
//
//   - Server: a server that is spoken to by DIMSE, over one association at a time, or by DICOMweb, with one request at
//     a time. It lists by C-FIND or QIDO-RS, and is got from by C-GET or WADO-RS; it can be moved from, too (Mover):
//     then it sends to our receiver, by C-MOVE.
//
// Package sourcetest holds every source to what Source promises.
package source

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

// Source is what a task reads a study from. It tells what it has (OneStudy, ListSeries, ListInstances) and brings it
// (Prepare, Get). It is used by one goroutine at a time.
//
// A source believes nothing, and hides nothing: it hands on what it is told and what it is sent, and the caller judges
// that. What it must not do is to take a part for the whole: an answer that breaks off is an error of the question,
// never a shorter list, and a retrieve that breaks off is an error of Get, never a result.
//
// Whatever has to be opened is opened by the first question, and stays open for the next ones, as long as it is of use
// for them. What was dropped after a second or more of idleness is opened anew without an error. After an error of
// something that broke off Abort is to be called; then the source can be used again.
type Source interface {
	// Begin opens what a task begins with, unless something is open. Who asks without it has it opened then; it is for
	// who wants to give up opening, but not asking: if the context has ended nothing is open afterwards.
	Begin(ctx context.Context) error

	// OneStudy returns what is said of the study with this UID, of this patient if one is named: StudyKeys, Instance
	// Availability, and the offset of its time zone. The error is ErrNoStudy if there is none, and any other one if
	// there are several, or if it can't be told.
	OneStudy(ctx context.Context, study, patientID string) (*stream.DataSet, error)
	// ListSeries lists the series that the inventory is about, in the order of their numbers, each with its count, and
	// without its instances. One that was chosen and is not there is an error.
	ListSeries(ctx context.Context, inv *Inventory) error
	// ListInstances lists the instances of a series, with what the keys ask for: ImageKeys or PresenceKeys. A source
	// that lists no instances leaves the series unlisted. It returns instances that it was told of, and that may be of
	// any series.
	ListInstances(
		ctx context.Context, inv *Inventory, series *SeriesInventory, keys []dict.Tag,
	) (strangers []string, err error)

	// Lasts reports whether what is open is of use for the retrieves that follow.
	Lasts() bool
	// BearSilence lets whatever is opened from now on be silent for so long at least: a study may have to be brought
	// back first.
	BearSilence(patience time.Duration)

	// Prepare sees to it that the next Get asks for what is wanted, and for nothing else: in no other transfer
	// syntaxes, since a source could choose one of those and convert. It comes before each Get.
	Prepare(ctx context.Context, w Wanted) error
	// Get gets what is asked for. Each instance that comes goes to take, one after the other, whether or not it was
	// asked for, and may be read until take returns; its data is as it was sent, and its end is an error other than
	// io.EOF where it breaks off. What take returns goes back to where it came from.
	//
	// The result is the answer to the whole, in the terms of C-GET (PS3.7 9.1.3), whatever it says: what was refused,
	// that nothing is available, what failed, and how many arrived. Closing stop ends it politely, with what is
	// under way. An error says that there is no answer.
	Get(ctx context.Context, rq Request, stop <-chan struct{}, take dimse.StoreHandler) (dimse.GetResult, error)

	// Mover returns what the source can be moved from by; false if it can't.
	Mover() (Mover, bool)

	// Release ends politely what is open, Abort at once. Both may be called at any time, and more than once.
	Release(ctx context.Context)
	Abort()
}

// Mover is a source that sends to others what it is asked for: of C-MOVE (PS3.4 C.4.2). What it sends arrives beside.
type Mover interface {
	// Move has what is asked for sent to the destination of a C-MOVE, of which SOP class and identifier are its own.
	// The result is the answer, whatever it says; an error says that there is none. Some of what was sent may arrive
	// only after the answer.
	Move(ctx context.Context, rq Request, by dimse.MoveRequest) (dimse.MoveResult, error)
}

// Request is what a retrieve asks for, of a study that was looked up.
type Request struct {
	Of     *Inventory
	Series string   // empty: the whole study
	UIDs   []string // instances; none: all of them
}

// Wanted is what a retrieve is about to ask for.
type Wanted struct {
	Syntaxes map[string][]string // by SOP class: the transfer syntaxes in which instances may come
	Usual    bool                // what follows will probably be asked for likewise
	ByWeb    bool                // by WADO-RS, of a server that offers DIMSE as well
	AsStored bool                // ByWeb: in any transfer syntax, whatever Syntaxes says
	// Study returns the SOP classes of the study, and the transfer syntaxes in which they may come: Syntaxes, and what
	// of the rest can be asked for beside that. It is called where something is to be opened, or was opened on a guess.
	// nil: there is nothing beside.
	Study func() (classes []string, beside map[string][]string)
}

// study returns what may be asked for with what is wanted.
func (w Wanted) study() (classes []string, beside map[string][]string) {
	if w.Study == nil {
		return slices.Collect(maps.Keys(w.Syntaxes)), w.Syntaxes
	}
	return w.Study()
}
