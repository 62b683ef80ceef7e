// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

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
	"github.com/adit-go/adit/engine/pacs"
	"github.com/adit-go/adit/people"
)

// policy says what follows for a task from an error.
type policy int

const (
	policyAgain     policy = iota // a fault that may pass: counted, tried again
	policyPermanent               // it would fail again: the task fails at once
	policyWait                    // a server's fault: the task waits, no attempt is counted
)

// fault is an error that carries its policy.
type fault struct {
	policy policy
	err    error
	full   bool          // a server is out of resources
	wait   time.Duration // how long, if it says so itself

	unavailable bool // the study has to be brought back at its source
	barred      bool // the receiver turned the source away: asking once more at once brings nothing
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func permanent(format string, args ...any) error {
	return &fault{policy: policyPermanent, err: fmt.Errorf(format, args...)}
}

func again(format string, args ...any) error {
	return &fault{policy: policyAgain, err: fmt.Errorf(format, args...)}
}

func wait(format string, args ...any) error {
	return &fault{policy: policyWait, err: fmt.Errorf(format, args...)}
}

// full is wait, for a server that says that it is out of resources.
func full(format string, args ...any) error {
	return &fault{policy: policyWait, err: fmt.Errorf(format, args...), full: true}
}

// isBarred reports whether the receiver turned the source away.
func isBarred(err error) bool {
	own, ok := errors.AsType[*fault](err)
	return ok && own.barred
}

// atDestination marks an error of the destination's; all others of a peer are the source's.
type atDestination struct{ err error }

func (e *atDestination) Error() string { return e.err.Error() }
func (e *atDestination) Unwrap() error { return e.err }

// policyOf judges an error by its own policy if it carries one, else by where it comes from: the database, a server, or a file. Each of
// them marks its errors by types of its own, so that none is taken for another's: a plain error of the io package or of the system may come
// from any.
func policyOf(err error) policy {
	if DatabaseTrouble(err) != nil { // whatever somebody on the way took it for
		return policyWait
	}
	if own, ok := errors.AsType[*fault](err); ok {
		return own.policy
	}
	var denied *people.Denied
	switch {
	case errors.Is(err, ErrParked), Unreachable(err):
		return policyWait
	case mayPass(err), PeerFailed(err):
		return policyAgain
	case PeerRefused(err), errors.As(err, &denied), diskFault(err):
		return policyPermanent
	}
	return policyAgain
}

// Unreachable reports whether an error means that a server can't be had now: there is no association to be had, whatever the reason, which
// is never a study's fault; or it has no room.
func Unreachable(err error) bool {
	if _, ok := errors.AsType[*pacs.NoAssociation](err); ok {
		return true
	}
	if rejected, ok := errors.AsType[*ul.RejectedError](err); ok {
		return rejected.Transient()
	}
	if status, ok := errors.AsType[*dimse.StatusError](err); ok {
		return outOfResources(status.Status)
	}
	connect, ok := errors.AsType[*ul.ConnectError](err)
	return ok && !connect.Settings
}

// NeedsSettings reports whether a server can be had only after a setting is corrected, here or there: its address, an AE title, TLS.
func NeedsSettings(err error) bool {
	if connect, ok := errors.AsType[*ul.ConnectError](err); ok {
		return connect.Settings
	}
	if rejected, ok := errors.AsType[*ul.RejectedError](err); ok {
		return !rejected.Transient()
	}
	_, ok := errors.AsType[*ul.NotDICOMError](err)
	return ok
}

// PeerRefused tells whether an error is a server's answer that it doesn't do what was asked.
func PeerRefused(err error) bool {
	var rejected *ul.RejectedError
	var notDICOM *ul.NotDICOMError
	var noContexts *dimse.NoContextsError
	var noContext *dimse.NoContextError
	var status *dimse.StatusError
	if connect, ok := errors.AsType[*ul.ConnectError](err); ok {
		return connect.Settings
	}
	return errors.As(err, &rejected) || errors.As(err, &notDICOM) || errors.As(err, &noContexts) || errors.As(err, &noContext) ||
		errors.As(err, &status)
}

// mayPass tells whether a server answered with a failure that another attempt may not meet.
func mayPass(err error) bool {
	status, ok := errors.AsType[*dimse.StatusError](err)
	return ok && status.Meaning().Outcome == dimse.Failed
}

// PeerFailed reports whether an error means that an association broke, or that what came over it cannot be read.
func PeerFailed(err error) bool {
	var timeout *ul.TimeoutError
	var lost *ul.LostError
	var aborted *ul.AbortedError
	var protocol *ul.ProtocolError
	var unreadable *dimse.UnreadableError
	return errors.As(err, &timeout) || errors.As(err, &lost) || errors.As(err, &aborted) || errors.As(err, &protocol) ||
		errors.As(err, &unreadable) || errors.Is(err, dimse.ErrReleased)
}

// DatabaseTrouble returns why the database can't do what it was asked, nil if an error says nothing of the kind.
func DatabaseTrouble(err error) *db.Trouble { return db.TroubleOf(err) }

// reasonOf says in words for people what an error means: the database's own are not.
func reasonOf(err error) string {
	if trouble := DatabaseTrouble(err); trouble != nil {
		return trouble.Reason
	}
	return strings.TrimSuffix(err.Error(), ".")
}

// outOfResources tells the statuses A7xx, by which a server says that it has too much to do.
func outOfResources(s dimse.Status) bool { return s&0xFF00 == 0xA700 }

// diskFault reports whether the system refused what was to be done with a file, for want of room or of a permission. The same numbers
// of an error that comes from elsewhere, such as a socket, say nothing about the disk.
func diskFault(err error) bool {
	cause := fileError(err)
	return errors.Is(cause, syscall.ENOSPC) || errors.Is(cause, syscall.EDQUOT) || errors.Is(cause, syscall.EROFS) ||
		errors.Is(cause, fs.ErrPermission)
}

// fileError returns what the system said about a file, without the file's path; nil if the error comes from elsewhere.
func fileError(err error) error {
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
	ErrParked   = errors.New("the task was stopped to go on later")
	ErrFenced   = errors.New("the task belongs to another process now")
)

// stopped gives why the context ended, nil if it has not.
func stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}
