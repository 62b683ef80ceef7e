// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
	"github.com/adit-go/adit/engine/reading"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/internal/refusal"
)

// Resources that are retrieved (PS3.18 10.4.1).
const (
	studyPath    = "/studies/{study}"
	seriesPath   = studyPath + "/series/{series}"
	instancePath = seriesPath + "/instances/{instance}"
)

// what are the resources of a request, with the reading of their study.
type what struct {
	*reading.Reading
	study, series, instance string // the last two may be empty
	query                   string // that addresses of parts have to have, too
}

// retrieves returns the routes of WADO-RS.
func (p proxy) retrieves() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{}
	for _, at := range []string{studyPath, seriesPath, instancePath} {
		routes[at] = p.reads(p.objects)
		routes[at+"/metadata"] = p.reads(p.metadata)
		if p.original {
			routes[at+"/nifti"] = p.reads(p.noNIfTI)
		}
	}
	routes[instancePath+"/frames/{frames}"] = p.reads(p.frames)
	routes[instancePath+"/bulkdata/{path}"] = p.reads(p.bulk)
	routes[studyPath+"/bulkdata/{name}"] = p.reads(p.sealedBulk)
	maps.Copy(routes, p.pictureRoutes())
	return routes
}

// reads opens what the path names, and hands it on.
func (p proxy) reads(serve func(w http.ResponseWriter, r *http.Request, of what) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		of, err := p.open(r)
		if err == nil {
			err = serve(w, r, of)
		}
		if err != nil {
			p.refuseReading(w, r, err)
		}
	}
}

// parameters are those of all that is retrieved. One that nobody knows may be a pseudonym whose name is mistyped.
var parameters = []string{
	"pseudonym", "trial_protocol_id", "trial_protocol_name", "project", "accept", "charset", "viewport", "window",
	"quality", "annotation", "iccprofile",
}

// open checks who reads what, and how it is to be changed.
func (p proxy) open(r *http.Request) (what, error) {
	of := what{study: chi.URLParam(r, "study"), series: chi.URLParam(r, "series"), instance: chi.URLParam(r, "instance")}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return of, problem.New(http.StatusBadRequest, "The query of the address can't be read; escape it properly.")
	}
	for name := range values {
		if !slices.Contains(parameters, name) {
			return of, bad("", "%q is no parameter here; there are %s", shown(name), strings.Join(parameters, ", "))
		}
	}
	wish := reading.Wish{AETitle: aeTitle(r), Study: of.study, Looks: r.Method == http.MethodHead}
	kept := url.Values{}
	for name, value := range map[string]*string{
		"pseudonym": &wish.Pseudonym, "trial_protocol_id": &wish.TrialProtocolID,
		"trial_protocol_name": &wish.TrialProtocolName, "project": &wish.Project,
	} {
		given := values[name]
		switch {
		case len(given) > 1:
			return of, bad(name, "is given more than once")
		case len(given) == 1 && given[0] == "":
			return of, bad(name, "is empty; leave it out, or give a value")
		case len(given) == 1:
			if err := checkName(name, given[0]); err != nil {
				return of, err
			}
			*value = given[0]
			kept.Set(name, given[0])
		}
	}
	of.query = kept.Encode()
	of.Reading, err = p.Engine.Reading.Open(r.Context(), auth.User(r.Context()), wish)
	return of, err
}

// checkName refuses what can't be the value of an attribute, in the words of the original.
func checkName(name, value string) error {
	const longest = 64
	switch {
	case name == "project":
		return nil
	case strings.Contains(value, `\`):
		return bad(name, "Contains invalid backslash character")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return bad(name, "Contains invalid control characters.")
	case strings.ContainsAny(value, "*?"):
		return bad(name, "Contains invalid wildcard characters.")
	case len([]rune(value)) > longest:
		return bad(name, "Ensure this value has at most %d characters.", longest)
	}
	return nil
}

// head answers a request for the headers of a study or series, of which nothing is fetched for that.
func (of what) head(w http.ResponseWriter, r *http.Request, kind string) error {
	series, err := of.Series(r.Context())
	if err == nil && of.series != "" && !slices.Contains(series, of.series) {
		err = fmt.Errorf("series %s in this study: %w", of.series, refusal.ErrNotFound)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	return nil
}

// all lists the series of what the path names.
func (of what) all(ctx context.Context) ([]string, error) {
	if of.series != "" {
		return []string{of.series}, nil
	}
	return of.AllSeries(ctx)
}

// instances gives those of what the path names, as they come.
func (of what) instances(ctx context.Context) (iter.Seq2[*reading.Instance, error], error) {
	if of.instance != "" {
		return func(yield func(*reading.Instance, error) bool) {
			i, release, err := of.Instance(ctx, of.series, of.instance)
			if err == nil {
				defer release()
			}
			yield(i, err)
		}, nil
	}
	series, err := of.all(ctx)
	if err != nil {
		return nil, err
	}
	return of.Instances(ctx, series...), nil
}

// tell leaves a row in the audit log about all that the path names, unless it did a moment ago. It is called before the
// first of it goes out, and not before that is sure: what is refused was not read.
func (of what) tell(ctx context.Context) error {
	series, err := of.all(ctx)
	if err != nil {
		return err
	}
	return of.Record(ctx, series...)
}

// form is a way in which a client takes objects.
type form struct {
	single bool   // one object, without the wrapping of several
	syntax string // transfer syntax; empty: any
}

// objectForms reads in which ways a client takes objects (PS3.18 10.4.4), the best first.
func objectForms(r *http.Request, one bool) []form {
	fields := accepted(r)
	if len(fields) == 0 {
		return []form{{}}
	}
	var forms []form
	for _, t := range media.ByWeight(media.ParseList(fields...)) {
		syntax := t.Param("transfer-syntax")
		if syntax == "*" {
			syntax = ""
		}
		inner := media.Type{Name: t.Param("type")}
		switch {
		case t.Name == "multipart/related" && (inner.Name == "" || inner.Includes(objectType)):
			forms = append(forms, form{syntax: syntax})
		case t.Name == "multipart/*", t.Name == "*/*":
			forms = append(forms, form{syntax: syntax})
		case one && t.Includes(objectType):
			forms = append(forms, form{single: true, syntax: syntax})
		}
	}
	return forms
}

const (
	objectType  = "application/dicom"
	objectParts = `multipart/related; type="` + objectType + `"`
)

// accepted are the fields that say what a client takes. The parameter comes before the header (PS3.18 8.3.3.1).
func accepted(r *http.Request) []string {
	if list := r.URL.Query()["accept"]; len(list) > 0 {
		return list
	}
	return slices.DeleteFunc(slices.Clone(r.Header.Values("Accept")), func(f string) bool {
		return strings.TrimSpace(f) == ""
	})
}

// objects serves instances as objects.
func (p proxy) objects(w http.ResponseWriter, r *http.Request, of what) error {
	forms := objectForms(r, of.instance != "")
	if len(forms) == 0 {
		return problem.New(http.StatusNotAcceptable,
			`Objects are answered as multipart/related; type="application/dicom", single ones as application/dicom too; `+
				"accept that.")
	}
	forms = slices.DeleteFunc(forms, func(f form) bool { return f.single != forms[0].single })
	if err := old(r); err != nil {
		return err
	}
	if r.Method == http.MethodHead && of.instance == "" {
		return of.head(w, r, objectParts+"; boundary="+multipart.NewBoundary())
	}
	all, err := of.instances(r.Context())
	if err != nil {
		return err
	}
	out := &answering{w: w, ctx: r.Context(), tell: of.tell}
	if forms[0].single {
		return p.single(out, all, forms)
	}
	out.type_ = objectParts
	return p.parts(out, all, forms)
}

// old refuses to stream to a client, or a proxy in between, that can't tell a broken answer from a whole one.
func old(r *http.Request) error {
	if r.ProtoAtLeast(1, 1) {
		return nil
	}
	return problem.New(http.StatusHTTPVersionNotSupported,
		"This is streamed, and by HTTP/1.0 nobody could tell a broken answer from a whole one; use HTTP/1.1. With nginx in "+
			"between, set proxy_http_version 1.1.")
}

// step is what comes next of the instances.
type step[T any] struct {
	got T
	ok  bool
	err error
}

// opened makes something of instances, one after the other, as reading.Opened does.
func opened[T any](all iter.Seq2[*reading.Instance, error], open func(*reading.Instance) (T, error)) (
	next func() step[T], stop func(),
) {
	pull, stop := iter.Pull2(reading.Opened(all, open))
	return func() step[T] {
		got, err, ok := pull()
		return step[T]{got, ok, err}
	}, stop
}

// inForm returns what opens instances in the first of some forms that each can be brought into.
func inForm(forms []form) func(*reading.Instance) (*stream.Object, error) {
	return func(i *reading.Instance) (*stream.Object, error) {
		obj, err := i.Object()
		if err != nil {
			return nil, err
		}
		if err := convert(obj, i.TransferSyntaxUID, forms); err != nil {
			_ = obj.Close() // gives memory back
			return nil, err
		}
		return obj, nil
	}
}

// convert brings an object into the first of the forms that it can be brought into.
func convert(obj *stream.Object, stored string, forms []form) error {
	for _, f := range forms {
		if f.syntax == "" || f.syntax == stored {
			return nil
		}
		if stream.CanConvert(stored, f.syntax) {
			return obj.ConvertTo(f.syntax)
		}
	}
	return problem.New(http.StatusNotAcceptable,
		"An instance is stored as "+dict.TransferSyntaxOf(stored).Name+", and ADIT does not convert that into what is asked "+
			"for; accept transfer-syntax=*.")
}

// typeOf is the media type of an object as it goes out.
func typeOf(obj *stream.Object) string {
	return objectType + "; transfer-syntax=" + obj.FileMeta().TransferSyntaxUID
}

// parts writes a message of many objects.
func (p proxy) parts(out *answering, all iter.Seq2[*reading.Instance, error], forms []form) error {
	next, stop := opened(all, inForm(forms))
	defer stop()
	for {
		s := await(next, out.live)
		if s.err != nil {
			return out.failed(s.err)
		}
		if !s.ok {
			return out.end()
		}
		err := out.told()
		if err == nil {
			err = out.part(s.got)
		}
		_ = s.got.Close() // gives memory back
		if err != nil {
			return out.failed(err)
		}
	}
}

// single writes one object.
func (p proxy) single(out *answering, all iter.Seq2[*reading.Instance, error], forms []form) error {
	next, stop := opened(all, inForm(forms))
	defer stop()
	s := next()
	if s.err != nil {
		return s.err
	}
	defer func() { _ = s.got.Close() }()
	if err := out.told(); err != nil {
		return err
	}
	out.w.Header().Set("Content-Type", typeOf(s.got))
	out.begin()
	return out.failed(s.got.WriteFile(out))
}

// answering is an answer that is streamed.
type answering struct {
	w     http.ResponseWriter
	ctx   context.Context // of the request
	type_ string          // of a message of many parts, without the boundary
	begun bool
	tell  func(context.Context) error // leaves a row in the audit log; nil: it has one

	message *multipart.Writer
	waiting bool // the headers of a part were begun while there was nothing to send
}

// How long a client waits: for the status, and then for each sign of life. dicomweb-client gives up after 20 s of
// silence.
const (
	beginWithin = 12 * time.Second
	signOfLife  = 10 * time.Second
	// takeWithin is how long a client may take nothing of what is sent.
	takeWithin = 5 * time.Minute
)

// told has the audit log told, once, before the first thing of a patient's goes out.
func (a *answering) told() error {
	tell := a.tell
	a.tell = nil
	if tell == nil {
		return nil
	}
	return tell(a.ctx)
}

// begin sends status and headers.
func (a *answering) begin() {
	if a.begun {
		return
	}
	a.begun = true
	h := a.w.Header()
	h.Set("Cache-Control", "no-store")
	if a.type_ != "" {
		boundary := multipart.NewBoundary()
		h.Set("Content-Type", a.type_+"; boundary="+boundary)
		a.message = multipart.NewWriter(a, boundary)
	}
	a.w.WriteHeader(http.StatusOK)
}

// Write sends something. A client that takes nothing for long has gone.
func (a *answering) Write(b []byte) (int, error) {
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(takeWithin))
	return a.w.Write(b)
}

// await runs what may take long, and lets the client know meanwhile, by live, that there is something to wait for.
func await[T any](do func() T, live func()) T {
	done := make(chan T, 1)
	go func() { done <- do() }()
	timer := time.NewTimer(beginWithin)
	defer timer.Stop()
	for {
		select {
		case got := <-done:
			return got
		case <-timer.C:
			live()
			timer.Reset(signOfLife)
		}
	}
}

// live sends a sign of life: a header of the next part.
func (a *answering) live() {
	a.begin()
	err := error(nil)
	if !a.waiting {
		a.waiting = true
		err = a.message.Begin(multipart.Field{Name: "Content-Type", Value: objectType})
	}
	if err == nil {
		err = a.message.Field("X-Wait", "1")
	}
	if err == nil {
		_ = http.NewResponseController(a.w).Flush()
	} // the next write meets it
}

// part writes an object.
func (a *answering) part(obj *stream.Object) error {
	a.begin()
	if !a.waiting {
		if err := a.message.Begin(multipart.Field{Name: "Content-Type", Value: typeOf(obj)}); err != nil {
			return err
		}
	}
	a.waiting = false
	return obj.WriteFile(a.message)
}

// end ends the message.
func (a *answering) end() error {
	if a.waiting {
		return a.failed(errNothing)
	}
	return a.failed(a.message.Close())
}

var errNothing = errors.New("after the headers of another part were sent nothing was left to be sent")

// failed returns an error that can still be told. What broke off later ends the connection, so that nobody takes a part
// for the whole.
func (a *answering) failed(err error) error {
	if err == nil || !a.begun {
		return err
	}
	if a.ctx.Err() == nil {
		problem.Logger(a.ctx).InfoContext(a.ctx, "an answer broke off", "reason", err)
	}
	panic(http.ErrAbortHandler)
}

// noNIfTI says what is not there yet.
func (p proxy) noNIfTI(http.ResponseWriter, *http.Request, what) error {
	return problem.New(
		http.StatusNotImplemented, "This ADIT does not convert to NIfTI; retrieve the DICOM objects instead.",
	)
}

// refuseReading says why something is not read.
func (p proxy) refuseReading(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // the caller has gone
	}
	if err = problem.OfReading(err); r.URL.Query().Has("pseudonym") {
		told := *problem.Of(r.Context(), err)
		told.Detail = withoutUIDs(told.Detail, r.URL.Path)
		err = &told
	}
	p.refuse(w, r, err)
}

// withoutUIDs takes those out of a sentence that the caller has not named. They would tell whose what is that goes out.
func withoutUIDs(sentence, path string) string {
	return anyUID.ReplaceAllStringFunc(sentence, func(uid string) string {
		named := strings.HasPrefix(uid, standardUIDs) || strings.Contains(path+"/", "/"+uid+"/")
		if named || len(uid) <= len("000.000.000.000") { // an address
			return uid
		}
		return "…"
	})
}

var anyUID = regexp.MustCompile(`[0-2](\.[0-9]+){2,}`)

const standardUIDs = "1.2.840.10008." // of classes and transfer syntaxes
