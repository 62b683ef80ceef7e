// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ConnectError says that there was no connection to the server: it never saw the request.
type ConnectError struct {
	Addr string // host and port, or the name of the server (Config.Name)
	What string // the cause, and what to do
	Err  error
	// Settings tells that asking again won't help before somebody changes a setting or a certificate.
	Settings bool
}

func (e *ConnectError) Error() string { return fmt.Sprintf("cannot connect to %s: %s", e.Addr, e.What) }

func (e *ConnectError) Unwrap() error { return e.Err }

// connectError says why there is no connection.
func connectError(addr string, timeout time.Duration, err error) *ConnectError {
	e := &ConnectError{Addr: addr, What: "the network failed; check host and port", Err: err}
	var op *net.OpError
	switch {
	case isType[*net.DNSError](err):
		e.What = "the host name is unknown; check it, or give the address"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.What = "nothing listens there; check host and port, and that the server is running"
	case isType[*tls.CertificateVerificationError](err), isType[x509.UnknownAuthorityError](err),
		isType[x509.HostnameError](err), isType[x509.CertificateInvalidError](err):
		e.Settings = true
		e.What = fmt.Sprintf("its certificate is not trusted (%v); set its authority, or correct the host name", err)
	case isType[tls.RecordHeaderError](err), errors.Is(err, http.ErrSchemeMismatch):
		e.Settings = true
		e.What = "it does not speak TLS there; check whether the address begins with http://, and the port"
	case isType[tls.AlertError](err):
		e.Settings = true
		e.What = fmt.Sprintf("it ended the TLS handshake (%v); it may want a client certificate", err)
	case timedOut(err):
		e.What = fmt.Sprintf("no answer within %s; check host and port, and the firewalls between", timeout)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.What = "the network can't reach that host; check host and routes"
	case errors.As(err, &op):
		e.What = op.Err.Error()
	}
	return e
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &n) && n.Timeout()
}

// BrokenError says that the exchange broke off once the server could have seen the request. Nobody knows what it did
// with it: what was to be stored may be stored.
type BrokenError struct {
	Doing string
	Err   error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the connection broke off during the %s: %s", e.Doing, cause(e.Err))
}

// Unwrap returns the cause, but never io.EOF: whoever reads a data set would take that for its end.
func (e *BrokenError) Unwrap() error {
	if e.Err == io.EOF { //nolint:errorlint // exactly this value means the end to a reader
		return io.ErrUnexpectedEOF
	}
	return e.Err
}

// TimeoutError says that nothing moved for too long, or nothing of use, once the server could have seen the request.
type TimeoutError struct {
	Doing string
	After time.Duration
	Alive bool // there were signs of life, but no content
}

func (e *TimeoutError) Error() string {
	if e.Alive {
		return fmt.Sprintf("the server sent nothing of use for %s during the %s", e.After, e.Doing)
	}
	return fmt.Sprintf("the server did nothing for %s during the %s", e.After, e.Doing)
}

// Timeout makes it a net.Error in spirit; always true.
func (e *TimeoutError) Timeout() bool { return true }

// StatusError is an answer with a status that is no success, and nothing in it that says more.
type StatusError struct {
	Doing string
	Code  int
	// RetryAfter is how long the server asks to wait; 0 if it doesn't. Its answer's date counts, not our clock.
	RetryAfter time.Duration
	// Reason is what the server wrote, in printable characters. It may hold patient data, and is not part of Error.
	Reason string
}

func (e *StatusError) Error() string {
	text := strings.TrimRight(
		fmt.Sprintf("the server answered the %s with status %d %s", e.Doing, e.Code, http.StatusText(e.Code)), " ",
	)
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s; it asks to wait for %s", text, max(e.RetryAfter.Round(time.Second), time.Second))
	}
	return text + advice(e.Code)
}

// advice is what to do about a status.
func advice(code int) string {
	switch code {
	case http.StatusUnauthorized:
		return "; check the credentials for this server"
	case http.StatusForbidden:
		return "; ask its administrator to allow this"
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return "; check the address of its DICOMweb service, which may lack this request"
	case http.StatusRequestEntityTooLarge:
		return "; it takes or gives less at once"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusBadGateway:
		return "; try again later"
	}
	return ""
}

// Transient tells that the same request may succeed later (PS3.18 8.5).
func (e *StatusError) Transient() bool {
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusFailedDependency, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// AnswerError says that the connection is fine but what came is no answer to the request: HTML, an object that is not
// DICOM, JSON that can't be read. It does not unwrap to the parser's error, which may be one of the io package.
type AnswerError struct {
	Doing string
	What  string
	Empty bool // there is no content, or null, where something had to be
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("the answer to the %s is invalid: %s", e.Doing, e.What)
}

// IncompleteError comes behind the answers of a search that can't be shown to be all.
type IncompleteError struct {
	Why     string
	Answers int // given before
	// Short tells that fewer answers came than were asked for at once, and no word of more: they may well be all, of a
	// server that knows no pages.
	Short bool
	Err   error // the server's answer to the request for more, if that is the reason
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("the server may have more than its %d answers: %s; narrow the search", e.Answers, e.Why)
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// RedirectError says that the server sends elsewhere. Nobody goes there: it would learn credentials and UIDs.
type RedirectError struct {
	Doing string
	To    string // scheme, host and port; empty if the server doesn't say or its redirects go round in circles
}

func (e *RedirectError) Error() string {
	if e.To == "" {
		return fmt.Sprintf("the server answered the %s with redirects that lead nowhere; check its address", e.Doing)
	}
	// Not where to: people read it who are not told where the server is.
	return fmt.Sprintf("the server redirects the %s to another address; check the one that is set for it", e.Doing)
}

// SourceError says that the reader of an object to be stored failed, not the exchange, which was broken off such that
// the server can't take the object for whole. What became of objects before it nobody knows.
type SourceError struct {
	SOPInstanceUID string
	Err            error
}

func (e *SourceError) Error() string { return "reading the data set to send: " + e.Err.Error() }

func (e *SourceError) Unwrap() error { return e.Err }

// retryAfter reads the header Retry-After (RFC 9110 10.2.3): seconds, or a date by the server's clock.
func retryAfter(h http.Header) time.Duration {
	const most = 24 * time.Hour
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(seconds) {
		return time.Duration(min(max(seconds, 0), most.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), most)
}

// printable shortens a server's text to what can be shown in one line.
func printable(b []byte, most int) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7F && r < 0xA0 || r == 0xFFFD:
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b), ""))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
