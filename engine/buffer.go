// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"errors"
	"io"
	"sync"
)

const (
	chunkSize  = 128 << 10 // bytes
	maxBuffer  = 4 << 20   // an object up to this size is buffered whole
	creditUnit = maxBuffer
)

var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// buffer holds the beginning of an object, or all of it, in pooled chunks.
type buffer struct {
	chunks []*[chunkSize]byte
	size   int
}

// fill reads up to maxBuffer bytes; whole tells whether that was everything.
func (b *buffer) fill(r io.Reader) (whole bool, err error) {
	for b.size < maxBuffer {
		at := b.size % chunkSize
		if at == 0 {
			b.chunks = append(b.chunks, chunks.Get().(*[chunkSize]byte))
		}
		n, err := r.Read(b.chunks[len(b.chunks)-1][at:])
		b.size += n
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// held is the memory that the buffer takes, in bytes.
func (b *buffer) held() int64 { return int64(len(b.chunks)) * chunkSize }

// free gives the chunks back.
func (b *buffer) free() {
	for _, c := range b.chunks {
		chunks.Put(c)
	}
	b.chunks, b.size = nil, 0
}

// reader gives a new reader from the beginning.
func (b *buffer) reader() *bufferReader { return &bufferReader{b: b} }

// bufferReader is an io.Reader and io.WriterTo over a buffer.
type bufferReader struct {
	b  *buffer
	at int
}

// next gives the bytes that lie together at the current place.
func (r *bufferReader) next() []byte {
	if r.at == r.b.size {
		return nil
	}
	from := r.at % chunkSize
	return r.b.chunks[r.at/chunkSize][from:min(chunkSize, from+r.b.size-r.at)]
}

func (r *bufferReader) Read(p []byte) (int, error) {
	part := r.next()
	if len(part) == 0 {
		return 0, io.EOF
	}
	n := copy(p, part)
	r.at += n
	return n, nil
}

func (r *bufferReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for part := r.next(); len(part) > 0; part = r.next() {
		n, err := w.Write(part)
		r.at += n
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
