// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// benchCT is a CT of half a megabyte with 150 attributes, and 60 tags of it to rewrite.
func benchCT(b *testing.B, syntax string) (in []byte, tags []dict.Tag) {
	b.Helper()
	d := sample()
	for t := dict.AcquisitionDate; d.Len() < 150; t++ {
		if e, ok := dict.Lookup(t); ok && e.VR.MultiValued() && !d.Has(t) && t != dict.SpecificCharacterSet {
			d.Set(t, "1.2.3.4.5.6.7")
			if len(tags) < 60 {
				tags = append(tags, t)
			}
		}
	}
	return withPixels(b, d, syntax, 512*512*2), tags
}

// BenchmarkRewrite sets 60 attributes of a CT. Its measure is BenchmarkCopy.
func BenchmarkRewrite(b *testing.B) {
	for name, syntax := range map[string]string{"explicit": dict.ExplicitVRLittleEndian, "implicit": dict.ImplicitVRLittleEndian} {
		b.Run(name, func(b *testing.B) {
			in, tags := benchCT(b, syntax)
			out := make([]byte, len(in)+1000)
			value := []byte("2.25.12345678")
			r := bytes.NewReader(nil)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(in)
				o, err := Open(r, syntax, Limits{})
				require.NoError(b, err)
				for _, t := range tags {
					if err := o.Header().Set(t, dict.LO, value); err != nil {
						b.Fatal(err)
					}
				}
				for n, err := 0, error(nil); !atEnd(err); {
					var m int
					m, err = o.Read(out[n:])
					if err != nil && !atEnd(err) {
						b.Fatal(err)
					}
					n += m
				}
				_ = o.Close()
			}
		})
	}
}

func BenchmarkPassThrough(b *testing.B) {
	in, _ := benchCT(b, dict.ExplicitVRLittleEndian)
	out := make([]byte, len(in)+1)
	r := bytes.NewReader(nil)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(in)
		o, err := Open(r, dict.ExplicitVRLittleEndian, Limits{})
		require.NoError(b, err)
		for n, err := 0, error(nil); !atEnd(err); {
			var m int
			m, err = o.Read(out[n:])
			n += m
		}
		_ = o.Close()
	}
}

func BenchmarkCopy(b *testing.B) {
	in, _ := benchCT(b, dict.ExplicitVRLittleEndian)
	out := make([]byte, len(in))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		copy(out, in)
	}
}
