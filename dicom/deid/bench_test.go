// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// benchCT is a CT of half a megabyte with some 150 attributes as scanners send them, private blocks and
// sequences included; n tells instances apart.
func benchCT(tb testing.TB, n int, syntax string) []byte {
	tb.Helper()
	d := sample()
	d.Set(dict.SOPInstanceUID, fmt.Sprintf("1.3.12.2.1107.5.1.4.%d", 1000+n))
	for tag := dict.AcquisitionDate; d.Len() < 130; tag++ {
		if e, ok := dict.Lookup(tag); ok && !d.Has(tag) && tag != dict.SpecificCharacterSet {
			switch e.VR {
			case dict.DA:
				d.Set(tag, "20240229")
			case dict.TM:
				d.Set(tag, "120000")
			case dict.UI:
				d.Set(tag, "1.2.3.4.5.6")
			case dict.SH, dict.LO, dict.CS, dict.DS, dict.IS:
				d.Set(tag, "12")
			}
		}
	}
	for i := range dict.Tag(20) {
		d.SetVR(0x00190010, dict.LO, "SIEMENS CT VA0  COAD")
		d.SetVR(0x00191000+i, dict.LO, "value of a scanner")
	}
	d.SetBytes(dict.PixelData, dict.OW, make([]byte, 512*512*2))
	b, err := d.Encode(syntax)
	require.NoError(tb, err)
	return b
}

type passage struct {
	in, out []byte
	s       *Session
	r       bytes.Reader
}

func (p *passage) run() error {
	p.r.Reset(p.in)
	o, err := stream.Open(&p.r, dict.ExplicitVRLittleEndian, stream.Limits{})
	if err != nil {
		return err
	}
	defer o.Close()
	if p.s != nil {
		if _, err := p.s.Rewrite(o); err != nil {
			return err
		}
	}
	for n := 0; ; {
		m, err := o.Read(p.out[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// BenchmarkRatios runs a plain copy, a passage without and one with the default profile in turn over 64 instances, and
// prints the medians.
func BenchmarkRatios(b *testing.B) {
	const instances = 64
	var in [instances][]byte
	for i := range in {
		in[i] = benchCT(b, i, dict.ExplicitVRLittleEndian)
	}
	pass := &passage{out: make([]byte, len(in[0])+4096)}
	full := &passage{out: make([]byte, len(in[0])+4096), s: session(b, DefaultProfile)}
	var took [3][]time.Duration
	i := 0
	for b.Loop() {
		data := in[i%instances]
		i++
		copy(pass.out, data) // all three find the bytes in the cache
		begin := time.Now()
		copy(pass.out, data)
		took[0] = append(took[0], time.Since(begin))
		pass.in, full.in = data, data
		begin = time.Now()
		err := pass.run()
		took[1] = append(took[1], time.Since(begin))
		require.NoError(b, err)
		begin = time.Now()
		err = full.run()
		took[2] = append(took[2], time.Since(begin))
		require.NoError(b, err)
	}
	median := func(i int) float64 {
		slices.Sort(took[i])
		return float64(took[i][len(took[i])/2])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(0)/1000, "copy-µs")
	b.ReportMetric(median(1)/median(0), "pass/copy")
	b.ReportMetric(median(2)/1000, "deid-µs")
	b.ReportMetric(median(2)/median(0), "deid/copy")
}

// BenchmarkRewrite is for profile and allocations: every instance is new to the session.
func BenchmarkRewrite(b *testing.B) {
	p := &passage{in: benchCT(b, 0, dict.ExplicitVRLittleEndian), s: session(b, DefaultProfile)}
	p.out = make([]byte, len(p.in)+4096)
	at := bytes.Index(p.in, []byte("1.3.12.2.1107.5.1.4.1000")) + 20
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		copy(p.in[at:], fmt.Appendf(nil, "%04d", i%10000))
		if err := p.run(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan measures, of the same instances, the rewrite of the header and the scan of its result, and prints the
// medians and their ratio.
func BenchmarkScan(b *testing.B) {
	sub := subject()
	sub.Scan = true
	p, _ := BuiltinProfile(DefaultProfile)
	s, err := p.Session(sub)
	require.NoError(b, err)
	in := benchCT(b, 0, dict.ExplicitVRLittleEndian)
	at := bytes.Index(in, []byte("1.3.12.2.1107.5.1.4.1000")) + 20
	var rewrites, scans []time.Duration
	i := 0
	for b.Loop() {
		i++
		copy(in[at:], fmt.Appendf(nil, "%04d", i%10000))
		o, err := stream.Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, stream.Limits{})
		require.NoError(b, err)
		report := Report{}
		require.NoError(b, o.Rewrite(func(in, out []byte) ([]byte, error) {
			begin := time.Now()
			out, err := s.w.run(o, in, out, &report, nil)
			rewrites = append(rewrites, time.Since(begin))
			require.NoError(b, err)
			begin = time.Now()
			err = s.judge(o, in, out, "")
			_ = s.scan.Body(s.w.utf8)
			scans = append(scans, time.Since(begin))
			return out, err
		}))
		require.NoError(b, o.Close())
	}
	slices.Sort(rewrites)
	slices.Sort(scans)
	rewrite, scanned := rewrites[len(rewrites)/2], scans[len(scans)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(rewrite.Nanoseconds())/1000, "rewrite-µs")
	b.ReportMetric(float64(scanned.Nanoseconds())/1000, "scan-µs")
	b.ReportMetric(float64(scanned)/float64(rewrite), "scan/rewrite")
}
