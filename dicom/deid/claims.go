// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	_ "embed"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// An object says of itself by what it was de-identified: (0012,0062), and the codes of CID 7050 in (0012,0064). What it may say
// is not read off the profile's options: each option, and the basic profile, promises something of every attribute, and a
// promise that the rules don't keep takes its code away. The promises come from the table of the standard by another way
// than the rules (promise.txt), and are held against the rules when a profile is loaded (Profile.judge), and against each
// attribute as it was written (rewriter.verify).

//go:generate go run ./internal/gen/promise

// basicProfile is the claim that the basic profile was applied, beside those of the options.
const basicProfile Option = 1 << 15

//go:embed promise.txt
var promiseText string

// promise is a row of the table of the standard, in its letters.
type promise struct {
	basic       string
	keep, clean Option
}

// promises are the rows by tag; masked are those of repeating groups.
var promises = sync.OnceValue(func() (p struct {
	rows   map[dict.Tag]promise
	masked []struct{ tag, mask dict.Tag }
},
) {
	p.rows = make(map[dict.Tag]promise, 640)
	for line := range strings.Lines(promiseText) {
		if line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if digits := f[0]; strings.Contains(digits, ".") {
			tag, mask, _ := parsePattern(strings.ReplaceAll(digits, ".", "x"))
			p.masked = append(p.masked, struct{ tag, mask dict.Tag }{tag, mask})
			continue
		}
		n, _ := strconv.ParseUint(f[0], 16, 32)
		row := promise{basic: f[1]}
		for i, letter := range f[2] {
			switch letter {
			case 'K':
				row.keep |= 1 << i
			case 'C':
				row.clean |= 1 << i
			}
		}
		p.rows[dict.Tag(n)] = row
	}
	return p
})

// actionSet is a set of actions.
type actionSet uint16

func actionsOf(all ...Action) (s actionSet) {
	for _, a := range all {
		s |= 1 << a
	}
	return s
}

func (s actionSet) has(a Action) bool { return s>>a&1 == 1 }

const anyAction = actionSet(1<<actions - 1)

// silent are the actions that leave nothing of a value.
var silent = actionsOf(Remove, Empty, Dummy, Replace)

// promised gives the actions by which an attribute of an even group keeps what the profile's options promise of it.
func (p *Profile) promised(tag dict.Tag, vr dict.VR) actionSet {
	all := promises()
	for _, m := range all.masked {
		if tag&m.mask == m.tag {
			return silent // clean-graphics too: nobody looks at bitmaps here
		}
	}
	row, listed := all.rows[tag]
	if !listed {
		return p.promisedBeside(tag, vr)
	}
	may := silent
	switch {
	case row.keep&p.options != 0:
		return anyAction
	case vr == dict.SQ && (row.clean&p.options != 0 || strings.Contains(row.basic, "U")):
		may |= actionsOf(Keep, Clean, MapUID) // its items are de-identified by their own rules
	case row.clean&p.options&ModifiedDates != 0:
		may |= actionsOf(Shift)
	case row.clean&p.options != 0:
		may |= actionsOf(Clean)
	}
	if strings.Contains(row.basic, "U") || vr == dict.UI && strings.Contains(row.basic, "D") {
		may |= actionsOf(MapUID)
	}
	return may
}

// promisedBeside is promised for what the table doesn't list: names, dates and UIDs that tell instances are what the basic
// profile is there to remove (PS3.15 E.2), and the text of content items and annotations what the options for these clean.
// For the rest the profile without its overrides is the measure.
func (p *Profile) promisedBeside(tag dict.Tag, vr dict.VR) actionSet {
	e, known := dict.Lookup(tag)
	_, row := rowOf(tag)
	switch {
	case !known && !row:
		return silent
	case tag == dict.TextValue, tag == dict.UnformattedTextValue:
		return silent | actionsOf(Clean)
	case vr == dict.PN:
		return silent
	case vr == dict.DA, vr == dict.DT:
		switch {
		case p.options&FullDates != 0:
			return anyAction
		case p.options&ModifiedDates != 0:
			return silent | actionsOf(Shift)
		}
		return silent
	case vr == dict.UI && !isClassUID(e.Keyword) && p.options&RetainUIDs == 0:
		return silent | actionsOf(MapUID)
	}
	switch bare := p.bareRule(tag); {
	case vr == dict.UI && isClassUID(e.Keyword):
		return anyAction
	case (bare.byType || silent.has(bare.action)) && vr == dict.UI:
		return silent | actionsOf(MapUID)
	case bare.byType, silent.has(bare.action):
		return silent
	case bare.action == Keep:
		return anyAction
	default:
		return silent | actionsOf(bare.action)
	}
}

// possible gives the actions that a rule may come to.
func (r *rule) possible() actionSet {
	alternatives := actionsOf(Remove, Empty, Dummy)
	if r.byType {
		return alternatives
	}
	s := actionsOf(r.action)
	switch r.action {
	case Clean, Shift, Hash, Truncate, Edit: // where that can't be done
		if r.basic >= basicXZ {
			return s | alternatives
		}
		s |= actionsOf(r.basic.action())
	default:
	}
	return s
}

// spoils gives the claims that an attribute's promise belongs to.
func (p *Profile) spoils(tag dict.Tag) Option {
	claims := basicProfile | promises().rows[tag].clean
	switch {
	case tag == dict.TextValue, tag&0xFFFFF000 == 0x0040A000, tag&0xFFFFFF00 == 0x0040DB00, tag == dict.ReferencedSOPInstanceUID:
		claims |= CleanStructuredContent // what content items are made of
	case tag.Group() == 0x0070, repeats(tag):
		claims |= CleanGraphics
	}
	return claims
}

// judge holds the rules against the promises of the options, and refuses dates that are kept beside shifted ones.
func (p *Profile) judge() error {
	claims, retained := p.options|basicProfile, Option(0)
	for tag := range p.attributes() {
		r := p.ruleOf(tag)
		if err := p.judgeDate(tag, &r); err != nil {
			return err
		}
		if r.possible()&^p.promised(tag, r.vr) != 0 {
			claims &^= p.spoils(tag)
		}
		if !silent.has(r.action) && !r.byType {
			row := promises().rows[tag]
			switch {
			case r.action == MapUID:
			case r.vr == dict.SQ:
				retained |= row.keep &^ RetainUIDs // which are in its items
			default:
				retained |= row.keep | row.clean
			}
		}
	}
	if !p.keepsPromiseOfPrivate() {
		claims &^= basicProfile | RetainSafePrivate
	}
	// Who retains says so only if anything is.
	const retain = RetainUIDs | RetainDeviceIdentity | RetainInstitutionIdentity | RetainPatientCharacteristics | FullDates
	claims &^= retain &^ retained
	if p.base != basicBase {
		claims = 0
	}
	p.claims, p.keepsDates = claims, p.mayKeepDates()
	p.codes, p.codeValues = codesOf(claims)
	return nil
}

// codesOf gives the items of (0012,0064) for claims, in the order of their codes.
func codesOf(claims Option) (codes []method, values []string) {
	if claims&basicProfile != 0 {
		codes = append(codes, method{"113100", "Basic Application Confidentiality Profile"})
	}
	for _, o := range options {
		if claims&o.option != 0 {
			codes = append(codes, method{o.code, o.meaning})
		}
	}
	slices.SortFunc(codes, func(a, b method) int { return strings.Compare(a.code, b.code) })
	for _, m := range codes {
		values = append(values, m.code)
	}
	return codes, values
}

// attributes yields every tag of an even group that a rule may be about: those of the table, of the dictionary, and of the overrides. Of
// repeating groups it yields each tag where an override tells them apart, else one for all.
func (p *Profile) attributes() iter.Seq[dict.Tag] {
	return func(all func(dict.Tag) bool) {
		yield := func(tag dict.Tag) bool { return tag.Group() < 8 || tag.IsPrivate() || all(tag) } // those of messages and files are in no object
		for i := range rows {
			if !yield(rows[i].tag) {
				return
			}
		}
		for tag := range promises().rows { // of which the rules may have lost one
			if !yield(tag) {
				return
			}
		}
		for tag, mask := range dict.All() {
			if !p.apart(tag, mask) {
				mask = 0xFFFFFFFF
			}
			if !eachOf(tag, mask, yield) {
				return
			}
		}
		for i := range p.overrides {
			if o := &p.overrides[i]; o.exact() && !yield(o.tag) {
				return
			}
		}
	}
}

// eachOf yields every tag of a repeating group.
func eachOf(tag, mask dict.Tag, yield func(dict.Tag) bool) bool {
	for free := ^mask; ; free = (free - 1) & ^mask {
		if !yield(tag | free) {
			return false
		}
		if free == 0 {
			return true
		}
	}
}

// apart tells whether an override applies to some of the tags of a repeating group and not to others.
func (p *Profile) apart(tag, mask dict.Tag) bool {
	return mask != 0xFFFFFFFF && slices.ContainsFunc(p.overrides, func(o override) bool {
		return (o.tag^tag)&o.mask&mask == 0 && o.mask&^mask != 0
	})
}

// keepsPromiseOfPrivate tells whether no private attribute stays but safe ones, and those only under the option.
func (p *Profile) keepsPromiseOfPrivate() bool {
	kept := func(tag dict.Tag, creator string) bool {
		r := p.privateRule(tag, creator)
		_, safe := safePrivate(creator, tag.Group(), uint8(tag))
		return !silent.has(r.action) && (!safe || p.options&RetainSafePrivate == 0)
	}
	for i := range safeBlocks {
		for _, e := range safeBlocks[i].elements {
			if kept(dict.NewTag(safeBlocks[i].group, 0x1000|uint16(e.element)), safeBlocks[i].creator) {
				return false
			}
		}
	}
	for i := range p.overrides {
		o := &p.overrides[i]
		if tag := o.tag | 0x1000&^o.mask | 0x10000&^o.mask; tag.IsPrivate() && kept(tag, o.creator) {
			return false
		}
	}
	return !kept(0x00091001, "")
}

// verify holds what became of an attribute against what the profile's options promise, and takes the claims away that aren't true. w.out[begin:]
// is what was written.
func (w *rewriter) verify(e *elem, r *rule, a Action, begin int) {
	if r.may == 0 || r.may.has(Keep) {
		return
	}
	if !r.may.has(a) || bytes.Equal(w.out[begin:], e.in) && !w.excused(e, r, a) {
		w.broken |= w.s.p.spoils(e.Tag)
	}
}

// excused tells whether a value may be what it was although it isn't kept.
func (w *rewriter) excused(e *elem, r *rule, a Action) bool {
	v := trimmed(e.value)
	vr := effective(e, r)
	switch {
	case a == Remove:
		return false
	case len(v) == 0 && (vr.Text() || len(e.value) == 0), a == Empty && len(e.value) == 0, a == Clean, a == Replace:
		return true
	case a == Shift && vr != dict.DA && vr != dict.DT:
		return true // times and time zones
	case e.Content != stream.PlainValue, vr == dict.SQ:
		return true // by its items
	case vr == dict.UI:
		for one := range bytes.SplitSeq(e.value, []byte{'\\'}) {
			if _, registered := dict.LookupUID(string(trimmed(one))); !registered && len(trimmed(one)) > 0 {
				return false
			}
		}
		return true
	}
	return bytes.Equal(v, trimmed(appendDummy(nil, vr, len(e.value))))
}

// verifyPrivate is verify for an element of an odd group that was written.
func (w *rewriter) verifyPrivate(e *elem, r *rule, creator string) {
	if r.action != Remove && silent.has(r.action) {
		return
	}
	if _, safe := safePrivate(creator, e.Tag.Group(), uint8(e.Tag)); !safe || w.s.p.options&RetainSafePrivate == 0 {
		w.broken |= basicProfile | RetainSafePrivate
	}
}

// codes gives what the object under way says of itself, as items and as values.
func (w *rewriter) codes() ([]method, []string) {
	if w.claims == w.s.p.claims {
		return w.s.p.codes, w.s.p.codeValues
	}
	return codesOf(w.claims)
}
