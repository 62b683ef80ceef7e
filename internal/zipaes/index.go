// SPDX-License-Identifier: AGPL-3.0-or-later

package zipaes

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// Of an index: its first bytes with the salt of its key, then batches, each with its length before it. A batch is
// sealed with its number and all before it in mind: none can be taken out, cut or moved.
const (
	indexMagic  = "ADITIDX1"
	indexHead   = len(indexMagic) + saltSize
	indexRounds = 10_000
	maxIndex    = 1 << 30 // bytes
)

// batch is what a Commit adds to an index.
type batch struct {
	Label   string   `json:"label,omitempty"` // of the first batch
	Changes []change `json:"changes,omitempty"`
	End     int64    `json:"end"`            // of the content that is whole
	Open    *Entry   `json:"open,omitempty"` // the archive within that is being written, as far as it is whole
}

// change is an entry that came, or one that went.
type change struct {
	Entry
	Gone bool `json:"gone,omitempty"`
}

// index is an index that is written.
type index struct {
	file  File
	aead  cipher.AEAD
	label string
	n     uint64 // batches

	mu       sync.Mutex
	end      int64
	reserved int64 // how far room was made for batches to come, as zeros
}

// Of the room for a batch.
const (
	aroundBatch   = 1 << 10 // bytes that a batch takes without its changes, but for the name of what is being written
	reserveAtOnce = 64 << 10
)

// reserve makes room for a batch with changes of so many bytes: what was acknowledged has to find a place.
func (i *index) reserve(n int) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	short := i.end + int64(n) + aroundBatch - i.reserved
	if short <= 0 {
		return nil
	}
	zeros := make([]byte, (short+reserveAtOnce-1)/reserveAtOnce*reserveAtOnce)
	if _, err := i.file.WriteAt(zeros, i.reserved); err != nil {
		return err
	}
	i.reserved += int64(len(zeros))
	return nil
}

func newIndex(file File, password, salt []byte) (*index, error) {
	k, err := pbkdf2.Key(sha256.New, string(password), salt, indexRounds, keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &index{file: file, aead: aead, end: int64(indexHead), reserved: int64(indexHead)}, err
}

func createIndex(file File, password []byte, label string) (*index, error) {
	head := append([]byte(indexMagic), make([]byte, saltSize)...)
	_, _ = rand.Read(head[len(indexMagic):]) // never fails (crypto/rand)
	i, err := newIndex(file, password, head[len(indexMagic):])
	if err != nil {
		return nil, err
	}
	i.label = label
	if err := file.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := file.WriteAt(head, 0); err != nil {
		return nil, err
	}
	return i, i.append(&batch{Label: label})
}

// append adds a batch, durably.
func (i *index) append(b *batch) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	sealed := i.seal(text)
	if i.end+int64(len(sealed)) > maxIndex {
		return errors.New("the archive has more entries than its index has room for")
	}
	if _, err := i.file.WriteAt(sealed, i.end); err != nil {
		return err
	}
	if err := i.file.Sync(); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end += int64(len(sealed))
	i.reserved = max(i.reserved, i.end)
	i.n++
	return nil
}

func (i *index) seal(text []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(i.aead.NonceSize()+len(text)+i.aead.Overhead()))
	nonce := make([]byte, i.aead.NonceSize())
	_, _ = rand.Read(nonce)
	return i.aead.Seal(append(b, nonce...), nonce, text, binary.LittleEndian.AppendUint64(nil, i.n))
}

// cut cuts off what is behind the last whole batch.
func (i *index) cut() error {
	i.reserved = i.end
	return i.file.Truncate(i.end)
}

// readIndex reads an index up to its last whole batch. ErrOther: it is none, or has another password.
func readIndex(file File, password []byte) (*index, []batch, error) {
	b, err := io.ReadAll(io.NewSectionReader(file, 0, maxIndex+1))
	if err != nil {
		return nil, nil, err
	}
	if len(b) > maxIndex || len(b) < indexHead || string(b[:len(indexMagic)]) != indexMagic {
		return nil, nil, ErrOther
	}
	i, err := newIndex(file, password, b[len(indexMagic):indexHead])
	if err != nil {
		return nil, nil, err
	}
	batches := i.read(b[indexHead:])
	if len(batches) == 0 {
		return nil, nil, ErrOther
	}
	i.label = batches[0].Label
	return i, batches, nil
}

// read returns the whole batches that bytes begin with.
func (i *index) read(b []byte) (batches []batch) {
	for len(b) >= 4 {
		n := int64(binary.LittleEndian.Uint32(b))
		if n < int64(i.aead.NonceSize()) || n > int64(len(b))-4 {
			break
		}
		sealed := b[4 : 4+n]
		text, err := i.aead.Open(
			nil, sealed[:i.aead.NonceSize()], sealed[i.aead.NonceSize():], binary.LittleEndian.AppendUint64(nil, i.n),
		)
		var of batch
		if err != nil || json.Unmarshal(text, &of) != nil || !of.fits() {
			break
		}
		batches = append(batches, of)
		b = b[4+n:]
		i.end += 4 + n
		i.n++
	}
	return batches
}

// size is how many bytes a change takes of a batch at most.
func (c *change) size() int {
	const most = 24 // digits of a number, with its name
	text, err := json.Marshal(c)
	if err != nil {
		return 0 // which append says
	}
	return len(text) + 4*most
}

// fits reports whether a batch can be what it says.
func (b *batch) fits() bool {
	const most = 1 << 60
	for _, c := range b.Changes {
		if c.Size < 0 || c.Offset < 0 || c.Size > most || c.Offset > most || checkName(c.Name) != nil {
			return false
		}
	}
	return b.End >= 0 && b.End <= most && (b.Open == nil || b.Open.In == "" && b.Open.Offset == b.End &&
		b.Open.Size >= 0 && b.Open.Size <= most && checkName(b.Open.Name) == nil)
}

// apply lists what the batches of an index say.
func (w *Writer) apply(batches []batch) {
	for _, b := range batches {
		for _, c := range b.Changes {
			if c.Gone {
				w.drop(c.Name)
			} else {
				w.list(c.Entry)
			}
		}
		w.end, w.open = b.End, nil
		if b.Open != nil {
			w.open = &inner{entry: *b.Open, size: b.Open.Size}
		}
	}
}

// List is what an archive holds, without being written.
type List struct {
	Label   string
	End     int64 // how long its file is at least
	entries map[key]int64
}

// ReadList reads what the index of an archive that isn't finished lists. ErrOther: there is no such index.
func ReadList(list File, password []byte) (*List, error) {
	of, batches, err := readIndex(list, password)
	if err != nil {
		return nil, err
	}
	w := newWriter(nil, of, password, About{})
	w.apply(batches)
	l := &List{Label: of.label, End: w.whole()}
	l.take(entriesOf(w.entries))
	return l, nil
}

// ReadFinished reads what a finished archive of a size lists. ErrOther: it is none of this package's making.
func ReadFinished(file io.ReaderAt, size int64) (*List, error) {
	entries, _, label, err := readDirectory(file, size)
	if errors.Is(err, errForeign) {
		return nil, ErrOther
	}
	if err != nil {
		return nil, err
	}
	l := &List{Label: label, End: size}
	l.take(entries)
	return l, nil
}

func (l *List) take(entries []Entry) {
	l.entries = make(map[key]int64, len(entries))
	for _, e := range entries {
		l.entries[key{e.In, e.Name}] = e.Size
	}
}

// Size returns how long the content of an entry is.
func (l *List) Size(in, name string) (int64, bool) {
	n, there := l.entries[key{in, name}]
	return n, there
}
