// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

// errFull tells that Config.Memory is used up.
var errFull = errors.New("pacs: the memory for instances is full")

func (p *PACS) store(ctx context.Context, sa *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
	a, end := p.begin(sa)
	defer end()
	faults := p.faultsOf([]string{in.SOPInstanceUID})
	f, number := faults.store()
	event := Event{
		Kind: AtStore, Association: a.number, CallingAE: a.callingAE,
		Number: number, SOPInstanceUID: in.SOPInstanceUID,
	}
	p.gate(ctx, event)

	aborts := f.AbortAll || number == f.AbortAtObject
	data := p.incoming(ctx, a, in, f, number)
	var status dimse.Status
	var err error
	if !slices.Contains(f.Lose, in.SOPInstanceUID) && !slices.Contains(f.Misname, in.SOPInstanceUID) && !aborts {
		status, err = p.receive(in, data, faults.status(f, in.SOPInstanceUID))
	}
	if err == nil {
		_, err = io.Copy(io.Discard, data) // what a parser that gave up has left
	}
	t := Transfer{
		Association: a.number, CallingAE: a.callingAE,
		MoveOriginatorAE: in.MoveOriginatorAETitle, MoveOriginatorID: in.MoveOriginatorMessageID,
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID,
		TransferSyntaxUID: in.TransferSyntaxUID, Bytes: data.n, SHA256: hex.EncodeToString(data.sum.Sum(nil)),
		Status: uint16(status), Time: time.Now(),
	}
	if err != nil {
		p.recorder.broke(t)
		return dimse.StoreResponse{Status: dimse.ProcessingFailure} // the association has ended: nobody reads it
	}
	if aborts {
		sa.Abort()
		p.recorder.broke(t)
		return dimse.StoreResponse{Status: dimse.ProcessingFailure}
	}
	p.recorder.stored(t)
	event.Kind, event.Transfer = AtStoreResponse, &t
	p.gate(ctx, event)
	rsp := dimse.StoreResponse{Status: status}
	if slices.Contains(f.Misname, in.SOPInstanceUID) {
		rsp.SOPInstanceUID = in.SOPInstanceUID + ".1"
	}
	return rsp
}

// status is what an instance is to be answered; Success if nothing speaks against it.
func (f *faults) status(now StoreFaults, sopInstanceUID string) dimse.Status {
	if s, ok := now.Statuses[sopInstanceUID]; ok && f.nth(f.came, sopInstanceUID, now.StatusesFirst) {
		return s
	}
	return now.Status
}

// incoming is the data set with the faults that stop it.
func (p *PACS) incoming(ctx context.Context, a *association, in *dimse.Incoming, f StoreFaults, number int) *hashed {
	h := &hashed{r: counted{in.Data, p.recorder}, sum: sha256.New(), limit: -1}
	switch number {
	case f.StallAtObject:
		h.limit, h.beyond = f.StallAfterBytes, func() error { return stalled(ctx) }
	case f.DropAtObject:
		h.limit, h.beyond = f.DropAfterBytes, a.dropped
	}
	return h
}

// counted tells the recorder of every byte.
type counted struct {
	r        io.Reader
	recorder *Recorder
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if n > 0 {
		c.recorder.received(n)
	}
	return n, err
}

// receive reads the data set and keeps it unless status is a failure. The error is one of the connection.
func (p *PACS) receive(in *dimse.Incoming, data *hashed, status dimse.Status) (dimse.Status, error) {
	o, err := stream.Open(data, in.TransferSyntaxUID, stream.Limits{})
	if err != nil {
		return data.unreadable()
	}
	defer func() { _ = o.Close() }() // gives memory back
	if status, err = p.take(in, o.Header(), o, status); err != nil {
		return data.unreadable()
	}
	return status, nil
}

// take keeps the data set that r gives unless status is a failure. The error is that of r.
func (p *PACS) take(in *dimse.Incoming, h *stream.Header, r io.Reader, status dimse.Status) (dimse.Status, error) {
	kept := receivedObject(in, h)
	if kept == nil && status.Class() != dimse.ClassFailure {
		status = dimse.DataSetMismatch
	}
	k, status := p.keeper(in, status)
	if _, err := io.Copy(k, r); err != nil {
		k.abandon()
		if errors.Is(err, errFull) {
			return dimse.OutOfResources, nil
		}
		return dimse.CannotUnderstand, err
	}
	if status.Class() == dimse.ClassFailure {
		return status, nil
	}
	var err error
	if kept.open, err = k.keep(); err != nil {
		return dimse.OutOfResources, nil //nolint:nilerr // it is not that of r
	}
	kept.release = k.abandon
	if old := p.archive.add(kept); old != nil && old.release != nil {
		old.release()
	}
	return status, nil
}

// unreadable tells a data set that is no DICOM, which is answered, from an error of the connection.
func (h *hashed) unreadable() (dimse.Status, error) { return dimse.CannotUnderstand, h.err }

// receivedObject takes from the header what queries ask for; nil if it doesn't say where it belongs.
func receivedObject(in *dimse.Incoming, h *stream.Header) *object {
	// binary numbers are left out: nobody asks for them
	bigEndian := dict.TransferSyntaxOf(in.TransferSyntaxUID).BigEndian
	ds := &stream.DataSet{}
	ds.Set(dict.SpecificCharacterSet, h.Charset().Terms()...)
	for tag := range levelOf {
		e, ok := h.Get(tag)
		if !ok || e.VR == dict.SQ || bigEndian && e.VR.Width() > 1 {
			continue
		}
		if dict.VROf(tag).CharSet() {
			ds.Set(tag, strings.Split(h.Charset().Decode(e.Value, e.VR), `\`)...)
		} else {
			ds.SetBytes(tag, dict.VROf(tag), bytes.Clone(e.Value))
		}
	}
	o := &object{
		sopClassUID: in.SOPClassUID, sopInstanceUID: in.SOPInstanceUID, transferSyntaxUID: in.TransferSyntaxUID,
		seriesUID: ds.String(dict.SeriesInstanceUID), studyUID: ds.String(dict.StudyInstanceUID),
		attributes: func() *stream.DataSet { return ds },
	}
	if o.seriesUID == "" || o.studyUID == "" || ds.String(dict.SOPInstanceUID) != in.SOPInstanceUID {
		return nil
	}
	return o
}

// keeper takes the bytes of an instance.
type keeper interface {
	io.Writer
	keep() (open func() (io.ReadCloser, error), err error) // open is nil if they are not kept
	abandon()
}

// keeper chooses where an instance goes, and with which status it is answered.
func (p *PACS) keeper(in *dimse.Incoming, status dimse.Status) (keeper, dimse.Status) {
	switch {
	case status.Class() == dimse.ClassFailure:
		return discard{}, status
	case p.cfg.Folder != "":
		k, err := newFile(p.cfg.Folder, in)
		if err != nil {
			return discard{}, dimse.OutOfResources
		}
		return k, status
	case p.cfg.Memory > 0:
		return &memory{p: p}, status
	}
	return discard{}, status
}

type discard struct{}

func (discard) Write(b []byte) (int, error)                  { return len(b), nil }
func (discard) keep() (func() (io.ReadCloser, error), error) { return nil, nil } //nolint:nilnil // not kept, and no error
func (discard) abandon()                                     {}

// memory keeps an instance in memory, out of the bytes that all share.
type memory struct {
	p *PACS
	b bytes.Buffer
}

func (m *memory) Write(b []byte) (int, error) {
	if m.p.memory.Add(-int64(len(b))) < 0 {
		m.p.memory.Add(int64(len(b)))
		return 0, errFull
	}
	return m.b.Write(b)
}

func (m *memory) keep() (func() (io.ReadCloser, error), error) {
	b := m.b.Bytes()
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, nil
}

// abandon also serves to release what was kept.
func (m *memory) abandon() { m.p.memory.Add(int64(m.b.Len())) }

// file writes an instance as a DICOM file, under a temporary name until it is whole.
type file struct {
	path string
	f    *os.File
	w    *bufio.Writer
}

func newFile(dir string, in *dimse.Incoming) (*file, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".part-*")
	if err != nil {
		return nil, err
	}
	k := &file{path: filepath.Join(dir, in.SOPInstanceUID+".dcm"), f: f, w: bufio.NewWriterSize(f, 64<<10)}
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: in.SOPClassUID, MediaStorageSOPInstanceUID: in.SOPInstanceUID,
		TransferSyntaxUID: in.TransferSyntaxUID,
	}
	if _, err := k.w.Write(meta.AppendTo(nil)); err != nil {
		k.abandon()
		return nil, err
	}
	return k, nil
}

func (k *file) Write(b []byte) (int, error) {
	n, err := k.w.Write(b)
	if err != nil {
		err = errors.Join(errFull, err)
	}
	return n, err
}

func (k *file) keep() (func() (io.ReadCloser, error), error) {
	if err := errors.Join(k.w.Flush(), k.f.Close()); err != nil {
		k.abandon()
		return nil, err
	}
	if err := os.Rename(k.f.Name(), k.path); err != nil {
		k.abandon()
		return nil, err
	}
	return func() (io.ReadCloser, error) { return openFile(k.path) }, nil
}

func (k *file) abandon() {
	_ = k.f.Close() // it may be closed already
	_ = os.Remove(k.f.Name())
}

// openFile opens the data set of a DICOM file.
func openFile(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	_, o, err := stream.OpenFile(f, stream.Limits{})
	if err != nil {
		_ = f.Close() // read only
		return nil, err
	}
	return &fileObject{o, f}, nil
}

type fileObject struct {
	*stream.Object
	f *os.File
}

func (o *fileObject) Close() error { return errors.Join(o.Object.Close(), o.f.Close()) }
