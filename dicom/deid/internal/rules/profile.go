// SPDX-License-Identifier: AGPL-3.0-or-later

// Package rules decides what happens to each attribute: it builds a profile from its author's definition, applies it to
// each attribute, and checks the decisions against the promises of the profile's options.
package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/words"
	"github.com/adit-go/adit/dicom/dict"
)

// The bases of profiles.
const (
	BasicBase = "ps3.15-basic"
	AditBase  = "adit"
)

// engine counts changes of tables, vocabulary and rules that change what comes out under an unchanged profile. It goes
// into the hash, so that one hash means one output.
const engine = 5

// Profile is a profile made ready: a rule per attribute, and which promises they keep.
type Profile struct {
	Definition    Definition
	Name, Version string
	Base          string
	Options       table.Option
	Overrides     []OwnRule
	allow         []Reason // rules of refusal that are switched off
	Words         words.Own
	Hash          string
	Rows          map[dict.Tag]Rule
	Codes         []Method
	CodeValues    []string
	Claims        table.Option // the promises that its rules keep, BasicProfile among them
	KeepsDates    bool         // a date may stay, as it was or changed
	Shifts        bool         // it moves dates, so none may stay as it is
}

// Method is an item of (0012,0064).
type Method struct{ Code, Meaning string }

// Rule is what is done to an attribute, and by what decision.
type Rule struct {
	Tag    dict.Tag // 0 where a session doesn't keep it
	Action Action
	Basic  table.Basic // what is done where Clean or Shift can't be, or, if decided, the alternatives
	// ByType: Action is open, the attribute's type in the instance decides among the alternatives of Basic.
	ByType bool
	Class  bool    // MapUID lets pass what the standard gives
	Single bool    // one value is all it may have
	VR     dict.VR // by the dictionary, else by the table; of private ones by the override or the list of safe ones
	Over   *OwnRule
	Why    string

	May      ActionSet // what keeps the promises of the options; 0 where none is claimed
	Temporal Counting  // for (0028,0303)
}

// OwnRule is a rule of the profile's own, as an Override is made ready. One of Tag with Mask, VR and Creator says what
// it applies to.
type OwnRule struct {
	Tag, Mask dict.Tag // Mask 0: any tag
	VR        dict.VR  // 0: any; where no dictionary knows the attribute, what it is
	Creator   string   // of private elements; then Tag has group and lower byte of the element
	Action    Action
	With      string
	Pattern   *regexp.Regexp
	text      string // canonical
	Why       string
}

// finish checks a profile and makes it ready.
func (p *Profile) finish() error {
	if err := p.check(); err != nil {
		return fmt.Errorf("de-identification profile %q: %w", p.Name, err)
	}
	sum := sha256.Sum256([]byte(p.canonical()))
	p.Hash = hex.EncodeToString(sum[:])
	p.compile()
	if err := p.judge(); err != nil {
		return fmt.Errorf("de-identification profile %q: %w", p.Name, err)
	}
	return nil
}

// maxTitle is the length of name and version together: LO holds 64 characters (PS3.5 6.2).
const maxTitle = 64

func (p *Profile) check() error {
	title := p.Name + " " + p.Version
	switch {
	case p.Name == "" || p.Version == "":
		return errors.New("it lacks a name or a version; give it both")
	case len(title) > maxTitle || strings.Contains(title, `\`) ||
		strings.ContainsFunc(title, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) }):
		return errors.New("ADIT writes name and version into every instance; keep them to 63 plain letters in total")
	case p.Base != BasicBase && p.Base != AditBase:
		return fmt.Errorf("there is no base %q; it is %s or %s", p.Base, BasicBase, AditBase)
	case p.Base == AditBase && p.Options&^table.RetainSafePrivate != 0:
		return fmt.Errorf(
			"base %s takes no option but retain-safe-private; take base %s for the others", AditBase, BasicBase,
		)
	case p.Options&table.FullDates != 0 && p.Options&table.ModifiedDates != 0:
		return errors.New("it keeps dates (full-dates) and shifts them (modified-dates); one kept date beside a " +
			"shifted one gives the shift away: choose one")
	}
	return p.contradiction()
}

// judgeDate refuses a date that is kept beside shifted ones, of a birth date more than the year.
func (p *Profile) judgeDate(tag dict.Tag, r *Rule) error {
	if !p.Shifts || r.VR != dict.DA && r.VR != dict.DT || !betraysShift(r.Action) ||
		r.Action == Truncate && tag == dict.PatientBirthDate {
		return nil
	}
	return fmt.Errorf(
		"it shifts dates but keeps %s (%s); one kept date beside a shifted one gives the shift away: shift both or "+
			"keep both",
		tag, tag.Keyword(),
	)
}

// betraysShift reports whether an action leaves of a date what tells, beside shifted ones, by how much they were
// shifted.
func betraysShift(a Action) bool { return a == Keep || a == Truncate || a == Edit }

// canonical returns what the profile says as text, for the hash.
func (p *Profile) canonical() string {
	var b strings.Builder
	fmt.Fprintf(&b, "adit-profile %d\nname %q\nversion %q\nbase %s\n", engine, p.Name, p.Version, p.Base)
	for _, o := range table.Options {
		if p.Options&o.Option != 0 {
			fmt.Fprintf(&b, "option %s\n", o.Name)
		}
	}
	for i := range p.Overrides {
		fmt.Fprintf(&b, "override %s\n", p.Overrides[i].text)
	}
	for _, r := range slices.Sorted(slices.Values(p.allow)) {
		fmt.Fprintf(&b, "allow %s\n", r)
	}
	words := make([]string, 0, len(p.Words))
	for w := range p.Words {
		words = append(words, w)
	}
	slices.Sort(words)
	for _, w := range words {
		fmt.Fprintf(&b, "word %q\n", w)
	}
	return b.String()
}

// compile makes the table of actions.
func (p *Profile) compile() {
	p.Rows = make(map[dict.Tag]Rule, len(table.Rows))
	for i := range table.Rows {
		r := &table.Rows[i]
		if p.Base == AditBase {
			p.Rows[r.Tag] = AditRule(r)
		} else {
			p.Rows[r.Tag] = p.basicRule(r)
		}
	}
	for i := range table.Additions {
		p.Rows[table.Additions[i].Tag] = p.additionRule(&table.Additions[i])
	}
	p.Shifts = p.Options&table.ModifiedDates != 0 ||
		slices.ContainsFunc(p.Overrides, func(o OwnRule) bool { return o.Action == Shift })
}

// KeepsPrivate reports whether any private attribute may stay.
func (p *Profile) KeepsPrivate() bool {
	return p.Base == AditBase || p.Options&table.RetainSafePrivate != 0 ||
		slices.ContainsFunc(p.Overrides, func(o OwnRule) bool { return o.Action != Remove && o.private() })
}

// basicRule decides a row of the table by the options.
func (p *Profile) basicRule(r *table.Row) Rule {
	d := Rule{VR: r.VR, Basic: r.Basic}
	switch keep, clean := p.Options&r.Keep, p.Options&r.Clean; {
	case clean&table.ModifiedDates != 0: // before Retain Device Identity: one kept date gives the shift away
		d.Action, d.Why = Shift, "Table E.1-1, Modified Dates: C"
	case keep != 0:
		d.Action, d.Why = Keep, "Table E.1-1, "+keep.String()+": K"
	case clean != 0 && r.VR == dict.SQ:
		d.Action, d.Why = Keep, "Table E.1-1, "+clean.String()+": C on a sequence"
	case clean != 0:
		d.Action, d.Why = Clean, "Table E.1-1, "+clean.String()+": C"
	default:
		d = basicRule(r)
	}
	return d
}

func basicRule(r *table.Row) Rule {
	d := Rule{VR: r.VR, Basic: r.Basic, Why: "Table E.1-1: " + basicNames[r.Basic]}
	d.Action, d.ByType = BasicAction(r.Basic), r.Basic >= table.BasicXZ
	if d.Action == MapUID && r.VR == dict.SQ {
		d.Action = Keep // U of a sequence is that of the UIDs in it
	}
	return d
}

var basicNames = [...]string{"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D"}

// BasicAction returns the action of a row without alternatives. With alternatives it is the last resort.
func BasicAction(b table.Basic) Action {
	switch b {
	case table.BasicZ:
		return Empty
	case table.BasicD:
		return Dummy
	case table.BasicU:
		return MapUID
	}
	return Remove
}

// AditRule returns the rule of a row under base adit.
func AditRule(r *table.Row) Rule {
	d := basicRule(r)
	d.Why = "base adit: as " + d.Why
	decide := func(a Action, why string) Rule {
		d.Action, d.ByType, d.Why = a, false, "base adit: "+why
		return d
	}
	date := r.Clean&table.ModifiedDates != 0
	switch {
	case r.Tag == dict.PatientBirthDate:
		return decide(Truncate, "birth date to its year")
	case date && keptDate(r.Tag):
		return decide(Keep, "dates of study, series, acquisition and content stay")
	case date && (r.VR == dict.DA || r.VR == dict.DT || r.VR == dict.OB): // OB: stamps of time in binary
		return d // removed or emptied by type
	case date, r.Keep&table.RetainPatientCharacteristics != 0:
		return decide(Keep, "times and patient characteristics stay")
	case r.Basic == table.BasicU:
		return d
	case r.VR == dict.PN:
		return decide(Hash, "names are replaced")
	case r.Keep&table.RetainInstitutionIdentity != 0 && r.VR != dict.SQ, hashed(r):
		return decide(Hash, "identifiers, institutions and addresses are replaced")
	case r.Clean&table.CleanDescriptors != 0 && (r.VR == dict.LO || r.VR == dict.SH || r.VR == dict.CS):
		return decide(Keep, "short descriptions stay")
	}
	return d
}

func keptDate(tag dict.Tag) bool {
	switch tag {
	case dict.StudyDate, dict.StudyTime, dict.SeriesDate, dict.SeriesTime, dict.AcquisitionDate, dict.AcquisitionTime,
		dict.AcquisitionDateTime, dict.ContentDate, dict.ContentTime:
		return true
	}
	return false
}

// hashed reports whether a row's attribute is an identifier or an address in text.
func hashed(r *table.Row) bool {
	switch r.VR {
	case dict.SH, dict.LO, dict.ST, dict.UC:
	default:
		return false
	}
	keyword := r.Tag.Keyword()
	for _, part := range []string{"Number", "Address", "Institution", "StationName", "IDs"} {
		if strings.Contains(keyword, part) {
			return true
		}
	}
	return strings.HasSuffix(keyword, "ID")
}

// RuleOf returns the rule of a tag of an even group. It looks nothing up that could be kept.
func (p *Profile) RuleOf(tag dict.Tag) Rule {
	d := p.bareRule(tag)
	for i := range p.Overrides {
		if o := &p.Overrides[i]; o.Matches(tag, d.VR) {
			d.Action, d.ByType, d.Over, d.Why = o.Action, false, o, o.Why
			if d.VR == 0 {
				d.VR = o.VR
			}
			break
		}
	}
	d.spare(tag)
	return d
}

// bareRule is RuleOf without the overrides.
func (p *Profile) bareRule(tag dict.Tag) Rule {
	if d, listed := p.Rows[tag]; listed {
		return d
	}
	return p.unlisted(tag)
}

// unlisted decides what the table doesn't name.
func (p *Profile) unlisted(tag dict.Tag) Rule {
	e, known := dict.Lookup(tag)
	d := Rule{VR: e.VR}
	decide := func(a Action, why string) Rule {
		d.Action, d.Why = a, why
		return d
	}
	switch why := table.AddedPatternOf(tag, e.Retired); {
	case table.Repeats(tag):
		return decide(Remove, "curves and overlays go whole")
	case why != "":
		return decide(Remove, why)
	case !known || e.VR == 0:
		return decide(Remove, "not in the dictionary")
	case tag.Group() < 8 || tag == dict.LengthToEnd:
		return decide(Remove, "belongs to messages and files, not to an instance")
	case tag == dict.DataSetTrailingPadding:
		return decide(Remove, "Dataset Trailing Padding goes")
	case tag == dict.TextValue, tag == dict.UnformattedTextValue:
		// Where a sequence of them is cleaned (PS3.15 E.3.3, E.3.4) its text must be.
		d.Basic = table.BasicD
		return decide(Clean, "free text in structured content and graphics")
	}
	switch e.VR {
	case dict.PN:
		return decide(Remove, "a name that Table E.1-1 doesn't list")
	case dict.DA, dict.DT:
		switch {
		case p.Options&table.FullDates != 0:
			return decide(Keep, "a date that Table E.1-1 doesn't list, Full Dates")
		case p.Options&table.ModifiedDates != 0:
			return decide(Shift, "a date that Table E.1-1 doesn't list, Modified Dates")
		}
		return decide(Remove, "a date that Table E.1-1 doesn't list")
	case dict.UI:
		// an unknown class is for the refusals to decide on
		if p.Options&table.RetainUIDs == 0 && tag != dict.SOPClassUID {
			d.Basic, d.Class = table.BasicU, table.IsClassUID(e.Keyword)
			return decide(MapUID, "a UID that may name an instance")
		}
	}
	return decide(Keep, "not listed in Table E.1-1")
}

// betrays reports whether a value of a VR, sent in an attribute that has another by the dictionary, must go.
func (p *Profile) betrays(vr dict.VR) bool {
	return vr == dict.PN || (vr == dict.DA || vr == dict.DT) && p.Options&table.FullDates == 0
}

// Refuses reports whether a rule of refusal is on.
func (p *Profile) Refuses(r Reason) bool { return !slices.Contains(p.allow, r) }

// spare makes of a rule that shifts one that does the basic action, where others know the attribute's date.
func (r *Rule) spare(tag dict.Tag) {
	if r.Action != Shift {
		return
	}
	why, public := dates.Public[tag]
	if !public {
		return
	}
	basic := Rule{Action: Remove}
	if found, listed := table.RowOf(tag); listed {
		basic = basicRule(found)
	}
	r.Action, r.ByType = basic.Action, basic.ByType
	r.Why += "; not shifted, since it is " + why
}
