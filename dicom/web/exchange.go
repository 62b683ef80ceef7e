// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/adit-go/adit/dicom/web/media"
)

// acceptJSON is what all answers but objects are wanted in. Older servers refuse lists with more.
const acceptJSON = "application/dicom+json"

// request is what is sent.
type request struct {
	doing    string // for errors: no values but UIDs
	method   string
	prefix   string // of the service
	path     string // below it
	query    string // encoded
	accept   string
	compress bool // ask for gzip
	// body makes the body for each attempt; contentType is its type.
	body        func() *outgoing
	contentType string
}

// exchange is a request with its answer. It must be closed.
type exchange struct {
	c       *Client
	rq      request
	caller  context.Context
	ctx     context.Context // caller's, and ended when the server is late
	cancel  context.CancelCauseFunc
	unwatch func()
	reached atomic.Bool // there was a connection for the last attempt
	bodies  []*outgoing
	rsp     *http.Response
	in      io.Reader // the answer's body, inflated
	err     error     // how reading it ended, unless by io.EOF
	blank   bool      // it has no content, or null, where data sets were to come
}

// maxRedirects that are followed within the server.
const maxRedirects = 5

// do sends a request and gives its final answer, whatever its status.
func (c *Client) do(ctx context.Context, rq request) (*exchange, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	address := strings.TrimSuffix(c.root.String(), "/")
	if rq.prefix != "" {
		address += "/" + rq.prefix
	}
	u, err := url.Parse(address + rq.path)
	if err != nil {
		return nil, errors.New("a prefix of the DICOMweb server has characters that no path may have")
	}
	u.RawQuery = rq.query
	x := &exchange{c: c, rq: rq, caller: ctx}
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	c.watch.begin()
	x.unwatch = c.watch.over(func(after time.Duration, idle bool) {
		x.cancel(&TimeoutError{Doing: rq.doing, After: after, Alive: !idle})
	})
	if err = x.send(u); err == nil { //nolint:contextcheck // x has the context
		err = x.open()
	}
	if err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

// send sends until there is a final answer: redirects within the server are followed, and credentials renewed once.
func (x *exchange) send(u *url.URL) error {
	renewed := false
	for hops := 0; ; {
		name, value, err := x.credentials()
		if err != nil {
			return err
		}
		if err := x.attempt(u, name, value); err != nil {
			return err
		}
		switch code := x.rsp.StatusCode; {
		case code == http.StatusUnauthorized && name != "" && !renewed && x.c.cfg.Credentials.Rejected(value):
			renewed = true
		case code == http.StatusTemporaryRedirect, code == http.StatusPermanentRedirect,
			x.rq.body == nil && (code == http.StatusMovedPermanently || code == http.StatusFound):
			if hops++; hops > maxRedirects {
				return &RedirectError{Doing: x.rq.doing}
			}
			if u, err = x.redirect(u); err != nil {
				return err
			}
		case code == http.StatusMovedPermanently, code == http.StatusFound, code == http.StatusSeeOther:
			_, err := x.redirect(u)
			if err == nil {
				err = &RedirectError{Doing: x.rq.doing, To: origin(u)}
			}
			return err
		default:
			return nil
		}
		x.drop()
	}
}

func (x *exchange) credentials() (name, value string, err error) {
	if x.c.cfg.Credentials == nil {
		return "", "", nil
	}
	return x.c.cfg.Credentials.Header(x.ctx)
}

// attempt sends the request once.
func (x *exchange) attempt(u *url.URL, name, value string) error {
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { x.reached.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { x.reached.Store(true) },
		// Servers that work for long say so every now and then, as often as they like: the watch bounds how long.
		Got1xxResponse: func(int, textproto.MIMEHeader) error { return nil },
	}
	rq, err := http.NewRequestWithContext(httptrace.WithClientTrace(x.ctx, trace), x.rq.method, u.String(), nil)
	if err != nil {
		return errors.New("the address of the DICOMweb server is no valid URL")
	}
	rq.Header.Set("Accept", x.rq.accept)
	rq.Header.Set("User-Agent", x.c.cfg.UserAgent)
	rq.Header.Set("Accept-Encoding", "identity")
	if x.rq.compress {
		rq.Header.Set("Accept-Encoding", "gzip")
	}
	if name != "" {
		rq.Header.Set(name, value)
	}
	if x.rq.body != nil {
		rq.ContentLength = -1
		rq.Header.Set("Content-Type", x.rq.contentType)
		rq.GetBody = func() (io.ReadCloser, error) {
			body := x.rq.body()
			x.bodies = append(x.bodies, body)
			return body, nil
		}
		rq.Body, _ = rq.GetBody() // it has no error
	}
	x.c.watch.wait(x.c.cfg.IdleTimeout)
	x.rsp, err = x.c.transport.RoundTrip(rq) //nolint:bodyclose // close does it
	for _, body := range x.bodies {
		body.answered.Store(true)
	}
	x.c.watch.hold()
	if err != nil {
		x.rsp = nil
		return x.fail(err)
	}
	x.c.watch.progress()
	return nil
}

// redirect tells where the server sends to, which must be itself.
func (x *exchange) redirect(from *url.URL) (*url.URL, error) {
	to, err := from.Parse(x.rsp.Header.Get("Location"))
	if err != nil || to.Host == "" || x.rsp.Header.Get("Location") == "" {
		return nil, &RedirectError{Doing: x.rq.doing}
	}
	if origin(to) != origin(x.c.root) || to.User != nil {
		return nil, &RedirectError{Doing: x.rq.doing, To: printable([]byte(origin(to)), 300)}
	}
	return to, nil
}

// origin is scheme, host and port (RFC 6454).
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// fail says what an error of the transport means.
func (x *exchange) fail(err error) error {
	if denied := x.c.watch.refused(); denied != nil {
		return denied
	}
	for _, body := range x.bodies {
		if broken := body.broken(); broken != nil {
			return broken
		}
	}
	if x.caller.Err() != nil {
		return context.Cause(x.caller)
	}
	late, isLate := errors.AsType[*TimeoutError](context.Cause(x.ctx))
	if isLate {
		defer x.c.watch.cut() // HTTP/2 would keep a dead connection
	}
	if !x.reached.Load() {
		timeout := x.c.cfg.ConnectTimeout
		if isLate {
			timeout, err = late.After, os.ErrDeadlineExceeded
		}
		return connectError(x.c.called(), timeout, err)
	}
	if isLate {
		return late
	}
	return &BrokenError{Doing: x.rq.doing, Err: err}
}

// cause names an error of the transport without what the server sent, which the transport's own text may repeat.
func cause(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed it before its answer was complete"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server reset it"
	case isType[tls.AlertError](err), isType[tls.RecordHeaderError](err):
		return "TLS failed; the server may want a client certificate"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return "the server did not keep to HTTP"
}

// open prepares the answer's body for reading.
func (x *exchange) open() error {
	x.in = &wire{x}
	switch encoding := strings.ToLower(strings.TrimSpace(x.rsp.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		x.in = &inflating{x: x}
	default:
		return x.invalid("it is compressed in a way that wasn't asked for")
	}
	return nil
}

// wire reads the answer's body as it comes.
type wire struct{ x *exchange }

func (w *wire) Read(p []byte) (int, error) {
	x := w.x
	if x.err != nil {
		return 0, x.err
	}
	x.c.watch.wait(x.c.cfg.IdleTimeout)
	n, err := x.rsp.Body.Read(p)
	x.c.watch.hold()
	if err != nil && err != io.EOF { // only exactly this value says that the answer is whole
		x.err = x.fail(err)
		err = x.err
	}
	return n, err
}

// content reads what of an answer is content: that shows that the server goes on.
type content struct {
	io.Reader

	x      *exchange
	blanks bool // count, too
	came   int64
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.came += int64(n)
	if n > 0 && (c.blanks || len(bytes.Trim(p[:n], " \t\r\n")) > 0) {
		c.x.c.watch.progress()
	}
	return n, err
}

// inflating inflates the answer's body. What it costs is bounded by its reader.
type inflating struct {
	x *exchange
	z *gzip.Reader
}

func (i *inflating) Read(p []byte) (n int, err error) {
	if i.z == nil {
		i.z, err = gzip.NewReader(&wire{i.x})
	}
	if err == nil {
		n, err = i.z.Read(p)
	}
	switch {
	case err == nil, err == io.EOF && i.z != nil, i.x.err != nil: //nolint:errorlint // as in wire
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		i.x.err = &BrokenError{Doing: i.x.rq.doing, Err: io.ErrUnexpectedEOF}
		err = i.x.err
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), isType[flate.CorruptInputError](err):
		i.x.err = i.x.invalid("its compression is damaged")
		err = i.x.err
	}
	return n, err
}

func (x *exchange) invalid(what string) *AnswerError {
	return &AnswerError{Doing: x.rq.doing, What: what}
}

func (x *exchange) empty() *AnswerError {
	return &AnswerError{Doing: x.rq.doing, What: "it is empty", Empty: true}
}

// mediaType is the answer's; its name is empty if there is none.
func (x *exchange) mediaType() media.Type {
	m, err := media.Parse(x.rsp.Header.Get("Content-Type"))
	if err != nil {
		return media.Type{}
	}
	return m
}

// kind names a media type in an error: it is the server's text.
func kind(m media.Type) string {
	if m.Name == "" {
		return "something without a type"
	}
	return printable([]byte(m.Name), 60)
}

// maxRest is what may follow an answer that was understood.
const maxRest = 64 << 10

// finish reads to the end of the answer: only that shows that it came whole.
func (x *exchange) finish() error {
	n, err := io.Copy(io.Discard, io.LimitReader(x.in, maxRest+1))
	switch {
	case err != nil:
		return err
	case n > maxRest:
		return x.invalid("more follows than belongs to it")
	}
	return nil
}

// failed makes an error of an answer's status and text.
func (x *exchange) failed() *StatusError {
	text, _ := io.ReadAll(io.LimitReader(x.in, x.c.cfg.Limits.Text)) // what it lacks is of no use
	return x.status(text)
}

func (x *exchange) status(text []byte) *StatusError {
	most := int(x.c.cfg.Limits.Text)
	return &StatusError{
		Doing: x.rq.doing, Code: x.rsp.StatusCode, RetryAfter: retryAfter(x.rsp.Header),
		Reason: printable(text[:min(len(text), most)], most),
	}
}

// warnings are the texts of the headers Warning.
func (x *exchange) warnings() []string {
	list := slices.Clone(x.rsp.Header.Values("Warning"))
	for i := range list {
		list[i] = printable([]byte(list[i]), 300)
	}
	return list
}

// drop gives up the answer of an attempt that is followed by another.
func (x *exchange) drop() {
	_, _ = io.Copy(io.Discard, io.LimitReader(x.rsp.Body, maxRest)) // a connection whose answer was read is used again
	_ = x.rsp.Body.Close()
	x.rsp = nil
	x.endBodies()
}

// endBodies returns when nothing is read of the objects any more.
func (x *exchange) endBodies() {
	for _, body := range x.bodies {
		body.end()
	}
	x.bodies = nil
}

func (x *exchange) close() {
	if x.rsp != nil {
		_ = x.rsp.Body.Close()
	}
	x.cancel(nil)
	x.unwatch()
	x.endBodies()
}
