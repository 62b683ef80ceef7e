// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/adit-go/adit/db"
)

// Fault is a way in which a chain differs from what was sealed.
type Fault string

// The faults of a chain.
const (
	Removed   Fault = "removed"   // rows are not there, later ones are
	Changed   Fault = "changed"   // a row does not fit its hash and the one before it
	CutOff    Fault = "cut_off"   // rows are not there that a head tells of
	Rewritten Fault = "rewritten" // a row has another hash than a head tells
	Beyond    Fault = "beyond"    // rows after the head that the sealer left
	Disorder  Fault = "disorder"  // a row does not follow the one before it
)

// faultWords end the sentences that begin with "Row 5" and with "Rows 5 to 7".
var faultWords = map[Fault][2]string{
	Removed: {"is missing: it was removed", "are missing: they were removed"},
	Changed: {"does not match its hash: it was changed, or the row before it was changed and given a new hash", ""},
	CutOff:  {"is missing: the end of the log was cut off", "are missing: the end of the log was cut off"},
	Rewritten: {
		"is not the row that it was when its head was taken: the log was rewritten, here or earlier", "",
	},
	Beyond:   {"comes after the last head that ADIT wrote: ADIT did not seal it", "come after the last head that ADIT wrote: ADIT did not seal them"},
	Disorder: {"is in the place of another one", ""},
}

// ChainFault is what is wrong with the rows From to To of a chain.
type ChainFault struct {
	From, To int64
	Fault    Fault
}

func (f ChainFault) String() string {
	if f.From == f.To {
		return fmt.Sprintf("Row %d %s.", f.From, faultWords[f.Fault][0])
	}
	return fmt.Sprintf("Rows %d to %d %s.", f.From, f.To, faultWords[f.Fault][1])
}

// maxChainFaults bounds what is told of a chain that is full of them.
const maxChainFaults = 1000

// ChainReport is what came of a verification.
type ChainReport struct {
	Rows     int64        // that were checked
	Head     Head         // of the last row
	Faults   []ChainFault // the first maxChainFaults; none: nothing was changed, removed or cut off
	Gone     []GoneRows   // that the chain itself says were detached
	Months   []GoneMonth  // that they were of; of an export: none is named
	Passed   []Head       // that could not be compared, since their rows are among those
	Unsealed int64        // rows that wait for the sealer
	Oldest   time.Time    // of them
}

// checker follows a chain row by row.
type checker struct {
	at     Head
	heads  []Head // kept earlier; those of rows still to come
	gone   []GoneRows
	report ChainReport
}

func newChecker(start Head, heads []Head, gone []GoneRows) *checker {
	c := &checker{at: start, gone: gone}
	for _, h := range heads {
		if h.Seq > start.Seq {
			c.heads = append(c.heads, h)
		}
	}
	slices.SortFunc(c.heads, func(a, b Head) int { return cmp.Compare(a.Seq, b.Seq) })
	return c
}

func (c *checker) fault(from, to int64, fault Fault) {
	if len(c.report.Faults) < maxChainFaults {
		c.report.Faults = append(c.report.Faults, ChainFault{from, to, fault})
	}
}

func (c *checker) take(r Row) {
	c.report.Rows++
	hash, err := hex.DecodeString(r.Hash)
	if err != nil || len(hash) != sha256.Size || r.Seq <= c.at.Seq {
		c.fault(r.Seq, r.Seq, Disorder)
		return
	}
	c.pass(r.Seq - 1)
	if r.Seq > c.at.Seq+1 {
		c.fault(c.at.Seq+1, r.Seq-1, Removed) // without the row before, this one can't be checked
	} else if c.at.next(r.row()).Hash != [sha256.Size]byte(hash) {
		c.fault(r.Seq, r.Seq, Changed)
	}
	c.at = Head{Seq: r.Seq, Hash: [sha256.Size]byte(hash)} // a changed row is one fault, not one of each row after it
	c.compareHeads()
}

// pass goes over rows that were detached, as far as one place of the chain.
func (c *checker) pass(upTo int64) {
	for _, g := range c.gone {
		last, err := ParseHead(fmt.Sprintf("%d:%s", g.To, g.Hash))
		if err != nil || g.From <= c.at.Seq || g.To < g.From || g.To > upTo {
			continue
		}
		if g.From > c.at.Seq+1 {
			c.fault(c.at.Seq+1, g.From-1, Removed)
		} else if g.Before != hex.EncodeToString(c.at.Hash[:]) {
			c.fault(c.at.Seq, c.at.Seq, Rewritten)
		}
		c.report.Gone = append(c.report.Gone, g)
		c.at = last
		for len(c.heads) > 0 && c.heads[0].Seq < g.To {
			c.report.Passed = append(c.report.Passed, c.heads[0])
			c.heads = c.heads[1:]
		}
		c.compareHeads()
	}
}

// compareHeads looks at the heads that were kept of rows up to here.
func (c *checker) compareHeads() {
	for len(c.heads) > 0 && c.heads[0].Seq <= c.at.Seq {
		c.compare(c.heads[0])
		c.heads = c.heads[1:]
	}
}

// compare looks whether the row that was taken last is the one that a head tells of.
func (c *checker) compare(h Head) {
	if h.Seq == c.at.Seq && h != c.at {
		c.fault(h.Seq, h.Seq, Rewritten)
	}
}

// end returns what was found once the rows have come to their end, where last should be the last one.
func (c *checker) end(last Head) ChainReport {
	c.pass(last.Seq)
	c.report.Head = c.at
	known := last
	if n := len(c.heads); n > 0 && c.heads[n-1].Seq > last.Seq { // it tells how far the chain has been
		known = c.heads[n-1]
	}
	switch {
	case known.Seq > c.at.Seq:
		c.fault(c.at.Seq+1, known.Seq, CutOff)
	case last.Seq < c.at.Seq:
		c.fault(last.Seq+1, c.at.Seq, Beyond)
	default:
		c.compare(last)
	}
	return c.report
}

// Verify follows the whole chain in the database. heads are those that were kept outside of it, by exports or by the
// receiver of the audit messages; the one that the sealer left in the database is always looked at. The sealer may go
// on meanwhile.
func (s *Service) Verify(ctx context.Context, heads ...Head) (ChainReport, error) {
	end, err := s.q.AuditEnd(ctx)
	if err != nil {
		return ChainReport{}, fmt.Errorf("the audit log can't be read: %w", err)
	}
	gone, err := s.detached(ctx)
	if err != nil {
		return ChainReport{}, err
	}
	check := newChecker(Head{}, heads, gone.Gone)
	check.report.Months = gone.Months
	for row, err := range s.sealed(ctx, 0, max(end.Seq, end.Last)) {
		if err != nil {
			return ChainReport{}, err
		}
		check.take(row)
	}
	report := check.end(Head{Seq: end.Seq, Hash: [sha256.Size]byte(end.Hash)})
	unsealed, err := s.q.CountUnsealedAudit(ctx)
	if err == nil && unsealed.Rows > 0 {
		report.Unsealed, report.Oldest = unsealed.Rows, unsealed.Oldest
	}
	return report, err
}

// exportPage is how many rows are read at once.
const exportPage = 1000

// sealed yields the rows of the chain after one place up to another.
func (s *Service) sealed(ctx context.Context, after, upTo int64) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for after < upTo {
			rows, err := s.q.SealedAudit(ctx, db.SealedAuditParams{After: after, UpTo: upTo, Most: exportPage})
			if err != nil {
				yield(Row{}, fmt.Errorf("the audit log can't be read: %w", err))
				return
			}
			for _, row := range rows {
				if after = *row.Seq; !yield(rowOf(row), nil) {
					return
				}
			}
			if len(rows) < exportPage {
				return
			}
		}
	}
}

// link is what the chain consists of: a row, or rows that were detached.
type link struct {
	row  Row
	gone *GoneRows
}

// head returns the head after a link, as it says itself.
func (l link) head() (h Head) {
	text := l.row.Hash
	if h.Seq = l.row.Seq; l.gone != nil {
		h.Seq, text = l.gone.To, l.gone.Hash
	}
	hash, _ := hex.DecodeString(text) // what can't be read is no hash, and found by who verifies
	copy(h.Hash[:], hash)
	return h
}

// chain yields the rows of the chain after one place up to another, and where they were the rows that were detached.
func (s *Service) chain(ctx context.Context, after, upTo int64, gone []GoneRows) iter.Seq2[link, error] {
	return func(yield func(link, error) bool) {
		passed := func(next int64) bool { // over what is missing before a row
			for i := range gone {
				if g := &gone[i]; g.From == after+1 && g.To < next {
					if after = g.To; !yield(link{gone: g}, nil) {
						return false
					}
				}
			}
			return true
		}
		for row, err := range s.sealed(ctx, after, upTo) {
			if err != nil {
				yield(link{}, err)
				return
			}
			if !passed(row.Seq) {
				return
			}
			if after = row.Seq; !yield(link{row: row}, nil) {
				return
			}
		}
		passed(upTo + 1)
	}
}

// exportEnd is the last line of an export.
type exportEnd struct {
	Head string `json:"head"` // SEQ:HASH
}

// goneLine is a line of an export in the place of rows that were detached before.
type goneLine struct {
	Gone *GoneRows `json:"gone"`
}

// Export writes the rows of the chain after one place (0: from the first) as JSON lines, one object each, and in the
// last line the head: {"head":"SEQ:HASH"}. Where rows were detached, a line says which:
// {"gone":{"from":…,"to":…,"before":…,"hash":…}}.
func (s *Service) Export(ctx context.Context, w io.Writer, after int64) (Head, error) {
	head, err := s.Head(ctx)
	if err != nil {
		return Head{}, err
	}
	buffered := bufio.NewWriter(w)
	out := json.NewEncoder(buffered)
	d, err := s.detached(ctx)
	if err != nil {
		return Head{}, err
	}
	for link, err := range s.chain(ctx, after, head.Seq, d.Gone) {
		if err == nil && link.gone != nil {
			err = out.Encode(goneLine{link.gone})
		} else if err == nil {
			err = out.Encode(link.row)
		}
		if err != nil {
			return Head{}, err
		}
	}
	return head, errors.Join(out.Encode(exportEnd{head.String()}), buffered.Flush())
}

// maxExportLine bounds a line of an export: a row's detail is limited to 64 Ki characters.
const maxExportLine = 1 << 20

// VerifyExport follows the chain in an export. One that does not begin with the first row needs the head of the row
// before it among heads: the last line of the export before.
func VerifyExport(r io.Reader, heads ...Head) (ChainReport, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxExportLine)
	var check *checker
	for n := 1; lines.Scan(); n++ {
		var line struct {
			exportEnd
			goneLine
			Row
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return ChainReport{}, fmt.Errorf("line %d is not a line of an export of the audit log", n)
		}
		first := line.Seq
		if line.Gone != nil {
			first = line.Gone.From
		}
		if check == nil {
			check = newChecker(headBefore(heads, first), heads, nil)
		}
		switch {
		case line.Gone != nil:
			check.gone = []GoneRows{*line.Gone}
			check.pass(line.Gone.To)
			continue
		case line.exportEnd.Head == "":
			check.take(line.Row)
			continue
		}
		head, err := ParseHead(line.exportEnd.Head)
		if err != nil {
			return ChainReport{}, err
		}
		if lines.Scan() {
			return ChainReport{}, fmt.Errorf("line %d comes after the head, which must be the last line of an export", n+1)
		}
		return check.end(head), nil
	}
	if err := lines.Err(); err != nil {
		return ChainReport{}, err
	}
	return ChainReport{}, errors.New("the export is truncated: its last line, with the head, is missing")
}

// headBefore returns the head that a row follows: none before the first.
func headBefore(heads []Head, seq int64) Head {
	for _, h := range heads {
		if h.Seq == seq-1 {
			return h
		}
	}
	return Head{}
}
