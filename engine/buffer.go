// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/adit-go/adit/dicom/stream"
)

const (
	maxBuffer  = 4 << 20 // bytes; an object up to this size is buffered whole
	creditUnit = maxBuffer
)

// chunkSizes are those of a buffer's chunks: the first is enough for a small object, further ones are large, since each of their
// boundaries costs a read. Together they are maxBuffer.
var chunkSizes = [...]int{128 << 10, 896 << 10, 1 << 20, 1 << 20, 1 << 20}

var chunks [len(chunkSizes)]sync.Pool

// buffer holds the beginning of an object, or all of it, in pooled chunks.
type buffer struct {
	chunks []*[]byte // all but the last are full
	size   int
}

// fill reads up to maxBuffer bytes; whole tells whether that was everything.
func (b *buffer) fill(r io.Reader) (whole bool, err error) {
	for i, size := range chunkSizes {
		chunk, _ := chunks[i].Get().(*[]byte)
		if chunk == nil {
			chunk = new(make([]byte, size))
		}
		b.chunks = append(b.chunks, chunk)
		for at := 0; at < size; {
			n, err := r.Read((*chunk)[at:])
			at += n
			b.size += n
			if errors.Is(err, io.EOF) {
				return true, nil
			}
			if err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// held is the memory that the buffer takes, in bytes.
func (b *buffer) held() (n int64) {
	for _, c := range b.chunks {
		n += int64(len(*c))
	}
	return n
}

// free gives the chunks back.
func (b *buffer) free() {
	for i, c := range b.chunks {
		chunks[i].Put(c)
	}
	b.chunks, b.size = nil, 0
}

// reader gives a new reader from the beginning.
func (b *buffer) reader() *bufferReader {
	r := &bufferReader{}
	left := b.size
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
