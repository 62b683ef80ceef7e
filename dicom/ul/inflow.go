// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import "encoding/binary"

const (
	readBuffer = 16 << 10  // what is read beyond what was asked for
	readAhead  = 512 << 10 // how much of the fragments to come is read at once
	// how much of it a read waits for at most: what lies in the kernel for longer has left the caches
	awaited  = 256 << 10
	maxAhead = 32  // of them; with their headers far below what one readv takes
	spare    = 512 // what a read of the last fragment may take beyond it: usually nothing is there

	dataHeaderLen = pduHeaderLen + pdvHeaderLen // of a P-DATA-TF with one value
)

// inflow is what has come from the peer and isn't consumed yet.
type inflow struct {
	w      *wire
	memory [readBuffer]byte
	unread []byte // within memory, unless a prediction was wrong (see gather)
	gathering
}

// take reads n bytes, at most readBuffer; they are valid until the next call. Before the first of them the error is
// io.EOF where the peer has closed.
func (f *inflow) take(n int) ([]byte, error) {
	b, err := f.peek(n)
	if err == nil {
		f.unread = f.unread[n:]
	}
	return b, err
}

// peek is take, without consuming them.
func (f *inflow) peek(n int) ([]byte, error) {
	if len(f.unread) < n {
		f.unread = f.memory[:copy(f.memory[:], f.unread)]
	}
	for len(f.unread) < n {
		k := len(f.unread)
		m, err := f.w.nc.Read(f.memory[k:])
		f.unread = f.memory[:k+m]
		if err != nil {
			if k+m > 0 {
				err = noEOF(err)
			}
			return nil, err
		}
	}
	return f.unread[:n], nil
}

// read is io.Reader.
func (f *inflow) read(p []byte) (int, error) {
	if len(f.unread) == 0 {
		if _, err := f.peek(1); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.unread)
	f.unread = f.unread[n:]
	return n, nil
}

// discard skips n bytes, and gives how many of them it has skipped.
func (f *inflow) discard(n int) (done int, err error) {
	for done < n {
		if len(f.unread) == 0 {
			if _, err := f.peek(1); err != nil {
				return done, err
			}
		}
		k := min(n-done, len(f.unread))
		f.unread = f.unread[k:]
		done += k
	}
	return done, nil
}

// gathering is a read of several fragments at once: the rest of the current one, and of further ones as they will come
// if the peer goes on as it does. Their headers go to memory of their own, so that the values lie one after the other
// in the caller's.
type gathering struct {
	pieces [2*maxAhead + 2][]byte
	heads  [maxAhead][dataHeaderLen]byte
}

// gather reads into p what the current fragment and those after it hold. Nothing is unread. It gives 0 bytes without an
// error where only a header has come, or something else than was predicted, which is unread then.
func (a *Association) gather(p []byte) (n int, err error) {
	g := &a.in.gathering
	v := g.pieces[:0]
	defer func() { clear(g.pieces[:]) }()
	n = min(len(p), a.pdvLeft)
	if n > 0 {
		v = append(v, p[:n])
	}
	total, k, ahead := n, n, 0
	switch whole := n == a.pdvLeft; {
	case whole && a.pduLeft == n && !a.value.Last && a.dataPDU > pdvHeaderLen:
		for k < len(p) && ahead < maxAhead && total < readAhead {
			next := min(a.dataPDU-pdvHeaderLen, len(p)-k)
			v = append(v, g.heads[ahead][:], p[k:k+next])
			ahead, k, total = ahead+1, k+next, total+dataHeaderLen+next
		}
	case whole:
		v = append(v, a.in.memory[:spare])
		total += spare
	}
	least := min(max(a.pdvLeft, a.bound, 1), total, awaited)
	came, lulled, err := a.w.readv(v, least)
	if err != nil {
		return 0, err
	}
	if lulled { // it doesn't keep to what its instance says, or is slow
		a.bound = 0
	}
	if n > 0 {
		n = min(n, came)
		a.consumed(n)
		came -= n
		v = v[1:]
	}
	for ; ahead > 0 && came >= dataHeaderLen && a.follows(v[0]); ahead-- {
		came -= dataHeaderLen
		k := min(came, a.pdvLeft, len(v[1]))
		a.consumed(k)
		n, came = n+k, came-k
		if k < len(v[1]) { // the peer's last fragment is shorter, or it isn't there whole
			v[1] = v[1][k:]
			v = v[1:]
			break
		}
		v = v[2:]
	}
	a.in.leave(v, came)
	return n, nil
}

// follows takes the header of a fragment that follows the current one in a PDU of its own, no longer than predicted.
// Anything else is false, for NextPDV to look at.
func (a *Association) follows(h []byte) bool {
	length, value := binary.BigEndian.Uint32(h[2:]), binary.BigEndian.Uint32(h[pduHeaderLen:])
	next := fragment(h[pduHeaderLen:])
	if PDUType(h[0]) != TypePDataTF || length > uint32(a.dataPDU) || value < 2 ||
		value != length-4 || next.Command || next.ContextID != a.value.ContextID {
		return false
	}
	if action := a.event(eventOf(TypePDataTF)); action != DT2 && action != AR6 {
		return false
	}
	if !next.Last {
		a.dataPDU = int(length)
	}
	a.value, a.pdvLeft, a.pduLeft = next, next.Len, next.Len
	return true
}

// consumed counts n bytes of the current value.
func (a *Association) consumed(n int) {
	a.pdvLeft -= n
	a.pduLeft -= n
	a.bound = max(0, a.bound-n)
}

// leave makes the first n bytes of the pieces what is unread.
func (f *inflow) leave(v [][]byte, n int) {
	b := f.memory[:0]
	if n > len(f.memory) {
		b = make([]byte, 0, n)
	}
	for ; n > len(b); v = v[1:] {
		b = append(b, v[0][:min(len(v[0]), n-len(b))]...)
	}
	f.unread = b
}
