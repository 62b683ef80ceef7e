// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/source"
)

// promise is one thing that a source promises.
type promise struct {
	name string
	// needs returns what a peer has to be able to, and can't; empty: it can. nil: nothing.
	needs func(s *Subject) string
	// holds drives the source, and returns how the promise is broken.
	holds func(tr *trial) error
}

// errNotTried says that a promise could not be tried.
var errNotTried = errors.New("not tried")

// check tries a promise on a new subject, and ends what is open.
func (p *promise) check(ctx context.Context, s Subject, patience time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tr := &trial{Subject: s, ctx: ctx, grace: patience / 12}
	if tr.Get == nil {
		tr.Get = tr.preparedGet
	}
	defer func() { err = errors.Join(err, tr.abort()) }()
	if p.needs != nil {
		if what := p.needs(&s); what != "" {
			return fmt.Errorf("%w: %s", errNotTried, what)
		}
	}
	return p.holds(tr)
}

// trial drives a source as retrieve does.
type trial struct {
	Subject
	ctx   context.Context
	grace time.Duration // that what ends with its context may take for it
}

// preparedGet gets by the source's own Prepare and Get.
func (tr *trial) preparedGet(
	ctx context.Context, w source.Wanted, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
) (dimse.GetResult, error) {
	if err := tr.Source.Prepare(ctx, w); err != nil {
		return dimse.GetResult{}, fmt.Errorf("Prepare: %w", err)
	}
	return tr.Source.Get(ctx, rq, stop, take)
}

// do calls a method of the source. It returns an error also if that panics, or does not return.
func (tr *trial) do(what string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("%s panics: %v\n%s", what, p, debug.Stack())
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-tr.ctx.Done():
	}
	grace := time.NewTimer(tr.grace)
	defer grace.Stop()
	select { // what returned with the context did return
	case err := <-done:
		return err
	case <-grace.C:
		return fmt.Errorf("%s does not return", what)
	}
}

func (tr *trial) abort() error {
	return tr.do("Abort", func() error {
		tr.Source.Abort()
		return nil
	})
}

func (tr *trial) release() error {
	return tr.do("Release", func() error {
		tr.Source.Release(tr.ctx)
		return nil
	})
}

// quiet looks whether nothing is open, where that can be seen.
func (tr *trial) quiet(after string) error {
	if tr.Quiet == nil {
		return nil
	}
	if err := tr.Quiet(tr.ctx); err != nil {
		return fmt.Errorf("something is still open after %s: %w", after, err)
	}
	return nil
}

// inventory begins the inventory of a study.
func inventory(study *phantom.Study) *source.Inventory {
	return &source.Inventory{PatientID: patientOf(study), Study: study.StudyInstanceUID, Whole: true}
}

// lookUp looks the first study and its series up, as comes before everything else.
func (tr *trial) lookUp() (inv *source.Inventory, err error) {
	err = tr.do("OneStudy", func() error {
		answer, err := tr.Source.OneStudy(tr.ctx, mainStudy().StudyInstanceUID, patientOf(mainStudy()))
		if err != nil {
			return fmt.Errorf("OneStudy: %w", err)
		}
		inv = inventory(mainStudy())
		inv.Answer, inv.PatientID = answer, answer.String(dict.PatientID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inv, tr.listSeries(inv)
}

func (tr *trial) listSeries(inv *source.Inventory) error {
	return tr.do("ListSeries", func() error {
		if err := tr.Source.ListSeries(tr.ctx, inv); err != nil {
			return fmt.Errorf("ListSeries: %w", err)
		}
		return nil
	})
}

func (tr *trial) listInstances(inv *source.Inventory, series *source.SeriesInventory, keys []dict.Tag) error {
	return tr.do("ListInstances", func() error {
		strangers, err := tr.Source.ListInstances(tr.ctx, inv, series, keys)
		if err != nil {
			return fmt.Errorf("ListInstances: %w", err)
		}
		if len(strangers) > 0 {
			return fmt.Errorf(
				"ListInstances of series %s names %d instances that may be of any", series.UID, len(strangers),
			)
		}
		return nil
	})
}

// request is what is asked for.
type request struct {
	series string              // empty: the whole study
	uids   []string            // nil: all of them
	wanted map[string][]string // transfer syntaxes by SOP class
	inv    *source.Inventory   // nil: the first study is looked up before
	ctx    context.Context     // nil: that of the trial
	stop   chan struct{}       // nil: one that nobody closes
	// answer looks at an instance, counted from 1, and says what is answered, and how much of it is read; nil: it is
	// read whole and taken.
	answer func(n int, a *arrival) (status dimse.Status, read int64)
}

// wholeSeries asks for a series of the first study.
func wholeSeries(n int) request {
	return request{series: mainStudy().Series[n].SeriesInstanceUID, wanted: syntaxesOf(seriesOf(n))}
}

// got is what came of a request.
type got struct {
	dimse.GetResult
	err  error // of the retrieve
	came []arrival
}

// everything is how much is read of an instance that is read whole.
const everything = 1 << 40

// get gets what is asked for. The error says that the way in which it came breaks a promise, whatever it is.
func (tr *trial) get(rq request) (g got, err error) {
	if rq.inv == nil {
		if rq.inv, err = tr.lookUp(); err != nil {
			return got{}, err
		}
	}
	if rq.ctx == nil {
		rq.ctx = tr.ctx
	}
	if rq.stop == nil {
		rq.stop = make(chan struct{})
	}
	in := &taker{request: rq}
	w := source.Wanted{Syntaxes: rq.wanted, Usual: true}
	var result dimse.GetResult
	var failed error
	err = tr.do("Get", func() error {
		result, failed = tr.Get(
			rq.ctx, w, source.Request{Of: rq.inv, Series: rq.series, UIDs: rq.uids}, rq.stop, in.take,
		)
		return nil
	})
	if err != nil {
		return got{}, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.over = true
	g = got{result, failed, slices.Clone(in.came)}
	return g, errors.Join(in.wrong, g.disagree(rq.wanted))
}

// complete gets what is asked for, and has to get exactly these instances.
func (tr *trial) complete(rq request, want []*phantom.Instance) error {
	g, err := tr.get(rq)
	if err != nil {
		return err
	}
	if g.err != nil {
		return fmt.Errorf("the retrieve fails: %w", g.err)
	}
	if err := compare(g.came, want); err != nil {
		return err
	}
	if g.Status != dimse.Success {
		return fmt.Errorf("all came, but the status is %s", g.Status)
	}
	return nil
}

// disagree says in what the answer doesn't agree with what came.
func (g *got) disagree(wanted map[string][]string) error {
	taken := 0
	for _, a := range g.came {
		if !slices.Contains(wanted[a.class], a.syntax) {
			return fmt.Errorf(
				"%s came as of SOP class %s in transfer syntax %s, which was not wanted", a.uid, a.class, a.syntax,
			)
		}
		if !a.failed {
			taken++
		}
	}
	counted := g.err == nil && g.Status.Class() != dimse.ClassFailure // where the whole has failed, some count nothing
	if sent := g.Completed.Value + g.Warning.Value; counted && g.Completed.Present && sent != taken {
		return fmt.Errorf("the result counts %d instances that were sent, and %d came and were taken", sent, taken)
	}
	if failed := len(g.came) - taken; counted && g.Failed.Present && g.Failed.Value < failed {
		return fmt.Errorf(
			"the result counts %d that failed, and %d were answered with a failure", g.Failed.Value, failed,
		)
	}
	return nil
}

// taker takes what a retrieve brings.
type taker struct {
	request
	mu    sync.Mutex
	busy  bool // one is being taken
	over  bool // the retrieve has returned
	came  []arrival
	wrong error // with the way in which they come
}

func (in *taker) take(_ context.Context, o *dimse.Incoming) dimse.Status {
	in.mu.Lock()
	switch {
	case in.over:
		in.wrong = errors.New("an instance came after the retrieve had returned")
	case in.busy:
		in.wrong = errors.New("an instance came while another one was being taken")
	}
	in.busy = true
	n := len(in.came) + 1
	in.mu.Unlock()

	a := arrival{class: o.SOPClassUID, uid: o.SOPInstanceUID, syntax: o.TransferSyntaxUID}
	status, read := dimse.Success, int64(everything)
	if in.answer != nil {
		status, read = in.answer(n, &a)
	}
	a.data, a.err = io.ReadAll(io.LimitReader(o.Data, read))
	if a.err != nil {
		status = dimse.ProcessingFailure
	}
	a.failed = status.Class() == dimse.ClassFailure

	in.mu.Lock()
	defer in.mu.Unlock()
	in.came, in.busy = append(in.came, a), false
	return status
}
