// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package deid

import (
	"maps"
	"slices"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/stream"
)

// bodyScan is the scan of what goes out behind the header, piece by piece. It knows what the header tells, and each piece up to now. Most objects have
// nothing there but pixel data: only what goes out beside them makes a scanner.
type bodyScan struct {
	s    *Session
	sc   *scanner // nil: not yet
	told scanner  // what the header tells, and nothing else
	uids []uidSlot
	uid  string
	out  *charset.Set // what the new text is encoded in; nil: as the original

	under stream.Head // a large value that passes
	tail  []byte      // its last bytes
	err   error       // what was found in one
}

// bodyScanner begins the scan of the body of the object whose header was scanned last.
func (s *Session) bodyScanner(uid string) *bodyScan {
	sc := s.scan
	b := &bodyScan{s: s, uid: uid, told: scanner{
		words: sc.words, seed: sc.seed, read: sc.read, class: sc.class, dates: slices.Clone(sc.dates), texts: sc.texts, models: slices.Clone(sc.models),
	}}
	for i := range sc.uids.slots {
		if u := sc.uids.slots[i]; u.of != 0 {
			b.uids = append(b.uids, u)
		}
	}
	if s.w.utf8 {
		b.out, _ = charset.New([]string{charset.UTF8}) // it is defined
	}
	return b
}

// scanner gives the scanner of the body.
func (b *bodyScan) scanner() *scanner {
	if b.sc == nil {
		sc, t := newScanner(b.s), &b.told
		sc.words, sc.seed, sc.read, sc.class, sc.dates, sc.texts, sc.models = t.words, t.seed, t.read, t.class, t.dates, maps.Clone(t.texts), t.models
		sc.uids.reset()
		for _, u := range b.uids {
			sc.uids.put(u.hash, u.of, u.stays)
		}
		b.sc = sc
	}
	return b.sc
}

// piece looks at an element, or at the n-th item of a sequence, and at what becomes of it. Either may be missing.
func (b *bodyScan) piece(e *elem, n int, in, out []byte, top *level) error {
	sc := b.scanner()
	sc.found, sc.must, sc.next = sc.found[:0], sc.must[:0], 0
	for i, piece := range [][]byte{in, out} {
		sc.out, sc.ways[i].at, sc.path, sc.blocks, sc.first = i == 1, 0, sc.path[:0], sc.blocks[:0], n
		lv := scanLevel{enc: top.enc, set: top.set, hash: 1, top: true}
		if sc.out && b.out != nil {
			lv.set = b.out
		}
		var err error
		switch {
		case len(piece) == 0:
		case n > 0:
			h := e.Head
			h.Length = uint32(len(piece))
			_, err = sc.items(piece, h, sc.factOf(h), &lv)
		default:
			_, err = sc.elements(piece, &lv, false)
		}
		if sc.first = 0; err != nil {
			return err
		}
	}
	if len(sc.words.list) > mostForms {
		return errManyIdentifiers
	}
	return shout(sc.found, b.uid)
}

// seam is how many bytes of a large value are looked at together with those that follow.
const seam = 256

// begin begins a large value that passes.
func (b *bodyScan) begin(h stream.Head) { b.under, b.tail = h, b.tail[:0] }

// pass looks at the next bytes of a large value.
func (b *bodyScan) pass(p []byte) {
	sc := b.scanner()
	sc.found, sc.path = sc.found[:0], sc.path[:0]
	vr := sc.factOf(b.under).vrOf(b.under)
	if len(b.tail) > 0 {
		sc.look(b.under.Tag, vr, append(b.tail, p[:min(len(p), seam)]...), nil)
	}
	sc.look(b.under.Tag, vr, p, nil)
	b.tail = append(b.tail, p[max(0, len(p)-seam):]...)
	b.tail = append(b.tail[:0], b.tail[max(0, len(b.tail)-seam):]...)
	if b.err == nil {
		b.err = shout(sc.found, b.uid)
	}
}
