// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

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

// passage takes a CT through an Object into memory: as it is, with 60 attributes rewritten, or into another syntax.
type passage struct {
	in, out  []byte
	from, to string
	tags     []dict.Tag
	r        bytes.Reader
}

func newPassage(b *testing.B, from, to string, rewrite bool) *passage {
	in, tags := benchCT(b, from)
	if !rewrite {
		tags = nil
	}
	return &passage{in: in, out: make([]byte, len(in)+2000), from: from, to: to, tags: tags}
}

var benchValue = []byte("2.25.12345678")

func (p *passage) run() error {
	p.r.Reset(p.in)
	o, err := Open(&p.r, p.from, Limits{})
	if err != nil {
		return err
	}
	defer o.Close()
	if err := o.ConvertTo(p.to); err != nil {
		return err
	}
	for _, t := range p.tags {
		if err := o.Header().Set(t, dict.LO, benchValue); err != nil {
			return err
		}
	}
	for n := 0; ; {
		m, err := o.Read(p.out[n:])
		n += m
		if atEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *passage) copy() error {
	copy(p.out, p.in)
	return nil
}

// BenchmarkRatios runs the passages and a plain copy of the same bytes in turn, and prints the median of the copy and
// how many times as long the others take.
func BenchmarkRatios(b *testing.B) {
	explicit, implicit, big := dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, dict.ExplicitVRBigEndian
	runs := []struct {
		name string
		run  func() error
		took []time.Duration
	}{
		{name: "copy", run: newPassage(b, explicit, explicit, false).copy},
		{name: "pass", run: newPassage(b, explicit, explicit, false).run},
		{name: "rewrite", run: newPassage(b, explicit, explicit, true).run},
		{name: "rewrite-implicit", run: newPassage(b, implicit, implicit, true).run},
		{name: "to-implicit", run: newPassage(b, explicit, implicit, false).run},
		{name: "to-explicit", run: newPassage(b, implicit, explicit, false).run},
		{name: "from-big", run: newPassage(b, big, explicit, false).run},
	}
	for b.Loop() {
		for i := range runs {
			begin := time.Now()
			err := runs[i].run()
			runs[i].took = append(runs[i].took, time.Since(begin))
			require.NoError(b, err)
		}
	}
	median := func(i int) float64 {
		slices.Sort(runs[i].took)
		return float64(runs[i].took[len(runs[i].took)/2])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(0)/1000, "copy-µs")
	for i := range runs[1:] {
		b.ReportMetric(median(i+1)/median(0), runs[i+1].name+"/copy")
	}
}

// BenchmarkRewrite is for the profile and the allocations; its measure is in BenchmarkRatios.
func BenchmarkRewrite(b *testing.B) {
	p := newPassage(b, dict.ExplicitVRLittleEndian, dict.ExplicitVRLittleEndian, true)
	b.SetBytes(int64(len(p.in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.run(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWriteTo passes an object on by WriteTo, as to a file.
func BenchmarkWriteTo(b *testing.B) {
	in, _ := benchCT(b, dict.ExplicitVRLittleEndian)
	r := bytes.NewReader(nil)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		r.Reset(in)
		o, err := Open(r, dict.ExplicitVRLittleEndian, Limits{})
		require.NoError(b, err)
		_, err = o.WriteTo(io.Discard)
		require.NoError(b, err)
		_ = o.Close()
	}
}
