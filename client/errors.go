// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"
)

// server is the address of the server in errors.
func (c *caller) server() string { return c.base.Scheme + "://" + c.base.Host }

// unreachable leaves out the URL, whose query may hold patient data.
func (c *caller) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return &UnreachableError{Server: c.server(), Err: err}
}

// UnreachableError tells that the ADIT server gave no answer.
type UnreachableError struct {
	Server string
	Err    error
	// MaybeDone: the request, which changes something, may have reached the server and may have been done.
	MaybeDone bool
}

func (e *UnreachableError) Error() string {
	text := fmt.Sprintf(
		"there is no answer from ADIT at %s (%v); check the address, and that `adit serve` runs there", e.Server, e.Err,
	)
	if e.MaybeDone {
		text += ". ADIT may have done what it was asked for: look before you ask again"
	}
	return text
}

func (e *UnreachableError) Unwrap() error { return e.Err }

func (c *caller) brokenOff(ctx context.Context, written int64, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &BrokenAnswerError{Server: c.server(), Written: written, Err: err}
}

// BrokenAnswerError tells that an answer of the ADIT server broke off: what there is of it is not the whole.
type BrokenAnswerError struct {
	Server  string
	Written int64 // bytes of a download that were written until then
	Err     error
}

func (e *BrokenAnswerError) Error() string {
	text := fmt.Sprintf("the answer of ADIT at %s broke off (%v); try again", e.Server, e.Err)
	if e.Written > 0 {
		text += fmt.Sprintf(". The %d bytes that were written are not the whole; delete them", e.Written)
	}
	return text
}

func (e *BrokenAnswerError) Unwrap() error { return e.Err }

// LostAnswerError tells that a change was refused when it was sent a second time, since the answer to the first was
// lost: it may be that the first one was done. Err is the *Problem.
type LostAnswerError struct {
	Server string
	Err    error
}

func (e *LostAnswerError) Error() string {
	return fmt.Sprintf(
		"the connection to ADIT at %s was lost, and when the change was sent again, it was refused: maybe because the "+
			"first one was done; look how it is now. The refusal: %v", e.Server, e.Err,
	)
}

func (e *LostAnswerError) Unwrap() error { return e.Err }

// SessionEndedError tells that the session of a client has ended: by LogOut, by another password, after 12 hours
// without a request, or since it is too old. Log in again. Err is the *Problem.
type SessionEndedError struct {
	Server string
	Err    error
}

func (e *SessionEndedError) Error() string {
	return fmt.Sprintf("the session at ADIT at %s has ended; log in again", e.Server)
}

func (e *SessionEndedError) Unwrap() error { return e.Err }

// notConnected reports whether there was no connection that a request could have gone out by.
func notConnected(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, unknown := errors.AsType[*net.DNSError](err)
	return unknown || untrusted(err)
}

// nobodyThere reports whether the address seems to be wrong, or nobody listens there. It may be that somebody will.
func nobodyThere(err error) bool {
	if name, ok := errors.AsType[*net.DNSError](err); ok && name.IsNotFound {
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// untrusted reports whether the two sides don't trust each other, which waiting does not change.
func untrusted(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, header := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return certificate || authority || header || alert
}
