// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// heads makes the pieces that data sets are built of by hand.
type heads struct{ syn syntax }

func (h heads) element(tag dict.Tag, vr dict.VR, value string) []byte {
	return append(h.syn.appendHead(nil, tag, vr, uint32(len(value))), value...)
}

func (h heads) within(tag dict.Tag, vr dict.VR, defined bool, content ...[]byte) []byte {
	all := slices.Concat(content...)
	if defined {
		return append(h.syn.appendHead(nil, tag, vr, uint32(len(all))), all...)
	}
	end := dict.SequenceDelimitationTag
	if tag == dict.ItemTag {
		end = dict.ItemDelimitationTag
	}
	return slices.Concat(h.syn.appendHead(nil, tag, vr, undefined), all, h.delimiter(end))
}

func (h heads) delimiter(tag dict.Tag) []byte { return h.syn.appendHead(nil, tag, 0, 0) }

// TestStrayDelimiters: delimiters that end nothing go out as they came, at any place where others read over them. They
// are named where something is to be changed.
func TestStrayDelimiters(t *testing.T) {
	for _, syntax := range []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian,
	} {
		h := heads{syntaxOf(dict.TransferSyntaxOf(syntax))}
		first := h.element(dict.SOPClassUID, dict.UI, "1.2\x00")
		inner := h.element(dict.ReferencedSOPInstanceUID, dict.UI, "1.3\x00")
		patient := h.element(dict.PatientID, dict.LO, "4711")
		pixels := h.element(dict.PixelData, dict.OW, "12345678")
		itemEnd, sequenceEnd := h.delimiter(dict.ItemDelimitationTag), h.delimiter(dict.SequenceDelimitationTag)
		sequence := func(defined bool, items ...[]byte) []byte {
			return h.within(dict.ReferencedImageSequence, dict.SQ, defined, items...)
		}
		item := func(defined bool, elements ...[]byte) []byte { return h.within(dict.ItemTag, 0, defined, elements...) }
		plain := slices.Concat(first, sequence(true, item(true, inner)), patient)
		for name, c := range map[string]struct {
			in, want []byte
			body     bool // it stands in the body
		}{
			"item's at the end":                    {in: slices.Concat(plain, itemEnd), want: plain},
			"item's, alone":                        {in: itemEnd, want: nil},
			"item's at the beginning":              {in: slices.Concat(itemEnd, plain), want: plain},
			"sequence's at the end":                {in: slices.Concat(plain, sequenceEnd, itemEnd), want: plain},
			"item's within an item with a length":  {in: slices.Concat(first, sequence(true, item(true, inner, itemEnd)), patient), want: plain},
			"item's behind an item with a length":  {in: slices.Concat(first, sequence(true, item(true, inner), itemEnd), patient), want: plain},
			"item's, the sequence without length":  {in: slices.Concat(first, sequence(false, item(true, inner), itemEnd), patient), want: plain},
			"sequence's within one with a length":  {in: slices.Concat(first, sequence(true, item(false, inner), sequenceEnd), patient), want: plain},
			"sequence's behind one with a length":  {in: slices.Concat(first, sequence(true, item(true, inner)), sequenceEnd, patient), want: plain},
			"both":                                 {in: slices.Concat(first, sequence(true, item(true, inner, itemEnd), sequenceEnd), patient), want: plain},
			"sequence's within an undefined item":  {in: sequence(false, item(false, sequence(true, item(true, inner)), sequenceEnd, inner)), want: sequence(true, item(true, sequence(true, item(true, inner)), inner))},
			"item's behind pixel data":             {in: slices.Concat(plain, pixels, itemEnd), want: slices.Concat(plain, pixels), body: true},
			"between the header's end and padding": {in: slices.Concat(plain, itemEnd, h.element(0x00191001, dict.UN, "odd"), []byte{0}), want: slices.Concat(plain, h.element(0x00191001, dict.UN, "odd"))},
		} {
			t.Run(syntax+"/"+name, func(t *testing.T) {
				for _, r := range []io.Reader{bytes.NewReader(c.in), iotest.OneByteReader(bytes.NewReader(c.in))} {
					o, err := Open(r, syntax, Limits{})
					require.NoError(t, err)
					out, err := io.ReadAll(o)
					require.NoError(t, err)
					require.Equal(t, c.in, out)
					require.NoError(t, o.Close())
				}
				got, err := ParseDataSet(c.in, syntax, Limits{})
				require.NoError(t, err)
				want, err := ParseDataSet(c.want, syntax, Limits{})
				require.NoError(t, err)
				require.Equal(t, want, got)

				for what, change := range map[string]func(o *Object) error{
					"an edit": func(o *Object) error { return o.Header().SetText(dict.PatientID, "new") },
					"a rewrite": func(o *Object) error {
						return o.Rewrite(func(in, out []byte) ([]byte, error) { return append(out, in...), nil })
					},
					"a filter":     func(o *Object) error { return o.FilterBody(unchanged{}) },
					"a conversion": func(o *Object) error { return o.ConvertTo(other(syntax)) },
				} {
					o, err := Open(bytes.NewReader(c.in), syntax, Limits{})
					require.NoError(t, err)
					err = change(o)
					if c.body {
						require.NoError(t, err, what)
						_, err = io.ReadAll(o)
					}
					require.ErrorIs(t, err, ErrMalformed, what)
					require.ErrorContains(t, err, "is a delimiter that ends nothing", what)
					require.NoError(t, o.Close())
				}
			})
		}
	}
}

// other returns a syntax that a data set can be converted to.
func other(syntax string) string {
	if syntax == dict.ExplicitVRLittleEndian {
		return dict.ImplicitVRLittleEndian
	}
	return dict.ExplicitVRLittleEndian
}

// TestNullByteBehindOdd: the NULL byte that makes an odd data set even on the wire goes out as it came. It is gone
// where something is changed, for which it may not be needed any more.
func TestNullByteBehindOdd(t *testing.T) {
	for _, syntax := range []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian,
	} {
		h := heads{syntaxOf(dict.TransferSyntaxOf(syntax))}
		odd := h.element(0x00191001, dict.UN, "odd")
		class := h.element(dict.SOPClassUID, dict.UI, "1.2\x00")
		for name, in := range map[string][]byte{
			"in the header": slices.Concat(class, odd),
			"in the body":   slices.Concat(class, h.element(dict.PixelData, dict.OB, "123")),
			"before it":     slices.Concat(odd, h.element(dict.PixelData, dict.OB, "1234")),
		} {
			t.Run(syntax+"/"+name, func(t *testing.T) {
				padded := append(bytes.Clone(in), 0)
				require.Zero(t, len(padded)%2)
				out, err := through(padded, syntax)
				require.NoError(t, err)
				require.Equal(t, padded, out)
				want, err := ParseDataSet(in, syntax, Limits{})
				require.NoError(t, err)
				got, err := ParseDataSet(padded, syntax, Limits{})
				require.NoError(t, err)
				require.Equal(t, want, got)

				for what, change := range map[string]func(o *Object) error{
					"an edit": func(o *Object) error { return o.Header().Set(dict.SOPClassUID, dict.UI, []byte("1.2")) },
					"a rewrite": func(o *Object) error {
						return o.Rewrite(func(in, out []byte) ([]byte, error) { return append(out, in...), nil })
					},
					"a filter":     func(o *Object) error { return o.FilterBody(unchanged{}) },
					"a conversion": func(o *Object) error { return o.ConvertTo(other(syntax)) },
				} {
					changed := func(b []byte) []byte {
						o, err := Open(bytes.NewReader(b), syntax, Limits{})
						require.NoError(t, err)
						require.NoError(t, change(o), what)
						out, err := io.ReadAll(o)
						require.NoError(t, err, what)
						require.NoError(t, o.Close())
						return out
					}
					require.Equal(t, changed(in), changed(padded), what)
				}

				for _, bad := range [][]byte{{1}, {0, 0}, {0, 0, 0}} {
					_, err := through(append(bytes.Clone(in), bad...), syntax)
					require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%x", bad)
				}
			})
		}
	}
	h := heads{}
	_, err := through(append(h.element(dict.SOPClassUID, dict.UI, "1.2\x00"), 0), dict.ExplicitVRLittleEndian)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "an even data set needs none")
}

// TestReadAhead: what was read ahead goes out first, in whatever way the object is read then.
func TestReadAhead(t *testing.T) {
	for _, syntax := range []string{dict.ExplicitVRLittleEndian, dict.DeflatedExplicitVRLittleEndian} {
		for _, size := range []int{100, 3 << 20} {
			d := sample()
			d.SetBytes(dict.PixelData, dict.OW, pseudoRandom(size))
			in, err := d.Encode(syntax)
			require.NoError(t, err)
			for name, read := range map[string]func(o *Object) ([]byte, error){
				"read":     func(o *Object) ([]byte, error) { return io.ReadAll(struct{ io.Reader }{o}) },
				"one byte": func(o *Object) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(o)) },
				"write to": func(o *Object) ([]byte, error) {
					var b bytes.Buffer
					_, err := o.WriteTo(&b)
					return b.Bytes(), err
				},
				"write whole": func(o *Object) ([]byte, error) {
					var b wholeBuffer
					err := o.WriteWhole(&b)
					return b.Bytes(), err
				},
				"read, then write": func(o *Object) ([]byte, error) {
					b := bytes.NewBuffer(make([]byte, 10))
					_, err := io.ReadFull(o, b.Bytes())
					require.NoError(t, err)
					_, err = o.WriteTo(b)
					return b.Bytes(), err
				},
			} {
				for _, src := range []io.Reader{bytes.NewReader(in), iotest.HalfReader(bytes.NewReader(in))} {
					o, err := Open(src, syntax, Limits{})
					require.NoError(t, err)
					o.ReadAhead()
					o.ReadAhead()
					out, err := read(o)
					require.NoError(t, err)
					require.True(t, bytes.Equal(in, out), "%s %d %s", syntax, size, name)
					require.NoError(t, o.Close())
				}
			}
		}
	}
}

// wholeBuffer is a RestWriter.
type wholeBuffer struct{ bytes.Buffer }

func (b *wholeBuffer) WriteRest(pieces ...[]byte) error {
	for _, p := range pieces {
		b.Write(p)
	}
	return nil
}

// pseudoRandom returns bytes that deflate badly.
func pseudoRandom(n int) []byte {
	b := make([]byte, n)
	x := uint32(4711)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}
