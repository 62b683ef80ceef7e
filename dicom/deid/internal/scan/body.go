// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"maps"
	"slices"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/stream"
)

// Body is the scan of what goes out behind the header, piece by piece. It knows what the header tells, and each piece
// up to now. Most instances have nothing there but pixel data: only what goes out beside them makes a scanner.
type Body struct {
	of    Subject
	known *knowledge
	sc    *Scanner // nil: not yet
	told  Scanner  // what the header tells, and nothing else
	tell  []told   // of that, the words
	uids  []uidSlot
	out   *charset.Set // what the new text is encoded in; nil: as the original

	under  stream.Head // a large value that passes
	tail   []byte      // its last bytes
	passed []Finding   // what was found in the first with a finding
}

// Body begins the scan of the body of the instance whose header was scanned last; utf8 says that its text moves to
// ISO_IR 192.
func (sc *Scanner) Body(utf8 bool) *Body {
	b := &Body{of: sc.of, known: sc.known, told: Scanner{
		seed: sc.seed, read: sc.read, class: sc.class, dates: slices.Clone(sc.dates),
		texts: sc.texts, models: slices.Clone(sc.models),
	}, tell: slices.Clone(sc.words.now)}
	for i := range sc.uids.slots {
		if u := sc.uids.slots[i]; u.of != 0 {
			b.uids = append(b.uids, u)
		}
	}
	if utf8 {
		b.out, _ = charset.New([]string{charset.UTF8}) // it is defined
	}
	return b
}

// scanner returns the scanner of the body.
func (b *Body) scanner() *Scanner {
	if b.sc == nil {
		sc, t := newScanner(b.of, b.known), &b.told
		sc.words, sc.seed, sc.read, sc.class, sc.dates, sc.texts, sc.models = copyOf(b.tell), t.seed, t.read,
			t.class, t.dates, maps.Clone(t.texts), t.models
		sc.uids.reset()
		for _, u := range b.uids {
			sc.uids.put(u.hash, u.of, u.stays)
		}
		b.sc = sc
	}
	return b.sc
}

// Piece looks at an element with this head, or at the n-th item of a sequence, and at what becomes of it. Either may be
// missing. enc and set are those of the data set. The findings are valid until the next piece.
func (b *Body) Piece(h stream.Head, n int, in, out []byte, enc stream.Encoding, set *charset.Set) ([]Finding, error) {
	sc := b.scanner()
	sc.found, sc.must, sc.next = sc.found[:0], sc.must[:0], 0
	for i, piece := range [][]byte{in, out} {
		sc.out, sc.ways[i].at, sc.path, sc.blocks, sc.first = i == 1, 0, sc.path[:0], sc.blocks[:0], n
		lv := level{enc: enc, set: set, hash: 1, top: true}
		if sc.out && b.out != nil {
			lv.set = b.out
		}
		var err error
		switch {
		case len(piece) == 0:
		case n > 0:
			item := h
			item.Length = uint32(len(piece))
			_, err = sc.items(piece, item, sc.factOf(item), &lv)
		default:
			_, err = sc.elements(piece, &lv, false)
		}
		if sc.first = 0; err != nil {
			return nil, err
		}
	}
	if sc.words.forms > mostForms {
		return nil, errManyIdentifiers
	}
	return sc.found, nil
}

// seam is how many bytes of a large value are looked at together with those that follow.
const seam = 256

// Begin begins a large value that passes.
func (b *Body) Begin(h stream.Head) { b.under, b.tail = h, b.tail[:0] }

// Pass looks at the next bytes of a large value.
func (b *Body) Pass(p []byte) {
	sc := b.scanner()
	sc.found, sc.path = sc.found[:0], sc.path[:0]
	vr := sc.factOf(b.under).vrOf(b.under)
	if len(b.tail) > 0 {
		sc.look(b.under.Tag, vr, append(b.tail, p[:min(len(p), seam)]...), nil)
	}
	sc.look(b.under.Tag, vr, p, nil)
	b.tail = append(b.tail, p[max(0, len(p)-seam):]...)
	b.tail = append(b.tail[:0], b.tail[max(0, len(b.tail)-seam):]...)
	if len(b.passed) == 0 {
		b.passed = slices.Clone(sc.found)
	}
}

// Passed returns what was found in large values that passed: of the first that holds something.
func (b *Body) Passed() []Finding { return b.passed }
