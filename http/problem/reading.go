// SPDX-License-Identifier: AGPL-3.0-or-later

package problem

import (
	"errors"
	"net/http"
	"time"

	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/reading"
)

const retryRoom = 30 * time.Second

// OfReading returns what to tell who reads instances of a server by HTTP; an error that is about something else as it
// is.
func OfReading(err error) error {
	archived, isArchived := errors.AsType[*reading.Archived](err)
	leftOut, isLeftOut := errors.AsType[*reading.LeftOut](err)
	unsafe, isUnsafe := errors.AsType[*reading.Unsafe](err)
	other, isOther := errors.AsType[*reading.NoPseudonym](err)
	server, isServer := errors.AsType[*fault.Fault](err)
	switch {
	case isArchived:
		return New(http.StatusConflict, Sentence(archived.Error()))
	case isLeftOut:
		return New(http.StatusNotFound, Sentence(leftOut.Error()))
	case isUnsafe:
		return New(http.StatusConflict, Sentence(unsafe.Error()))
	case isOther:
		return New(http.StatusConflict, Sentence(other.Error()))
	case errors.Is(err, reading.ErrFull):
		return New(http.StatusServiceUnavailable, Sentence(reading.ErrFull.Error())).Retry(retryRoom)
	case errors.Is(err, reading.ErrNoDisk):
		return New(http.StatusServiceUnavailable, Sentence(reading.ErrNoDisk.Error())).Retry(retryRoom)
	case isServer && server.Policy == fault.PolicyWait:
		return New(http.StatusServiceUnavailable, Sentence(err.Error())).Retry(retryRoom)
	case isServer:
		return New(http.StatusBadGateway, Sentence(err.Error()))
	}
	return err
}
