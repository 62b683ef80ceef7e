// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/http"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
)

// openWeb sees to it that requests of DICOMweb can be made.
func (s *Server) openWeb(ctx context.Context) error {
	if s.W != nil {
		return nil
	}
	s.Release(ctx)
	w, err := s.Slot.OpenWeb(s.Peer)
	s.W = w
	return err
}

// findWeb asks by QIDO-RS what an identifier of C-FIND asks for. counted is how many answers the server counts; -1: it
// doesn't.
func (s *Server) findWeb(
	ctx context.Context, id *stream.DataSet, counted int,
) iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		if err := s.openWeb(ctx); err != nil {
			yield(nil, err)
			return
		}
		var last error
		search := SearchOf(id)
		search.Expect = max(0, counted)
		for ds, err := range s.W.Search(ctx, search) {
			if last = err; err != nil {
				break // it is the last
			}
			s.hear(nil)
			if !yield(ds, nil) {
				return
			}
		}
		s.hear(last) // without a match, too
		if s.lost(last); last != nil {
			yield(nil, last)
		}
	}
}

// lost forgets a connection that there is not.
func (s *Server) lost(err error) {
	if _, ok := errors.AsType[*web.ConnectError](err); ok {
		s.endWeb()
	}
}

// SearchOf returns the search by QIDO-RS (PS3.18 10.6) that asks for what an identifier of C-FIND does. A UID of a
// level above is part of the path.
func SearchOf(id *stream.DataSet) web.Search {
	q := web.Search{Level: web.Study, Match: &stream.DataSet{}}
	if set := id.Strings(dict.SpecificCharacterSet); len(set) > 0 {
		_ = q.Match.SetCharset(set...) // one that the identifier has
	}
	above := map[dict.Tag]*string{}
	switch id.String(dict.QueryRetrieveLevel) {
	case "IMAGE":
		q.Level = web.Instance
		above[dict.StudyInstanceUID], above[dict.SeriesInstanceUID] = &q.In.Study, &q.In.Series
	case "SERIES":
		q.Level = web.Series
		above[dict.StudyInstanceUID] = &q.In.Study
	}
	for e := range id.All() {
		if e.Tag == dict.QueryRetrieveLevel || e.Tag == dict.SpecificCharacterSet {
			continue
		}
		values := id.Strings(e.Tag)
		if up := above[e.Tag]; up != nil && len(values) == 1 {
			*up = values[0]
			continue
		}
		q.Include = append(q.Include, e.Tag)
		if len(values) > 0 && e.VR != dict.SQ {
			q.Match.Put(e)
		}
	}
	return q
}

// list asks for the series of a study, or the instances of a series, of which key is the UID and counted the count.
// Where a list by QIDO-RS can't be shown to be whole, or there is none, or nothing at all instead of one, what it lacks
// is taken from the metadata (PS3.18 10.4.1.1.2).
func (s *Server) list(
	ctx context.Context, id *stream.DataSet, key dict.Tag, counted int,
) iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		seen := map[string]bool{}
		show := func(found iter.Seq2[*stream.DataSet, error]) (last error) {
			for ds, err := range found {
				if err != nil {
					return err
				}
				if uid := ds.String(key); s.W != nil && seen[uid] {
					continue
				} else if seen[uid] = true; !yield(ds, nil) {
					return errEnough
				}
			}
			return nil
		}
		find := s.Find(ctx, id)
		if nodes.AsksByWeb(s.Node.Server) {
			find = s.findWeb(ctx, id, counted)
		}
		err := show(find)
		if s.W != nil && nodes.ReadsByWeb(s.Node.Server) && (CutShort(err) || saysNothing(err) || fault.Declined(err)) {
			err = show(s.W.Metadata(ctx, SearchOf(id).In))
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

var errEnough = errors.New("no more is wanted")

// saysNothing reports whether a server answered with success and nothing else.
func saysNothing(err error) bool {
	answer, ok := errors.AsType[*web.AnswerError](err)
	return ok && answer.Empty
}

// CutShort reports whether a list was found to lack something, or can't be shown to be whole.
func CutShort(err error) bool {
	_, incomplete := errors.AsType[*web.IncompleteError](err)
	return incomplete
}

// getWeb retrieves what is asked for by WADO-RS (PS3.18 10.4): a series or a study in one request, instances one by
// one. A level that the server does not offer is asked for by what it consists of.
func (s *Server) getWeb(
	ctx context.Context, rq Request, stop <-chan struct{}, take dimse.StoreHandler,
) (dimse.GetResult, error) {
	g := &webGet{s: s, rq: rq, stop: stop, take: take, came: map[string]bool{}}
	for _, r := range resourcesOf(rq) {
		if err := g.get(ctx, r); err != nil || g.ended() {
			return g.result(), err
		}
	}
	return g.result(), nil
}

// resourcesOf returns what a retrieve has to ask for.
func resourcesOf(rq Request) []web.Resource {
	whole := web.Resource{Study: rq.Of.Study, Series: rq.Series}
	if len(rq.UIDs) == 0 {
		return []web.Resource{whole}
	}
	list := make([]web.Resource, 0, len(rq.UIDs))
	for _, uid := range rq.UIDs {
		r := whole
		r.Instance = uid
		if r.Series == "" {
			r.Series = rq.Of.seriesOf(uid)
		}
		list = append(list, r)
	}
	return list
}

// seriesOf returns the series that an instance is listed in.
func (inv *Inventory) seriesOf(uid string) string {
	for _, s := range inv.Series {
		if _, ok := s.Instances[uid]; ok {
			return s.UID
		}
	}
	return ""
}

// webGet is a retrieve by WADO-RS under way.
type webGet struct {
	s    *Server
	rq   Request
	stop <-chan struct{}
	take dimse.StoreHandler

	came    map[string]bool // SOP Instance UIDs, whatever was answered
	refused int             // of them, here
	failed  []string        // SOP Instance UIDs of what was refused here, or asked for and not sent
	partial bool            // the server said that it left something out
	gone    bool            // the server has nothing of what was asked for
}

// maxAbsent is how many instances in a row are asked for that a server says that it has not, where it did not know what
// they are part of either.
const maxAbsent = 3

func (g *webGet) ended() bool { return isClosed(g.stop) }

// get asks for a resource: as it is stored, and for what of that is not wanted so in a transfer syntax that is. A
// source that knows no way of asking for it as it is stored is asked for the default of the standard (PS3.18
// 8.7.3.5.2).
func (g *webGet) get(ctx context.Context, r web.Resource) error {
	other, status, err := g.ask(ctx, r, web.AnySyntax)
	if err == nil && status == http.StatusNotAcceptable {
		other, status, err = g.ask(ctx, r, dict.ExplicitVRLittleEndian)
	}
	if err == nil && other != "" && !g.ended() {
		_, status, err = g.ask(ctx, r, other)
	}
	switch {
	case err != nil || g.ended():
		return err
	case status == http.StatusOK, status == http.StatusNoContent:
	case status == http.StatusPartialContent:
		g.partial = true
	case r.Instance == "":
		return g.divided(ctx, r, status)
	default:
		g.failed = append(g.failed, r.Instance)
	}
	return nil
}

// errUnwanted ends an answer that comes in a transfer syntax that isn't wanted, where there is one to ask for instead.
var errUnwanted = errors.New("another transfer syntax is wanted")

// ask makes one request. other is the transfer syntax to ask for instead, if something came in one that isn't wanted.
func (g *webGet) ask(ctx context.Context, r web.Resource, syntax string) (other string, status int, err error) {
	got, err := g.s.W.Retrieve(ctx, r, syntax, g.stop, func(ctx context.Context, o *web.Object) error {
		wanted := g.s.wanted.Syntaxes[o.SOPClassUID]
		// whoever takes what is not listed finds out whether it is something that was asked for
		listed := r.Instance == o.SOPInstanceUID || g.rq.Of.seriesOf(o.SOPInstanceUID) != ""
		if !g.s.wanted.AsStored && !slices.Contains(wanted, o.TransferSyntaxUID) && (listed || plainOf(wanted) != "") {
			if other = plainOf(wanted); other != "" && syntax == web.AnySyntax {
				return errUnwanted
			}
			other, g.failed = "", append(g.failed, o.SOPInstanceUID)
			return nil
		}
		g.came[o.SOPInstanceUID] = true
		in := &dimse.Incoming{
			SOPClassUID: o.SOPClassUID, SOPInstanceUID: o.SOPInstanceUID, TransferSyntaxUID: o.TransferSyntaxUID, Data: o.Data,
		}
		if g.take(ctx, in).Class() == dimse.ClassFailure {
			g.refused++
			if r.Instance == "" || r.Instance == o.SOPInstanceUID { // what came in its place is no answer about it
				g.failed = append(g.failed, o.SOPInstanceUID)
			}
		}
		return nil
	})
	if errors.Is(err, errUnwanted) {
		return other, http.StatusOK, nil
	}
	answer, ok := errors.AsType[*web.StatusError](err)
	if ok && r.Instance == "" && answer.Code == http.StatusBadRequest {
		return "", answer.Code, nil
	}
	g.s.hear(err)
	return "", got.Status, err
}

// notOffered are answers to requests for a level that a server does not offer. Not found is another.
var notOffered = []int{http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented}

// plainOf returns the transfer syntax to which a source is asked to convert: one that every source can, out of those
// that are wanted.
func plainOf(wanted []string) string {
	for _, syntax := range DataSyntaxes[:2] {
		if slices.Contains(wanted, syntax) {
			return syntax
		}
	}
	return ""
}

// divided asks for the parts of a resource that the server does not give as a whole.
func (g *webGet) divided(ctx context.Context, r web.Resource, status int) error {
	before, absent := len(g.came), 0
	for _, part := range g.partsOf(r) {
		failed := len(g.failed)
		if err := g.get(ctx, part); err != nil || g.ended() {
			return err
		}
		if absent++; len(g.failed) == failed {
			absent = 0
		}
		if len(g.came) == before && absent == maxAbsent {
			break
		}
	}
	g.gone = len(g.came) == before
	if g.gone && slices.Contains(notOffered, status) {
		return &web.StatusError{Doing: "retrieve", Code: status}
	}
	return nil
}

// partsOf returns the series of a study, or the instances of a series, as far as they are listed.
func (g *webGet) partsOf(r web.Resource) (parts []web.Resource) {
	for _, s := range g.rq.Of.Series {
		if r.Series == "" {
			parts = append(parts, web.Resource{Study: r.Study, Series: s.UID})
		}
		if r.Series != s.UID {
			continue
		}
		for _, uid := range slices.Sorted(maps.Keys(s.Instances)) {
			parts = append(parts, web.Resource{Study: r.Study, Series: r.Series, Instance: uid})
		}
	}
	return parts
}

// result is what was answered, in the terms of C-GET (PS3.4 C.4.3.1.4).
func (g *webGet) result() dimse.GetResult {
	answer := dimse.GetResult{Status: dimse.Success, FailedSOPInstanceUIDs: g.failed}
	answer.Completed = dimse.Count{Value: len(g.came) - g.refused, Present: true}
	answer.Failed = dimse.Count{Value: len(g.failed), Present: !g.partial}
	switch {
	case g.ended():
		answer.Status = dimse.Canceled
	case len(g.came) == 0 && (g.gone || len(g.failed) > 0):
		answer.Status = dimse.NoSuchSOPInstance
	case len(g.failed) > 0 || g.partial:
		answer.Status = dimse.SubOperationsIncomplete
	}
	return answer
}
