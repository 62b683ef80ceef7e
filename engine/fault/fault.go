// SPDX-License-Identifier: AGPL-3.0-or-later

package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/people"
)

// Policy says what follows for a task from an error.
type Policy int

// What a task does about an error.
const (
	PolicyAgain     Policy = iota // a fault that may pass: counted, tried again
	PolicyPermanent               // it would fail again: the task fails at once
	PolicyWait                    // a server's fault: the task waits, no attempt is counted
)

// Fault is an error that carries its policy.
type Fault struct {
	Policy Policy
	Err    error
	Full   bool          // a server is out of resources
	Wait   time.Duration // how long, if it says so itself

	Unavailable bool // the study has to be brought back at its source
	Barred      bool // the receiver turned the source away: asking once more at once brings nothing
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// Permanent returns an error that no further attempt would change.
func Permanent(format string, args ...any) error {
	return &Fault{Policy: PolicyPermanent, Err: fmt.Errorf(format, args...)}
}

// Again returns an error that another attempt may not meet.
func Again(format string, args ...any) error {
	return &Fault{Policy: PolicyAgain, Err: fmt.Errorf(format, args...)}
}

// Wait returns an error that makes the task wait, without an attempt counted.
func Wait(format string, args ...any) error {
	return &Fault{Policy: PolicyWait, Err: fmt.Errorf(format, args...)}
}

// Full is wait, for a server that says that it is out of resources.
func Full(format string, args ...any) error {
	return &Fault{Policy: PolicyWait, Err: fmt.Errorf(format, args...), Full: true}
}

// IsBarred reports whether the receiver turned the source away.
func IsBarred(err error) bool {
	own, ok := errors.AsType[*Fault](err)
	return ok && own.Barred
}

// AtDestination marks an error of the destination's; all others of a peer are the source's.
type AtDestination struct{ Err error }

func (e *AtDestination) Error() string { return e.Err.Error() }
func (e *AtDestination) Unwrap() error { return e.Err }

// PolicyOf judges an error by its own policy if it carries one, else by where it comes from: the database, a server, or
// a file. Each of them marks its errors by types of its own, so that none is taken for another's: a plain error of the
// io package or of the system may come from any.
func PolicyOf(err error) Policy {
	if DatabaseTrouble(err) != nil { // whatever somebody on the way took it for
		return PolicyWait
	}
	if own, ok := errors.AsType[*Fault](err); ok {
		return own.Policy
	}
	var denied *people.Denied
	switch {
	case errors.Is(err, ErrParked), Unreachable(err):
		return PolicyWait
	case mayPass(err), PeerFailed(err):
		return PolicyAgain
	case PeerRefused(err), errors.As(err, &denied), DiskFault(err):
		return PolicyPermanent
	}
	return PolicyAgain
}

// Unreachable reports whether an error means that a server is not available now: no association can be opened,
// whatever the reason, which is never a study's fault; or it has no room.
func Unreachable(err error) bool {
	if _, ok := errors.AsType[*door.NoAssociation](err); ok {
		return true
	}
	if rejected, ok := errors.AsType[*ul.RejectedError](err); ok {
		return rejected.Transient()
	}
	if status, ok := errors.AsType[*dimse.StatusError](err); ok {
		return OutOfResources(status.Status)
	}
	connect, ok := errors.AsType[*ul.ConnectError](err)
	return ok && !connect.Settings || webUnreachable(err)
}

// Declined reports whether an error is a server's answer that it does not do what it was asked at all, rather than that
// it can't do it now.
func Declined(err error) bool {
	if status, ok := errors.AsType[*dimse.StatusError](err); ok {
		return !OutOfResources(status.Status)
	}
	return webDeclined(err)
}

// NeedsSettings reports whether a server stays unavailable until a setting is corrected, here or there: its address, an
// AE title, TLS.
func NeedsSettings(err error) bool {
	if connect, ok := errors.AsType[*ul.ConnectError](err); ok {
		return connect.Settings
	}
	if rejected, ok := errors.AsType[*ul.RejectedError](err); ok {
		return !rejected.Transient()
	}
	_, ok := errors.AsType[*ul.NotDICOMError](err)
	return ok || webNeedsSettings(err)
}

// PeerRefused reports whether an error is a server's answer that it doesn't do what was asked.
func PeerRefused(err error) bool {
	var rejected *ul.RejectedError
	var notDICOM *ul.NotDICOMError
	var noContexts *dimse.NoContextsError
	var noContext *dimse.NoContextError
	var status *dimse.StatusError
	if connect, ok := errors.AsType[*ul.ConnectError](err); ok {
		return connect.Settings
	}
	return errors.As(err, &rejected) || errors.As(err, &notDICOM) ||
		errors.As(err, &noContexts) || errors.As(err, &noContext) ||
		errors.As(err, &status) || webRefused(err)
}

// mayPass reports whether a server answered with a failure that another attempt may not meet.
func mayPass(err error) bool {
	status, ok := errors.AsType[*dimse.StatusError](err)
	return ok && status.Meaning().Outcome == dimse.Failed
}

// PeerFailed reports whether an error means that an association or a request broke, or that what came over it cannot be
// read.
func PeerFailed(err error) bool {
	var timeout *ul.TimeoutError
	var lost *ul.LostError
	var aborted *ul.AbortedError
	var protocol *ul.ProtocolError
	var unreadable *dimse.UnreadableError
	return errors.As(err, &timeout) || errors.As(err, &lost) || errors.As(err, &aborted) || errors.As(err, &protocol) ||
		errors.As(err, &unreadable) || errors.Is(err, dimse.ErrReleased) || webFailure(err)
}

// SaidNothing reports whether a server said nothing until the idle timeout.
func SaidNothing(err error) bool {
	_, byDIMSE := errors.AsType[*ul.TimeoutError](err)
	_, byWeb := errors.AsType[*web.TimeoutError](err)
	return byDIMSE || byWeb
}

// DatabaseTrouble returns why the database can't do what it was asked, nil if an error says nothing of the kind.
func DatabaseTrouble(err error) *db.Trouble { return db.TroubleOf(err) }

// Removed reports whether a request failed because something that it needs was removed at the same moment.
func Removed(err error) bool { return db.Removed(err) }

// ReasonOf says in words for people what an error means: the database's own are not.
func ReasonOf(err error) string {
	if trouble := DatabaseTrouble(err); trouble != nil {
		return trouble.Reason
	}
	return strings.TrimSuffix(err.Error(), ".")
}

// OutOfResources reports whether a status is A7xx, by which a server says that it has too much to do.
func OutOfResources(s dimse.Status) bool { return s&0xFF00 == 0xA700 }

// DiskFault reports whether the system refused what was to be done with a file, for want of room or of a permission.
// The same numbers of an error that comes from elsewhere, such as a socket, say nothing about the disk.
func DiskFault(err error) bool {
	cause := FileError(err)
	return errors.Is(cause, syscall.ENOSPC) || errors.Is(cause, syscall.EDQUOT) || errors.Is(cause, syscall.EROFS) ||
		errors.Is(cause, fs.ErrPermission)
}

// FileError returns what the system said about a file, without the file's path; nil if the error comes from elsewhere.
func FileError(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	if link, ok := errors.AsType[*os.LinkError](err); ok {
		return link.Err
	}
	return nil
}

// Why a task's context ended.
var (
	ErrCanceled = errors.New("the task was canceled")
	ErrParked   = errors.New("the task was stopped and continues later")
	ErrFenced   = door.ErrFenced
)

// Stopped returns why the context ended, nil if it has not.
func Stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// WaitFor makes the task wait so long, without an attempt counted.
func WaitFor(d time.Duration, format string, args ...any) error {
	return &Fault{Policy: PolicyWait, Err: fmt.Errorf(format, args...), Wait: d}
}

// NoRoom is why a file may not be written, though its disk would take it.
type NoRoom struct{ Err error }

func (e *NoRoom) Error() string { return e.Err.Error() }
