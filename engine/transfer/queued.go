// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/sink"
)

// queued is an instance between its receipt and the destination's answer.
type queued struct {
	sink.Outgoing
	source string // SOP Instance UID as received
	report *deid.Report
	bytes  *counter
	sum    hash.Hash         // of what went out last; nil: nobody wants it
	done   chan dimse.Status // answered when the destination has; nil if nobody waits
	finish func()
}

// prove has what goes out be hashed on its way: anew each time that it is opened, since it may be sent a second time.
func (p *queued) prove() {
	open := p.Open
	p.sum = sha256.New()
	p.Open = func() io.Reader {
		p.sum.Reset()
		return io.TeeReader(open(), p.sum)
	}
}

// proof is what the manifest says of a delivered instance; nil if nobody wants it.
func (p *queued) proof() *manifest.Object {
	if p.sum == nil {
		return nil
	}
	return &manifest.Object{
		Path: p.File, Study: p.Names.Study, Series: p.Names.Series, Instance: p.UID,
		Of: manifest.OfDataSet, Size: p.bytes.n, SHA256: sumOf(p.sum),
		Codes: p.report.Codes, ToUTF8: p.report.ToUTF8, Behind: p.report.Behind, Done: p.report.Done,
	}
}

func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// counter counts the bytes that are read through it.
type counter struct {
	r   io.Reader
	n   int64
	err error // of reading, but for the end
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != io.EOF { // one that wraps it is no end
		c.err = err
	}
	return n, err
}
