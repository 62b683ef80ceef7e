// SPDX-License-Identifier: AGPL-3.0-or-later

package zipaes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"
)

// Entry is a file in an archive, or in one of the archives within it.
type Entry struct {
	In       string    `json:"in,omitempty"` // the archive within which it is
	Name     string    `json:"name"`
	Modified time.Time `json:"at"`   // as clocks on the wall show it; even seconds (DOS)
	Offset   int64     `json:"from"` // of its local header, in what it is in
	Size     int64     `json:"size"` // of its content
	CRC      uint32    `json:"crc,omitempty"`
	Reserved bool      `json:"reserved,omitempty"` // its size was not known when its local header was begun
}

// Of the format (PKWARE's APPNOTE.TXT 6.3.10; 4.3.7, 4.3.12, 4.3.14 to 4.3.16, 4.4, 4.5.3, and WinZip's AES).
const (
	localSignature   = 0x04034b50
	centralSignature = 0x02014b50
	endSignature     = 0x06054b50
	end64Signature   = 0x06064b50
	locatorSignature = 0x07064b50
	dataSignature    = 0x08074b50 // of a data descriptor

	localSize   = 30
	centralSize = 46
	endSize     = 22
	end64Size   = 56
	locatorSize = 20
	aesExtra    = 11
	zip64Extra  = 20 // of a local header
	descriptor  = 24 // with sizes of eight bytes

	encrypted  = 1 << 0
	described  = 1 << 3 // a data descriptor follows the content
	inUTF8     = 1 << 11
	methodAES  = 99
	idAES      = 0x9901
	idZip64    = 0x0001
	idPadding  = 0xd935 // of Android's zipalign: passed over by all
	needsAES   = 51
	needsZip64 = 45
	needsPlain = 20
	madeOnUnix = 3 << 8
	regular    = 0o100640 << 16

	most16 = math.MaxUint16
	most32 = math.MaxUint32
)

// local appends the local header of an entry. It is as long whether its size is known or not.
func (e *Entry) local(b []byte) []byte {
	var flags, needs, method uint16 = inUTF8, needsPlain, 0
	size, packed, crc := e.Size, e.Size, e.CRC
	if e.In == "" {
		flags, needs, method, packed, crc = flags|encrypted, needsAES, methodAES, packed+overhead, 0
	} else if e.Reserved { // the size of what can't be written a second time stands behind it
		flags, needs, crc = flags|described, needsZip64, 0
	}
	long := packed >= most32 || flags&described != 0
	header := [localSize]byte{}
	h := header[:0]
	h = binary.LittleEndian.AppendUint32(h, localSignature)
	h = binary.LittleEndian.AppendUint16(h, needs)
	h = binary.LittleEndian.AppendUint16(h, flags)
	h = binary.LittleEndian.AppendUint16(h, method)
	h = appendTime(h, e.Modified)
	h = binary.LittleEndian.AppendUint32(h, crc)
	if long {
		h = binary.LittleEndian.AppendUint64(h, math.MaxUint64)
	} else {
		h = binary.LittleEndian.AppendUint32(h, uint32(packed))
		h = binary.LittleEndian.AppendUint32(h, uint32(size))
	}
	h = binary.LittleEndian.AppendUint16(h, uint16(len(e.Name)))
	h = binary.LittleEndian.AppendUint16(h, uint16(e.localExtra()))
	b = append(append(b, h...), e.Name...)
	if e.In == "" {
		b = appendAES(b)
	}
	if !e.Reserved {
		return b
	}
	id := uint16(idPadding)
	if long {
		id = idZip64
	}
	if flags&described != 0 {
		size, packed = 0, 0
	} else if !long {
		size, packed = 0, 0
	}
	b = binary.LittleEndian.AppendUint16(b, id)
	b = binary.LittleEndian.AppendUint16(b, zip64Extra-4)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	return binary.LittleEndian.AppendUint64(b, uint64(packed))
}

func (e *Entry) localExtra() int {
	n := 0
	if e.In == "" {
		n += aesExtra
	}
	if e.Reserved {
		n += zip64Extra
	}
	return n
}

// content is where the content of an entry begins; of an encrypted one the bytes that are encrypted.
func (e *Entry) content() int64 {
	at := e.Offset + localSize + int64(len(e.Name)) + int64(e.localExtra())
	if e.In == "" {
		at += saltSize + verifierSize
	}
	return at
}

// end is where what belongs to an entry ends.
func (e *Entry) end() int64 {
	at := e.content() + e.Size
	switch {
	case e.In == "":
		at += macSize
	case e.Reserved:
		at += descriptor
	}
	return at
}

// central appends what the central directory says of an entry.
func (e *Entry) central(b []byte) []byte {
	var flags, needs, method uint16 = inUTF8, needsPlain, 0
	packed, crc := e.Size, e.CRC
	if e.In == "" {
		flags, needs, method, packed, crc = flags|encrypted, needsAES, methodAES, packed+overhead, 0
	} else if e.Reserved {
		flags, needs = flags|described, needsZip64
	}
	var extra, long []byte
	short := func(n int64) uint32 {
		if n < most32 {
			return uint32(n)
		}
		long = binary.LittleEndian.AppendUint64(long, uint64(n))
		return most32
	}
	size := short(e.Size)
	packed32, offset := short(packed), short(e.Offset)
	if len(long) > 0 {
		needs = max(needs, needsZip64)
		extra = binary.LittleEndian.AppendUint16(extra, idZip64)
		extra = binary.LittleEndian.AppendUint16(extra, uint16(len(long)))
		extra = append(extra, long...)
	}
	if e.In == "" {
		extra = appendAES(extra)
	}
	b = binary.LittleEndian.AppendUint32(b, centralSignature)
	b = binary.LittleEndian.AppendUint16(b, madeOnUnix|needs)
	b = binary.LittleEndian.AppendUint16(b, needs)
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint16(b, method)
	b = appendTime(b, e.Modified)
	b = binary.LittleEndian.AppendUint32(b, crc)
	b = binary.LittleEndian.AppendUint32(b, packed32)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	b = append(b, 0, 0, 0, 0, 0, 0) // no comment, disk 0, internal attributes
	b = binary.LittleEndian.AppendUint32(b, regular)
	b = binary.LittleEndian.AppendUint32(b, offset)
	return append(append(b, e.Name...), extra...)
}

func appendAES(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, idAES)
	b = binary.LittleEndian.AppendUint16(b, aesExtra-4)
	return append(b, 2, 0, 'A', 'E', 3, 0, 0) // AE-2, 256 bits, stored
}

// appendTime appends time and date as DOS has them, which begin in 1980.
func appendTime(b []byte, t time.Time) []byte {
	year := min(max(t.Year()-1980, 0), 127)
	b = binary.LittleEndian.AppendUint16(b, uint16(t.Hour()<<11|t.Minute()<<5|t.Second()/2))
	return binary.LittleEndian.AppendUint16(b, uint16(year<<9|int(t.Month())<<5|t.Day()))
}

func timeOf(clock, day uint16) time.Time {
	return time.Date(
		int(day>>9)+1980, time.Month(day>>5&15), int(day&31), int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC,
	)
}

// directory returns the central directory of some entries, that is to stand at a place, and the end of the archive.
func directory(entries []*Entry, at int64, comment string) []byte {
	var b []byte
	for _, e := range entries {
		b = e.central(b)
	}
	n, size := uint64(len(entries)), uint64(len(b))
	if n >= most16 || size >= most32 || at >= most32 {
		record := uint64(at) + size
		b = binary.LittleEndian.AppendUint32(b, end64Signature)
		b = binary.LittleEndian.AppendUint64(b, end64Size-12)
		b = binary.LittleEndian.AppendUint16(b, madeOnUnix|needsZip64)
		b = binary.LittleEndian.AppendUint16(b, needsZip64)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // disks
		b = binary.LittleEndian.AppendUint64(b, n)
		b = binary.LittleEndian.AppendUint64(b, n)
		b = binary.LittleEndian.AppendUint64(b, size)
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
		b = binary.LittleEndian.AppendUint32(b, locatorSignature)
		b = append(b, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint64(b, record)
		b = binary.LittleEndian.AppendUint32(b, 1)
	}
	b = binary.LittleEndian.AppendUint32(b, endSignature)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(min(n, most16)))
	b = binary.LittleEndian.AppendUint16(b, uint16(min(n, most16)))
	b = binary.LittleEndian.AppendUint32(b, uint32(min(size, most32)))
	b = binary.LittleEndian.AppendUint32(b, uint32(min(uint64(at), most32)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(comment)))
	return append(b, comment...)
}

// errForeign says that a file is no archive as this package makes them.
var errForeign = errors.New("it is not a finished archive of ADIT's making")

// maxDirectory bounds what is read of a central directory, in bytes.
const maxDirectory = 1 << 30

// readDirectory reads the central directory of a finished archive of a size in bytes. at is where it begins.
func readDirectory(r io.ReaderAt, size int64) (entries []Entry, at int64, comment string, err error) {
	from, length, n, comment, err := readEnd(r, size)
	if err != nil {
		return nil, 0, "", err
	}
	b := make([]byte, length)
	if _, err := r.ReadAt(b, int64(from)); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, "", err
	}
	entries = make([]Entry, 0, n)
	for range n {
		var e Entry
		if b, err = e.read(b); err != nil {
			return nil, 0, "", err
		}
		if e.end() > int64(from) {
			return nil, 0, "", errForeign
		}
		entries = append(entries, e)
	}
	if len(b) > 0 {
		return nil, 0, "", errForeign
	}
	for i := range entries {
		if err := entries[i].readReserved(r); err != nil {
			return nil, 0, "", err
		}
	}
	return entries, int64(from), comment, nil
}

// readEnd reads where the central directory of an archive lies, how long it is in bytes, and in entries.
func readEnd(r io.ReaderAt, size int64) (from, length, n uint64, comment string, err error) {
	tail := make([]byte, min(size, endSize+most16+locatorSize+end64Size))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, 0, "", err
	}
	end := -1
	for i := len(tail) - endSize; i >= 0; i-- {
		if binary.LittleEndian.Uint32(tail[i:]) == endSignature &&
			i+endSize+int(binary.LittleEndian.Uint16(tail[i+20:])) == len(tail) {
			end = i
			break
		}
	}
	if end < 0 {
		return 0, 0, 0, "", errForeign
	}
	comment = string(tail[end+endSize:])
	n, length = uint64(binary.LittleEndian.Uint16(tail[end+10:])), uint64(binary.LittleEndian.Uint32(tail[end+12:]))
	from = uint64(binary.LittleEndian.Uint32(tail[end+16:]))
	stop := uint64(size) - uint64(len(tail)-end)
	if at64 := end - locatorSize - end64Size; at64 >= 0 &&
		binary.LittleEndian.Uint32(tail[at64:]) == end64Signature &&
		binary.LittleEndian.Uint32(tail[end-locatorSize:]) == locatorSignature {
		n, length = binary.LittleEndian.Uint64(tail[at64+32:]), binary.LittleEndian.Uint64(tail[at64+40:])
		from = binary.LittleEndian.Uint64(tail[at64+48:])
		stop -= locatorSize + end64Size
	}
	if length > maxDirectory || from > stop || stop-from != length || n > length/centralSize {
		return 0, 0, 0, "", errForeign
	}
	return from, length, n, comment, nil
}

// read takes an entry from the beginning of a central directory, and returns the rest of that.
func (e *Entry) read(b []byte) ([]byte, error) {
	if len(b) < centralSize || binary.LittleEndian.Uint32(b) != centralSignature ||
		binary.LittleEndian.Uint16(b[10:]) != methodAES {
		return nil, errForeign
	}
	name, extra := int(binary.LittleEndian.Uint16(b[28:])), int(binary.LittleEndian.Uint16(b[30:]))
	if len(b) < centralSize+name+extra || binary.LittleEndian.Uint16(b[32:]) != 0 {
		return nil, errForeign
	}
	e.Name = string(b[centralSize : centralSize+name])
	e.Modified = timeOf(binary.LittleEndian.Uint16(b[12:]), binary.LittleEndian.Uint16(b[14:]))
	long := b[centralSize+name : centralSize+name+extra]
	if len(long) >= 4 && binary.LittleEndian.Uint16(long) == idZip64 {
		long = long[4:min(len(long), 4+int(binary.LittleEndian.Uint16(long[2:])))]
	} else {
		long = nil
	}
	var bad bool
	value := func(at int) int64 {
		n := uint64(binary.LittleEndian.Uint32(b[at:]))
		if n == most32 {
			if len(long) < 8 {
				bad = true
				return 0
			}
			n, long = binary.LittleEndian.Uint64(long), long[8:]
		}
		bad = bad || n > math.MaxInt64/4
		return int64(n)
	}
	e.Size = value(24)
	packed := value(20)
	e.Offset = value(42)
	if bad || packed != e.Size+overhead || !utf8.ValidString(e.Name) {
		return nil, errForeign
	}
	return b[centralSize+name+extra:], nil
}

// readReserved finds out how long the local header of an entry is.
func (e *Entry) readReserved(r io.ReaderAt) error {
	h := make([]byte, localSize)
	if _, err := r.ReadAt(h, e.Offset); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if binary.LittleEndian.Uint32(h) != localSignature || int(binary.LittleEndian.Uint16(h[26:])) != len(e.Name) {
		return errForeign
	}
	switch extra := binary.LittleEndian.Uint16(h[28:]); extra {
	case aesExtra:
	case aesExtra + zip64Extra:
		e.Reserved = true
	default:
		return errForeign
	}
	return nil
}

// check refuses a name that a header has no room for.
func checkName(name string) error {
	if name == "" || len(name) > most16/2 || !utf8.ValidString(name) {
		return fmt.Errorf("a name of %d bytes can't stand in an archive", len(name))
	}
	return nil
}
