// SPDX-License-Identifier: AGPL-3.0-or-later

// Package manifest records the results of a de-identification, so that anybody can check on any machine that files are
// those results, and that none was replaced, added or removed. See DESIGN.md.
package manifest

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/adit-go/adit/dicom/deid"
)

// Name is that of the file in a folder.
const Name = "manifest.jsonl"

// format is the version of what Writer writes.
const format = 1

// Chain is the SHA-256 that a line ends in: over the line before's and the line itself.
type Chain [sha256.Size]byte

func (c Chain) String() string { return hex.EncodeToString(c[:]) }

// Run is what all instances up to the next run have in common.
type Run struct {
	Format     int             `json:"manifest"`
	Program    string          `json:"program"` // "adit 1.2"
	Profile    deid.Definition `json:"profile"`
	Hash       string          `json:"profile_sha256"`
	Generation uint32          `json:"uid_generation"`
	Key        string          `json:"key"` // tells keys apart and nothing of them; see Fingerprint
	// each instance was searched for what came in, and held back if something was found
	Scan bool  `json:"scan"`
	Job  int64 `json:"job,omitempty"`
	// of the file that says by what the folder was de-identified, as the run left it
	Mark string `json:"mark_sha256,omitempty"`
}

// NewRun describes a run by a profile, of which hash is that of what it says.
func NewRun(program string, profile deid.Definition, hash string, key deid.Key) Run {
	return Run{Format: format, Program: program, Profile: profile, Hash: hash, Key: Fingerprint(key)}
}

// What an instance's hash is of.
const (
	OfFile    = "file"    // all of the file
	OfDataSet = "dataset" // its data set, as sent: without preamble and file meta information
)

// Object is an object that went out. All UIDs are those as sent.
type Object struct {
	Path     string   `json:"file,omitempty"` // in the folder, with slashes
	Study    string   `json:"study,omitempty"`
	Series   string   `json:"series,omitempty"`
	Instance string   `json:"instance"`
	Of       string   `json:"of"`
	Size     int64    `json:"size"`
	SHA256   string   `json:"sha256"`
	Rules    int      `json:"rules,omitempty"` // the line of rules with this number says what was done
	Codes    []string `json:"codes,omitempty"` // CID 7050, as (0012,0064) has them
	ToUTF8   bool     `json:"to_utf8,omitempty"`
	// attributes behind the header that were removed; Rules tells of them too
	Behind  int         `json:"behind,omitempty"`
	Done    []deid.Done `json:"-"` // what was done, of which Writer makes Rules
	Actions []byte      `json:"-"` // or the same in JSON
}

// rules is a line that says what was done to instances.
type rules struct {
	Number int             `json:"rules"`
	Done   json.RawMessage `json:"done"`
}

// end closes a run.
type end struct {
	Objects int            `json:"objects"`
	LeftOut map[string]int `json:"left_out,omitempty"` // instances that did not go out, by reason
	Seal    string         `json:"seal,omitempty"`     // of the chain so far, by the key
}

// line is a line of a manifest: one of its fields is set.
type line struct {
	Run    *Run    `json:"run,omitempty"`
	Rules  *rules  `json:"actions,omitempty"`
	Object *Object `json:"object,omitempty"`
	End    *end    `json:"end,omitempty"`
}

// Writer writes a run. It is not for several goroutines at once.
type Writer struct {
	w       *bufio.Writer
	chain   Chain
	objects int
	known   map[*deid.Done]int // lists that instances share
	numbers map[string]int     // by what they say
}

// NewWriter begins a run behind the line that ended in chain; the zero chain begins a manifest.
func NewWriter(w io.Writer, chain Chain, r Run) (*Writer, error) {
	m := &Writer{w: bufio.NewWriter(w), chain: chain, known: map[*deid.Done]int{}, numbers: map[string]int{}}
	return m, m.write(&line{Run: &r})
}

// Add writes down an instance. What was done to it gets a line of its own, once.
func (m *Writer) Add(o Object) error {
	var err error
	if o.Rules, err = m.number(o.Done, o.Actions); err != nil {
		return err
	}
	m.objects++
	return m.write(&line{Object: &o})
}

func (m *Writer) number(done []deid.Done, text []byte) (n int, err error) {
	if len(done) > 0 {
		if n, ok := m.known[&done[0]]; ok {
			return n, nil
		}
		if text, err = json.Marshal(done); err != nil {
			return 0, err
		}
	}
	if len(text) == 0 {
		return 0, nil
	}
	n, ok := m.numbers[string(text)]
	if !ok {
		n = len(m.numbers) + 1
		m.numbers[string(text)] = n
		if err := m.write(&line{Rules: &rules{n, text}}); err != nil {
			return 0, err
		}
	}
	if len(m.known) >= 1<<12 {
		clear(m.known)
	}
	if len(done) > 0 {
		m.known[&done[0]] = n
	}
	return n, nil
}

// End writes the last line of a run, sealed by the key, and gives the chain that the manifest ends in: who keeps it
// elsewhere can tell whether the manifest is still the same.
func (m *Writer) End(leftOut map[string]int, key deid.Key) (Chain, error) {
	if err := m.write(&line{End: &end{m.objects, leftOut, seal(key, m.chain)}}); err != nil {
		return m.chain, err
	}
	return m.chain, m.w.Flush()
}

// write writes a line: what it says, and as its last member the chain.
func (m *Writer) write(l *line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	m.chain = m.chain.next(text)
	text = append(text[:len(text)-1], chainMember...)
	text = append(append(text, m.chain.String()...), "\"}\n"...)
	_, err = m.w.Write(text)
	return err
}

const chainMember = `,"chain":"`

func (c Chain) next(text []byte) Chain { return sha256.Sum256(append(bytes.Clone(c[:]), text...)) }

// Fingerprint tells keys apart.
func Fingerprint(key deid.Key) string { return mac(key, "fingerprint", nil)[:16] }

func seal(key deid.Key, c Chain) string { return mac(key, "seal", c[:]) }

func mac(key deid.Key, label string, b []byte) string {
	h := hmac.New(sha256.New, key.ManifestKey())
	_, _ = h.Write(append([]byte(label), b...)) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}

// longest is the length of a line: a profile of twenty thousand words fits.
const longest = 16 << 20

// errTorn says that a manifest ends within a line: the program was killed while it wrote.
var errTorn = errors.New("the manifest ends within a line")

// read gives the lines of a manifest with their chains. A line that doesn't continue the chain of the one before it is
// told to broken, which may go on from what the line itself says; its link is then not whole.
func read(r io.Reader, broken func(error) error, take func(n int, l *line, at link) error) error {
	var chain Chain
	b := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		text, err := readLine(b)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		l, says, body := parse(text)
		if l == nil {
			if err := broken(fmt.Errorf("line %d is not a line of a manifest; it was changed or added", n)); err != nil {
				return err
			}
			continue
		}
		at := link{before: chain, chain: chain.next(body)}
		if at.whole = at.chain == says; !at.whole {
			err := fmt.Errorf(
				"line %d does not continue the chain; it was changed, moved or added, or a line before it was removed",
				n,
			)
			if err := broken(err); err != nil {
				return err
			}
			at.chain = says
		}
		chain = at.chain
		if err := take(n, l, at); err != nil {
			return err
		}
	}
}

// link is where a line stands in the chain.
type link struct {
	before, chain Chain
	whole         bool
}

// parse takes a line apart: what it says, and its last member, the chain. It is nil if it is no line.
func parse(text []byte) (l *line, chain Chain, body []byte) {
	at := len(text) - len(chainMember) - hex.EncodedLen(len(chain)) - len(`"}`)
	if at < 1 || !bytes.HasPrefix(text[at:], []byte(chainMember)) || !bytes.HasSuffix(text, []byte(`"}`)) {
		return nil, chain, nil
	}
	if _, err := hex.Decode(chain[:], text[at+len(chainMember):len(text)-len(`"}`)]); err != nil {
		return nil, chain, nil
	}
	body = append(bytes.Clone(text[:at]), '}')
	if json.Unmarshal(body, &l) != nil {
		return nil, chain, nil
	}
	return l, chain, body
}

// End returns the chain that a manifest ends in, an error if it doesn't hold.
func End(r io.Reader) (last Chain, err error) {
	return last, read(r, func(err error) error { return err }, func(_ int, _ *line, at link) error {
		last = at.chain
		return nil
	})
}

func readLine(b *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := b.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case err == nil:
			return text[:len(text)-1], nil
		case errors.Is(err, io.EOF) && len(text) > 0:
			return nil, errTorn
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(text) > longest:
			return nil, errors.New("it is too long; it was changed")
		}
	}
}
