// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
	"github.com/adit-go/adit/engine/store"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
)

// stores returns the routes of STOW-RS: the resources that objects are stored to (PS3.18 10.5.1).
func (p proxy) stores() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"/studies": p.store, studyPath: p.store}
}

// bodyPatience is how long a body may stand still, and how long it is waited for before it is looked how much of it has
// come: at least so many bytes.
const (
	bodyPatience = 30 * time.Second
	bodyLeast    = 30 << 10
)

var errTrickles = errors.New("hardly anything of the body comes")

// Stores reports whether a request is one to store, whose body is read here, and not before it is known that there is
// room for it: a client whose body has begun to go takes 503 for a reason to send it again, and some then send an empty
// one.
func Stores(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "dicom-web":
		parts = parts[2:]
	case len(parts) > 4 && parts[0] == "api" && parts[1] == "dicom-web" && parts[3] == "stowrs":
		parts = parts[4:]
	default:
		return false
	}
	return parts[0] == "studies" && len(parts) <= 2
}

// turnAway refuses a request whose body was not read, which then is nobody's.
func (p proxy) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Connection", "close")
	p.refuse(w, r, err)
}

// store serves STOW-RS.
func (p proxy) store(w http.ResponseWriter, r *http.Request) {
	ctx, user, title := r.Context(), auth.User(r.Context()), aeTitle(r)
	if err := p.Engine.Store.May(ctx, user, title); err != nil {
		p.turnAway(w, r, err)
		return
	}
	boundary, err := storable(r)
	if err != nil {
		p.turnAway(w, r, err)
		return
	}
	storing, err := p.Engine.Store.Begin(ctx, user, title, chi.URLParam(r, "study"))
	if err != nil {
		p.turnAway(w, r, err)
		return
	}
	defer storing.Abort(ctx)
	in := &incoming{r: r.Body, conn: http.NewResponseController(w)}
	parts, err := in.take(storing, boundary)
	if ctx.Err() != nil {
		panic(http.ErrAbortHandler) // the caller has gone
	}
	if err != nil {
		problem.Logger(ctx).InfoContext(ctx, "a request to store can't be read to its end", "reason", err)
		w.Header().Set("Connection", "close")
	}
	if parts == 0 && (err != nil || in.n == 0 || !p.original) {
		storing.Abort(ctx)
		p.refuse(w, r, nothingBrought(in.n, err))
		return
	}
	p.tell(w, r, title, storing)
}

// storable returns the boundary of a body, empty if it is one object, or why such a body is not taken.
func storable(r *http.Request) (boundary string, err error) {
	if !takesJSON(r) {
		return "", problem.New(
			http.StatusNotAcceptable, "What was stored is answered as application/dicom+json alone; accept that.",
		)
	}
	t, err := media.Parse(r.Header.Get("Content-Type"))
	inner := t.Param("type")
	switch {
	case err == nil && (t.Name == "application/dicom+json" || t.Name == "application/dicom+xml" ||
		inner == "application/dicom+json" || inner == "application/dicom+xml"):
		return "", problem.New(
			http.StatusUnsupportedMediaType,
			"ADIT stores whole objects, and no metadata with bulk data apart; send application/dicom.",
		)
	case err != nil, t.Name != objectType && t.Name != "multipart/related", inner != "" && inner != objectType:
		return "", problem.New(
			http.StatusUnsupportedMediaType,
			`Send objects as multipart/related; type="application/dicom", or one as application/dicom.`,
		)
	case r.ContentLength == 0:
		return "", nothingBrought(0, nil)
	case t.Name == objectType:
		return "", nil
	case t.Param("boundary") == "":
		return "", problem.New(http.StatusBadRequest, "The Content-Type names no boundary; name that of the body.")
	}
	return t.Param("boundary"), nil
}

// nothingBrought refuses a request without an object. An empty body is that of a client which sends a body again that
// it no longer has.
func nothingBrought(bytes int64, err error) error {
	switch {
	case bytes == 0:
		return problem.New(http.StatusBadRequest, "The body is empty; send the objects.")
	case err != nil:
		return problem.New(
			http.StatusBadRequest, "The body can't be read as multipart/related with the boundary of its Content-Type.",
		)
	}
	return problem.New(http.StatusBadRequest, "The body has no object; send one or more.")
}

// incoming is the body of a request.
type incoming struct {
	r    io.Reader
	conn *http.ResponseController
	n    int64

	waited time.Duration // for the client, since it was looked how much came
	came   int           // meanwhile
}

// Read gives up a body that stands still, or trickles: what waits for it would be held for ever.
func (b *incoming) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(bodyPatience)) // a body that isn't on a connection is there
	begun := time.Now()
	n, err := b.r.Read(p)
	b.n += int64(n)
	b.came += n
	if b.waited += time.Since(begun); b.waited >= bodyPatience {
		if b.came < bodyLeast && err == nil {
			err = errTrickles
		}
		b.waited, b.came = 0, 0
	}
	if err != nil { // from now on only that the caller goes is read
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// take has the objects of the body stored, and tells how many parts it has. An error says that it can't be read on.
func (b *incoming) take(s *store.Storing, boundary string) (parts int, err error) {
	if boundary == "" {
		err = s.Take(b)
		if b.n > 0 {
			parts = 1
		}
		return parts, err
	}
	message, err := multipart.NewReader(b, boundary, multipart.Limits{})
	if err != nil {
		return 0, err
	}
	for {
		part, err := message.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return parts, nil
		}
		if err != nil {
			s.Unread(parts)
			return parts, err
		}
		parts++
		if t, bad := media.Parse(part.ContentType()); part.ContentType() != "" && (bad != nil || t.Name != objectType) {
			err = s.Skip()
		} else {
			err = s.Take(part)
		}
		if err != nil { // which is in the answer
			return parts, err
		}
	}
}

// tell answers when all was stored, or was not. Until then the caller gets a sign now and then. The original's client
// takes every answer for 200, so that begins at once there.
func (p proxy) tell(w http.ResponseWriter, r *http.Request, title string, storing *store.Storing) {
	conn, h := http.NewResponseController(w), w.Header()
	h.Set("Content-Type", dicomjson.MediaType)
	h.Set("Cache-Control", "no-store")
	_ = conn.SetWriteDeadline(time.Now().Add(signTimeout)) // an answer that isn't on a connection goes nowhere
	if p.original {
		w.WriteHeader(http.StatusOK)
		_ = conn.Flush() // the caller has gone
	}
	done, ctx := make(chan store.Report, 1), r.Context()
	go func() { done <- storing.End(ctx) }()
	ticker := time.NewTicker(signOfLife)
	defer ticker.Stop()
	for {
		select {
		case report := <-done:
			if ctx.Err() != nil {
				panic(http.ErrAbortHandler)
			}
			p.report(w, title, report)
			return
		case <-ticker.C:
		}
		_ = conn.SetWriteDeadline(time.Now().Add(signTimeout))
		switch {
		case p.original:
			_, _ = w.Write([]byte(" ")) // the caller has gone, and the context ends with that
			_ = conn.Flush()
		case r.ProtoAtLeast(1, 1):
			w.WriteHeader(http.StatusContinue)
		}
	}
}

// signTimeout is how long a caller may take for a sign, and for the answer.
const signTimeout = time.Minute

// report writes the answer (PS3.18 I.1, 10.5.3.1).
func (p proxy) report(w http.ResponseWriter, title string, report store.Report) {
	ds := &stream.DataSet{}
	if study := oneStudy(report.Stored); p.PublicURL != nil && study != "" {
		ds.Set(dict.RetrieveURL, p.retrieveURL(title, "studies", study))
	}
	stored, warned := make([]*stream.DataSet, len(report.Stored)), false
	for i, o := range report.Stored {
		stored[i] = reference(o)
		if p.PublicURL != nil {
			stored[i].Set(
				dict.RetrieveURL, p.retrieveURL(title, "studies", o.Study, "series", o.Series, "instances", o.UID),
			)
		}
		if o.Warning != 0 {
			warned = true
			stored[i].SetInt(dict.WarningReason, int(o.Warning))
		}
	}
	failed, others := make([]*stream.DataSet, len(report.Failed)), make([]*stream.DataSet, len(report.Others))
	for i, o := range report.Failed {
		failed[i] = reference(o)
		because(failed[i], o)
	}
	for i, o := range report.Others {
		others[i] = &stream.DataSet{}
		because(others[i], o)
	}
	for tag, items := range map[dict.Tag][]*stream.DataSet{
		dict.ReferencedSOPSequence: stored, dict.FailedSOPSequence: failed, dict.OtherFailuresSequence: others,
	} {
		if len(items) > 0 || p.original && tag != dict.OtherFailuresSequence {
			ds.SetSequence(tag, items...)
		}
	}
	body, err := dicomjson.Append(nil, ds, dicomjson.Options{})
	if err != nil {
		panic(err) // it is not nested so deep
	}
	if !p.original {
		status := statusOf(report, warned)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", strconv.Itoa(int(awayRetry/time.Second)))
		}
		w.WriteHeader(status)
	}
	_, _ = w.Write(body) // the caller has gone
}

// awayRetry is after which time a request may be sent again that found the server away.
const awayRetry = 30 * time.Second

func statusOf(report store.Report, warned bool) int {
	switch {
	case report.Away():
		return http.StatusServiceUnavailable
	case len(report.Stored) == 0:
		return http.StatusConflict
	case warned || len(report.Failed) > 0 || len(report.Others) > 0:
		return http.StatusAccepted
	}
	return http.StatusOK
}

// oneStudy is that of all objects, empty if they are of several.
func oneStudy(objects []store.Object) (study string) {
	for _, o := range objects {
		if study != "" && o.Study != study {
			return ""
		}
		study = o.Study
	}
	return study
}

func (p proxy) retrieveURL(title string, path ...string) string {
	return p.PublicURL.JoinPath(strings.Replace(Plain, "{ae_title}", title, 1)).JoinPath(path...).String()
}

func reference(o store.Object) *stream.DataSet {
	ds := &stream.DataSet{}
	ds.Set(dict.ReferencedSOPClassUID, o.Class)
	ds.Set(dict.ReferencedSOPInstanceUID, o.UID)
	return ds
}

// because says why an object was not stored: in a number, and in words where other servers have theirs.
func because(ds *stream.DataSet, o store.Object) {
	ds.SetInt(dict.FailureReason, int(o.Failure))
	ds.Set(dict.ErrorComment, o.Comment)
}
