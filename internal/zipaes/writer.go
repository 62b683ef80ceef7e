// SPDX-License-Identifier: AGPL-3.0-or-later

// Package zipaes writes archives that 7-Zip opens with a password: zip files whose entries are stored, not compressed,
// and encrypted with AES-256 (AE-2 of WinZip). Names, sizes and times can be read without the password; where they
// would tell too much, entries can be archives themselves, written while their content comes.
//
// An archive is written into a file over a long time, and by several processes one after the other. What it holds so
// far stands in a second file, its index: encrypted, and longer by a batch with each Commit, after the content was made
// durable. Who continues an archive cuts off what lies behind the last whole batch, in both. Finish puts the central
// directory behind the content.
package zipaes

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
)

// File is what archives and indexes are written into.
type File interface {
	io.ReaderAt
	io.WriterAt
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

// buffer is how much of an entry is encrypted in memory, beside others, before it is written; what is longer is written
// while it comes, alone.
const buffer = 4 << 20

// Writer writes an archive. It is safe for concurrent use.
type Writer struct {
	file     File
	password []byte
	about    About
	index    *index
	turn     chan struct{} // held by who writes at the end
	commits  sync.Mutex    // one at a time

	mu      sync.Mutex
	entries []*Entry // nil: another one took its place
	named   map[key]int
	fresh   []change // since the last Commit
	pending int      // bytes that they take of the index
	end     int64    // of what is whole
	open    *inner   // the archive within that is being written; nil: none
}

// About says what an archive is.
type About struct {
	Label string    // whose archive it is; it stands in the finished archive, unencrypted
	Note  string    // the content of its first entry, and of the first one of each archive within
	At    time.Time // when that was written
}

// NoteName names the first entry of each archive. 7-Zip takes none for an archive of which the first entry has lost its
// place: this one never does.
const NoteName = "INDEX.txt"

// key names an entry.
type key struct{ in, name string }

// inner is an archive within the archive, as long as it is written.
type inner struct {
	entry Entry  // its size is what is whole of it
	crypt *crypt // nil: it has to be resumed
	size  int64  // of what was encrypted
}

// Create begins an archive and its index in the place of what two files hold, durably.
func Create(ctx context.Context, file, list File, password []byte, about About) (*Writer, error) {
	if len(about.Label) > most16/2 || len(about.Note) > buffer {
		return nil, errors.New("the label or note of an archive is too long")
	}
	if err := file.Truncate(0); err != nil {
		return nil, err
	}
	of, err := createIndex(list, password, about.Label)
	if err != nil {
		return nil, err
	}
	w := newWriter(file, of, password, about)
	if _, err := w.Put(ctx, NoteName, about.At, strings.NewReader(about.Note)); err != nil {
		return nil, err
	}
	return w, w.Commit()
}

func newWriter(file File, of *index, password []byte, about About) *Writer {
	return &Writer{
		file: file, password: password, about: about, index: of, turn: make(chan struct{}, 1), named: map[key]int{},
	}
}

// Continue goes on with an archive whose index says that it has this label, and cuts off what is behind the last
// Commit. ErrOther: there is no such index, or not all of what it lists.
func Continue(file, list File, password []byte, about About) (*Writer, error) {
	of, state, err := readIndex(list, password)
	if err != nil {
		return nil, err
	}
	w := newWriter(file, of, password, about)
	w.apply(state)
	if _, begun := w.find("", NoteName); of.label != about.Label || !begun {
		return nil, ErrOther
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < w.whole() {
		return nil, ErrOther
	}
	if err := of.cut(); err != nil {
		return nil, err
	}
	if w.open != nil {
		return w, w.resume()
	}
	return w, file.Truncate(w.end)
}

// Reopen makes the index of a finished archive, so that it can be continued. ErrOther: it has another label, or is none
// of this package's making.
func Reopen(file io.ReaderAt, size int64, list File, password []byte, label string) error {
	entries, at, of, err := readDirectory(file, size)
	if errors.Is(err, errForeign) || err == nil && of != label {
		return ErrOther
	}
	if err != nil {
		return err
	}
	i, err := createIndex(list, password, label)
	if err != nil {
		return err
	}
	b := batch{End: at}
	for _, e := range entries {
		b.Changes = append(b.Changes, change{Entry: e})
	}
	return i.append(&b)
}

// ErrOther says that there is nothing of the archive that is looked for.
var ErrOther = errors.New("it is another archive")

// resume takes an archive within up again that was left in the middle. What was encrypted is read once more, for its
// sum. It goes on behind everything that was written, whole or not, since no part of a key stream may be used twice.
func (w *Writer) resume() error {
	e := &w.open.entry
	info, err := w.file.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, saltSize+verifierSize)
	if _, err := w.file.ReadAt(head, e.content()-int64(len(head))); err != nil {
		return err
	}
	c, err := newCrypt(w.password, head[:saltSize])
	if err != nil {
		return err
	}
	size := info.Size() - e.content()
	if size < e.Size || !bytes.Equal(head[saltSize:], c.verifier) {
		return ErrOther
	}
	if _, err := io.Copy(c.mac, io.NewSectionReader(w.file, e.content(), size)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open.crypt, w.open.size = c, size
	return nil
}

// take waits for the turn to write at the end.
func (w *Writer) take(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *Writer) give() { <-w.turn }

// buffers are for entries that are encrypted in memory.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Put adds an entry, and takes the place of another one of that name. What r brings before an error other than io.EOF
// is not there.
func (w *Writer) Put(ctx context.Context, name string, at time.Time, r io.Reader) (Entry, error) {
	e := &Entry{Name: name, Modified: at, Reserved: true}
	if err := checkName(name); err != nil {
		return *e, err
	}
	c, err := newCrypt(w.password, nil)
	if err != nil {
		return *e, err
	}
	head := int(e.content())
	pooled := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	if need := head + buffer + macSize; cap(*pooled) < need {
		*pooled = make([]byte, need)
	}
	b := (*pooled)[:head+buffer]
	n, whole, err := fill(r, b[head:])
	if err != nil {
		return *e, err
	}
	content := b[head : head+n]
	c.xor(content, 0)
	c.mac.Write(content)
	if !whole {
		return *e, w.stream(ctx, e, c, content, r)
	}
	e.Size, e.Reserved = int64(n), false
	first := zip64Extra // the header is shorter by that
	e.head(b[first:first:head], c)
	return *e, w.add(ctx, e, append(b[first:head+n], c.sum()...))
}

// head appends all that stands before the content of an entry.
func (e *Entry) head(b []byte, c *crypt) []byte {
	return append(append(e.local(b), c.salt...), c.verifier...)
}

// fill reads until b is full or nothing more comes.
func fill(r io.Reader, b []byte) (n int, whole bool, err error) {
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if err == io.EOF { // one that wraps it is no end
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

// atEnd has an entry written at the end, by who has the turn then.
func (w *Writer) atEnd(ctx context.Context, e *Entry, write func() error) error {
	if err := w.take(ctx); err != nil {
		return err
	}
	defer w.give()
	if err := w.reserve(e); err != nil {
		return err
	}
	if err := w.closeInner(); err != nil {
		return err
	}
	e.Offset = w.end
	if err := write(); err != nil {
		return err
	}
	w.done(e)
	return nil
}

// add writes an entry that is whole.
func (w *Writer) add(ctx context.Context, e *Entry, b []byte) error {
	return w.atEnd(ctx, e, func() error {
		_, err := w.file.WriteAt(b, e.Offset)
		return err
	})
}

// stream writes an entry while it comes, of which the beginning is encrypted.
func (w *Writer) stream(ctx context.Context, e *Entry, c *crypt, b []byte, r io.Reader) error {
	return w.atEnd(ctx, e, func() error {
		for whole := false; ; {
			if _, err := w.file.WriteAt(b, e.content()+e.Size); err != nil {
				return err
			}
			if e.Size += int64(len(b)); whole {
				return w.seal(e, c)
			}
			n, last, err := fill(r, b[:buffer])
			if err != nil {
				return err
			}
			b, whole = b[:n], last
			c.xor(b, e.Size)
			c.mac.Write(b)
		}
	})
}

// seal writes what stands around the content of an entry.
func (w *Writer) seal(e *Entry, c *crypt) error {
	if _, err := w.file.WriteAt(c.sum(), e.content()+e.Size); err != nil {
		return err
	}
	_, err := w.file.WriteAt(e.head(nil, c), e.Offset)
	return err
}

// done lists an entry that is whole.
func (w *Writer) done(e *Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list(*e)
	w.change(change{Entry: *e})
	if e.In == "" {
		w.end, w.open = e.end(), nil
	} else {
		w.open.entry.Size = w.open.size
	}
}

// list puts an entry in the place of another one of its name, or behind all.
func (w *Writer) list(e Entry) {
	k := key{e.In, e.Name}
	if i, there := w.named[k]; there {
		w.entries[i] = nil
	}
	w.named[k] = len(w.entries)
	w.entries = append(w.entries, &e)
}

// Drop takes an entry out of the archive, with all that is within it. Its content stays where it is, and can't be found
// any more.
func (w *Writer) Drop(ctx context.Context, name string) error {
	if err := w.take(ctx); err != nil {
		return err
	}
	defer w.give()
	if err := w.closeInner(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(name)
	w.change(change{Entry: Entry{Name: name}, Gone: true})
	return nil
}

// change remembers a change for the next Commit. The lock must be held.
func (w *Writer) change(c change) {
	w.fresh = append(w.fresh, c)
	w.pending += c.size()
}

// reserve makes room in the index for an entry, and for the archive within that it may end or begin.
func (w *Writer) reserve(e *Entry) error {
	w.mu.Lock()
	n := w.pending + 3*(&change{Entry: *e}).size()
	if w.open != nil {
		n += 2 * (&change{Entry: w.open.entry}).size()
	}
	w.mu.Unlock()
	return w.index.reserve(n)
}

func (w *Writer) drop(name string) {
	for i, e := range w.entries {
		if e != nil && (e.In == "" && e.Name == name || e.In == name) {
			delete(w.named, key{e.In, e.Name})
			w.entries[i] = nil
		}
	}
}

// PutWithin adds an entry to an archive within the archive, which is begun if it is not the one that is being written.
// One of that name in it loses its place. An archive within that is over is not written to again.
func (w *Writer) PutWithin(ctx context.Context, in, name string, at time.Time, r io.Reader) (Entry, error) {
	e := &Entry{In: in, Name: name, Modified: at}
	if err := errors.Join(checkName(in), checkName(name)); err != nil {
		return *e, err
	}
	room := localSize + len(name) + zip64Extra
	pooled := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	if need := room + buffer + descriptor; cap(*pooled) < need {
		*pooled = make([]byte, need)
	}
	b := (*pooled)[:room+buffer]
	n, whole, err := fill(r, b[room:])
	if err != nil {
		return *e, err
	}
	if err := w.take(ctx); err != nil {
		return *e, err
	}
	defer w.give()
	if err := w.reserve(e); err != nil {
		return *e, err
	}
	if err := w.enter(in, at); err != nil {
		return *e, err
	}
	e.Size, e.CRC, e.Reserved = int64(n), crc32.ChecksumIEEE(b[room:room+n]), !whole
	e.Offset = w.open.size
	first := room - localSize - len(name) - e.localExtra()
	e.local(b[first:first:room])
	if err := w.encrypt(b[first : room+n]); err != nil {
		return *e, err
	}
	for !whole {
		if n, whole, err = fill(r, b[:buffer]); err != nil {
			return *e, err
		}
		e.CRC = crc32.Update(e.CRC, crc32.IEEETable, b[:n])
		if err := w.encrypt(b[:n]); err != nil {
			return *e, err
		}
		e.Size += int64(n)
	}
	if e.Reserved {
		d := binary.LittleEndian.AppendUint32(b[:0], dataSignature)
		d = binary.LittleEndian.AppendUint32(d, e.CRC)
		d = binary.LittleEndian.AppendUint64(d, uint64(e.Size))
		if err := w.encrypt(binary.LittleEndian.AppendUint64(d, uint64(e.Size))); err != nil {
			return *e, err
		}
	}
	w.done(e)
	return *e, nil
}

// enter begins an archive within, unless it is the one that is being written.
func (w *Writer) enter(in string, at time.Time) error {
	if w.open != nil && w.open.entry.Name == in {
		if w.open.crypt == nil {
			return w.resume()
		}
		return nil
	}
	if err := w.closeInner(); err != nil {
		return err
	}
	if _, there := w.find("", in); there {
		return fmt.Errorf("the archive %s within is over", in)
	}
	c, err := newCrypt(w.password, nil)
	if err != nil {
		return err
	}
	o := &inner{entry: Entry{Name: in, Modified: at, Reserved: true, Offset: w.end}, crypt: c}
	note := Entry{
		In: in, Name: NoteName, Modified: w.about.At, Size: int64(len(w.about.Note)),
		CRC: crc32.ChecksumIEEE([]byte(w.about.Note)),
	}
	b := o.entry.head(nil, c)
	head := len(b)
	b = append(note.local(b), w.about.Note...)
	c.xor(b[head:], 0)
	if _, err := w.file.WriteAt(b, o.entry.Offset); err != nil {
		return err
	}
	c.mac.Write(b[head:])
	o.size = int64(len(b) - head)
	w.mu.Lock()
	w.open = o
	w.mu.Unlock()
	w.done(&note)
	return nil
}

// encrypt writes bytes into the archive within, which are overwritten.
func (w *Writer) encrypt(b []byte) error {
	o := w.open
	o.crypt.xor(b, o.size)
	if _, err := w.file.WriteAt(b, o.entry.content()+o.size); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		o.crypt = nil
		return err
	}
	o.crypt.mac.Write(b)
	o.size += int64(len(b))
	return nil
}

// CloseWithin ends the archive within that is being written, if there is one.
func (w *Writer) CloseWithin(ctx context.Context) error {
	if err := w.take(ctx); err != nil {
		return err
	}
	defer w.give()
	return w.closeInner()
}

// closeInner writes the central directory of the archive within. The turn must be held.
func (w *Writer) closeInner() error {
	o := w.open
	if o == nil {
		return nil
	}
	if o.crypt == nil {
		if err := w.resume(); err != nil {
			return err
		}
	}
	w.mu.Lock()
	within := w.within(o.entry.Name)
	w.mu.Unlock()
	if err := w.encrypt(directory(within, o.size, "")); err != nil {
		return err
	}
	e := o.entry
	e.Size = o.size
	if err := w.seal(&e, o.crypt); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		o.crypt = nil
		return err
	}
	w.done(&e)
	return nil
}

// within returns what is in an archive within, or ("") in the archive itself. The lock must be held.
func (w *Writer) within(in string) (list []*Entry) {
	for _, e := range w.entries {
		if e != nil && e.In == in {
			list = append(list, e)
		}
	}
	return list
}

// Find returns an entry of an archive within, or ("") of the archive itself.
func (w *Writer) Find(in, name string) (Entry, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.find(in, name)
}

func (w *Writer) find(in, name string) (Entry, bool) {
	if i, there := w.named[key{in, name}]; there {
		return *w.entries[i], true
	}
	return Entry{}, false
}

// Writing returns the name of the archive within that is being written; empty: none.
func (w *Writer) Writing() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		return ""
	}
	return w.open.entry.Name
}

// Entries returns all entries of the archive, and of those within it as far as they are known.
func (w *Writer) Entries() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return entriesOf(w.entries)
}

func entriesOf(list []*Entry) []Entry {
	var entries []Entry
	for _, e := range list {
		if e != nil {
			entries = append(entries, *e)
		}
	}
	return entries
}

// Content returns the beginning of an entry's content, up to so many bytes, decrypted. It is not compared with its sum.
func (w *Writer) Content(in, name string, most int64) ([]byte, error) {
	w.mu.Lock()
	e, there := w.find(in, name)
	of, known := e, there
	var c *crypt
	if in != "" {
		if of, known = w.find("", in); !known && w.open != nil && w.open.entry.Name == in {
			of, known, c = w.open.entry, true, w.open.crypt
		}
	}
	w.mu.Unlock()
	if !there || !known {
		return nil, fmt.Errorf("there is no such entry")
	}
	if c == nil {
		salt := make([]byte, saltSize)
		if _, err := w.file.ReadAt(salt, of.content()-saltSize-verifierSize); err != nil {
			return nil, err
		}
		var err error
		if c, err = newCrypt(w.password, salt); err != nil {
			return nil, err
		}
	}
	at := int64(0)
	if in != "" {
		at = e.content() // in the archive within
	}
	b := make([]byte, min(most, e.Size))
	if _, err := w.file.ReadAt(b, of.content()+at); err != nil {
		return nil, err
	}
	c.xor(b, at)
	return b, nil
}

// End is how long the file is that holds all that is whole.
func (w *Writer) End() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.whole()
}

func (w *Writer) whole() int64 {
	if w.open != nil {
		return w.open.entry.content() + w.open.entry.Size
	}
	return w.end
}

// Commit makes what is whole durable, and lists it in the index. It may be called while others put.
func (w *Writer) Commit() error {
	w.commits.Lock()
	defer w.commits.Unlock()
	w.mu.Lock()
	b := batch{Changes: slices.Clone(w.fresh), End: w.end}
	if w.open != nil {
		open := w.open.entry
		b.Open = &open
	}
	w.mu.Unlock()
	if len(b.Changes) == 0 {
		return nil
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := w.index.append(&b); err != nil {
		return err
	}
	w.mu.Lock()
	w.fresh, w.pending = w.fresh[len(b.Changes):], 0
	for i := range w.fresh {
		w.pending += w.fresh[i].size()
	}
	w.mu.Unlock()
	return nil
}

// Finish makes the archive one that can be opened, durably: it puts the central directory behind what is whole. It may
// be continued all the same: the index knows nothing of that.
func (w *Writer) Finish(ctx context.Context) error {
	if err := w.CloseWithin(ctx); err != nil {
		return err
	}
	if err := w.Commit(); err != nil {
		return err
	}
	if err := w.take(ctx); err != nil {
		return err
	}
	defer w.give()
	w.mu.Lock()
	b := directory(w.within(""), w.end, w.index.label)
	end := w.end
	w.mu.Unlock()
	if _, err := w.file.WriteAt(b, end); err != nil {
		return err
	}
	return errors.Join(w.file.Truncate(end+int64(len(b))), w.file.Sync())
}
