// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import (
	"io"
	"net"
	"sync"

	"github.com/adit-go/adit/dicom/stream"
)

// Sizes of buffers.
const (
	maxBuffer  = 4 << 20   // bytes; an instance up to this size is buffered whole
	CreditUnit = maxBuffer // what an instance takes of the credit before its size is known
)

// chunkSizes are those of a buffer's chunks: the first is enough for a small instance, further ones are large, since
// each of their boundaries costs a read. Together they are maxBuffer.
var chunkSizes = [...]int{128 << 10, 896 << 10, 1 << 20, 1 << 20, 1 << 20}

var chunks [len(chunkSizes)]sync.Pool

// Buffer holds the beginning of an instance, or all of it, in pooled chunks.
type Buffer struct {
	chunks []*[]byte // all but the last are full
	Size   int
}

// Fill reads up to maxBuffer bytes; whole reports whether that was everything.
func (b *Buffer) Fill(r io.Reader) (whole bool, err error) {
	for i, size := range chunkSizes {
		chunk, _ := chunks[i].Get().(*[]byte)
		if chunk == nil {
			chunk = new(make([]byte, size))
		}
		b.chunks = append(b.chunks, chunk)
		for at := 0; at < size; {
			n, err := r.Read((*chunk)[at:])
			at += n
			b.Size += n
			if err == io.EOF { // one that wraps it is that of a lost connection, and no end
				return true, nil
			}
			if err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// Held is the memory that the buffer takes, in bytes.
func (b *Buffer) Held() (n int64) {
	for _, c := range b.chunks {
		n += int64(len(*c))
	}
	return n
}

// Free gives the chunks back.
func (b *Buffer) Free() {
	for i, c := range b.chunks {
		chunks[i].Put(c)
	}
	b.chunks, b.Size = nil, 0
}

// Reader returns a new reader from the beginning.
func (b *Buffer) Reader() *bufferReader {
	r := &bufferReader{}
	left := b.Size
	for _, c := range b.chunks {
		n := min(left, len(*c))
		r.left = append(r.left, (*c)[:n])
		left -= n
	}
	return r
}

// bufferReader reads a buffer.
type bufferReader struct {
	left net.Buffers
}

func (r *bufferReader) Read(p []byte) (int, error) { return r.left.Read(p) }

func (r *bufferReader) WriteTo(w io.Writer) (int64, error) { return r.left.WriteTo(w) }

// WriteWhole writes all of it at once (dicom/ul).
func (r *bufferReader) WriteWhole(w stream.RestWriter) error {
	all := r.left
	r.left = nil
	return w.WriteRest(all...)
}
