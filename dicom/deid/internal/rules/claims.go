// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"iter"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/dict"
)

// BasicProfile is the claim that the basic profile was applied, beside those of the options.
const BasicProfile table.Option = 1 << 15

// Promised returns the actions by which an attribute of an even group keeps what the profile's options promise of it.
func (p *Profile) Promised(tag dict.Tag, vr dict.VR) ActionSet {
	all := table.Promises()
	for _, m := range all.Masked {
		if tag&m.Mask == m.Tag {
			return Silent // clean-graphics too: nobody looks at bitmaps here
		}
	}
	row, listed := all.Rows[tag]
	if !listed {
		return p.promisedBeside(tag, vr)
	}
	may := Silent
	switch {
	case row.Keep&p.Options != 0:
		return anyAction
	case vr == dict.SQ && (row.Clean&p.Options != 0 || strings.Contains(row.Basic, "U")):
		may |= actionsOf(Keep, Clean, MapUID) // its items are de-identified by their own rules
	case row.Clean&p.Options&table.ModifiedDates != 0:
		may |= actionsOf(Shift)
	case row.Clean&p.Options != 0:
		may |= actionsOf(Clean)
	}
	if strings.Contains(row.Basic, "U") || vr == dict.UI && strings.Contains(row.Basic, "D") {
		may |= actionsOf(MapUID)
	}
	return may
}

// promisedBeside is Promised for what the table doesn't list: names, dates and UIDs that tell instances are what the
// basic profile is there to remove (PS3.15 E.2), and the text of content items and annotations what the options for
// these clean. For the rest the profile without its overrides is the measure.
func (p *Profile) promisedBeside(tag dict.Tag, vr dict.VR) ActionSet {
	e, known := dict.Lookup(tag)
	_, row := table.RowOf(tag)
	switch {
	case !known && !row:
		return Silent
	case tag == dict.TextValue, tag == dict.UnformattedTextValue:
		return Silent | actionsOf(Clean)
	case vr == dict.PN:
		return Silent
	case vr == dict.DA, vr == dict.DT:
		switch {
		case p.Options&table.FullDates != 0:
			return anyAction
		case p.Options&table.ModifiedDates != 0:
			return Silent | actionsOf(Shift)
		}
		return Silent
	case vr == dict.UI && !table.IsClassUID(e.Keyword) && p.Options&table.RetainUIDs == 0:
		return Silent | actionsOf(MapUID)
	}
	switch bare := p.bareRule(tag); {
	case vr == dict.UI && table.IsClassUID(e.Keyword):
		return anyAction
	case (bare.ByType || Silent.Has(bare.Action)) && vr == dict.UI:
		return Silent | actionsOf(MapUID)
	case bare.ByType, Silent.Has(bare.Action):
		return Silent
	case bare.Action == Keep:
		return anyAction
	default:
		return Silent | actionsOf(bare.Action)
	}
}

// possible returns the actions that a rule may come to.
func (r *Rule) possible() ActionSet {
	alternatives := actionsOf(Remove, Empty, Dummy)
	if r.ByType {
		return alternatives
	}
	s := actionsOf(r.Action)
	switch r.Action {
	case Clean, Shift, Hash, Truncate, Edit: // where that can't be done
		if r.Basic >= table.BasicXZ {
			return s | alternatives
		}
		s |= actionsOf(BasicAction(r.Basic))
	default:
	}
	return s
}

// Spoils returns the claims that an attribute's promise belongs to.
func (p *Profile) Spoils(tag dict.Tag) table.Option {
	claims := BasicProfile | table.Promises().Rows[tag].Clean
	switch {
	case tag == dict.TextValue, tag&0xFFFFF000 == 0x0040A000, tag&0xFFFFFF00 == 0x0040DB00,
		tag == dict.ReferencedSOPInstanceUID:
		claims |= table.CleanStructuredContent // what content items are made of
	case tag.Group() == 0x0070, table.Repeats(tag):
		claims |= table.CleanGraphics
	}
	return claims
}

// judge holds the rules against the promises of the options, and refuses dates that are kept beside shifted ones.
func (p *Profile) judge() error {
	claims, retained := p.Options|BasicProfile, table.Option(0)
	for tag := range p.attributes() {
		r := p.RuleOf(tag)
		if err := p.judgeDate(tag, &r); err != nil {
			return err
		}
		if r.possible()&^p.Promised(tag, r.VR) != 0 {
			claims &^= p.Spoils(tag)
		}
		if !Silent.Has(r.Action) && !r.ByType {
			row := table.Promises().Rows[tag]
			switch {
			case r.Action == MapUID:
			case r.VR == dict.SQ:
				retained |= row.Keep &^ table.RetainUIDs // which are in its items
			default:
				retained |= row.Keep | row.Clean
			}
		}
	}
	if !p.keepsPromiseOfPrivate() {
		claims &^= BasicProfile | table.RetainSafePrivate
	}
	// Who retains says so only if anything is.
	const retain = table.RetainUIDs | table.RetainDeviceIdentity |
		table.RetainInstitutionIdentity | table.RetainPatientCharacteristics | table.FullDates
	claims &^= retain &^ retained
	if p.Base != BasicBase {
		claims = 0
	}
	p.Claims, p.KeepsDates = claims, p.mayKeepDates()
	p.Codes, p.CodeValues = CodesOf(claims)
	return nil
}

// CodesOf returns the items of (0012,0064) for claims, in the order of their codes.
func CodesOf(claims table.Option) (codes []Method, values []string) {
	if claims&BasicProfile != 0 {
		codes = append(codes, Method{"113100", "Basic Application Confidentiality Profile"})
	}
	for _, o := range table.Options {
		if claims&o.Option != 0 { // sorting them would take the browser's module 24 KB more
			at, _ := slices.BinarySearchFunc(
				codes, o.Code, func(m Method, code string) int { return strings.Compare(m.Code, code) },
			)
			codes = slices.Insert(codes, at, Method{o.Code, o.Meaning})
		}
	}
	for _, m := range codes {
		values = append(values, m.Code)
	}
	return codes, values
}

// attributes yields every tag of an even group that a rule may be about: those of the table, of the dictionary, and of
// the overrides. Of repeating groups it yields each tag where an override tells them apart, else one for all.
func (p *Profile) attributes() iter.Seq[dict.Tag] {
	return func(all func(dict.Tag) bool) {
		// those of messages and files are in no instance
		yield := func(tag dict.Tag) bool { return tag.Group() < 8 || tag.IsPrivate() || all(tag) }
		for i := range table.Rows {
			if !yield(table.Rows[i].Tag) {
				return
			}
		}
		for tag := range table.Promises().Rows { // of which the rules may have lost one
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
		for i := range p.Overrides {
			if o := &p.Overrides[i]; o.exact() && !yield(o.Tag) {
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

// apart reports whether an override applies to some of the tags of a repeating group and not to others.
func (p *Profile) apart(tag, mask dict.Tag) bool {
	return mask != 0xFFFFFFFF && slices.ContainsFunc(p.Overrides, func(o OwnRule) bool {
		return (o.Tag^tag)&o.Mask&mask == 0 && o.Mask&^mask != 0
	})
}

// keepsPromiseOfPrivate reports whether no private attribute stays but safe ones, and those only under the option.
func (p *Profile) keepsPromiseOfPrivate() bool {
	kept := func(tag dict.Tag, creator string) bool {
		r := p.PrivateRule(tag, creator)
		_, safe := table.SafePrivate(creator, tag.Group(), uint8(tag))
		return !Silent.Has(r.Action) && (!safe || p.Options&table.RetainSafePrivate == 0)
	}
	for i := range table.SafeBlocks {
		for _, e := range table.SafeBlocks[i].Elements {
			if kept(dict.NewTag(table.SafeBlocks[i].Group, 0x1000|uint16(e.Element)), table.SafeBlocks[i].Creator) {
				return false
			}
		}
	}
	for i := range p.Overrides {
		o := &p.Overrides[i]
		if tag := o.Tag | 0x1000&^o.Mask | 0x10000&^o.Mask; tag.IsPrivate() && kept(tag, o.Creator) {
			return false
		}
	}
	return !kept(0x00091001, "")
}

// Contradicts reports whether the profile makes untrue what an earlier de-identification said by a code of CID 7050:
// that something was retained, which now is not.
func (p *Profile) Contradicts(code string) bool {
	const retained = table.RetainSafePrivate | table.RetainUIDs | table.RetainDeviceIdentity |
		table.RetainInstitutionIdentity | table.RetainPatientCharacteristics | table.FullDates | table.ModifiedDates
	for _, o := range table.Options {
		if o.Code != code || o.Option&retained == 0 {
			continue
		}
		ours := p.Options
		if p.Base == AditBase {
			ours |= table.RetainSafePrivate | table.RetainPatientCharacteristics | table.FullDates
		}
		if ours&table.FullDates != 0 {
			ours |= table.ModifiedDates // they stay as they were modified
		}
		return ours&o.Option == 0
	}
	return false
}
