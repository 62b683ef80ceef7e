// SPDX-License-Identifier: AGPL-3.0-or-later

// Package rest is the DICOMweb side of package pacs: QIDO-RS, WADO-RS and STOW-RS (PS3.18 chapter 10) over what a
// Backend holds, streamed both ways, with the Faults that are asked for.
package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// The levels of what is asked for, as C-FIND names them.
const (
	Study  = "STUDY"
	Series = "SERIES"
	Image  = "IMAGE"
)

// The points at which Backend.Gate is called.
const (
	AtRequest = "web request" // before anything is looked at
	AtObject  = "web object"  // before each object of WADO-RS
	AtSent    = "web sent"    // when it was sent
	AtPart    = "web part"    // before the data set of each part of STOW-RS is read
	AtKept    = "web kept"    // when its data set was read and kept
	AtMatch   = "web match"   // when an answer of a search, or of metadata, was written
	AtAnswer  = "web answer"  // before the answer of STOW-RS
)

// Backend is what a Handler serves.
type Backend interface {
	// Search returns the studies, series or instances that have what the keys ask for. Answers hold all keys and what
	// is unique; matches without: the keys are not used for matching.
	Search(level string, keys *stream.DataSet, matches bool) []Match
	// Supports lists the attributes that answers of a level can have.
	Supports(level string) []dict.Tag
	// Instances returns those of a study, of one series or one instance if they are not empty.
	Instances(study, series, instance string) []Instance
	// Instance finds an instance of any study.
	Instance(uid string) (Instance, bool)
	// Recall asks for what may have to be brought back from an archive: 0 if it is there, else the status to answer.
	Recall(study string) int
	// Keep takes an instance, and returns the Failure Reason (0008,1197), 0 if there is none. The error is one of
	// reading: the data set is no DICOM, or the body broke off.
	Keep(ctx context.Context, r *Request, a Arrival) (reason int, err error)
	// State returns the faults of a study or instance.
	State(uid string) *State

	Gate(ctx context.Context, point string, number int, sopInstanceUID string, r *Request)
	// Answered is called for each answer of a search or of metadata that was written.
	Answered(ctx context.Context, r *Request, ds *stream.DataSet)
	// Begun and Ended record a request; id is what Begun returned.
	Begun(r Request) (id int)
	Ended(id int, r Request)
	Sent(in Instance, bytes int64, sum string)
	Received(n int)
	// Broke records an instance that came in part.
	Broke(uid string, bytes int64)
}

// Match is what a search found.
type Match struct {
	UID    string // of its own level
	Answer func() *stream.DataSet
}

// Instance is an object of the archive.
type Instance struct {
	SOPClassUID, SOPInstanceUID, TransferSyntaxUID string
	StudyInstanceUID, SeriesInstanceUID            string
	Open                                           func() (io.ReadCloser, error) // the data set; nil: it was not kept
	// OpenWith has other values of attributes; nil: it can't
	OpenWith func(map[dict.Tag]string) (io.ReadCloser, error)
}

// Arrival is an instance that comes by STOW-RS.
type Arrival struct {
	Meta   stream.FileMeta
	Object *stream.Object
	Number int  // of the part, counted from 1
	Reason int  // Failure Reason with which it is refused; 0: none
	Lose   bool // it is not kept
}

// Request is a request of DICOMweb.
type Request struct {
	Method  string
	Path    string
	Service string              // search, metadata, retrieve, bulk data or store
	Study   string              // Study Instance UID that it is about; empty: none or several
	Level   string              // of what is asked for: STUDY, SERIES or IMAGE
	Keys    map[string][]string // of the query, with what was asked
	// as they were given; -1: not at all
	Limit, Offset int
	Accept        string
	Credentials   bool // there were any
	Status        int  // that was answered; 0: not yet
	Objects       int  // that were sent or received, or answers
	Proto         string
	Time          time.Time
}

// Settings say what a Handler asks of requests.
type Settings struct {
	Root string // path in front of all resources, such as /dicom-web
	// Authorization is the header that has the credentials, and Accepts what they must be; nil: none are asked for.
	Authorization string
	Accepts       func(credentials string) bool
}

// Handler serves DICOMweb.
type Handler struct {
	b Backend
	s Settings
}

// New makes a Handler.
func New(b Backend, s Settings) *Handler { return &Handler{b: b, s: s} }

// exchange is a request and its answer.
type exchange struct {
	h     *Handler
	w     *answer
	r     *http.Request
	state *State
	rq    Request
	res   resource
}

// moved is the path to which AnswerFaults.Redirect "/" leads.
const moved = "/moved"

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, r: r, w: newAnswer(w, r)}
	path, ok := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, moved), h.s.Root)
	if ok {
		x.res, ok = parseResource(r.Method, path)
	}
	x.rq = x.describe()
	x.rq.Study = x.study()
	id := h.b.Begun(x.rq)
	defer func() {
		x.rq.Status = x.w.status
		h.b.Ended(id, x.rq)
	}()
	x.state = h.b.State(x.rq.Study)
	x.gate(AtRequest, 0, "") //nolint:contextcheck // it is the request's
	switch {
	case !ok:
		x.fail(http.StatusNotFound, "there is no such resource")
	case !x.allowed() || x.faulty(x.state.any()):
	default:
		x.serve() //nolint:contextcheck // it is the request's
	}
}

// study is the Study Instance UID that a request is about.
func (x *exchange) study() string {
	if x.res.study != "" {
		return x.res.study
	}
	for _, key := range []string{"StudyInstanceUID", "0020000D", "0020000d"} {
		if v := x.rq.Keys[key]; len(v) == 1 {
			return v[0]
		}
	}
	return ""
}

func (x *exchange) describe() Request {
	q := x.r.URL.Query()
	rq := Request{
		Method: x.r.Method, Path: x.r.URL.Path, Service: x.res.service, Level: x.res.level, Keys: q, Limit: -1, Offset: -1,
		Accept: strings.Join(x.r.Header.Values("Accept"), ", "), Proto: x.r.Proto, Time: time.Now(),
		Credentials: x.r.Header.Get(x.h.authorization()) != "",
	}
	if n, err := strconv.Atoi(q.Get("limit")); err == nil {
		rq.Limit = n
	}
	if n, err := strconv.Atoi(q.Get("offset")); err == nil {
		rq.Offset = n
	}
	return rq
}

func (h *Handler) authorization() string {
	if h.s.Authorization == "" {
		return "Authorization"
	}
	return h.s.Authorization
}

// allowed checks the credentials.
func (x *exchange) allowed() bool {
	given := x.r.Header.Get(x.h.authorization())
	if x.h.s.Accepts == nil || given != "" && x.h.s.Accepts(given) && !x.state.stale(given) {
		return true
	}
	if strings.EqualFold(x.h.authorization(), "Authorization") {
		x.w.Header().Set("WWW-Authenticate", `Basic realm="PACS"`)
	}
	x.fail(http.StatusUnauthorized, "credentials are missing or not valid")
	return false
}

// faulty answers as the faults want it, and reports whether it did.
func (x *exchange) faulty(f AnswerFaults) bool {
	if x.w.cut == "" && f.Cut != "" {
		x.w.cut, x.w.left = f.Cut, f.CutAfterBytes
	}
	switch {
	case f.Silent:
		_ = x.w.stop(CutStall) // it doesn't come back
	case f.Redirect == "/" && strings.HasPrefix(x.r.URL.Path, moved):
		return false
	case f.Redirect != "":
		to := strings.TrimSuffix(f.Redirect, "/")
		if to == "" {
			to = moved
		}
		x.w.Header().Set("Location", to+x.r.URL.RequestURI())
		x.w.WriteHeader(http.StatusTemporaryRedirect)
	case f.Status != 0:
		if f.RetryAfter != "" {
			x.w.Header().Set("Retry-After", f.RetryAfter)
		}
		x.w.contentType(f.ContentType)
		x.w.WriteHeader(f.Status)
		_, _ = io.WriteString(x.w, f.Body) // the client has gone: nobody to tell
	default:
		return false
	}
	return true
}

func (x *exchange) serve() {
	switch x.res.service {
	case serviceSearch:
		x.search()
	case serviceMetadata:
		x.metadata()
	case serviceRetrieve:
		x.retrieve()
	case serviceBulk:
		x.bulk()
	case serviceStore:
		x.store()
	}
}

func (x *exchange) gate(point string, number int, uid string) {
	x.h.b.Gate(x.r.Context(), point, number, uid, &x.rq)
}

// fail answers with a status and a reason (PS3.18 8.5.4).
func (x *exchange) fail(status int, reason string) {
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.w.WriteHeader(status)
	_, _ = io.WriteString(x.w, reason+"\n") // the client has gone: nobody to tell
}

// base is the URL of the root, as the client sees it.
func (x *exchange) base() string {
	scheme, host := "http", x.r.Host
	if x.r.TLS != nil {
		scheme = "https"
	}
	if other := x.state.host(); other != "" {
		host = other
	}
	return scheme + "://" + host + x.h.s.Root
}

// The services.
const (
	serviceSearch   = "search"
	serviceMetadata = "metadata"
	serviceRetrieve = "retrieve"
	serviceBulk     = "bulk data"
	serviceStore    = "store"
)

// resource is what a path names (PS3.18 10.1).
type resource struct {
	service, level          string
	study, series, instance string
	bulk                    string // path of the element
}

func (r resource) String() string {
	s := "/studies/" + r.study
	if r.series != "" {
		s += "/series/" + r.series
	}
	if r.instance != "" {
		s += "/instances/" + r.instance
	}
	return s
}

// parseResource reads the path below the root; ok is false if there is no such resource for the method.
func parseResource(method, path string) (r resource, ok bool) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	names, uids := []string{"studies", "series", "instances"}, []*string{&r.study, &r.series, &r.instance}
	levels := []string{Study, Series, Image}
	last := -1
	for len(segments) > 0 {
		i := slices.Index(names, segments[0])
		if i <= last {
			break
		}
		r.level, last = levels[i], i
		if segments = segments[1:]; len(segments) == 0 {
			r.service = serviceSearch
			break
		}
		if !dict.ValidUID(segments[0]) {
			return r, false
		}
		*uids[i], segments = segments[0], segments[1:]
		r.service = serviceRetrieve
	}
	if r.service == serviceRetrieve && (r.study == "" || r.instance != "" && r.series == "") {
		return r, false
	}
	return r.below(method, segments)
}

// below completes a resource by the method and by what follows the UIDs.
func (r resource) below(method string, segments []string) (resource, bool) {
	switch {
	case method == http.MethodPost:
		r.service = serviceStore
		return r, r.level == Study && len(segments) == 0
	case method != http.MethodGet || r.level == "":
		return r, false
	case len(segments) == 1 && segments[0] == "metadata" && r.service == serviceRetrieve:
		r.service = serviceMetadata
	case len(segments) == 2 && segments[0] == "bulkdata" && r.instance != "":
		r.service, r.bulk = serviceBulk, segments[1]
	default:
		return r, len(segments) == 0
	}
	return r, true
}

// answer is a ResponseWriter that remembers the status, and cuts the body as the faults want it.
type answer struct {
	http.ResponseWriter
	ctx    context.Context //nolint:containedctx // of the request that it answers
	status int
	cut    string
	left   int64 // bytes before the cut
	paused bool  // the cut waits for an object
}

func newAnswer(w http.ResponseWriter, r *http.Request) *answer {
	return &answer{ResponseWriter: w, ctx: r.Context()}
}

// errEnded tells that the body ended before its end, as a fault wants it.
var errEnded = errors.New("the body ended before its end")

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// contentType sets the Content-Type; none if it is empty.
func (a *answer) contentType(t string) {
	if t == "" {
		a.Header()["Content-Type"] = nil // not one that net/http finds by itself
		return
	}
	a.Header().Set("Content-Type", t)
}

// Write implements io.Writer.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.cut == "" || a.paused {
		return a.ResponseWriter.Write(b)
	}
	n, err := a.ResponseWriter.Write(b[:min(int64(len(b)), a.left)])
	if a.left -= int64(n); err != nil || n == len(b) {
		return n, err
	}
	return n, a.end(a.cut)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// end ends the body.
func (a *answer) end(how string) error {
	_ = http.NewResponseController(a.ResponseWriter).Flush() // the client has gone: nobody to tell
	return a.stop(how)
}

// stop ends the exchange; with CutEnd only the body does.
func (a *answer) stop(how string) error {
	switch how {
	case CutStall:
		<-a.ctx.Done()
		panic(http.ErrAbortHandler)
	case CutDrop:
		panic(http.ErrAbortHandler)
	}
	return errEnded
}
