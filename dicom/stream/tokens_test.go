// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// TestTokens holds the tokens of the corpus against what ParseDataSet makes of the same bytes, and sees that the
// heads, values and ends cover the header without a gap.
func TestTokens(t *testing.T) {
	for _, f := range corpus(t) {
		if !f.pass || dict.TransferSyntaxOf(f.syntax).BigEndian {
			continue
		}
		o, err := Open(bytes.NewReader(f.dataSet), f.syntax, Limits{})
		require.NoError(t, err, f.path)
		var got []string
		at, open := 0, 0
		for k := range o.Header().Tokens() {
			require.Equal(t, at, k.Start, f.path)
			at = k.End
			switch k.Kind {
			case ValueToken:
				got = append(got, line(k.Path, k.Tag, o.s.buf[k.Value:k.End]))
			case SequenceToken, ItemToken, FragmentsToken:
				open++
			case EndToken:
				open--
			}
		}
		require.Equal(t, o.header.end, at, f.path)
		require.Zero(t, open, f.path)

		d, err := ParseDataSet(f.dataSet, f.syntax, Limits{})
		require.NoError(t, err, f.path)
		var want []string
		flatten(d, []dict.Tag{}, o.header.bodyTag(), &want)
		slices.Sort(want)
		slices.Sort(got)
		// some files repeat an element, a DataSet does not
		require.Equal(t, slices.Compact(want), slices.Compact(got), f.path)
		require.NoError(t, o.Close())
	}
}

// TestTokensAt: of a file, the tokens are those of its header, and those of the body cover all that follows.
func TestTokensAt(t *testing.T) {
	for _, f := range corpus(t) {
		ts := dict.TransferSyntaxOf(f.syntax)
		at, end, failed := 0, len(f.dataSet), error(nil)
		var got []string
		for k, err := range TokensAt(bytes.NewReader(f.dataSet), int64(end), f.syntax, Limits{}) {
			if err != nil {
				failed = err
				break
			}
			require.Equal(t, at, k.Start, f.path)
			at = k.End
			got = append(got, fmt.Sprint(k))
		}
		if !f.pass || ts.Deflated {
			require.Error(t, failed, f.path)
			continue
		}
		require.NoError(t, failed, f.path)
		require.Equal(t, end, at+(end-at)%2, "%s: a byte may pad it", f.path)
		o, err := Open(bytes.NewReader(f.dataSet), f.syntax, Limits{})
		require.NoError(t, err)
		i := 0
		for k := range o.Header().Tokens() {
			require.Equal(t, fmt.Sprint(k), got[i], f.path)
			i++
		}
		require.NoError(t, o.Close())
	}
}

// TestTokensAtStops: who wants no more isn't asked again, and a file that is cut says so.
func TestTokensAtStops(t *testing.T) {
	b := withPixels(t, sample(), dict.ExplicitVRLittleEndian, 64)
	for range TokensAt(bytes.NewReader(b), int64(len(b)), dict.ExplicitVRLittleEndian, Limits{}) {
		break
	}
	for n := range b {
		var last error
		for _, err := range TokensAt(bytes.NewReader(b[:n]), int64(n), dict.ExplicitVRLittleEndian, Limits{}) {
			require.NoError(t, last)
			last = err
		}
		_, want := through(b[:n], dict.ExplicitVRLittleEndian)
		require.Equal(t, want == nil, last == nil, "%d bytes: %v, %v", n, want, last)
		last = nil
		for _, err := range TokensAt(bytes.NewReader(b[:n]), int64(len(b)), dict.ExplicitVRLittleEndian, Limits{}) {
			last = err
		}
		require.ErrorIs(t, last, io.ErrUnexpectedEOF)
	}
}

func line(path []dict.Tag, tag dict.Tag, value []byte) string {
	return fmt.Sprintf("%v %s %d bytes, sum %x", path, tag, len(value), crc32.ChecksumIEEE(value))
}

func flatten(d *DataSet, path []dict.Tag, end dict.Tag, list *[]string) {
	for e := range d.All() {
		if len(path) == 0 && e.Tag >= end {
			return
		}
		if e.VR == dict.SQ {
			for _, item := range e.Items {
				flatten(item, append(slices.Clip(path), e.Tag), end, list)
			}
			continue
		}
		*list = append(*list, line(path, e.Tag, e.Value))
	}
}

// TestTokensOfContainers has each way in which a container can end.
func TestTokensOfContainers(t *testing.T) {
	syn := syntax{}
	b := syn.appendHead(nil, dict.ReferencedImageSequence, dict.SQ, 8+10)
	b = syn.appendHead(b, dict.ItemTag, 0, 10)
	b = append(syn.appendHead(b, dict.PatientID, dict.LO, 2), "1 "...)
	b = syn.appendHead(b, dict.SourceImageSequence, dict.SQ, undefined)
	b = syn.appendHead(b, dict.ItemTag, 0, undefined)
	b = syn.appendHead(b, dict.ProcedureCodeSequence, dict.SQ, 0)
	b = syn.appendHead(b, dict.ItemDelimitationTag, 0, 0)
	b = syn.appendHead(b, dict.SequenceDelimitationTag, 0, 0)
	o, err := Open(bytes.NewReader(b), dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	defer o.Close()
	var got []string
	names := []string{"value", "sequence", "fragments", "item", "fragment", "end"}
	for k := range o.Header().Tokens() {
		tag := k.Tag.Keyword()
		if k.Tag == 0 {
			tag = "by length"
		}
		got = append(got, fmt.Sprintf(
			"%s%s %s %d", strings.Repeat(".", len(k.Path)), names[k.Kind], tag, k.End-k.Start,
		))
	}
	require.Equal(t, []string{
		"sequence ReferencedImageSequence 12",
		".item Item 8",
		".value PatientID 10",
		".end by length 0",
		"end by length 0",
		"sequence SourceImageSequence 12",
		".item Item 8",
		".sequence ProcedureCodeSequence 12",
		".end by length 0",
		".end ItemDelimitationItem 8",
		"end SequenceDelimitationItem 8",
	}, got)
}
