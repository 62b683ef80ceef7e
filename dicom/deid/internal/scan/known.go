// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"bytes"
	"cmp"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Known is what is known of a patient before the first instance: names, IDs, numbers, addresses and birth dates that
// the scan looks for in each of the patient's instances. The zero value is nothing. It is the same in whatever order it
// was put together.
type Known struct {
	goes  []hint // what must not stay
	stays []hint // what the profile lets stay somewhere, and what is a machine's model or version
}

// hint is a value that somebody's header has.
type hint struct {
	nature nature
	vr     dict.VR
	hash   uint64
	value  string // as received
	terms  string // of the character set that it is read in
	of     dict.Tag
}

// What is known of a patient at most. Beyond that names and IDs of the patient count more than others, and of those the
// ones with the lower hashes: the same ones in any order.
const (
	maxHints = 512
	maxHint  = 256 // bytes of a value
)

// weights are the ranks of what is known.
var weights = [...]int{
	aBirthDate: 0, thePatient: 1, aNumber: 2, aName: 3, anAddress: 4, aMachine: 5, aModel: 6, aText: 7,
}

func (h *hint) compare(o *hint) int {
	return cmp.Or(
		cmp.Compare(weights[h.nature], weights[o.nature]), cmp.Compare(h.hash, o.hash),
		cmp.Compare(h.value, o.value), cmp.Compare(h.terms, o.terms), cmp.Compare(h.vr, o.vr),
	)
}

// Add adds what another instance of the patient tells.
func (k *Known) Add(more Known) {
	k.goes, k.stays = addHints(k.goes, more.goes), addHints(k.stays, more.stays)
}

func addHints(list, more []hint) []hint {
	for i := range more {
		list = addHint(list, more[i])
	}
	return list
}

func addHint(list []hint, h hint) []hint {
	i, found := slices.BinarySearchFunc(list, &h, func(x hint, h *hint) int { return x.compare(h) })
	switch {
	case found:
		list[i].of = min(list[i].of, h.of)
	case i < maxHints:
		list = slices.Insert(list, i, h)
		list = list[:min(len(list), maxHints)]
	}
	return list
}

// Reader reads what headers tell of a patient, for the scan of all of the patient's instances. Any number of goroutines
// may use it.
type Reader struct {
	p        *rules.Profile
	fallback *charset.Set
	free     sync.Pool // of scanners
}

// NewReader begins to read. fallback is what text is read in of an instance that declares no character set.
func NewReader(p *rules.Profile, fallback *charset.Set) *Reader {
	return &Reader{p: p, fallback: fallback}
}

func (r *Reader) scanner() *Scanner {
	if sc, ok := r.free.Get().(*Scanner); ok {
		return sc
	}
	sc := newScanner(Subject{Profile: r.p, Charsets: values.Charsets{}, Creators: values.Creators{}}, nil)
	sc.hints = &Known{}
	return sc
}

// Header returns what an instance's header tells. What of it can't be read tells nothing: it is named when the instance
// is de-identified.
func (r *Reader) Header(o *stream.Object) (Known, error) {
	h, in := o.Header(), o.Header().Bytes()
	enc := stream.EncodingOf(o.TransferSyntax())
	return r.read(in, enc, func(sets values.Charsets) *charset.Set {
		if h.Charset().IsASCII() && values.BeyondASCII(in) && !r.fallback.IsASCII() {
			return sets.Undeclared(h, r.fallback)
		}
		return values.ASCII
	})
}

// Answer returns what the answer to a search tells.
func (r *Reader) Answer(ds *stream.DataSet) (Known, error) {
	in, err := ds.Encode(dict.ExplicitVRLittleEndian)
	if err != nil {
		return Known{}, err
	}
	enc := stream.EncodingOf(dict.TransferSyntaxOf(dict.ExplicitVRLittleEndian))
	return r.read(in, enc, func(values.Charsets) *charset.Set { return values.ASCII })
}

// read reads a header; set gives what its text is read in where it declares nothing.
func (r *Reader) read(in []byte, enc stream.Encoding, set func(values.Charsets) *charset.Set) (Known, error) {
	sc := r.scanner()
	defer r.free.Put(sc)
	sc.begin("", set(sc.of.Charsets))
	*sc.hints = Known{}
	if _, err := sc.elements(in, &level{enc: enc, set: sc.read, hash: 1, top: true}, false); err != nil &&
		!errors.Is(err, errUnread) {
		return Known{}, err
	}
	return *sc.hints, nil
}

// hint notes a value for the other instances of the patient.
func (sc *Scanner) hint(value []byte, vr dict.VR, n nature, of dict.Tag, set *charset.Set, stays bool) {
	if sc.hints == nil || len(value) > maxHint {
		return
	}
	h := hint{nature: n, vr: vr, value: string(value), of: of}
	if set != nil && !set.IsASCII() && !values.PlainASCII(value) {
		h.terms = strings.Join(set.Terms(), `\`)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(value) // never fails
	if h.hash = sum.Sum64(); stays {
		sc.hints.stays = addHint(sc.hints.stays, h)
	} else {
		sc.hints.goes = addHint(sc.hints.goes, h)
	}
}

// knowledge is what is known of a patient, in the forms in which it is looked for. Nothing changes it.
type knowledge struct {
	words *index
	dates []dated
}

// knows makes what is known ready to be looked for; nil if it is nothing.
func knows(k *Known, sets values.Charsets) *knowledge {
	if k == nil || len(k.goes) == 0 {
		return nil
	}
	all := &knowledge{words: newIndex()}
	texts, models := map[string]struct{}{}, []string{}
	for i := range k.stays {
		h := &k.stays[i]
		if h.nature == aModel {
			models = appendModels(models, h.of, []byte(h.value))
			continue
		}
		for _, id := range identifying(decodeText([]byte(h.value), h.vr, sets.Of([]byte(h.terms))), h.nature) {
			texts[strings.ToLower(id.text)] = struct{}{}
		}
	}
	for i := range k.goes {
		h := &k.goes[i]
		if h.nature == aBirthDate {
			for one := range bytes.SplitSeq([]byte(h.value), []byte{'\\'}) {
				if day, ok := dayOf(one); ok {
					all.dates = append(all.dates, dated{day, h.of, false})
				}
			}
			continue
		}
		t := &taken{forms: formsOf([]byte(h.value), h.nature, sets.Of([]byte(h.terms)))}
		t.forms = slices.DeleteFunc(t.forms, func(f wordForm) bool {
			_, stays := texts[f.text]
			return stays || f.machine && isModel(models, f.text)
		})
		for i := range t.forms {
			t.forms[i].at = all.words.place(t.forms[i].bytes)
		}
		all.words.tell(told{t, h.of})
	}
	return all
}
