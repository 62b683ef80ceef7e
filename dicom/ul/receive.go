// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// Fragment is the header of a presentation data value that is being read.
type Fragment struct {
	ContextID byte
	Command   bool
	Last      bool
	Len       int // bytes
}

const doingRead = "waiting for its message"

// NextPDV goes to the next presentation data value, skipping what is left of the current one. It returns
// ErrReleaseRequested when the peer wants to release; any other error has ended the association.
func (a *Association) NextPDV() (Fragment, error) {
	a.reader.Lock()
	defer a.reader.Unlock()
	if err := a.nextPDV(); err != nil {
		return Fragment{}, err
	}
	return a.value, nil
}

func (a *Association) nextPDV() error {
	if err := a.Err(); err != nil {
		return err
	}
	if err := a.skipPDV(); err != nil {
		return err
	}
	for a.pduLeft == 0 {
		action, err := a.nextPDU()
		if err != nil {
			return err
		}
		if action == AR2 {
			return ErrReleaseRequested
		}
	}
	if a.pduLeft < pdvHeaderLen {
		return a.breach(protocolErrorf(AbortInvalidParameter, "a P-DATA-TF ends inside the header of a value"))
	}
	h, err := a.in.take(pdvHeaderLen)
	if err != nil {
		return a.failed(doingRead, noEOF(err))
	}
	n := int64(binary.BigEndian.Uint32(h))
	if n < 2 || n > int64(a.pduLeft-4) {
		return a.breach(protocolErrorf(
			AbortInvalidParameter, "a P-DATA-TF holds a value of %d bytes where %d are left", n, a.pduLeft-4,
		))
	}
	a.value = fragment(h)
	a.pduLeft -= pdvHeaderLen
	a.pdvLeft = a.value.Len
	if !a.value.Command && !a.value.Last && a.pdvLeft == a.pduLeft {
		a.dataPDU = pdvHeaderLen + a.pdvLeft
	}
	return nil
}

// fragment reads the header of a presentation data value (PS3.8 9.3.5.1 and annex E.2).
func fragment(h []byte) Fragment {
	return Fragment{ContextID: h[4], Command: h[5]&1 != 0, Last: h[5]&2 != 0, Len: int(binary.BigEndian.Uint32(h)) - 2}
}

// Read reads bytes of the current value; io.EOF at its end. Any other error has ended the association.
func (a *Association) Read(p []byte) (int, error) {
	a.reader.Lock()
	defer a.reader.Unlock()
	if a.pdvLeft == 0 {
		return 0, io.EOF
	}
	if a.ended.Load() {
		return 0, a.Err()
	}
	n, err := a.in.read(p[:min(len(p), a.pdvLeft)])
	if err != nil {
		return n, a.failed("receiving a message", noEOF(err))
	}
	a.consumed(n)
	return n, nil
}

// ReadData reads the data set of the message whose command came last, all its fragments, which must use presentation
// context id; io.EOF at its end. Any other error has ended the association. Where p is large, several fragments come
// with one system call.
func (a *Association) ReadData(id byte, p []byte) (int, error) {
	a.reader.Lock()
	defer a.reader.Unlock()
	for len(p) > 0 {
		if a.ended.Load() {
			return 0, a.Err()
		}
		if a.pdvLeft == 0 && !a.value.Command && a.value.Last {
			a.bound = 0
			return 0, io.EOF
		}
		var n int
		var err error
		switch {
		case len(a.in.unread) > 0 && a.pdvLeft > 0:
			n, err = a.in.read(p[:min(len(p), a.pdvLeft)])
			a.consumed(n)
		case len(a.in.unread) == 0 && !a.value.Command && (a.pdvLeft > 0 || a.pduLeft == 0 && a.dataPDU > 0):
			n, err = a.gather(p)
		default:
			if err := a.nextData(id); err != nil {
				return 0, err
			}
		}
		if err != nil {
			return n, a.failed("receiving a data set", noEOF(err))
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// SkipData discards what is left of the data set that ReadData reads.
func (a *Association) SkipData(id byte) error {
	a.reader.Lock()
	defer a.reader.Unlock()
	a.bound = 0
	for a.value.Command || !a.value.Last {
		if err := a.nextData(id); err != nil {
			return err
		}
	}
	return a.skipPDV()
}

// nextData goes to the next fragment of a data set.
func (a *Association) nextData(id byte) error {
	err := a.nextPDV()
	switch {
	case errors.Is(err, ErrReleaseRequested):
		return a.AbortProvider("it asked to release the association inside a data set")
	case err == nil && a.value.Command:
		return a.AbortProvider("it sent a command inside a data set")
	case err == nil && a.value.ContextID != id:
		return a.AbortProvider(
			fmt.Sprintf("it sent data on presentation context %d inside a data set on %d", a.value.ContextID, id),
		)
	}
	return err
}

// Bound tells that the peer is bound to send at least n bytes more of the data set that is being read, if it means what
// it has sent so far. Then a read may wait for many of them at once. The peer may break its word: that costs a read
// half a second.
func (a *Association) Bound(n int64) {
	a.reader.Lock()
	defer a.reader.Unlock()
	a.bound = int(min(n, math.MaxInt32))
}

// skipPDV discards what is left of the current value.
func (a *Association) skipPDV() error {
	n, err := a.in.discard(a.pdvLeft)
	a.consumed(n)
	if err != nil {
		return a.failed(doingRead, noEOF(err))
	}
	return nil
}

// skipPDU discards what is left of the current PDU.
func (a *Association) skipPDU() error {
	a.pdvLeft = a.pduLeft
	return a.skipPDV()
}

// lastWords looks, after a write has failed because the peer closed, for the A-ABORT that may have come before:
// it reads what has arrived, or lets the goroutine that is reading do so.
func (a *Association) lastWords() {
	if !a.reader.TryLock() {
		select {
		case <-a.done:
		case <-time.After(abortGrace):
		}
		return
	}
	defer a.reader.Unlock()
	a.w.setLimit(abortGrace, time.Now().Add(abortGrace))
	for {
		if _, err := a.in.discard(a.pduLeft); err != nil {
			return
		}
		h, err := a.in.peek(pduHeaderLen)
		if err != nil {
			return
		}
		a.pduLeft = pduHeaderLen + int(binary.BigEndian.Uint32(h[2:]))
		if PDUType(h[0]) == TypeAbort {
			a.pduLeft, a.pdvLeft = 0, 0
			_, _ = a.nextPDU() // ends the association with its reason
			return
		}
	}
}

// nextPDU reads the header of the next PDU, and its body unless it is a P-DATA-TF. It returns DT2 and AR6 with
// pduLeft set, and the actions of the release; everything else ends the association.
func (a *Association) nextPDU() (Action, error) {
	h, err := a.in.take(pduHeaderLen)
	if err != nil {
		return None, a.failed(doingRead, err)
	}
	t, n := PDUType(h[0]), binary.BigEndian.Uint32(h[2:])
	if err := a.checkHeader(t, n); err != nil {
		return None, a.breach(err)
	}
	action := a.event(eventOf(t))
	switch action {
	case DT2, AR6:
		a.pduLeft = int(n)
		return action, nil
	case AR2, AR3, AR8, AR10:
		if _, err := a.in.discard(int(n)); err != nil {
			return None, a.failed(doingRead, noEOF(err))
		}
		return action, nil
	case AA3:
		b, err := a.in.take(4)
		if err != nil {
			return None, a.failed(doingRead, noEOF(err))
		}
		return None, a.end(a.abortedBy(Abort{AbortSource(b[2]), AbortReason(b[3])}), nil)
	}
	unexpected := protocolErrorf(AbortUnexpectedPDU, "it sent %s inside an association", t)
	return None, a.end(unexpected, &Abort{AbortedByProvider, unexpected.Reason})
}

// checkHeader tests type and length before anything is read or allocated.
func (a *Association) checkHeader(t PDUType, n uint32) *ProtocolError {
	switch t {
	case TypePDataTF:
		// Some implementations count the header in, so that much more is let through.
		if int64(n) > int64(a.recvMax)+pduHeaderLen+pdvHeaderLen {
			return protocolErrorf(
				AbortInvalidParameter, "it sent a P-DATA-TF of %d bytes, more than the limit of %d", n, a.recvMax,
			)
		}
		if n == 0 {
			return protocolErrorf(AbortInvalidParameter, "it sent an empty P-DATA-TF")
		}
	case TypeReleaseRQ, TypeReleaseRP, TypeAbort:
		if n != 4 {
			return protocolErrorf(AbortInvalidParameter, "%s has %d bytes instead of 4", t, n)
		}
	case TypeAssociateRQ, TypeAssociateAC, TypeAssociateRJ: // unexpected: for the state machine to say
	default:
		return protocolErrorf(AbortUnrecognizedPDU, "unknown PDU type 0x%02X", byte(t))
	}
	return nil
}

// glance is how long Check waits for what the kernel already has.
const glance = time.Millisecond

// Check looks, without waiting for the peer, whether it has ended the association since the last message: nil if not,
// ErrReleaseRequested if it asks to, else the error that has ended the association. Only the goroutine that reads may
// call it, between messages, and nobody sends meanwhile.
func (a *Association) Check() error {
	a.reader.Lock()
	defer a.reader.Unlock()
	if err := a.Err(); err != nil || a.pduLeft > 0 {
		return err
	}
	a.w.setLimit(glance, time.Now().Add(glance))
	h, err := a.in.peek(pduHeaderLen)
	a.w.setLimit(0, time.Time{})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && !a.ended.Load():
		return nil
	case err != nil:
		return a.failed("it was idle", err)
	case PDUType(h[0]) == TypePDataTF:
		return nil // a message, for NextPDV
	}
	action, err := a.nextPDU()
	if action == AR2 {
		return ErrReleaseRequested
	}
	return err
}

// breach ends the association over an invalid PDU.
func (a *Association) breach(err *ProtocolError) error {
	a.event(Evt19)
	return a.end(err, &Abort{AbortedByProvider, err.Reason})
}

// ConfirmRelease answers the peer's A-RELEASE-RQ and ends the association.
func (a *Association) ConfirmRelease() error {
	if a.event(Evt14) != AR4 {
		return a.end(ErrEnded, &Abort{})
	}
	a.close(releaseRP, ErrEnded)
	return nil
}

var (
	releaseRQ, _ = AppendPDU(nil, &ReleaseRQ{})
	releaseRP, _ = AppendPDU(nil, &ReleaseRP{})
)

// Release asks for the end of the association and waits for the peer's agreement, at most ten seconds; data that
// still arrives is discarded. Only the goroutine that reads may call it. After it the association has ended,
// whatever the error.
func (a *Association) Release(ctx context.Context) error {
	if err := a.Err(); err != nil {
		return err
	}
	if a.event(Evt11) != AR1 {
		return a.end(ErrEnded, &Abort{})
	}
	defer a.Watch(ctx)()
	a.reader.Lock()
	defer a.reader.Unlock()
	a.w.setLimit(releaseTimeout, time.Now().Add(releaseTimeout))
	if err := a.writePDU(releaseRQ); err != nil {
		return a.failed("releasing the association", err)
	}
	for {
		if err := a.skipPDU(); err != nil {
			return err
		}
		action, err := a.nextPDU()
		if err != nil {
			return err
		}
		switch action {
		case AR3:
			a.close(nil, ErrEnded)
			return nil
		case AR8: // both asked: the requestor answers first (PS3.8 9.2.2.3)
			if a.event(Evt14) == AR9 {
				if err := a.writePDU(releaseRP); err != nil {
					return a.failed("releasing the association", err)
				}
			}
		case AR10:
			return a.ConfirmRelease()
		}
	}
}
