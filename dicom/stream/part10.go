// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"errors"
	"fmt"
	"io"

	"github.com/adit-go/adit/dicom/dict"
)

// What our file meta says of its writer. Constants: the same object gives the same file on any machine, any day.
const (
	ImplementationClassUID    = "2.25.246521483906153128720583913620617329415"
	ImplementationVersionName = "ADIT"
)

const (
	preamble = 128
	maxMeta  = 1 << 20 // bytes of group 0002; private information may be in it
)

// ErrNotPart10 is wrapped when a file has no preamble or file meta information (PS3.10 7.1).
var ErrNotPart10 = errors.New("not a DICOM file")

// FileMeta is the file meta information (PS3.10 7.1) as far as it is about the object.
type FileMeta struct {
	MediaStorageSOPClassUID    string
	MediaStorageSOPInstanceUID string
	TransferSyntaxUID          string
}

// OpenFile reads preamble and file meta information, and opens the data set that follows. A file without
// them, or whose file meta names no transfer syntax, is refused with an error that wraps ErrNotPart10.
func OpenFile(r io.Reader, lim Limits) (FileMeta, *Object, error) {
	s := pool.Get().(*scratch)
	m, err := readMeta(r, s)
	if err != nil {
		return m, nil, err
	}
	o, err := open(r, s, m.TransferSyntaxUID, lim)
	if err == nil {
		o.received = m
	}
	return m, o, err
}

// ReadFileMeta reads preamble and file meta information alone, with the errors of OpenFile about them. It may read
// further than they go.
func ReadFileMeta(r io.Reader) (FileMeta, error) {
	s := pool.Get().(*scratch)
	m, err := readMeta(r, s)
	if cap(s.buf) <= keepBelow {
		s.buf = s.buf[:0]
		pool.Put(s)
	}
	return m, err
}

// FileMetaAt reads the file meta information of a file and tells where its data set begins. It may lack preamble and
// prefix, as parts of a multipart body do that some clients write. Errors are those of OpenFile.
func FileMetaAt(r io.ReaderAt, size int64) (m FileMeta, dataSet int64, err error) {
	s := pool.Get().(*scratch)
	defer func() {
		if cap(s.buf) <= keepBelow {
			s.buf = s.buf[:0]
			pool.Put(s)
		}
	}()
	in := io.NewSectionReader(r, 0, size)
	begin := preamble + 4
	if err := s.need(in, begin); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return m, 0, err
	}
	switch {
	case len(s.buf) >= begin && string(s.buf[preamble:begin]) == "DICM":
	case len(s.buf) >= 8 && [4]byte(s.buf) == [4]byte{2, 0, 0, 0}:
		begin = 0
	default:
		return m, 0, errNoPreamble()
	}
	end, err := m.complete(in, s, begin)
	return m, int64(end), err
}

// readMeta leaves in s.buf what it read beyond the file meta information.
func readMeta(r io.Reader, s *scratch) (FileMeta, error) {
	if err := s.need(r, preamble+4); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return FileMeta{}, err
	}
	if len(s.buf) < preamble+4 || string(s.buf[preamble:preamble+4]) != "DICM" {
		return FileMeta{}, errNoPreamble()
	}
	var m FileMeta
	end, err := m.complete(r, s, preamble+4)
	if err != nil {
		return m, err
	}
	s.buf = s.buf[:copy(s.buf, s.buf[end:])]
	return m, nil
}

func errNoPreamble() error {
	return fmt.Errorf(
		`%w: it lacks the preamble and "DICM" prefix; export it from the source as a DICOM file (Part 10)`,
		ErrNotPart10,
	)
}

// complete is read with what is said of its errors to people. The transfer syntax must be named.
func (m *FileMeta) complete(r io.Reader, s *scratch, pos int) (end int, err error) {
	if end, err = m.read(r, s, pos); err != nil {
		return 0, fmt.Errorf("file meta information: %w", err)
	}
	if m.TransferSyntaxUID == "" {
		return 0, fmt.Errorf("%w: its file meta information names no transfer syntax (0002,0010)", ErrNotPart10)
	}
	return end, nil
}

// read takes the elements of group 0002 and gives the place behind them. Group lengths in real files are often wrong
// or missing: they serve to notice a file that ends too early, nothing else.
func (m *FileMeta) read(r io.Reader, s *scratch, pos int) (end int, err error) {
	declared := 0
	for {
		if err := s.need(r, pos+8); err != nil {
			if len(s.buf) == pos && pos >= declared && errors.Is(err, io.ErrUnexpectedEOF) {
				return pos, nil // an empty data set
			}
			return 0, err
		}
		if s.buf[pos] != 2 || s.buf[pos+1] != 0 {
			return pos, nil
		}
		h, ok := syntax{}.head(s.buf[pos:])
		if !ok {
			if err := s.need(r, pos+maxHead); err != nil {
				return 0, err
			}
			h, _ = syntax{}.head(s.buf[pos:])
		}
		if h.length > maxMeta {
			return 0, fmt.Errorf("%w: %s claims %d bytes", ErrMalformed, h.tag, h.length)
		}
		value := pos + h.size
		pos = value + int(h.length)
		if err := s.need(r, pos); err != nil {
			return 0, err
		}
		if h.tag == dict.FileMetaInformationGroupLength && h.length == 4 {
			declared = pos + int(min(syntax{}.uint32(s.buf[value:]), maxMeta))
		}
		m.take(h.tag, s.buf[value:pos])
	}
}

// need reads until the buffer holds n bytes.
func (s *scratch) need(r io.Reader, n int) error {
	for len(s.buf) < n {
		if err := s.fill(r, maxMeta); atEnd(err) {
			return fmt.Errorf("it is truncated: %w", io.ErrUnexpectedEOF)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (m *FileMeta) take(tag dict.Tag, value []byte) {
	switch tag {
	case dict.MediaStorageSOPClassUID:
		m.MediaStorageSOPClassUID = trimText(string(value))
	case dict.MediaStorageSOPInstanceUID:
		m.MediaStorageSOPInstanceUID = trimText(string(value))
	case dict.TransferSyntaxUID:
		m.TransferSyntaxUID = trimText(string(value))
	}
}

// Received returns the file meta information that the object came with; it is empty if it came without a file.
func (o *Object) Received() FileMeta { return o.received }

// FileMeta returns the file meta information of the object as it goes out, with the edits made so far.
func (o *Object) FileMeta() FileMeta {
	return FileMeta{
		MediaStorageSOPClassUID:    o.header.SOPClassUID(),
		MediaStorageSOPInstanceUID: o.header.SOPInstanceUID(), TransferSyntaxUID: o.to.UID,
	}
}

// WriteFile writes the object as a file as of PS3.10 7, as it goes out.
func (o *Object) WriteFile(w io.Writer) error {
	_, err := w.Write(o.FileMeta().AppendTo(nil))
	if err == nil {
		_, err = o.WriteTo(w)
	}
	return err
}

// AppendTo appends preamble and file meta information, ready for the data set to follow.
func (m FileMeta) AppendTo(b []byte) []byte {
	b = append(b, make([]byte, preamble)...)
	b = append(b, "DICM"...)
	syn := syntax{}
	b = syn.appendHead(b, dict.FileMetaInformationGroupLength, dict.UL, 4)
	lengthAt := len(b)
	b = append(b, 0, 0, 0, 0)
	b = syn.appendHead(b, dict.FileMetaInformationVersion, dict.OB, 2)
	b = append(b, 0, 1)
	for _, e := range []struct {
		tag   dict.Tag
		vr    dict.VR
		value string
	}{
		{dict.MediaStorageSOPClassUID, dict.UI, m.MediaStorageSOPClassUID},
		{dict.MediaStorageSOPInstanceUID, dict.UI, m.MediaStorageSOPInstanceUID},
		{dict.TransferSyntaxUID, dict.UI, m.TransferSyntaxUID},
		{dict.ImplementationClassUID, dict.UI, ImplementationClassUID},
		{dict.ImplementationVersionName, dict.SH, ImplementationVersionName},
	} {
		b = syn.appendHead(b, e.tag, e.vr, uint32(len(e.value)+len(e.value)%2))
		b = append(b, e.value...)
		if len(e.value)%2 == 1 {
			b = append(b, e.vr.Padding())
		}
	}
	syn.order().PutUint32(b[lengthAt:], uint32(len(b)-lengthAt-4))
	return b
}
