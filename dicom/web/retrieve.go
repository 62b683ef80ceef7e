// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
)

// AnySyntax asks for objects as they are stored (PS3.18 8.7.3.5.2).
const AnySyntax = "*"

// Retrieved says how a retrieve ended that the server answered.
type Retrieved struct {
	// Status is 200, or 206 if the server says that parts are missing; 204, 404, 405, 406, 410 and 501 bring no objects.
	// That all are there only their UIDs can show.
	Status  int
	Warning string // what the server said in Warning headers; it may hold patient data
	Objects int    // taken
	Damaged int    // whose data sets end too early, though nothing else of the answer lacks; their readers said so
	Stopped bool   // by the caller; there may be more
}

// Object is an object that a retrieve brings.
type Object struct {
	// As the file meta information says, empty where it doesn't.
	SOPClassUID, SOPInstanceUID, TransferSyntaxUID string
	// Data is the data set as the server sent it. io.EOF says that it is whole, as far as its structure shows it.
	Data io.Reader
}

// Retrieve gets the objects of a study, a series or an instance (WADO-RS, PS3.18 10.4) in a transfer syntax, or as they
// are stored, and hands each to take, which need not read it to its end. An error of take ends the retrieve, and is
// returned. Closing stop, which may be nil, ends it behind the object under way.
//
// The error is nil only if the answer came whole: to its last delimiter, with every object ending where it should.
func (c *Client) Retrieve(
	ctx context.Context, r Resource, syntax string, stop <-chan struct{}, take func(context.Context, *Object) error,
) (Retrieved, error) {
	path, err := r.path()
	if err == nil && path == "" {
		err = errors.New("the objects of no study were asked for")
	}
	if syntax != AnySyntax && !dict.ValidUID(syntax) {
		err = errors.New("the transfer syntax asked for is no UID")
	}
	if err != nil {
		return Retrieved{}, err
	}
	asking, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := &retrieving{take: take, cancel: cancel, stop: stop}
	defer g.heed()()
	err = g.run(ctx, asking, c, request{
		doing: "retrieve of " + r.String(), method: http.MethodGet, prefix: c.cfg.WADO, path: path,
		// Type in quotes and transfer syntax without, and nothing else: servers refuse other spellings.
		accept: `multipart/related; type="application/dicom"; transfer-syntax=` + syntax,
	})
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(asking), errStopped) || errors.Is(err, errStopped) {
		g.got.Stopped, err = true, nil
	}
	return g.got, err
}

// run sends the request and reads the answer; take has a context that stop doesn't end.
func (g *retrieving) run(ctx, asking context.Context, c *Client, rq request) (err error) {
	if g.x, err = c.do(asking, rq); err != nil {
		return err
	}
	defer g.x.close()
	g.got.Status, g.got.Warning = g.x.rsp.StatusCode, strings.Join(g.x.warnings(), "; ")
	switch g.got.Status {
	case http.StatusOK, http.StatusPartialContent:
		return g.objects(ctx)
	case http.StatusNoContent, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusGone, http.StatusNotImplemented:
		return nil
	}
	return g.x.failed()
}

// retrieving is a retrieve under way.
type retrieving struct {
	x      *exchange
	take   func(context.Context, *Object) error
	cancel context.CancelCauseFunc // ends the exchange
	got    Retrieved

	stop   <-chan struct{} // closed by the caller; may be nil
	mu     sync.Mutex
	within bool // an object is under way
}

var errStopped = errors.New("the retrieve was stopped")

// heed ends the retrieve when stop is closed, at once if no object is under way.
func (g *retrieving) heed() (end func()) {
	if g.stop == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-done:
		case <-g.stop:
			g.mu.Lock()
			defer g.mu.Unlock()
			if !g.within {
				g.cancel(errStopped)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// enter says whether an object is under way, and gives errStopped if none may begin any more.
func (g *retrieving) enter(within bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.within = within
	select {
	case <-g.stop:
		return errStopped
	default:
		return nil
	}
}

// objects reads the answer.
func (g *retrieving) objects(ctx context.Context) error {
	m := g.x.mediaType()
	switch {
	case strings.HasPrefix(m.Name, "multipart/"):
		return g.parts(ctx, m)
	case m.Name == "application/dicom", m.Name == "application/octet-stream", m.Name == "":
		if _, err := g.object(ctx, g.x.in, m); err != nil {
			return err
		}
		return g.x.finish()
	}
	return g.x.invalid("it is " + kind(m) + " instead of DICOM objects; check the address of the server")
}

// parts reads a multipart answer.
func (g *retrieving) parts(ctx context.Context, m media.Type) error {
	parts, err := multipart.NewReader(g.x.in, m.Param("boundary"), multipart.Limits{})
	if err != nil {
		return g.bad(err)
	}
	for {
		if err := g.enter(false); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p, err := parts.Next()
		if err == io.EOF { //nolint:errorlint // only exactly this value says that the message is whole
			return nil
		}
		if err != nil {
			return g.bad(err)
		}
		of, err := media.Parse(p.ContentType())
		if err != nil {
			of = media.Type{}
		}
		cutAt, err := g.object(ctx, p, of)
		if said := p.ContentLength(); cutAt > 0 && (said < 0 || said == cutAt) {
			g.got.Damaged++ // and what follows shows that its part ended there
			err = nil
		}
		if err != nil {
			return err
		}
	}
}

// bad says what an error of the answer's form means.
func (g *retrieving) bad(err error) error {
	switch {
	case g.x.err != nil:
		return g.x.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &BrokenError{Doing: g.x.rq.doing, Err: io.ErrUnexpectedEOF}
	}
	return g.x.invalid(err.Error())
}

// object hands an object on, and reads it to its end. cutAt is how long it was if its data set can't end there.
func (g *retrieving) object(ctx context.Context, in io.Reader, of media.Type) (cutAt int64, err error) {
	if strings.HasPrefix(of.Name, "text/") || strings.HasSuffix(of.Name, "json") || strings.HasSuffix(of.Name, "xml") {
		return 0, g.x.invalid("among the objects there is " + kind(of) + ", in which the server may say that it failed")
	}
	all := &content{Reader: in, x: g.x, blanks: true}
	d := &data{in: all, bad: g.bad}
	meta, err := d.begin()
	if err == nil {
		err = g.enter(true)
	}
	if err != nil {
		return 0, err
	}
	o := &Object{
		SOPClassUID: meta.MediaStorageSOPClassUID, SOPInstanceUID: meta.MediaStorageSOPInstanceUID,
		TransferSyntaxUID: meta.TransferSyntaxUID, Data: d,
	}
	if err := g.take(ctx, o); err != nil {
		return 0, err
	}
	switch _, err := io.Copy(io.Discard, d); {
	case errors.Is(err, errCut):
		return all.came, err
	case err != nil:
		return 0, err
	}
	g.got.Objects++
	return 0, nil
}
