// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/source"
)

// shelf is the peer of plain sources: studies in memory, behind connections. It has every fault that the suite knows
// of.
type shelf struct {
	studies []*phantom.Study

	mu      sync.Mutex
	away    bool
	open    int // connections
	epoch   int // connections of another one were dropped
	list    int // answers to the next question before it breaks; -1: it does not
	denied  map[string]dimse.Status
	next    faults        // of the next retrieve
	refused string        // fails in each retrieve
	over    chan struct{} // closed when the test ends
}

// faults are those of one retrieve.
type faults struct {
	breaks, short, hold int // after so many; -1: never
	status              dimse.Status
}

var noFaults = faults{breaks: -1, short: -1, hold: -1}

var (
	errAway = errors.New("the shelf is away")
	errLost = errors.New("the connection was lost")
)

// set does something to the shelf.
func (s *shelf) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// answers returns how many answers a question gets before it breaks, -1 if it does not; or what denies it.
func (s *shelf) answers(level string) (int, dimse.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, status := s.list, s.denied[level]
	s.list = -1
	delete(s.denied, level)
	return n, status
}

// plain is a source as it should be. The broken ones are made of it.
type plain struct {
	shelf  *shelf
	epoch  int // of its connection; 0: none is open
	wanted source.Wanted
}

func (p *plain) Begin(ctx context.Context) error {
	s := p.shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case p.epoch == s.epoch:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.away:
		return errAway
	}
	p.epoch = s.epoch
	s.open++
	return nil
}

func (p *plain) Lasts() bool { return p.epoch > 0 }

func (p *plain) BearSilence(time.Duration) {}

func (p *plain) Mover() (source.Mover, bool) { return nil, false }

func (p *plain) Release(context.Context) { p.Abort() }

func (p *plain) Abort() {
	p.shelf.set(func() {
		if p.epoch == p.shelf.epoch {
			p.shelf.open--
		}
	})
	p.epoch = 0
}

// ask returns an error if not so many answers come to a question.
func (p *plain) ask(ctx context.Context, level string, n int) error {
	if err := p.Begin(ctx); err != nil {
		return err
	}
	breaks, denied := p.shelf.answers(level)
	switch {
	case denied != dimse.Success:
		return &dimse.StatusError{Service: dimse.CFind, Status: denied}
	case breaks >= 0 && breaks < n:
		return errLost
	}
	return nil
}

func (p *plain) study(uid string) *phantom.Study {
	i := slices.IndexFunc(p.shelf.studies, func(st *phantom.Study) bool { return st.StudyInstanceUID == uid })
	if i < 0 {
		return &phantom.Study{}
	}
	return p.shelf.studies[i]
}

func (p *plain) OneStudy(ctx context.Context, study, patientID string) (*stream.DataSet, error) {
	if err := p.ask(ctx, "STUDY", 1); err != nil {
		return nil, err
	}
	st := p.study(study)
	if st.StudyInstanceUID == "" || patientID != "" && patientOf(st) != patientID {
		return nil, source.ErrNoStudy
	}
	return answerOf(st), nil
}

func answerOf(st *phantom.Study) *stream.DataSet {
	answer := &stream.DataSet{}
	answer.Set(dict.StudyInstanceUID, st.StudyInstanceUID)
	answer.Set(dict.PatientID, patientOf(st))
	answer.Set(dict.NumberOfStudyRelatedInstances, fmt.Sprint(len(st.Instances())))
	return answer
}

func (p *plain) ListSeries(ctx context.Context, inv *source.Inventory) error {
	all := p.study(inv.Study).Series
	if err := p.ask(ctx, "SERIES", len(all)); err != nil {
		return err
	}
	inv.Series, inv.LeftOutSeries, inv.Omitted = nil, nil, map[string]int{}
	for _, se := range all {
		switch {
		case len(inv.Chosen) > 0 && !slices.Contains(inv.Chosen, se.SeriesInstanceUID):
		case inv.Omits != nil && inv.Omits(se.Modality):
			inv.LeftOutSeries = append(inv.LeftOutSeries, se.SeriesInstanceUID)
			inv.Omitted[se.Modality] += len(se.Instances)
		default:
			inv.Series = append(
				inv.Series, &source.SeriesInventory{UID: se.SeriesInstanceUID, Counted: len(se.Instances)},
			)
		}
	}
	if len(all) == 0 || len(inv.Chosen) > len(inv.Series) {
		return errors.New("no such series")
	}
	return nil
}

func (p *plain) ListInstances(
	ctx context.Context, inv *source.Inventory, series *source.SeriesInventory, _ []dict.Tag,
) (strangers []string, err error) {
	all := p.instances(inv.Study, series.UID, nil)
	err = p.ask(ctx, "IMAGE", len(all))
	series.Listed, series.Instances = false, nil
	if status, ok := errors.AsType[*dimse.StatusError](err); ok && status.Status == dimse.DataSetMismatch {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	series.Listed, series.Instances = true, map[string]source.Instance{}
	for _, in := range all {
		series.Instances[in.SOPInstanceUID] = source.Instance{
			Class: in.SOPClassUID, Syntaxes: []string{in.TransferSyntaxUID},
		}
	}
	return nil, nil
}

// instances returns those that are asked for.
func (p *plain) instances(study, series string, uids []string) []*phantom.Instance {
	all := slices.Clone(p.study(study).Series)
	all = slices.DeleteFunc(all, func(se *phantom.Series) bool {
		return series != "" &&
			se.SeriesInstanceUID != series
	})
	var found []*phantom.Instance
	for _, se := range all {
		for _, in := range se.Instances {
			if uids == nil || slices.Contains(uids, in.SOPInstanceUID) {
				found = append(found, in)
			}
		}
	}
	return found
}

func (p *plain) Prepare(ctx context.Context, w source.Wanted) error {
	p.wanted = w
	return p.Begin(ctx)
}

func (p *plain) Get(
	ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
) (r dimse.GetResult, err error) {
	if err := p.Begin(ctx); err != nil {
		return r, err
	}
	var f faults
	var refused string
	p.shelf.set(func() { f, refused, p.shelf.next = p.shelf.next, p.shelf.refused, noFaults })
	if f.status != dimse.Success {
		return dimse.GetResult{Status: f.status}, nil
	}
	done, failed := 0, []string{}
	for i, in := range p.instances(rq.Of.Study, rq.Series, rq.UIDs) {
		if i == f.short {
			break
		}
		if i == f.hold {
			select {
			case <-stop:
			case <-ctx.Done():
			case <-p.shelf.over:
				return r, errLost
			}
		}
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-stop:
			return result(dimse.Canceled, done, failed), nil
		default:
		}
		if in.SOPInstanceUID == refused || !slices.Contains(p.wanted.Syntaxes[in.SOPClassUID], in.TransferSyntaxUID) {
			failed = append(failed, in.SOPInstanceUID)
			continue
		}
		o := incoming(in, io.Reader(bytes.NewReader(dataOf(in))))
		if i == f.breaks {
			o.Data = io.MultiReader(io.LimitReader(o.Data, 200), iotest.ErrReader(errLost))
			take(ctx, o)
			return r, errLost
		}
		if take(ctx, o).Class() == dimse.ClassFailure {
			failed = append(failed, in.SOPInstanceUID)
			continue
		}
		done++
	}
	if len(failed) > 0 {
		return result(dimse.SubOperationsIncomplete, done, failed), nil
	}
	return result(dimse.Success, done, nil), nil
}

func incoming(in *phantom.Instance, data io.Reader) *dimse.Incoming {
	return &dimse.Incoming{
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID,
		TransferSyntaxUID: in.TransferSyntaxUID, Data: data,
	}
}

func result(status dimse.Status, done int, failed []string) dimse.GetResult {
	return dimse.GetResult{
		Status: status, FailedSOPInstanceUIDs: failed,
		Counts: dimse.Counts{Completed: dimse.Counted(done), Failed: dimse.Counted(len(failed))},
	}
}

// newPlain returns a plain source, or what is made of it, and all that can be done to its peer.
func newPlain(of func(p *plain) source.Source) func(t *testing.T, studies ...*phantom.Study) Subject {
	return func(t *testing.T, studies ...*phantom.Study) Subject {
		t.Helper()
		s := &shelf{
			studies: studies, epoch: 1, list: -1, denied: map[string]dimse.Status{},
			next: noFaults, over: make(chan struct{}),
		}
		t.Cleanup(func() { close(s.over) })
		return Subject{
			Source: of(&plain{shelf: s}),
			Quiet: func(context.Context) error {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.open > 0 {
					return fmt.Errorf("%d connections", s.open)
				}
				return nil
			},
			Away:      func() { s.set(func() { s.away = true }) },
			Drop:      func() { s.set(func() { s.epoch, s.open = s.epoch+1, 0 }) },
			BreakList: func(after int) { s.set(func() { s.list = after }) },
			DenyList:  func(level string, status dimse.Status) { s.set(func() { s.denied[level] = status }) },
			Break:     func(after int) { s.set(func() { s.next.breaks = after }) },
			Deny:      func(status dimse.Status) { s.set(func() { s.next.status = status }) },
			Refuse:    func(uid string) { s.set(func() { s.refused = uid }) },
			Short:     func(after int) { s.set(func() { s.next.short = after }) },
			Hold:      func(after int) { s.set(func() { s.next.hold = after }) },
		}
	}
}

// wrong is a source of which something is wrong: it does with these functions what a plain one does with its own.
type wrong struct {
	*plain
	begin         func(ctx context.Context) error
	oneStudy      func(ctx context.Context, study, patientID string) (*stream.DataSet, error)
	listSeries    func(ctx context.Context, inv *source.Inventory) error
	listInstances listFunc
	lasts         func() bool
	prepare       func(ctx context.Context, w source.Wanted) error
	get           getFunc
	mover         func() (source.Mover, bool)
	release       func(ctx context.Context)
	abort         func()
}

// listFunc is a ListInstances.
type listFunc func(
	ctx context.Context, inv *source.Inventory, s *source.SeriesInventory, keys []dict.Tag,
) ([]string, error)

// getFunc is a Get.
type getFunc func(
	ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
) (dimse.GetResult, error)

// newWrong returns a source that is as it should be, but for what is changed of it.
func newWrong(change func(w *wrong)) func(p *plain) source.Source {
	return func(p *plain) source.Source {
		w := &wrong{
			plain: p, begin: p.Begin, oneStudy: p.OneStudy, listSeries: p.ListSeries, listInstances: p.ListInstances,
			lasts: p.Lasts, prepare: p.Prepare, get: p.Get, mover: p.Mover, release: p.Release, abort: p.Abort,
		}
		change(w)
		return w
	}
}

func (w *wrong) Begin(ctx context.Context) error { return w.begin(ctx) }

func (w *wrong) OneStudy(ctx context.Context, study, patientID string) (*stream.DataSet, error) {
	return w.oneStudy(ctx, study, patientID)
}

func (w *wrong) ListSeries(ctx context.Context, inv *source.Inventory) error {
	return w.listSeries(ctx, inv)
}

func (w *wrong) ListInstances(
	ctx context.Context, inv *source.Inventory, s *source.SeriesInventory, keys []dict.Tag,
) ([]string, error) {
	return w.listInstances(ctx, inv, s, keys)
}

func (w *wrong) Lasts() bool { return w.lasts() }

func (w *wrong) Prepare(ctx context.Context, wanted source.Wanted) error {
	return w.prepare(ctx, wanted)
}

func (w *wrong) Get(
	ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
) (dimse.GetResult, error) {
	return w.get(ctx, rq, stop, take)
}

func (w *wrong) Mover() (source.Mover, bool) { return w.mover() }

func (w *wrong) Release(ctx context.Context) { w.release(ctx) }

func (w *wrong) Abort() { w.abort() }
