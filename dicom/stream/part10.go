// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"errors"
	"fmt"
	"io"

	"github.com/adit-go/adit/dicom/dict"
)

// What our file meta says of its writer. Constants: the same object gives the same file on any node, any day.
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
	return m, o, err
}

// readMeta leaves in s.buf what it read beyond the file meta information.
func readMeta(r io.Reader, s *scratch) (FileMeta, error) {
	m := FileMeta{}
	need := func(n int) error {
		for len(s.buf) < n {
			if err := s.fill(r, maxMeta); err == io.EOF {
				return io.ErrUnexpectedEOF
			} else if err != nil {
				return err
			}
		}
		return nil
	}
	if err := need(preamble + 4); err != nil || string(s.buf[preamble:preamble+4]) != "DICM" {
		if err != nil && err != io.ErrUnexpectedEOF {
			return m, err
		}
		return m, fmt.Errorf(`%w: it lacks the preamble and "DICM" prefix; export it from the source as a DICOM file (Part 10)`, ErrNotPart10)
	}
	pos := preamble + 4
	for {
		if err := need(pos + 8); err == io.ErrUnexpectedEOF && len(s.buf) == pos {
			break // no data set at all
		} else if err != nil {
			return m, fmt.Errorf("the file meta information was cut off: %w", err)
		}
		if s.buf[pos] != 2 || s.buf[pos+1] != 0 {
			break
		}
		if err := need(pos + maxHead); err != nil && err != io.ErrUnexpectedEOF {
			return m, err
		}
		h, ok := syntax{}.head(s.buf[pos:])
		if !ok {
			return m, fmt.Errorf("the file meta information was cut off: %w", io.ErrUnexpectedEOF)
		}
		if h.length > maxMeta {
			return m, fmt.Errorf("%w: %s in the file meta information claims %d bytes", ErrMalformed, h.tag, h.length)
		}
		end := pos + h.size + int(h.length)
		if err := need(end); err != nil {
			return m, fmt.Errorf("the file meta information was cut off: %w", err)
		}
		m.take(h.tag, trimText(string(s.buf[pos+h.size:end])))
		pos = end
	}
	if m.TransferSyntaxUID == "" {
		return m, fmt.Errorf("%w: its file meta information names no transfer syntax (0002,0010)", ErrNotPart10)
	}
	s.buf = s.buf[:copy(s.buf, s.buf[pos:])]
	return m, nil
}

func (m *FileMeta) take(tag dict.Tag, uid string) {
	switch tag {
	case dict.MediaStorageSOPClassUID:
		m.MediaStorageSOPClassUID = uid
	case dict.MediaStorageSOPInstanceUID:
		m.MediaStorageSOPInstanceUID = uid
	case dict.TransferSyntaxUID:
		m.TransferSyntaxUID = uid
	}
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
