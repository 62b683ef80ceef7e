// SPDX-License-Identifier: AGPL-3.0-or-later

// Package download gives a study, or some of its series, to a person as a zip: whole, or visibly broken off.
package download

import (
	"archive/zip"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"path"
	"slices"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/reading"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	reading *reading.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofReading *reading.Service) *Service { return &Service{b, ofReading} }

// Wish says what is wanted.
type Wish struct {
	Server string // name of the server that has it
	reading.Wish

	Series []string // Series Instance UIDs; none: the whole study
}

// Download is a zip that somebody has asked for. It is used by one goroutine at a time, and must be closed.
type Download struct {
	svc        *Service
	modalities []string
	next       func() (*entry, error, bool)
	stop       func()

	first  *entry            // that was opened to see whether there is one
	root   string            // folder of all; empty: nothing was named yet
	study  string            // path of the study's folder in it
	folder map[string]string // of series, by UID as sent
	names  map[string]bool   // of files
}

// Begin checks what the user may do, asks the server for the first instance, and returns when it comes. What goes
// wrong until then can be told. Errors: *people.Denied, refusal.ErrNotFound, *refusal.Invalid, *reading.LeftOut,
// *reading.Unsafe, *reading.NoPseudonym; *door.Busy, *door.Closed, *door.Narrow; of the server.
func (svc *Service) Begin(ctx context.Context, user people.User, w Wish) (_ *Download, err error) {
	w.Once = true
	r, err := svc.reading.OpenAt(ctx, user, w.Server, people.DirectDownload, w.Wish)
	if err != nil {
		return nil, err
	}
	list := r.AllSeries
	if len(w.Series) > 0 {
		list = r.Series
	}
	series, err := list(ctx)
	if err != nil {
		return nil, err
	}
	if len(w.Series) > 0 {
		for _, uid := range w.Series {
			if !slices.Contains(series, uid) {
				return nil, fmt.Errorf("series %q of the study at DICOM Server %s: %w", uid, w.Server, refusal.ErrNotFound)
			}
		}
		series = slices.Compact(slices.Sorted(slices.Values(w.Series)))
	}
	d := &Download{svc: svc, folder: map[string]string{}, names: map[string]bool{}}
	if d.modalities, err = r.Modalities(ctx, series); err != nil {
		return nil, err
	}
	d.next, d.stop = iter.Pull2(reading.Opened(r.Instances(ctx, series...), d.open))
	if d.first, err, _ = d.next(); err == nil { // nothing has gone out yet
		err = r.Tell(ctx, audit.ActDownload, series)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close ends it.
func (d *Download) Close() {
	if d.first != nil {
		_ = d.first.Close() // gives memory back
	}
	d.stop()
}

// Name is that of the file: study_download_<Study Instance UID as sent>, without an ending.
func (d *Download) Name() string { return d.root }

// entry is an instance on its way into the zip.
type entry struct {
	*stream.Object

	name string
}

func (d *Download) open(i *reading.Instance) (*entry, error) {
	obj, err := i.Object()
	if err != nil {
		return nil, err
	}
	return &entry{obj, d.place(sink.NamesOf(obj.Header()), obj.Header().SOPInstanceUID())}, nil
}

// place names a file as a folder's would be, below a folder of the study. No two have the same name.
func (d *Download) place(n sink.ObjectNames, uid string) (name string) {
	study, series := sink.Folders(n, d.modalities, false)
	if d.root == "" {
		d.root = "study_download_" + n.Study
		d.study = path.Join(d.root, study)
	}
	if d.folder[n.Series] == "" {
		d.folder[n.Series] = path.Join(d.study, series)
	}
	name = path.Join(d.folder[n.Series], uid+".dcm")
	if d.names[name] { // in two series that are called the same
		name = path.Join(d.folder[n.Series], n.Series, uid+".dcm")
	}
	d.names[name] = true
	return name
}

// WriteTo writes the zip: stored, with Zip64 where it needs that. After an error what was written is no zip.
func (d *Download) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{w: w}
	z := zip.NewWriter(counted)
	for e, ok := d.first, true; ok; {
		d.first = nil
		err := d.add(z, e)
		_ = e.Close() // gives memory back
		if err == nil {
			e, err, ok = d.next()
		}
		if err != nil {
			return counted.n, err
		}
	}
	return counted.n, z.Close()
}

// add writes an instance as a file as of PS3.10. Its length and checksum come before it where it fits into memory: not
// every program can read a stored file otherwise.
func (d *Download) add(z *zip.Writer, e *entry) error {
	h := &zip.FileHeader{Name: e.name, Method: zip.Store, Modified: time.Now().UTC()}
	meta := e.FileMeta().AppendTo(nil)
	if d.svc.Credit.Take(door.CreditUnit) {
		b := &door.Buffer{}
		defer func() {
			b.Free()
			d.svc.Credit.Give(door.CreditUnit)
		}()
		whole, err := b.Fill(e)
		switch {
		case err != nil:
			return err
		case whole:
			return addWhole(z, h, meta, b)
		}
		return addStreamed(z, h, meta, io.MultiReader(b.Reader(), e))
	}
	return addStreamed(z, h, meta, e)
}

const utf8Names = 0x800 // flag of an entry (APPNOTE 4.4.4, bit 11)

func addWhole(z *zip.Writer, h *zip.FileHeader, meta []byte, b *door.Buffer) error {
	sum := crc32.NewIEEE()
	_, _ = sum.Write(meta)
	if _, err := io.Copy(sum, b.Reader()); err != nil {
		return err
	}
	h.CRC32, h.Flags = sum.Sum32(), utf8Names
	h.UncompressedSize64 = uint64(len(meta)) + uint64(b.Size)
	h.CompressedSize64 = h.UncompressedSize64
	h.SetModTime(h.Modified) //nolint:staticcheck // CreateRaw takes the fields as they are
	w, err := z.CreateRaw(h)
	if err != nil {
		return err
	}
	return write(w, meta, b.Reader())
}

func addStreamed(z *zip.Writer, h *zip.FileHeader, meta []byte, data io.Reader) error {
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	return write(w, meta, data)
}

func write(w io.Writer, meta []byte, data io.Reader) error {
	_, err := w.Write(meta)
	if err == nil {
		_, err = io.Copy(w, data)
	}
	return err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
