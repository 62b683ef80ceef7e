// SPDX-License-Identifier: AGPL-3.0-or-later

package rest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
)

// Failure Reasons (PS3.18 10.5.3).
const (
	ProcessingFailure = 0x0110
	CannotUnderstand  = 0xC000
	OutOfResources    = 0xA700
)

// storing is a STOW-RS request under way.
type storing struct {
	*exchange
	f          StoreFaults
	number     int // of the part that is being read
	results    []result
	other      []int // Failure Reasons of parts that have no UID
	unreadable bool  // as StoreFaults.Unreadable wants it
}

// result is what became of an instance.
type result struct {
	class, uid       string
	failure, warning int
}

func (x *exchange) store() {
	g := &storing{exchange: x, f: x.state.store()}
	if x.faulty(g.f.AnswerFaults) {
		return
	}
	if g.f.MaxBytes > 0 && x.r.ContentLength > g.f.MaxBytes {
		x.fail(http.StatusRequestEntityTooLarge, "the body is too large")
		return
	}
	t, err := media.Parse(x.r.Header.Get("Content-Type"))
	if err != nil || t.Name != related || !strings.EqualFold(t.Param("type"), mediaDICOM) {
		x.fail(http.StatusUnsupportedMediaType, "objects are taken as multipart/related; type=\"application/dicom\"")
		return
	}
	in := measure(x.r.Body)
	in.seen = x.h.b.Received
	if g.f.MaxBytes > 0 {
		in.most, in.beyond = g.f.MaxBytes, func() error { return errTooLarge }
	}
	parts, err := multipart.NewReader(in, t.Param("boundary"), multipart.Limits{})
	if err == nil {
		err = g.parts(parts)
	}
	switch {
	case errors.Is(err, errTooLarge):
		x.fail(http.StatusRequestEntityTooLarge, "the body is too large")
	case err != nil:
		x.fail(http.StatusBadRequest, "the body is not a whole multipart message")
	default:
		g.answer()
	}
}

// errTooLarge tells that MaxBytes or MaxObjects is passed, errDropped that the connection is to be.
var errTooLarge = errors.New("the body is too large")

// parts takes all parts. The error is one of the message.
func (g *storing) parts(parts *multipart.Reader) error {
	for {
		part, err := parts.Next()
		if err == io.EOF { //nolint:errorlint // as a reader gives it: an error that wraps it is no end
			return nil
		}
		if err != nil {
			return err
		}
		g.number++
		if g.f.MaxObjects > 0 && g.number > g.f.MaxObjects {
			return errTooLarge
		}
		if err := g.part(part); err != nil {
			return err
		}
	}
}

// part takes one part. The error is one of the message.
func (g *storing) part(part *multipart.Part) error {
	data := measure(part)
	if g.number == g.f.CutAtObject {
		data.most, data.beyond = g.f.CutObjectAt, func() error { return g.w.stop(g.f.CutObject) }
	}
	g.gate(AtPart, g.number, "")
	meta, o, err := stream.OpenFile(data, stream.Limits{})
	if err != nil {
		return g.reject(meta.MediaStorageSOPInstanceUID, data)
	}
	defer func() { _ = o.Close() }() // gives memory back
	class, uid := o.Header().SOPClassUID(), o.Header().SOPInstanceUID()
	if s := g.h.b.State(uid); g.res.study == "" && s != g.state {
		g.state, g.f = s, s.store()
	}
	g.rq.Objects++
	if slices.Contains(g.f.Unreadable, uid) {
		g.unreadable = true
		_, _ = io.Copy(io.Discard, data) // its error is kept
		return data.err
	}
	a := Arrival{
		Meta: meta, Object: o, Number: g.number, Lose: slices.Contains(g.f.Lose, uid), Reason: g.state.reason(g.f, uid),
	}
	if _, there := g.h.b.Instance(uid); there && g.f.Duplicates != 0 && a.Reason == 0 {
		a.Reason = g.f.Duplicates
	}
	if study := o.Header().Text(dict.StudyInstanceUID); g.res.study != "" && study != g.res.study {
		a.Reason = ProcessingFailure
	}
	reason, err := g.h.b.Keep(g.r.Context(), &g.rq, a)
	if err != nil && data.err == nil {
		reason = CannotUnderstand
	}
	if _, err := io.Copy(io.Discard, data); err != nil || data.err != nil { // what a parser that gave up has left
		g.h.b.Broke(uid, data.n)
		return data.err
	}
	if reason == 0 {
		g.state.arrive(uid)
	}
	g.results = append(g.results, result{class: class, uid: uid, failure: reason, warning: g.f.Warnings[uid]})
	return nil
}

// reject passes over a part that is no DICOM file.
func (g *storing) reject(uid string, data *measured) error {
	_, _ = io.Copy(io.Discard, data) // its error is kept
	if data.err != nil {
		g.h.b.Broke(uid, data.n)
		return data.err
	}
	g.other = append(g.other, CannotUnderstand)
	return nil
}

// answer tells what became of each instance (PS3.18 10.5.3).
func (g *storing) answer() {
	g.gate(AtAnswer, g.number, "")
	if g.f.SilentAtEnd {
		_ = g.w.stop(CutStall) // it doesn't come back
	}
	if g.number == 0 && g.r.ContentLength == 0 {
		g.fail(http.StatusBadRequest, "there is no body")
		return
	}
	status := g.status()
	if g.f.NoBody {
		g.w.contentType("")
		g.w.WriteHeader(status)
		return
	}
	b, err := dicomjson.Append(nil, g.dataSet(), dicomjson.Options{})
	if err != nil {
		panic(err) // it has two levels
	}
	if g.f.HexReasons {
		b = hexReasons(b)
	}
	if g.f.List {
		b = append(append([]byte{'['}, b...), ']')
	}
	g.w.Header().Set("Content-Type", dicomjson.MediaType)
	if g.f.NoContentType {
		g.w.contentType("")
	}
	g.w.WriteHeader(status)
	_, _ = g.w.Write(b) // the client has gone: nobody to tell
}

func (g *storing) status() int {
	failed, warned := len(g.other), false
	for _, r := range g.results {
		if r.failure != 0 {
			failed++
		}
		warned = warned || r.warning != 0
	}
	switch {
	case g.f.AnswerStatus != 0:
		return g.f.AnswerStatus
	case g.unreadable:
		return http.StatusBadRequest
	case failed > 0 && failed == len(g.results)+len(g.other):
		return http.StatusConflict
	case failed > 0 || warned:
		return http.StatusAccepted
	}
	return http.StatusOK
}

// dataSet is the answer's (PS3.18 table 10.5.3-1).
func (g *storing) dataSet() *stream.DataSet {
	var stored, failed, other []*stream.DataSet
	for _, uid := range g.f.Extra {
		g.results = append(g.results, result{class: dict.CTImageStorage, uid: uid})
	}
	for _, r := range g.results {
		if slices.Contains(g.f.Unmentioned, r.uid) {
			continue
		}
		ds := &stream.DataSet{}
		ds.Set(dict.ReferencedSOPClassUID, r.class)
		ds.Set(dict.ReferencedSOPInstanceUID, r.uid)
		if r.failure != 0 {
			ds.SetInt(dict.FailureReason, r.failure)
			failed = append(failed, ds)
			continue
		}
		if in, ok := g.h.b.Instance(r.uid); ok {
			where := resource{study: in.StudyInstanceUID, series: in.SeriesInstanceUID, instance: r.uid}
			ds.Set(dict.RetrieveURL, g.base()+where.String())
		}
		if r.warning != 0 {
			ds.SetInt(dict.WarningReason, r.warning)
		}
		stored = append(stored, ds)
	}
	for _, reason := range g.other {
		ds := &stream.DataSet{}
		ds.SetInt(dict.FailureReason, reason)
		other = append(other, ds)
	}
	ds := &stream.DataSet{}
	if g.res.study != "" {
		ds.Set(dict.RetrieveURL, g.base()+g.res.String())
	}
	for tag, items := range map[dict.Tag][]*stream.DataSet{
		dict.ReferencedSOPSequence: stored, dict.FailedSOPSequence: failed, dict.OtherFailuresSequence: other,
	} {
		if len(items) > 0 || g.f.EmptyForms {
			ds.SetSequence(tag, items...)
		}
	}
	return ds
}

var reasons = regexp.MustCompile(`("0008119[67]":\{"vr":"US","Value":\[)(\d+)`)

// hexReasons has reasons as hexadecimal text, as some servers do.
func hexReasons(b []byte) []byte {
	return reasons.ReplaceAllFunc(b, func(m []byte) []byte {
		parts := reasons.FindSubmatch(m)
		n, _ := strconv.Atoi(string(parts[2])) // it is digits
		return append(parts[1], fmt.Sprintf("%q", fmt.Sprintf("%04X", n))...)
	})
}
