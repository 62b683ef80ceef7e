// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/internal/pause"
)

const (
	firstBackoff   = 200 * time.Millisecond
	longestBackoff = 5 * time.Second
	maxAnswer      = 64 << 20 // bytes; the largest page is far below
)

// do makes a call and decodes the answer into out, unless that is nil.
func (c *caller) do(ctx context.Context, rq request, out any) error {
	return c.send(ctx, rq, func(answer *http.Response) error {
		if out == nil {
			return nil
		}
		text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		if err != nil {
			return c.brokenOff(ctx, 0, err)
		}
		if v, ok := out.(interface{ versioned(etag string) }); ok {
			v.versioned(answer.Header.Get("ETag"))
		}
		err = json.Unmarshal(text, out)
		if cut, ok := errors.AsType[*json.SyntaxError](err); ok && cut.Offset >= int64(len(text)) {
			return c.brokenOff(ctx, 0, io.ErrUnexpectedEOF) // a connection without a length ends like this
		}
		if err != nil {
			return fmt.Errorf("the answer of %s can't be read: %w", c.base.Host, err)
		}
		return nil
	})
}

// copy makes a call and copies the answer. An error of the writer is returned as it is.
func (c *caller) copy(ctx context.Context, rq request, w io.Writer) error {
	return c.send(ctx, rq, func(answer *http.Response) error {
		from := &reading{r: answer.Body}
		n, err := io.Copy(w, from)
		if from.err != nil {
			return c.brokenOff(ctx, n, from.err)
		}
		if err == nil && endless(answer) {
			return c.brokenOff(ctx, n, errors.New("a proxy in between doesn't tell where the answer ends"))
		}
		return err
	})
}

// reading remembers why it could not be read on.
type reading struct {
	r   io.Reader
	err error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// endless reports whether an answer has neither a length nor an end of its own: one that is cut looks as if it were the
// whole.
func endless(answer *http.Response) bool {
	return answer.ProtoMajor == 1 && answer.ContentLength < 0 && len(answer.TransferEncoding) == 0 &&
		!answer.Uncompressed
}

// send makes a call and has its answer read, again for as long as patience lasts where that can do no harm. A call is
// not made again once a part of its answer has been handed on.
func (c *caller) send(ctx context.Context, rq request, read func(*http.Response) error) error {
	body, contentType, err := rq.encoded()
	if err != nil {
		return err
	}
	var first time.Time // of the failures
	maybeDone := false  // by an attempt whose answer was lost
	for n := 0; ; n++ {
		sent, err := c.once(ctx, rq, body, contentType, read)
		if err == nil {
			return nil
		}
		if stopped := ctx.Err(); stopped != nil {
			return stopped
		}
		wait, again := c.again(rq, err, sent, n)
		if first.IsZero() {
			first = time.Now()
		}
		left := c.patience - time.Since(first)
		if !again || wait > left {
			return c.last(rq, err, maybeDone, sent)
		}
		maybeDone = maybeDone || sent && lost(err)
		wait = min(wait+rand.N(wait/4+1), left) //nolint:gosec // jitter is no secret
		c.notice(err, wait)
		if stopped := pause.For(ctx, wait); stopped != nil {
			return stopped
		}
	}
}

// again says whether a call is made again after an error, and after which time at least.
func (c *caller) again(rq request, err error, sent bool, attempt int) (wait time.Duration, again bool) {
	backoff := min(firstBackoff<<min(attempt, 10), longestBackoff)
	if p, ok := errors.AsType[*Problem](err); ok {
		switch {
		case p.foreign && p.Status >= http.StatusBadGateway && p.Status <= http.StatusGatewayTimeout:
			return backoff, rq.repeatable && c.known.Load() // a proxy, while ADIT starts again
		case !p.Temporary():
			return 0, false
		}
		return max(p.RetryAfter, backoff), rq.repeatable || p.Status == http.StatusTooManyRequests // nothing was done
	}
	if broken, ok := errors.AsType[*BrokenAnswerError](err); ok {
		return backoff, rq.repeatable && broken.Written == 0
	}
	if away, ok := errors.AsType[*UnreachableError](err); ok {
		mayCome := !untrusted(away.Err) && (c.known.Load() || !nobodyThere(away.Err))
		return backoff, mayCome && (rq.repeatable || !sent)
	}
	return 0, false
}

// lost reports whether a call failed without that it is known what the server did.
func lost(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return !ok || p.foreign || p.Status >= http.StatusInternalServerError
}

// last makes the error of a call of the one of its last attempt.
func (c *caller) last(rq request, err error, maybeDone, sent bool) error {
	p, refused := errors.AsType[*Problem](err)
	if away, ok := errors.AsType[*UnreachableError](err); ok {
		away.MaybeDone = !rq.reads && (maybeDone || sent)
		return err
	}
	if !refused {
		return err
	}
	ended := c.session && p.Status == http.StatusUnauthorized
	switch {
	case maybeDone && slices.Contains(rq.gone, p.Status):
		return nil
	case maybeDone && !rq.reads && rq.method != http.MethodPost && p.Status < http.StatusInternalServerError && !ended:
		return &LostAnswerError{Server: c.server(), Err: err}
	case ended && rq.path != sessionPath+":confirm":
		return &SessionEndedError{Server: c.server(), Err: err}
	}
	return err
}

// encoded returns the body of a request.
func (rq request) encoded() (body []byte, contentType string, err error) {
	switch b := rq.body.(type) {
	case nil:
		return nil, "", nil
	case rawBody:
		return b.bytes, b.contentType, nil
	}
	if body, err = json.Marshal(rq.body); err != nil {
		return nil, "", fmt.Errorf("the request can't be written as JSON: %w", err)
	}
	return body, "application/json", nil
}

// once makes a call once. sent: the server may have got it.
func (c *caller) once(
	ctx context.Context, rq request, body []byte, contentType string, read func(*http.Response) error,
) (sent bool, err error) {
	target := c.base.String() + rq.path
	if len(rq.query) > 0 {
		target += "?" + rq.query.Encode()
	}
	var onItsWay onTheWire
	req, err := http.NewRequestWithContext(onItsWay.watch(ctx), rq.method, target, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the request can't be made: the address is not valid")
	}
	req.Header.Set("Accept", "application/json, */*")
	maps.Copy(req.Header, rq.header)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	c.sign(req.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		return onItsWay.sent(err), c.unreachable(ctx, err)
	}
	defer func() {
		if closed := resp.Body.Close(); err == nil {
			err = closed
		}
	}()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		err := readProblem(resp)
		if p, ok := errors.AsType[*Problem](err); ok && !p.foreign {
			c.known.Store(true)
		}
		return true, err
	}
	c.known.Store(true)
	if resp.StatusCode == http.StatusNoContent {
		return true, nil
	}
	return true, read(resp)
}

// sign says who is calling.
func (c *caller) sign(h http.Header) {
	h.Set("User-Agent", c.agent)
	if c.token != "" {
		h.Set("Authorization", "Token "+c.token)
	}
}

// onTheWire finds out whether a request has left.
type onTheWire struct{ watched, written atomic.Bool }

func (o *onTheWire) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { o.watched.Store(true) },
		WroteHeaders: func() { o.written.Store(true) },
	})
}

// sent is true where nothing is known: a transport of somebody's own tells nothing.
func (o *onTheWire) sent(err error) bool {
	if !o.watched.Load() {
		return !notConnected(err)
	}
	return o.written.Load()
}
