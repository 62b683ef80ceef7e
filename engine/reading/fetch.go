// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/refusal"
)

// join begins to read a series, which is fetched unless it is there.
func (r *Reading) join(ctx context.Context, series string) (*entry, error) {
	if r.svc.cache == nil {
		return nil, errors.New("this process has no disk for what is read by DICOMweb")
	}
	of, err := r.seriesOf(ctx, series)
	if err != nil {
		return nil, err
	}
	key := seriesKey{r.node.ID, r.wish.Study, series}
	if err := r.svc.heedGrowth(ctx, r.node, key, of); err != nil {
		return nil, err
	}
	if r.wish.Once {
		e, there := r.svc.cache.pass(key, of.Counted, func(ctx context.Context, e *entry) error { //nolint:contextcheck // of its reader
			return r.svc.fetch(ctx, r.node, e)
		})
		r.count(there)
		return e, nil
	}
	e, there, err := r.svc.cache.join(key, of.Counted, func(ctx context.Context, e *entry) error { //nolint:contextcheck // of all readers
		return r.svc.fetchOnce(ctx, r.node, e)
	})
	r.count(there)
	return e, err
}

// heedGrowth forgets a series that is there as a whole if its server has more of it now than it had. One that is not
// counted is listed for that, if it was not a moment ago.
func (svc *Service) heedGrowth(
	ctx context.Context, node nodes.DICOMNode, key seriesKey, of *source.SeriesInventory,
) error {
	counted := of.Counted
	if counted < 0 && svc.cache.unseen(key) {
		list := *of
		err := svc.at(ctx, node, func(ctx context.Context, s *connection) error {
			_, err := s.ListInstances(ctx, &source.Inventory{Study: key.study, Counted: -1}, &list, source.PresenceKeys)
			return err
		})
		if err != nil {
			return err
		}
		counted = list.Expected()
	}
	svc.cache.outgrown(key, counted)
	return nil
}

func (r *Reading) count(there bool) {
	if there {
		r.svc.retrieves.WithLabelValues(held).Inc()
	}
}

// fetch gets a series from its server, and ends when it is there as a whole.
func (svc *Service) fetch(ctx context.Context, node nodes.DICOMNode, e *entry) error {
	svc.retrieves.WithLabelValues(fromServer).Inc()
	return svc.at(ctx, node, func(ctx context.Context, s *connection) error {
		study, err := svc.look(ctx, s.Server, e.key.study)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(study.series, func(s *source.SeriesInventory) bool { return s.UID == e.key.series })
		if i < 0 {
			return fmt.Errorf("series %s at DICOM Server %s: %w", e.key.series, node.Name, refusal.ErrNotFound)
		}
		series := *study.series[i] // what is listed of it belongs to this fetch
		e.counts(series.Counted)
		f := &fetching{
			svc: svc, e: e, from: s, series: &series, stop: make(chan struct{}), archived: study.archived(),
			inv: &source.Inventory{
				Study: e.key.study, PatientID: study.patientID, Series: []*source.SeriesInventory{&series}, Counted: -1,
			},
		}
		return f.run(ctx)
	})
}

// fetching is a series on its way.
type fetching struct {
	svc    *Service
	e      *entry
	from   *connection
	inv    *source.Inventory
	series *source.SeriesInventory
	stop   chan struct{} // closed to end a retrieve politely

	archived bool                  // the server has to bring it back first
	failed   atomic.Pointer[error] // of writing down; what comes by C-MOVE is written by others
	crept    atomic.Int64
}

// run gets the series by one method after the other, until all of it is there.
func (f *fetching) run(ctx context.Context) error {
	asking, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { // a server is asked to end, and then not listened to any more
		close(f.stop)
		time.AfterFunc(polite, func() { cancel(context.Cause(ctx)) })
	})()
	methods := f.svc.methods(f.from.Node)
	if len(methods) == 0 {
		return fault.Permanent("DICOM Server %s can't be read: it supports neither WADO-RS nor C-GET, and C-MOVE "+
			"takes a receiver.", f.from.Node.Name)
	}
	var last error
	for _, method := range methods {
		whole, err := f.by(asking, method)
		switch {
		case f.failure() != nil:
			return f.failure()
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case whole:
			return nil
		case err != nil:
			last = err
			f.from.Abort()
		}
	}
	switch {
	case f.archived && f.e.arrived() == 0 && (last == nil || !fault.Unreachable(last)):
		return fault.Wait(
			"the study is not online at DICOM Server %s, which was asked to bring it back from its archive; try again in "+
				"some minutes", f.from.Node.Name,
		)
	case last != nil:
		return fmt.Errorf("DICOM Server %s could not be read: %w", f.from.Node.Name, last)
	}
	expected := max(f.series.Expected(), f.series.Counted)
	switch {
	case expected < 0:
		return fault.Again("DICOM Server %s neither lists nor counts the instances of this series, and doesn't say how many "+
			"it sent; nothing proves that it is whole, so nothing of it can be read.", f.from.Node.Name)
	case f.series.Listed && f.e.arrived() == len(f.series.Instances):
		return fault.Again("DICOM Server %s counts %s in this series, and lists %d, which it sent; nothing can be read of a "+
			"series that is not whole. If the server counts wrongly, have an administrator set that (ignore_counts).",
			f.from.Node.Name, fault.Instances(expected), f.e.arrived())
	}
	return fault.Again(
		"DICOM Server %s has %s in this series, and sent %d of them; nothing can be read of a series that is not whole.",
		f.from.Node.Name, fault.Instances(expected), f.e.arrived(),
	)
}

// polite is how long a server is given to end a retrieve that nobody waits for.
const polite = 500 * time.Millisecond

// by gets what is missing of the series by one method. By WADO-RS the count of the series and the end of the answer say
// whether it is whole; where they don't, and by DIMSE, which has to know what to propose, the list of its instances
// does.
func (f *fetching) by(ctx context.Context, method string) (whole bool, err error) {
	if method == nodes.MethodWADO {
		result, err := f.get(ctx, nil, source.Wanted{ByWeb: true, AsStored: true})
		if err == nil && result.Status == dimse.Success && f.series.Counted >= 0 && f.e.arrived() == f.series.Counted {
			return true, nil
		}
		if err != nil && f.e.arrived() == 0 {
			return false, err
		}
	}
	if _, err := f.from.ListInstances(ctx, f.inv, f.series, source.ImageKeys); err != nil {
		return false, err
	}
	switch method {
	case nodes.MethodWADO:
		return f.rest(ctx, source.Wanted{ByWeb: true, AsStored: true})
	case nodes.MethodMove:
		return f.byMove(ctx)
	}
	for _, offer := range f.offers() {
		if whole, err = f.rest(ctx, f.wanted(offer)); whole || err != nil {
			return whole, err
		}
	}
	return false, nil
}

// offers are what is proposed to a server, one after the other: nothing lossy but where it says that it has it so,
// since it could choose to compress; at last anything.
func (f *fetching) offers() []source.Offer {
	if f.series.Lossy("") {
		return []source.Offer{source.OfferAll}
	}
	return []source.Offer{source.OfferLossless, source.OfferAll}
}

// wanted is what a C-GET proposes: all classes of the series, each in as many transfer syntaxes as there is room for.
func (f *fetching) wanted(o source.Offer) source.Wanted {
	classes, breadths := f.series.Classes(), map[string]source.Breadth{}
	if len(classes) == 1 {
		breadths[classes[0]] = source.Usual
	}
	syntaxes := source.Proposals(classes, f.inv.HeldSyntaxes(), breadths)
	for class, list := range syntaxes {
		syntaxes[class] = slices.DeleteFunc(list, func(s string) bool { return !o.Includes(s) })
	}
	return source.Wanted{Syntaxes: syntaxes, Usual: o == source.OfferLossless}
}

// rest gets what is missing: the whole series while nothing of it is there, else the instances by their UIDs.
func (f *fetching) rest(ctx context.Context, w source.Wanted) (whole bool, err error) {
	if f.e.arrived() == 0 {
		result, err := f.get(ctx, nil, w)
		if err != nil {
			return false, err
		}
		if f.complete(result) {
			return true, nil
		}
	}
	for chunk := range slices.Chunk(f.missing(), source.ListChunk) {
		before := f.e.arrived()
		if _, err := f.get(ctx, chunk, w); err != nil {
			return false, err
		}
		if f.e.arrived() == before {
			break
		}
	}
	return f.proven(), nil
}

// complete reports whether a retrieve of the whole has brought all: what is listed, and no less than is counted; of a
// server that neither lists nor counts, what it says to have sent.
func (f *fetching) complete(result dimse.GetResult) bool {
	if f.series.Provable() {
		return f.proven()
	}
	arrived := f.e.arrived()
	return result.Status == dimse.Success && arrived > 0 && result.Failed.Value == 0 &&
		result.Completed.Present && result.Completed.Value+result.Warning.Value == arrived
}

// proven reports whether all has come that is listed, and no less than is counted.
func (f *fetching) proven() bool {
	return f.series.Provable() && len(f.missing()) == 0 && f.e.arrived() >= f.series.Counted
}

// missing lists the UIDs of instances that the server lists and that have not come.
func (f *fetching) missing() (uids []string) {
	for uid := range f.series.Instances {
		if !f.e.has(uid) {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// get makes one retrieve.
func (f *fetching) get(ctx context.Context, uids []string, w source.Wanted) (dimse.GetResult, error) {
	if err := f.from.Prepare(ctx, w); err != nil {
		return dimse.GetResult{}, err
	}
	result, err := f.from.Get(ctx, source.Request{Of: f.inv, Series: f.series.UID, UIDs: uids}, f.stop, f.take)
	if err == nil {
		err = f.failure()
	}
	return result, err
}

func (f *fetching) failure() error {
	if err := f.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// take writes down an instance that arrives. One of another series, or that calls itself another one, is refused.
func (f *fetching) take(ctx context.Context, o *dimse.Incoming) dimse.Status {
	f.svc.Metrics.Received.WithLabelValues(f.from.Node.Name).Inc()
	data := door.WithPace(ctx, o.Data, f.svc.Paces.Server(f.from.Node.ID), &f.crept)
	if f.failure() != nil {
		return dimse.OutOfResources
	}
	obj, err := stream.Open(data, o.TransferSyntaxUID, stream.Limits{})
	if err != nil {
		return dimse.CannotUnderstand
	}
	defer func() { _ = obj.Close() }()
	h := obj.Header()
	if h.SOPInstanceUID() != o.SOPInstanceUID || h.SOPClassUID() != o.SOPClassUID ||
		!fault.ValidUID(o.SOPInstanceUID) || h.Text(dict.StudyInstanceUID) != f.e.key.study ||
		h.Text(dict.SeriesInstanceUID) != f.e.key.series {
		return dimse.DataSetMismatch
	}
	if f.e.has(o.SOPInstanceUID) {
		_, _ = io.Copy(io.Discard, obj) // the first copy stands
		return dimse.Success
	}
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: o.SOPClassUID, MediaStorageSOPInstanceUID: o.SOPInstanceUID,
		TransferSyntaxUID: o.TransferSyntaxUID,
	}
	if err := f.e.add(ctx, meta, obj, f.patience()); err != nil {
		err = fmt.Errorf("DICOM Server %s could not be read: %w", f.from.Node.Name, err)
		f.failed.Store(&err)
		f.e.cancel(err) // which ends the retrieve
		return dimse.OutOfResources
	}
	return dimse.Success
}

// patience is how long a server is held back for who reads slowly: half of the silence that it bears.
func (f *fetching) patience() patience {
	return patience{
		bears:   time.Duration(f.from.Node.Server.IdleTimeoutS) * time.Second / 2,
		pressed: func() bool { return f.svc.pressed(f.from.Node.ID) },
	}
}
