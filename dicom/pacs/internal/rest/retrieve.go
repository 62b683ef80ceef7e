// SPDX-License-Identifier: AGPL-3.0-or-later

package rest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
	"github.com/adit-go/adit/dicom/web/media"
)

// wanted is what an Accept header asks for.
type wanted struct {
	syntaxes []string // in order of preference; * as stored
	single   bool     // no multipart
}

// parseAccept reads what WADO-RS may be asked for (PS3.18 8.7.3.5); false if nothing of it can be served. inner is the
// media type of the parts.
func parseAccept(headers []string, inner string, one bool) (w wanted, ok bool) {
	list := media.ByWeight(media.ParseList(headers...))
	if len(headers) == 0 {
		list = []media.Type{{Name: "*/*"}}
	}
	for _, t := range list {
		single := one && t.Includes(inner) && (!t.Includes(related) || inner == mediaOctets)
		kind := t.Param("type")
		if !single && (!t.Includes(related) || kind != "" && kind != "*/*" && !strings.EqualFold(kind, inner)) {
			continue
		}
		if len(w.syntaxes) == 0 {
			w.single = single
		}
		if single != w.single {
			continue
		}
		syntax := t.Param("transfer-syntax")
		if syntax == "" {
			syntax = dict.ExplicitVRLittleEndian
		}
		w.syntaxes = append(w.syntaxes, syntax)
	}
	return w, len(w.syntaxes) > 0
}

// syntax chooses how an instance is sent; empty: it can't be.
func (w wanted) syntax(in Instance) string {
	for _, s := range w.syntaxes {
		if s == "*" {
			return in.TransferSyntaxUID
		}
		if stream.CanConvert(in.TransferSyntaxUID, s) {
			return s
		}
	}
	return ""
}

// retrieval is a WADO-RS request under way.
type retrieval struct {
	*exchange
	f      RetrieveFaults
	wanted wanted
	body   *body
	number int // of the object that is being sent
	buf    []byte
}

func (x *exchange) retrieve() {
	f := x.state.retrieve()
	if x.faulty(f.AnswerFaults) {
		return
	}
	if status := f.NotOffered[x.res.level]; status != 0 {
		x.fail(status, "there is no retrieve at this level")
		return
	}
	g := &retrieval{exchange: x, f: f, buf: make([]byte, 128<<10)}
	accept := x.r.Header.Values("Accept")
	if f.RefuseStar && strings.Contains(strings.Join(accept, ","), "*") {
		x.fail(http.StatusNotAcceptable, "the transfer syntax must be named")
		return
	}
	var ok bool
	if g.wanted, ok = parseAccept(accept, mediaDICOM, x.res.level == Image); !ok {
		x.fail(http.StatusNotAcceptable, "objects are sent as multipart/related; type=\"application/dicom\"")
		return
	}
	if f.IgnoreStar {
		for i, s := range g.wanted.syntaxes {
			if s == "*" {
				g.wanted.syntaxes[i] = dict.ExplicitVRLittleEndian
			}
		}
	}
	if status := x.h.b.Recall(x.res.study); status != 0 {
		x.fail(status, "the study has to be brought back from the archive; try again later")
		return
	}
	objects, missing, status := g.selected()
	switch {
	case status != http.StatusOK:
		x.fail(status, "there is nothing to send")
		return
	case missing > 0:
		x.warn(fmt.Sprintf("%d objects are not accessible or not acceptable.", missing))
		status = http.StatusPartialContent
	}
	if err := g.send(status, objects); err != nil && !errors.Is(err, errEnded) {
		panic(http.ErrAbortHandler) // the client must see that it isn't whole
	}
}

// selected returns the objects to send, and how many of those asked for can't be; the status if there are none.
func (g *retrieval) selected() (objects []Instance, missing, status int) {
	all := g.h.b.Instances(g.res.study, g.res.series, g.res.instance)
	if len(all) == 0 {
		return nil, 0, http.StatusNotFound
	}
	acceptable := false
	if g.f.Instead {
		all = nil
	}
	for _, in := range all {
		acceptable = acceptable || g.wanted.syntax(in) != ""
		switch {
		case slices.Contains(g.f.Missing, in.SOPInstanceUID):
			if g.f.Partial {
				missing++
			}
		case g.wanted.syntax(in) == "" || in.Open == nil:
			missing++
		default:
			objects = append(objects, in)
		}
	}
	for _, uid := range g.f.Besides {
		if in, ok := g.h.b.Instance(uid); ok {
			objects = append(objects, in)
		}
	}
	switch {
	case len(objects) > 0 || missing == 0:
		return objects, missing, http.StatusOK
	case !acceptable:
		return nil, missing, http.StatusNotAcceptable
	}
	return nil, missing, http.StatusGone
}

// send writes the answer. An error means that it isn't whole.
func (g *retrieval) send(status int, objects []Instance) error {
	g.body = newBody(g.w, g.f.Form)
	g.w.paused = g.f.CutAtObject > 0
	single := (g.wanted.single || g.f.Form.SinglePart) && len(objects) > 0
	if single {
		objects = objects[:1]
		g.w.Header().Set("Content-Type", mediaDICOM)
	} else {
		syntax := ""
		if len(objects) > 0 {
			syntax = g.wanted.syntax(objects[0])
		}
		g.w.Header().Set("Content-Type", g.body.contentType(mediaDICOM, syntax))
	}
	g.w.WriteHeader(status)
	for i, in := range objects {
		g.number = i + 1
		times := 1
		if g.f.Twice && !single {
			times = 2
		}
		for n := range times {
			if err := g.object(in, single, n == 0); err != nil {
				return err
			}
		}
		g.gate(AtSent, g.number, in.SOPInstanceUID)
	}
	if single {
		return nil
	}
	return g.body.close()
}

// object sends an instance as a file (PS3.10). It stops at the gate when what is before it has been sent, its delimiter
// included.
func (g *retrieval) object(in Instance, single, first bool) error {
	open := in.Open
	if values, ok := g.f.Inside[in.SOPInstanceUID]; ok && (!first || !g.f.InsideCopies) && in.OpenWith != nil {
		open = func() (io.ReadCloser, error) { return in.OpenWith(values) }
	}
	syntax := g.wanted.syntax(in)
	r, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // read only
	data := measure(r)
	if n, ok := g.f.Truncate[in.SOPInstanceUID]; ok {
		data.most, data.beyond = n, func() error { return io.EOF }
	}
	here := g.number == g.f.CutAtObject
	if here && g.f.CutAfterBytes == 0 { // between objects
		g.w.paused = false
	}
	if !single {
		if err := g.body.part(mediaDICOM+"; transfer-syntax="+syntax, "", -1); err != nil {
			return err
		}
	}
	if here {
		g.w.paused = false
	}
	if first {
		if err := http.NewResponseController(g.w).Flush(); err != nil {
			return err
		}
		g.gate(AtObject, g.number, in.SOPInstanceUID)
	}
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: in.SOPClassUID, MediaStorageSOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: syntax,
	}
	if _, err := g.w.Write(meta.AppendTo(nil)); err != nil {
		return err
	}
	if err := copyData(g.w, data, in.TransferSyntaxUID, syntax, g.buf); err != nil {
		return err
	}
	g.rq.Objects++
	g.h.b.Sent(in, data.n, data.hex())
	return nil
}

// copyData copies a data set, in another transfer syntax if it must.
func copyData(w io.Writer, data io.Reader, from, to string, buf []byte) error {
	if from != to {
		o, err := stream.Open(data, from, stream.Limits{})
		if err != nil {
			return err
		}
		defer func() { _ = o.Close() }() // gives memory back
		if err := o.ConvertTo(to); err != nil {
			return err
		}
		data = o
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{data}, buf)
	return err
}

func (x *exchange) metadata() {
	f := x.state.metadata()
	if x.faulty(f.AnswerFaults) {
		return
	}
	instances := x.h.b.Instances(x.res.study, x.res.series, x.res.instance)
	if len(instances) == 0 {
		x.fail(http.StatusNotFound, "there is no such study, series or instance")
		return
	}
	instances = slices.DeleteFunc(
		instances, func(in Instance) bool { return in.Open == nil || slices.Contains(f.Missing, in.SOPInstanceUID) },
	)
	x.w.Header().Set("Content-Type", dicomjson.MediaType)
	l := list{w: x.w, bare: f.Object && len(instances) == 1}
	for _, in := range instances {
		ds, err := attributes(in, !f.NoPixelData)
		if err != nil {
			panic(http.ErrAbortHandler) // the client must see that it isn't whole
		}
		r := resource{study: in.StudyInstanceUID, series: in.SeriesInstanceUID, instance: in.SOPInstanceUID}
		ds.Set(dict.RetrieveURL, x.base()+r.String())
		o := dicomjson.Options{BulkData: func(path dicomjson.Path) string {
			if len(path) > 1 {
				return "" // it can't be retrieved
			}
			return x.base() + r.String() + "/bulkdata/" + path.String()
		}}
		if l.add(ds, o) != nil {
			return // the client has gone, or the body ends here
		}
		x.rq.Objects++
		x.h.b.Answered(x.r.Context(), &x.rq, ds)
	}
	_ = l.end() // the client has gone: nobody to tell
}

// attributes returns what is before the pixel data, and an empty element in its place.
func attributes(in Instance, pixels bool) (*stream.DataSet, error) {
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // read only
	o, err := stream.Open(r, in.TransferSyntaxUID, stream.Limits{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Close() }() // gives memory back
	syntax := in.TransferSyntaxUID
	if o.TransferSyntax().Deflated {
		syntax = dict.ExplicitVRLittleEndian
	}
	ds, err := stream.ParseDataSet(o.Header().Bytes(), syntax, stream.Limits{})
	if err != nil {
		return nil, err
	}
	if head, ok := o.Body(); ok && pixels {
		vr := head.VR
		if !vr.Known() {
			vr = dict.OW
		}
		ds.Put(stream.Element{Tag: head.Tag, VR: vr})
	}
	return ds, nil
}

// bulk sends the value of a top-level element, native pixel data as they are (PS3.18 10.4.1.1.5).
func (x *exchange) bulk() {
	f := x.state.retrieve()
	if x.faulty(f.AnswerFaults) {
		return
	}
	wanted, ok := parseAccept(x.r.Header.Values("Accept"), mediaOctets, true)
	if !ok {
		x.fail(http.StatusNotAcceptable, "bulk data are sent as application/octet-stream")
		return
	}
	tag, err := attribute(x.res.bulk)
	instances := x.h.b.Instances(x.res.study, x.res.series, x.res.instance)
	if err != nil || len(instances) != 1 || instances[0].Open == nil ||
		!slices.Contains(native, instances[0].TransferSyntaxUID) {
		x.fail(http.StatusNotFound, "there is no such bulk data")
		return
	}
	value, err := valueOf(instances[0], tag)
	if err != nil {
		x.fail(http.StatusNotFound, "there is no such bulk data")
		return
	}
	defer func() { _ = value.Close() }() // read only
	b := newBody(x.w, f.Form)
	if wanted.single {
		x.w.Header().Set("Content-Type", mediaOctets)
	} else {
		x.w.Header().Set("Content-Type", b.contentType(mediaOctets, dict.ExplicitVRLittleEndian))
		if b.part(mediaOctets, x.base()+x.res.String()+"/bulkdata/"+x.res.bulk, -1) != nil {
			return // the client has gone
		}
	}
	if _, err := io.Copy(x.w, value); err != nil && !errors.Is(err, errEnded) {
		panic(http.ErrAbortHandler) // the client must see that it isn't whole
	}
	if !wanted.single {
		_ = b.close() // the client has gone: nobody to tell
	}
}

// native are the transfer syntaxes whose values are sent as they are.
var native = []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}

var errNoValue = errors.New("there is no such element")

// valueOf gives the value of a top-level element of a native data set in little endian.
func valueOf(in Instance, tag dict.Tag) (io.ReadCloser, error) {
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	o, err := stream.Open(r, in.TransferSyntaxUID, stream.Limits{})
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	v := &value{Reader: o, close: func() error { return errors.Join(o.Close(), r.Close()) }}
	if e, ok := o.Header().Get(tag); ok {
		v.Reader = bytes.NewReader(e.Value)
		return v, nil
	}
	head, ok := o.Body()
	if !ok || head.Tag != tag {
		return nil, errors.Join(errNoValue, v.Close())
	}
	if _, err := io.CopyN(io.Discard, o, int64(len(o.Header().Bytes())+head.Size)); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	v.Reader = io.LimitReader(o, int64(head.Length))
	return v, nil
}

type value struct {
	io.Reader
	close func() error
}

// Close implements io.Closer.
func (v *value) Close() error { return v.close() }
