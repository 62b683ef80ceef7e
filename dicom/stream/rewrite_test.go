// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// TestRewrite replaces the header as a whole, in each syntax, and on the way into another.
func TestRewrite(t *testing.T) {
	syntaxes := []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian,
	}
	for _, from := range syntaxes {
		for _, to := range []string{from, dict.ExplicitVRLittleEndian} {
			d := sample()
			d.SetBytes(dict.PixelData, dict.OW, make([]byte, 100_000))
			in, err := d.Encode(from)
			require.NoError(t, err)
			o, err := Open(bytes.NewReader(in), from, Limits{})
			require.NoError(t, err)
			require.NoError(t, o.ConvertTo(to))
			enc := EncodingOf(o.TransferSyntax())
			require.NoError(t, o.Rewrite(func(in, out []byte) ([]byte, error) {
				for len(in) > 0 {
					h, ok := enc.Head(in)
					require.True(t, ok)
					n := h.Size + int(h.Length)
					if h.Tag != dict.PatientName {
						out = append(out, in[:n]...)
					} else {
						out = append(enc.AppendHead(out, h.Tag, dict.PN, 4), "Anon"...)
					}
					in = in[n:]
				}
				return out, nil
			}))
			require.Equal(t, "Anon", o.Header().Text(dict.PatientName))
			require.NoError(t, o.Header().SetText(dict.PatientID, "after"))
			require.ErrorIs(t, o.Rewrite(func(_, out []byte) ([]byte, error) { return out, nil }), errRewritten)
			out, err := io.ReadAll(o)
			require.NoError(t, err)
			require.NoError(t, o.Close())
			got, err := ParseDataSet(out, to, Limits{})
			require.NoError(t, err)
			d.Set(dict.PatientName, "Anon")
			d.Set(dict.PatientID, "after")
			want, err := d.Encode(dict.ExplicitVRLittleEndian)
			require.NoError(t, err)
			b, err := got.Encode(dict.ExplicitVRLittleEndian)
			require.NoError(t, err)
			require.Equal(t, want, b)
		}
	}
}

// TestRewriteUnsound: a header that isn't one is not taken, and the object stays what it was.
func TestRewriteUnsound(t *testing.T) {
	d := sample()
	d.SetBytes(dict.PixelData, dict.OW, []byte{1, 2})
	in, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		header string
		err    error
	}{
		"cut in head":       {"\x08\x00", ErrMalformed},
		"cut in value":      {"\x08\x00\x05\x00CS\x08\x00ISO", ErrMalformed},
		"open sequence":     {"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff", io.ErrUnexpectedEOF},
		"out of order":      {"\x10\x00\x20\x00LO\x00\x00\x08\x00\x05\x00CS\x00\x00", ErrMalformed},
		"behind the pixels": {"\xe1\x7f\x10\x00LO\x00\x00", errBehind},
	} {
		o, err := Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, Limits{})
		require.NoError(t, err)
		err = o.Rewrite(func(_, out []byte) ([]byte, error) { return append(out, c.header...), nil })
		require.ErrorIs(t, err, c.err, name)
		require.NoError(t, o.Close())
	}
	o, err := Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	defer o.Close()
	no := errors.New("no")
	require.ErrorIs(t, o.Rewrite(func(_, _ []byte) ([]byte, error) { return nil, no }), no)
	out, err := io.ReadAll(o)
	require.NoError(t, err)
	require.Equal(t, in, out)
}

// keeps is a filter that leaves elements out.
type keeps func(Head) (bool, error)

func (k keeps) Element(h Head, out []byte) ([]byte, Fate, error) {
	kept, err := k(h)
	if !kept {
		return out, Drop, err
	}
	return out, Pass, err
}
func (keeps) Part(_, out []byte) ([]byte, error) { return out, nil }
func (keeps) Value([]byte)                       {}
func (keeps) End(out []byte) ([]byte, error)     { return out, nil }

// TestFilterBody leaves elements out behind the header, whatever the pieces that they come and are read in.
func TestFilterBody(t *testing.T) {
	d := sample()
	item := &DataSet{}
	item.Set(dict.PatientName, "Doe^Jane")
	d.SetBytes(dict.PixelData, dict.OW, bytes.Repeat([]byte{1, 2, 3, 4}, 5000))
	d.SetVR(0x7FE10010, dict.LO, "CREATOR")
	d.SetSequence(0x7FE11010, item, item)
	d.SetBytes(0xFFFCFFFC, dict.OB, make([]byte, 100))
	for _, syntax := range []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian,
	} {
		in, err := d.Encode(syntax)
		require.NoError(t, err)
		for _, piece := range []int{1, 5, 13, 1 << 20} {
			o, err := Open(slow{bytes.NewReader(in), piece}, syntax, Limits{})
			require.NoError(t, err)
			body, ok := o.Body()
			require.True(t, ok)
			require.Equal(t, dict.PixelData, body.Tag)
			var asked []dict.Tag
			require.NoError(t, o.FilterBody(keeps(func(h Head) (bool, error) {
				asked = append(asked, h.Tag)
				return h.Tag == dict.PixelData || h.Tag == 0x7FE10010, nil
			})))
			out, err := io.ReadAll(slow{o, piece})
			require.NoError(t, err)
			require.NoError(t, o.Close())
			require.Equal(t, []dict.Tag{dict.PixelData, 0x7FE10010, 0x7FE11010, 0xFFFCFFFC}, asked)
			got, err := ParseDataSet(out, syntax, Limits{})
			require.NoError(t, err)
			require.False(t, got.Has(0x7FE11010))
			require.False(t, got.Has(0xFFFCFFFC))
			require.True(t, got.Has(0x7FE10010))
			px, _ := got.Get(dict.PixelData)
			want, _ := d.Get(dict.PixelData)
			require.Equal(t, want.Value, px.Value)
		}
	}
}

// TestFilterBodyCut: input that ends early is an error wherever it ends, in what is left out too.
func TestFilterBodyCut(t *testing.T) {
	d := sample()
	d.SetBytes(dict.PixelData, dict.OW, []byte{1, 2, 3, 4})
	whole, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	d.SetBytes(0xFFFCFFFC, dict.OB, make([]byte, 20))
	in, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	no := errors.New("no")
	for end := len(whole) - 4; end <= len(in); end++ {
		o, err := Open(bytes.NewReader(in[:end]), dict.ExplicitVRLittleEndian, Limits{})
		require.NoError(t, err)
		require.NoError(t, o.FilterBody(keeps(func(h Head) (bool, error) { return h.Tag == dict.PixelData, nil })))
		out, err := io.ReadAll(o)
		if end == len(whole) || end == len(in) { // a cut between elements can't be seen
			require.NoError(t, err)
			require.Equal(t, whole, out)
		} else {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d", end)
		}
		require.NoError(t, o.Close())
	}
	o, err := Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	defer o.Close()
	require.NoError(t, o.FilterBody(keeps(func(h Head) (bool, error) { return true, no })))
	_, err = io.ReadAll(o)
	require.ErrorIs(t, err, no)
	require.True(t, slices.Contains([]error{errReading}, o.FilterBody(nil)))
}

// renames is a filter that has everything held, by item or whole, and appends to the tag of each part.
type renames struct {
	fate func(Head) Fate
	seen []string
}

func (r *renames) Element(h Head, out []byte) ([]byte, Fate, error) {
	r.seen = append(r.seen, h.Tag.String())
	return out, r.fate(h), nil
}

func (r *renames) Part(in, out []byte) ([]byte, error) {
	r.seen = append(r.seen, fmt.Sprintf("part of %d", len(in)))
	return append(out, in...), nil
}

func (r *renames) Value(p []byte) {
	for i := range p {
		p[i] = ^p[i]
	}
}

func (r *renames) End(out []byte) ([]byte, error) {
	r.seen = append(r.seen, "end")
	return out, nil
}

// TestFilterBodyParts: parts come whole, however their bytes arrive, and an end that comes too early is an error.
func TestFilterBodyParts(t *testing.T) {
	item := &DataSet{}
	item.Set(dict.PatientComments, strings.Repeat("comment ", 100))
	item.SetSequence(dict.ReferencedImageSequence, &DataSet{}, sample())
	d := sample()
	d.SetSequence(dict.SharedFunctionalGroupsSequence)
	d.SetSequence(dict.PerFrameFunctionalGroupsSequence, item, &DataSet{}, item)
	d.SetBytes(0x54000110, dict.OW, bytes.Repeat([]byte{1, 2, 3, 4}, 450))
	d.SetBytes(dict.PixelData, dict.OW, bytes.Repeat([]byte{1, 2, 3, 4}, 5000))
	d.SetBytes(dict.DataSetTrailingPadding, dict.OB, make([]byte, 20))
	fate := func(h Head) Fate {
		switch {
		case h.Content == Items:
			return ByItem
		case h.Tag == dict.PixelData:
			return Change
		}
		return Whole
	}
	for _, syntax := range []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian,
	} {
		in, err := d.Encode(syntax)
		require.NoError(t, err)
		lim := Limits{Header: 2000}
		var want []byte
		for _, piece := range []int{1 << 20, 1, 7, 4000} {
			o, err := Open(slow{bytes.NewReader(in), piece}, syntax, lim)
			require.NoError(t, err)
			r := &renames{fate: fate}
			require.NoError(t, o.FilterBody(r))
			out, err := io.ReadAll(slow{o, piece})
			require.NoError(t, err)
			require.NoError(t, o.Close())
			require.Len(t, r.seen, 10)
			require.Equal(t, "end", r.seen[9])
			if want == nil {
				want = out
			}
			require.True(t, bytes.Equal(want, out), "%d", piece)
		}
		got, err := ParseDataSet(want, syntax, Limits{})
		require.NoError(t, err)
		px, _ := got.Get(dict.PixelData)
		require.Equal(t, bytes.Repeat([]byte{^byte(1), ^byte(2), ^byte(3), ^byte(4)}, 5000), px.Value)
		for i := range px.Value {
			px.Value[i] = ^px.Value[i]
		}
		b, err := got.Encode(syntax)
		require.NoError(t, err)
		require.True(t, bytes.Equal(in, b))

		cuts := 0
		for end := len(in) - 1; end > 2000; end -= 37 {
			o, err := Open(bytes.NewReader(in[:end]), syntax, lim)
			require.NoError(t, err)
			require.NoError(t, o.FilterBody(&renames{fate: fate}))
			if _, err = io.Copy(io.Discard, o); err != nil { // a cut between elements can't be seen
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d", end)
				cuts++
			}
			require.NoError(t, o.Close())
		}
		require.Positive(t, cuts)
	}
	in, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	for name, limit := range map[string]int{"an item": 1000, "a value": 1700} {
		o, err := Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, Limits{Header: limit})
		require.NoError(t, err)
		require.NoError(t, o.FilterBody(&renames{fate: fate}))
		_, err = io.ReadAll(o)
		require.ErrorIs(t, err, ErrTooLarge, name)
		require.NoError(t, o.Close())
	}
}

// slow reads at most n bytes at a time.
type slow struct {
	r io.Reader
	n int
}

func (s slow) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }
