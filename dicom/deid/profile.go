// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/adit-go/adit/dicom/dict"
)

// The bases of profiles.
const (
	basicBase = "ps3.15-basic"
	aditBase  = "adit"
)

// engine counts changes of tables, vocabulary and rules that change what comes out under an unchanged profile. It goes
// into the hash, so that one hash means one output.
const engine = 4

// Profile says what is done to which attribute. It is immutable and may be shared.
type Profile struct {
	definition    Definition
	name, version string
	base          string
	options       Option
	overrides     []override
	allow         []Reason // rules of refusal that are switched off
	words         map[string]struct{}
	hash          string
	rows          map[dict.Tag]rule
	codes         []method
	codeValues    []string
	claims        Option // the promises that its rules keep, basicProfile among them
	keepsDates    bool   // a date may stay, as it was or changed
	shifts        bool   // it moves dates, so none may stay as it is
}

// method is an item of (0012,0064).
type method struct{ code, meaning string }

// rule is what is done to an attribute, and by what decision.
type rule struct {
	tag    dict.Tag // 0 where a session doesn't keep it
	action Action
	basic  basic // what is done where Clean or Shift can't be, or, if decided, the alternatives
	// byType: action is open, the attribute's type in the object decides among the alternatives of basic.
	byType bool
	class  bool    // MapUID lets pass what the standard gives
	single bool    // one value is all it may have
	vr     dict.VR // by the dictionary, else by the table; of private ones by the override or the list of safe ones
	over   *override
	why    string

	may      actionSet // what keeps the promises of the options; 0 where none is claimed
	temporal counting  // for (0028,0303)
}

// override is a rule of the profile's own. One of tag with mask, VR and creator says what it applies to.
type override struct {
	tag, mask dict.Tag // mask 0: any tag
	vr        dict.VR  // 0: any; where no dictionary knows the attribute, what it is
	creator   string   // of private elements; then tag has group and lower byte of the element
	action    Action
	with      string
	pattern   *regexp.Regexp
	text      string // canonical
	why       string
}

// Name gives the profile's name.
func (p *Profile) Name() string { return p.name }

// Version gives the profile's version, as its author counts.
func (p *Profile) Version() string { return p.version }

// Definition gives what the profile was made of, for a browser that is to work by it. It must not be changed.
func (p *Profile) Definition() Definition { return p.definition }

// Hash gives the SHA-256 of what the profile says, in hexadecimal: comments and order of keys don't matter. It changes
// too if a new release would give another output.
func (p *Profile) Hash() string { return p.hash }

// finish checks a profile and makes it ready.
func (p *Profile) finish() error {
	if err := p.check(); err != nil {
		return fmt.Errorf("de-identification profile %q: %w", p.name, err)
	}
	sum := sha256.Sum256([]byte(p.canonical()))
	p.hash = hex.EncodeToString(sum[:])
	p.compile()
	if err := p.judge(); err != nil {
		return fmt.Errorf("de-identification profile %q: %w", p.name, err)
	}
	return nil
}

func (p *Profile) check() error {
	title := p.name + " " + p.version
	switch {
	case p.name == "" || p.version == "":
		return errors.New("it has no name or no version; give it both")
	case len(title) > maxText || strings.Contains(title, `\`) ||
		strings.ContainsFunc(title, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) }):
		return errors.New("name and version are written into every object; keep them to 63 plain letters in all")
	case p.base != basicBase && p.base != aditBase:
		return fmt.Errorf("there is no base %q; it is %s or %s", p.base, basicBase, aditBase)
	case p.base == aditBase && p.options&^RetainSafePrivate != 0:
		return fmt.Errorf("base %s takes no option but retain-safe-private; take base %s for the others", aditBase, basicBase)
	case p.options&FullDates != 0 && p.options&ModifiedDates != 0:
		return errors.New("it keeps dates (full-dates) and shifts them (modified-dates); one kept date beside a shifted one gives the shift away: choose one")
	}
	return p.contradiction()
}

// judgeDate refuses a date that is kept beside shifted ones, of a birth date more than the year.
func (p *Profile) judgeDate(tag dict.Tag, r *rule) error {
	if !p.shifts || r.vr != dict.DA && r.vr != dict.DT || !betraysShift(r.action) || r.action == Truncate && tag == dict.PatientBirthDate {
		return nil
	}
	return fmt.Errorf("it shifts dates but keeps %s (%s); one kept date beside a shifted one gives the shift away: shift both or keep both", tag, tag.Keyword())
}

// betraysShift tells whether an action leaves of a date what tells, beside shifted ones, by how much they were shifted.
func betraysShift(a Action) bool { return a == Keep || a == Truncate || a == Edit }

// canonical gives what the profile says as text, for the hash.
func (p *Profile) canonical() string {
	var b strings.Builder
	fmt.Fprintf(&b, "adit-profile %d\nname %q\nversion %q\nbase %s\n", engine, p.name, p.version, p.base)
	for _, o := range options {
		if p.options&o.option != 0 {
			fmt.Fprintf(&b, "option %s\n", o.name)
		}
	}
	for i := range p.overrides {
		fmt.Fprintf(&b, "override %s\n", p.overrides[i].text)
	}
	for _, r := range slices.Sorted(slices.Values(p.allow)) {
		fmt.Fprintf(&b, "allow %s\n", r)
	}
	words := make([]string, 0, len(p.words))
	for w := range p.words {
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
	p.rows = make(map[dict.Tag]rule, len(rows))
	for i := range rows {
		r := &rows[i]
		if p.base == aditBase {
			p.rows[r.tag] = aditRule(r)
		} else {
			p.rows[r.tag] = p.basicRule(r)
		}
	}
	for i := range additions {
		p.rows[additions[i].tag] = p.additionRule(&additions[i])
	}
	p.shifts = p.options&ModifiedDates != 0 || slices.ContainsFunc(p.overrides, func(o override) bool { return o.action == Shift })
}

// keepsPrivate tells whether any private attribute may stay.
func (p *Profile) keepsPrivate() bool {
	return p.base == aditBase || p.options&RetainSafePrivate != 0 ||
		slices.ContainsFunc(p.overrides, func(o override) bool { return o.action != Remove && o.private() })
}

func rowOf(tag dict.Tag) (*row, bool) {
	i, ok := slices.BinarySearchFunc(rows[:], tag, func(r row, t dict.Tag) int { return int(int64(r.tag) - int64(t)) })
	if !ok {
		return nil, false
	}
	return &rows[i], true
}

// basicRule decides a row of the table by the options.
func (p *Profile) basicRule(r *row) rule {
	d := rule{vr: r.vr, basic: r.basic}
	switch keep, clean := p.options&r.keep, p.options&r.clean; {
	case clean&ModifiedDates != 0: // before Retain Device Identity: one kept date gives the shift away
		d.action, d.why = Shift, "Table E.1-1, Modified Dates: C"
	case keep != 0:
		d.action, d.why = Keep, "Table E.1-1, "+keep.String()+": K"
	case clean != 0 && r.vr == dict.SQ:
		d.action, d.why = Keep, "Table E.1-1, "+clean.String()+": C on a sequence"
	case clean != 0:
		d.action, d.why = Clean, "Table E.1-1, "+clean.String()+": C"
	default:
		d = basicRule(r)
	}
	return d
}

func basicRule(r *row) rule {
	d := rule{vr: r.vr, basic: r.basic, why: "Table E.1-1: " + basicNames[r.basic]}
	d.action, d.byType = r.basic.action(), r.basic >= basicXZ
	if d.action == MapUID && r.vr == dict.SQ {
		d.action = Keep // U of a sequence is that of the UIDs in it
	}
	return d
}

var basicNames = [...]string{"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D"}

// action gives the action of a row without alternatives. With alternatives it is the last resort.
func (b basic) action() Action {
	switch b {
	case basicZ:
		return Empty
	case basicD:
		return Dummy
	case basicU:
		return MapUID
	}
	return Remove
}

// String names the set's first option as profiles do.
func (o Option) String() string {
	for _, x := range options {
		if o&x.option != 0 {
			return x.name
		}
	}
	return "none"
}

// aditRule decides a row under base adit.
func aditRule(r *row) rule {
	d := basicRule(r)
	d.why = "base adit: as " + d.why
	decide := func(a Action, why string) rule {
		d.action, d.byType, d.why = a, false, "base adit: "+why
		return d
	}
	date := r.clean&ModifiedDates != 0
	switch {
	case r.tag == dict.PatientBirthDate:
		return decide(Truncate, "birth date to its year")
	case date && keptDate(r.tag):
		return decide(Keep, "dates of study, series, acquisition and content stay")
	case date && (r.vr == dict.DA || r.vr == dict.DT || r.vr == dict.OB): // OB: stamps of time in binary
		return d // removed or emptied by type
	case date, r.keep&RetainPatientCharacteristics != 0:
		return decide(Keep, "times and patient characteristics stay")
	case r.basic == basicU:
		return d
	case r.vr == dict.PN:
		return decide(Hash, "names are replaced")
	case r.keep&RetainInstitutionIdentity != 0 && r.vr != dict.SQ, hashed(r):
		return decide(Hash, "identifiers, institutions and addresses are replaced")
	case r.clean&CleanDescriptors != 0 && (r.vr == dict.LO || r.vr == dict.SH || r.vr == dict.CS):
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

// hashed tells whether a row's attribute is an identifier or an address in text.
func hashed(r *row) bool {
	switch r.vr {
	case dict.SH, dict.LO, dict.ST, dict.UC:
	default:
		return false
	}
	keyword := r.tag.Keyword()
	for _, part := range []string{"Number", "Address", "Institution", "StationName", "IDs"} {
		if strings.Contains(keyword, part) {
			return true
		}
	}
	return strings.HasSuffix(keyword, "ID")
}

// ruleOf gives the rule of a tag of an even group. It looks nothing up that could be kept.
func (p *Profile) ruleOf(tag dict.Tag) rule {
	d := p.bareRule(tag)
	for i := range p.overrides {
		if o := &p.overrides[i]; o.matches(tag, d.vr) {
			d.action, d.byType, d.over, d.why = o.action, false, o, o.why
			if d.vr == 0 {
				d.vr = o.vr
			}
			break
		}
	}
	d.spare(tag)
	return d
}

// bareRule is ruleOf without the overrides.
func (p *Profile) bareRule(tag dict.Tag) rule {
	if d, listed := p.rows[tag]; listed {
		return d
	}
	return p.unlisted(tag)
}

// repeats tells whether a tag is of the groups of curves or overlays, which go whole.
func repeats(tag dict.Tag) bool {
	return tag>>24 == 0x50 || tag>>24 == 0x60
}

// unlisted decides what the table doesn't name.
func (p *Profile) unlisted(tag dict.Tag) rule {
	e, known := dict.Lookup(tag)
	d := rule{vr: e.VR}
	decide := func(a Action, why string) rule {
		d.action, d.why = a, why
		return d
	}
	switch why := addedPatternOf(tag, e.Retired); {
	case repeats(tag):
		return decide(Remove, "curves and overlays go whole")
	case why != "":
		return decide(Remove, why)
	case !known || e.VR == 0:
		return decide(Remove, "not in the dictionary")
	case tag.Group() < 8 || tag == dict.LengthToEnd:
		return decide(Remove, "belongs to messages and files, not to an object")
	case tag == dict.DataSetTrailingPadding:
		return decide(Remove, "Dataset Trailing Padding goes")
	case tag == dict.TextValue, tag == dict.UnformattedTextValue:
		// Where a sequence of them is cleaned (PS3.15 E.3.3, E.3.4) its text must be.
		d.basic = basicD
		return decide(Clean, "free text in structured content and graphics")
	}
	switch e.VR {
	case dict.PN:
		return decide(Remove, "a name that Table E.1-1 doesn't list")
	case dict.DA, dict.DT:
		switch {
		case p.options&FullDates != 0:
			return decide(Keep, "a date that Table E.1-1 doesn't list, Full Dates")
		case p.options&ModifiedDates != 0:
			return decide(Shift, "a date that Table E.1-1 doesn't list, Modified Dates")
		}
		return decide(Remove, "a date that Table E.1-1 doesn't list")
	case dict.UI:
		if p.options&RetainUIDs == 0 && tag != dict.SOPClassUID { // an unknown class is for the refusals to decide on
			d.basic, d.class = basicU, isClassUID(e.Keyword)
			return decide(MapUID, "a UID that may name an instance")
		}
	}
	return decide(Keep, "not listed in Table E.1-1")
}

// betrays tells whether a value of a VR, sent in an attribute that has another by the dictionary, must go.
func (p *Profile) betrays(vr dict.VR) bool {
	return vr == dict.PN || (vr == dict.DA || vr == dict.DT) && p.options&FullDates == 0
}

// refuses tells whether a rule of refusal is on.
func (p *Profile) refuses(r Reason) bool { return !slices.Contains(p.allow, r) }
