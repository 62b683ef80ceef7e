// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
)

// deflated reads a deflated data set (PS3.5 A.5). If it is to go out as it came, its compressed bytes are kept and do
// so, while the inflated ones are walked.
type deflated struct {
	in    *tee
	plain io.Reader // inflates in
	done  bool      // plain is at its end
}

// tee keeps the compressed bytes that the inflater takes. It reads them one by one, so not one too many is taken.
type tee struct {
	r    *bufio.Reader
	keep bool
	kept []byte
	most int // bytes kept: empty blocks inflate to nothing for ever
}

func (t *tee) ReadByte() (byte, error) {
	c, err := t.r.ReadByte()
	if err == nil && t.keep {
		if len(t.kept) >= t.most {
			return 0, fmt.Errorf("%w: %d bytes of deflated data without content", ErrTooLarge, len(t.kept))
		}
		t.kept = append(t.kept, c)
	}
	return c, err
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.keep {
		if len(t.kept)+n > t.most {
			return 0, fmt.Errorf("%w: %d bytes of deflated data without content", ErrTooLarge, len(t.kept))
		}
		t.kept = append(t.kept, p[:n]...)
	}
	return n, err
}

// newDeflated reads begun, then r. A header of at most limit bytes takes hardly more when deflated badly.
func newDeflated(r io.Reader, begun []byte, limit int) *deflated {
	in := &tee{
		r:    bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(begun)), r), 16<<10),
		keep: true, most: 2*limit + chunkSize,
	}
	return &deflated{in: in, plain: &inflater{flate.NewReader(in)}}
}

// inflater says what a corrupt stream is.
type inflater struct{ r io.Reader }

func (i *inflater) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	if _, corrupt := errors.AsType[flate.CorruptInputError](err); corrupt {
		err = fmt.Errorf("%w: deflated data is corrupt: %w", ErrMalformed, err)
	}
	return n, err
}

// stopKeeping: the inflated bytes are what is wanted.
func (d *deflated) stopKeeping() { d.in.keep, d.in.kept = false, nil }

func (d *deflated) read(o *Object, p []byte) (int, error) {
	for len(d.in.kept) == 0 || len(o.head)+len(o.rest) > 0 {
		if d.done {
			return 0, io.EOF
		}
		if err := d.step(o); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.in.kept)
	d.in.kept = d.in.kept[n:]
	return n, nil
}

// step walks the next piece of inflated data; the compressed bytes that it took are kept by then.
func (d *deflated) step(o *Object) error {
	_, err := o.readPlain(o.s.pieceBuffer())
	if d.done = atEnd(err); d.done {
		return nil
	}
	return err
}

// maxTrailer is what may follow the deflate stream: the null byte that makes an odd length even, and the checksum and
// length of zlib or gzip that some writers leave.
const maxTrailer = 9

func (d *deflated) trailer() error {
	for range maxTrailer + 1 {
		if _, err := d.in.ReadByte(); atEnd(err) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: bytes follow the deflated data set", ErrMalformed)
}

// deflater deflates what goes out.
type deflater struct {
	w     *flate.Writer
	out   bytes.Buffer
	total int64 // bytes read from out
	err   error // what follows out
	buf   []byte
}

func newDeflater() *deflater {
	d := &deflater{buf: make([]byte, pieceSize)}
	d.w, _ = flate.NewWriter(&d.out, flate.DefaultCompression) // the level is valid
	return d
}

func (d *deflater) read(o *Object, p []byte) (int, error) {
	for d.out.Len() == 0 {
		if d.err != nil {
			return 0, d.err
		}
		var n int
		n, d.err = o.readConverted(d.buf)
		if _, err := d.w.Write(d.buf[:n]); err != nil {
			return 0, err
		}
		if atEnd(d.err) {
			if err := d.end(); err != nil {
				return 0, err
			}
		}
	}
	n, _ := d.out.Read(p)
	d.total += int64(n)
	return n, nil
}

// end closes the stream, and makes its length even (PS3.5 A.5).
func (d *deflater) end() error {
	if err := d.w.Close(); err != nil {
		return err
	}
	if (d.total+int64(d.out.Len()))%2 == 1 {
		d.out.WriteByte(0)
	}
	return nil
}
