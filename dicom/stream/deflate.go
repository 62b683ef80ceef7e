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

// deflated reads a deflated data set (PS3.5 A.5). Unedited, its compressed bytes go out as they came, while the
// inflated ones are walked; edited, the inflated ones are deflated again.
type deflated struct {
	in    *tee
	plain io.Reader // inflates in
	done  bool      // plain is at its end
	chunk []byte
	again *flate.Writer // nil unless edited
	out   bytes.Buffer  // deflated again
	total int64         // bytes written to out
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
	in := &tee{r: bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(begun)), r), 16<<10), keep: true, most: 2*limit + chunkSize}
	return &deflated{in: in, plain: &inflater{flate.NewReader(in)}, chunk: make([]byte, 32<<10)}
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

func (d *deflated) begin(edited bool) {
	if !edited {
		return
	}
	d.in.keep, d.in.kept = false, nil
	d.again, _ = flate.NewWriter(&d.out, flate.DefaultCompression) // the level is valid
}

func (d *deflated) read(o *Object, p []byte) (int, error) {
	if d.again != nil {
		return d.readAgain(o, p)
	}
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
	_, err := o.readPlain(d.chunk)
	if !atEnd(err) {
		return err
	}
	d.done = true
	return d.trailer()
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

func (d *deflated) readAgain(o *Object, p []byte) (int, error) {
	for d.out.Len() == 0 {
		if d.done {
			return 0, io.EOF
		}
		n, err := o.readPlain(d.chunk)
		if _, werr := d.again.Write(d.chunk[:n]); werr != nil {
			return 0, werr
		}
		if atEnd(err) {
			if err = d.end(); err == nil {
				continue
			}
		}
		if err != nil {
			return 0, err
		}
	}
	n, _ := d.out.Read(p)
	d.total += int64(n)
	return n, nil
}

func (d *deflated) end() error {
	d.done = true
	if err := d.trailer(); err != nil {
		return err
	}
	if err := d.again.Close(); err != nil {
		return err
	}
	if (d.total+int64(d.out.Len()))%2 == 1 {
		d.out.WriteByte(0)
	}
	return nil
}
