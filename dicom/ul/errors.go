// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// RejectResult says whether asking again may help (PS3.8 table 9-21).
type RejectResult byte

// The results of PS3.8 table 9-21.
const (
	RejectedPermanent RejectResult = 1
	RejectedTransient RejectResult = 2
)

// RejectSource says who rejected (PS3.8 table 9-21).
type RejectSource byte

// The sources of PS3.8 table 9-21.
const (
	RejectedByUser         RejectSource = 1
	RejectedByACSE         RejectSource = 2
	RejectedByPresentation RejectSource = 3
)

// The reasons of PS3.8 table 9-21. Their meaning depends on the source.
const (
	ReasonNone byte = 1 // of the user and of ACSE

	ReasonApplicationContext byte = 2 // RejectedByUser
	ReasonCallingAE          byte = 3
	ReasonCalledAE           byte = 7

	ReasonProtocolVersion byte = 2 // RejectedByACSE

	ReasonCongestion byte = 1 // RejectedByPresentation
	ReasonLocalLimit byte = 2
)

// AbortSource says who aborted (PS3.8 table 9-26).
type AbortSource byte

// The sources of PS3.8 table 9-26.
const (
	AbortedByUser     AbortSource = 0
	AbortedByProvider AbortSource = 2
)

// AbortReason has a meaning when the provider aborted (PS3.8 table 9-26).
type AbortReason byte

// The reasons of PS3.8 table 9-26.
const (
	AbortNoReason            AbortReason = 0
	AbortUnrecognizedPDU     AbortReason = 1
	AbortUnexpectedPDU       AbortReason = 2
	AbortUnrecognizedParam   AbortReason = 4
	AbortUnexpectedParameter AbortReason = 5
	AbortInvalidParameter    AbortReason = 6
)

func (r AbortReason) String() string {
	switch r {
	case AbortNoReason:
		return "no reason given"
	case AbortUnrecognizedPDU:
		return "unrecognized PDU"
	case AbortUnexpectedPDU:
		return "unexpected PDU"
	case AbortUnrecognizedParam:
		return "unrecognized PDU parameter"
	case AbortUnexpectedParameter:
		return "unexpected PDU parameter"
	case AbortInvalidParameter:
		return "invalid PDU parameter value"
	}
	return fmt.Sprintf("unknown reason %d", byte(r))
}

// RejectedError is returned by Dial when the peer answers with A-ASSOCIATE-RJ.
type RejectedError struct {
	AssociateRJ
	Addr, CalledAE, CallingAE string
}

// Transient tells that the same request may be accepted later.
func (e *RejectedError) Transient() bool {
	return e.Result == RejectedTransient || e.Source == RejectedByPresentation
}

func (e *RejectedError) Error() string {
	why := fmt.Sprintf(
		"result %d, source %d, reason %d; ask the administrator of that server why", e.Result, e.Source, e.Reason,
	)
	switch e.Source {
	case RejectedByUser:
		switch e.Reason {
		case ReasonCalledAE:
			why = fmt.Sprintf(
				"called AE title %snot recognized; ask the administrator of that server for its AE title and correct "+
					"it in the configuration",
				quotedTitle(e.CalledAE),
			)
		case ReasonCallingAE:
			why = fmt.Sprintf(
				"calling AE title %q not recognized; ask the administrator of that server to add this AE title with "+
					"this host's address",
				e.CallingAE,
			)
		case ReasonApplicationContext:
			why = "application context not supported; that server speaks another version of DICOM"
		case ReasonNone:
			why = "no reason given; ask the administrator of that server whether both AE titles and this host's " +
				"address are known there"
		}
	case RejectedByACSE:
		if e.Reason == ReasonProtocolVersion {
			why = "protocol version not supported; that server speaks another version of DICOM"
		} else if e.Reason == ReasonNone {
			why = "no reason given by its protocol layer; ask the administrator of that server"
		}
	case RejectedByPresentation:
		switch e.Reason {
		case ReasonCongestion:
			why = "temporary congestion; it will be busy for a while, try again later"
		case ReasonLocalLimit:
			why = "local limit exceeded: it has too many associations open; try again later, or allow fewer at once"
		}
	}
	return fmt.Sprintf("%s rejected the association: %s", e.Addr, why)
}

// quotedTitle is empty where the title is not to be named.
func quotedTitle(title string) string {
	if title == "" {
		return ""
	}
	return fmt.Sprintf("%q ", title)
}

// AbortedError tells that the peer ended the association with A-ABORT.
type AbortedError struct {
	Abort
	// CallingAE is our AE title where the peer gave no reason and had answered nothing before but the association
	// request, if that: so do servers that don't know the title, or don't allow it the request. Else empty.
	CallingAE string
}

func (e *AbortedError) Error() string {
	what := "the peer aborted the association without giving a reason"
	if e.Source == AbortedByProvider {
		what = fmt.Sprintf("the peer aborted the association (%s)", e.Reason)
	}
	if e.CallingAE == "" {
		return what
	}
	return what + fmt.Sprintf(
		" before it answered any request; perhaps it does not know the AE title %q, or does not allow this request: ask the "+
			"administrator of "+
			"that server to add this AE title with this host's address and to allow it the service", e.CallingAE,
	)
}

// LostError tells that the connection ended without A-RELEASE or A-ABORT: closed, reset, or the network failed.
type LostError struct {
	Doing string
	Err   error // io.EOF or io.ErrUnexpectedEOF when the peer closed it
}

func (e *LostError) Error() string {
	return fmt.Sprintf("the connection was lost while %s: %v", e.Doing, e.Err)
}

// Unwrap returns the cause, but never io.EOF: whoever reads a data set would take that for its end, and a cut instance
// for a whole one.
func (e *LostError) Unwrap() error {
	if e.Err == io.EOF { //nolint:errorlint // exactly this value means the end to a reader
		return io.ErrUnexpectedEOF
	}
	return e.Err
}

// TimeoutError tells that nothing moved for too long.
type TimeoutError struct {
	Doing string
	After time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("the peer did nothing for %s while %s", e.After, e.Doing)
}

// Timeout makes it a net.Error in spirit; always true.
func (e *TimeoutError) Timeout() bool { return true }

// ProtocolError tells that the peer sent what the standard does not allow; the association was aborted with Reason.
type ProtocolError struct {
	Reason AbortReason
	What   string
}

func (e *ProtocolError) Error() string { return "the peer broke the DICOM protocol: " + e.What }

func protocolErrorf(r AbortReason, format string, args ...any) *ProtocolError {
	return &ProtocolError{r, fmt.Sprintf(format, args...)}
}

// NotDICOMError tells that something else than DICOM speaks at the other end.
type NotDICOMError struct {
	Addr string
	Got  string // "HTTP", "TLS", "SSH" or "something unknown"
}

func (e *NotDICOMError) Error() string {
	hint := "check host and port"
	if e.Got == "TLS" {
		hint = "check host and port, and whether it expects TLS"
	}
	return fmt.Sprintf("%s does not speak DICOM (it sent %s); %s", e.Addr, e.Got, hint)
}

// SourceError tells that the reader of a data set failed, not the association. When Sent is true part of the
// message had left, and the association was aborted because a half data set can't be taken back; otherwise the
// association lives on.
type SourceError struct {
	Err  error
	Sent bool
}

func (e *SourceError) Error() string { return "reading the data set to send: " + e.Err.Error() }

func (e *SourceError) Unwrap() error { return e.Err }

// ErrReleaseRequested tells that the peer asked for the end of the association (A-RELEASE-RQ) where a message was
// expected. Answer with Association.ConfirmRelease.
var ErrReleaseRequested = errors.New("the peer asked to release the association")

// ErrEnded is the error of an association that this side has released or aborted.
var ErrEnded = errors.New("the association has ended")

// ConnectError tells that there is no connection to the peer, so that no DICOM was spoken.
type ConnectError struct {
	Addr string
	What string // the cause and what to do
	Err  error
	// Settings tells that asking again won't help before somebody changes a setting or a certificate.
	Settings bool
}

func (e *ConnectError) Error() string { return fmt.Sprintf("cannot connect to %s: %s", e.Addr, e.What) }

func (e *ConnectError) Unwrap() error { return e.Err }

func connectError(ctx context.Context, addr string, timeout time.Duration, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	what := err.Error()
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		what = fmt.Sprintf("the host name is unknown (%s); check it, or give the address", dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		what = "nothing listens there; check host and port, and that the server is running"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		what = fmt.Sprintf("no answer within %s; check host and port, and the firewalls between", timeout)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		what = "the network can't reach that host; check host and routes"
	case errors.As(err, &op):
		what = op.Err.Error()
	}
	return &ConnectError{Addr: addr, What: what, Err: err}
}

// notDICOM names what else speaks, from the first six bytes; "" if they may start a PDU.
func notDICOM(b []byte) string {
	if t := PDUType(b[0]); t >= TypeAssociateRQ && t <= TypeAbort {
		return ""
	}
	for _, m := range [...]string{"HTTP/", "GET ", "POST ", "PUT ", "HEAD ", "OPTIO", "PRI *"} {
		if bytes.HasPrefix(b, []byte(m)) {
			return "HTTP"
		}
	}
	switch {
	case (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3:
		return "TLS"
	case bytes.HasPrefix(b, []byte("SSH-")):
		return "SSH"
	}
	return "something unknown"
}
