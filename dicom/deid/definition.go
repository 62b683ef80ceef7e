// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

// Definition is a profile as its author writes it; LoadProfile says what it may hold.
type Definition struct {
	Name       string     `json:"name"                 yaml:"name"`
	Version    string     `json:"version"              yaml:"version"`
	Base       string     `json:"base"                 yaml:"base"`
	Options    []string   `json:"options,omitempty"    yaml:"options"`
	Overrides  []Override `json:"overrides,omitempty"  yaml:"overrides"`
	Allow      []string   `json:"allow,omitempty"      yaml:"allow"`
	Vocabulary []string   `json:"vocabulary,omitempty" yaml:"vocabulary"`
}

// Override is a rule of a profile's own: what it applies to, and what is done.
type Override struct {
	Tag     string `json:"tag,omitempty"     yaml:"tag"` // "(0018,1030)", x for any digit
	Keyword string `json:"keyword,omitempty" yaml:"keyword"`
	VR      string `json:"vr,omitempty"      yaml:"vr"`      // of private ones: what they hold
	Creator string `json:"creator,omitempty" yaml:"creator"` // of a private block; then Tag is as "(0019,xx10)"
	Action  string `json:"action"            yaml:"action"`
	With    string `json:"with,omitempty"    yaml:"with"`    // of actions replace and regex
	Pattern string `json:"pattern,omitempty" yaml:"pattern"` // of action regex
}

// What a profile may have: more is a mistake, or an attack.
const (
	maxOverrides = 1000
	maxWords     = 20_000
)

// NewProfile checks a definition and makes a profile of it. Unknown options, tags and actions are errors, and so is a profile
// that both keeps and shifts dates. The definition must not be changed any more.
func NewProfile(d Definition) (*Profile, error) {
	p, err := d.profile()
	if err != nil {
		return nil, fmt.Errorf("de-identification profile %q: %w", d.Name, err)
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p, nil
}

func (d *Definition) profile() (*Profile, error) {
	p := &Profile{definition: *d, name: d.Name, version: d.Version, base: d.Base, words: map[string]struct{}{}}
	for _, name := range d.Options {
		i := slices.IndexFunc(options, func(o struct {
			option              Option
			name, code, meaning string
		},
		) bool {
			return o.name == name
		})
		if i < 0 {
			return nil, fmt.Errorf("there is no option %q", name)
		}
		p.options |= options[i].option
	}
	if len(d.Overrides) > maxOverrides || len(d.Vocabulary) > maxWords {
		return nil, fmt.Errorf("it has more than %d overrides or %d words", maxOverrides, maxWords)
	}
	for i := range d.Overrides {
		o, err := d.Overrides[i].override()
		if err != nil {
			return nil, fmt.Errorf("override %d: %w", i+1, err)
		}
		o.why = "override " + strconv.Itoa(i+1) + " of the profile"
		p.overrides = append(p.overrides, o)
	}
	for _, name := range d.Allow {
		switch r := Reason(name); r {
		case BurnedIn, EncapsulatedDocument, PixelsElsewhere, Recognizable, UnknownSOPClass, Undecodable:
			if !slices.Contains(p.allow, r) {
				p.allow = append(p.allow, r)
			}
		default:
			return nil, fmt.Errorf("there is no rule of refusal %q", name)
		}
	}
	for _, w := range d.Vocabulary {
		p.words[strings.ToLower(w)] = struct{}{}
	}
	return p, nil
}

func (d *Override) override() (override, error) {
	o := override{creator: d.Creator, with: d.With, text: fmt.Sprintf("%q", []string{d.Tag, d.Keyword, d.VR, d.Creator, d.Action, d.With, d.Pattern})}
	i := slices.Index(actionNames[:Assign], d.Action)
	if i < 0 || Action(i) == Dummy {
		return o, fmt.Errorf("there is no action %q", d.Action)
	}
	o.action = Action(i)
	if err := d.target(&o); err != nil {
		return o, err
	}
	if (d.With != "") && o.action != Replace && o.action != Edit || d.Pattern != "" && o.action != Edit {
		return o, fmt.Errorf("action %s takes no pattern and no value", o.action)
	}
	if o.action == Replace {
		if err := checkText("the value", d.With); err != nil {
			return o, err
		}
	}
	if o.action == Edit {
		var err error
		if o.pattern, err = regexp.Compile(d.Pattern); err != nil || d.Pattern == "" {
			return o, fmt.Errorf("the pattern %q is no regular expression of Go's (RE2) syntax", d.Pattern)
		}
	}
	return o, o.check()
}

// target reads what an override applies to.
func (d *Override) target(o *override) error {
	if d.VR != "" {
		if len(d.VR) == 2 {
			o.vr = dict.VR(d.VR[0])<<8 | dict.VR(d.VR[1])
		}
		if !o.vr.Known() {
			return fmt.Errorf("there is no VR %q", d.VR)
		}
	}
	switch {
	case d.Tag != "" && d.Keyword != "" || d.Tag == "" && d.Keyword == "" && d.VR == "":
		return errors.New("it needs a tag, a keyword or a VR, and not both tag and keyword")
	case d.Keyword != "":
		e, ok := dict.ByKeyword(d.Keyword)
		if !ok {
			return fmt.Errorf("there is no keyword %q", d.Keyword)
		}
		o.tag, o.mask = e.Tag, 0xFFFFFFFF
	case d.Tag != "":
		var err error
		if o.tag, o.mask, err = parsePattern(d.Tag); err != nil {
			return err
		}
	}
	if d.Creator != "" && (o.mask&0xFFFF00FF != 0xFFFF00FF || !o.tag.IsPrivate()) {
		return errors.New(`with a creator it needs a private tag such as "(0019,xx10)"`)
	}
	if d.Creator != "" {
		o.tag &= 0xFFFF00FF
	}
	return nil
}

// parsePattern reads a tag such as "(0018,1030)" or "0018,9xxx".
func parsePattern(s string) (tag, mask dict.Tag, err error) {
	digits := strings.NewReplacer("(", "", ")", "", ",", "").Replace(strings.ToLower(s))
	if len(digits) != 8 {
		return 0, 0, fmt.Errorf(`%q is no tag; write it as "(0018,1030)", with x for any digit`, s)
	}
	for _, c := range digits {
		tag, mask = tag<<4, mask<<4
		if c == 'x' {
			continue
		}
		n, err := strconv.ParseUint(string(c), 16, 4)
		if err != nil {
			return 0, 0, fmt.Errorf(`%q is no tag; write it as "(0018,1030)", with x for any digit`, s)
		}
		tag, mask = tag|dict.Tag(n), mask|0xF
	}
	return tag, mask, nil
}
