// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"errors"
	"fmt"
)

// ErrReleased says that the peer released the association where an answer was due. Nothing is wrong with the
// request: open another association.
var ErrReleased = errors.New("the peer released the association before it answered")

// StaleError says that the peer had ended the association, by abort, release or closing the connection, before the
// operation began: nothing was sent. Open another association and go on; it is no failure of the request.
type StaleError struct{ Err error }

func (e *StaleError) Error() string {
	return "the association had ended before it was used again: " + e.Err.Error()
}
func (e *StaleError) Unwrap() error { return e.Err }

// UnreadableError says that a data set of the peer cannot be read, with the association alive. It does not unwrap to
// the parser's error, which may be one of the io package: nobody takes that for an error of something else.
type UnreadableError struct{ Err error }

func (e *UnreadableError) Error() string { return "the answer is invalid: " + e.Err.Error() }

// StatusError is a final status that is no success.
type StatusError struct {
	Service      Service
	Status       Status
	ErrorComment string // may hold patient data: not part of Error
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s was answered with status %s: %s", e.Service, e.Status, e.Meaning().Text)
}

// Meaning is the status' row in the table of statuses.
func (e *StatusError) Meaning() Meaning { return e.Status.Meaning(e.Service) }

// NoContextError says that no accepted presentation context fits; nothing was sent.
type NoContextError struct {
	SOPClassUID, TransferSyntaxUID string // TransferSyntaxUID is empty when any would have done
}

func (e *NoContextError) Error() string {
	if e.TransferSyntaxUID == "" {
		return fmt.Sprintf("the peer does not accept SOP class %s on this association", e.SOPClassUID)
	}
	return fmt.Sprintf(
		"the peer does not accept SOP class %s in transfer syntax %s on this association",
		e.SOPClassUID, e.TransferSyntaxUID,
	)
}

// NoContextsError says that the peer accepted the association but none of its presentation contexts.
type NoContextsError struct {
	Addr     string
	Proposed int
}

func (e *NoContextsError) Error() string {
	return fmt.Sprintf(
		"%s accepted none of the %d presentation contexts proposed; ask its administrator whether it offers this "+
			"service to this AE title",
		e.Addr, e.Proposed,
	)
}
