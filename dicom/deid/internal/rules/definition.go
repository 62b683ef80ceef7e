// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/deid/internal/words"
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

// New checks a definition and makes it ready. The error names the profile.
func New(d Definition) (*Profile, error) {
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
	p := &Profile{Definition: *d, Name: d.Name, Version: d.Version, Base: d.Base, Words: words.Own{}}
	for _, name := range d.Options {
		i := slices.IndexFunc(table.Options, func(o table.Column) bool { return o.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no option %q", name)
		}
		p.Options |= table.Options[i].Option
	}
	if len(d.Overrides) > maxOverrides || len(d.Vocabulary) > maxWords {
		return nil, fmt.Errorf("it has more than %d overrides or %d words", maxOverrides, maxWords)
	}
	for i := range d.Overrides {
		o, err := d.Overrides[i].override()
		if err != nil {
			return nil, fmt.Errorf("override %d: %w", i+1, err)
		}
		o.Why = "override " + strconv.Itoa(i+1) + " of the profile"
		p.Overrides = append(p.Overrides, o)
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
		p.Words[strings.ToLower(w)] = struct{}{}
	}
	return p, nil
}

func (d *Override) override() (OwnRule, error) {
	o := OwnRule{Creator: d.Creator, With: d.With, text: fmt.Sprintf(
		"%q", []string{d.Tag, d.Keyword, d.VR, d.Creator, d.Action, d.With, d.Pattern},
	)}
	i := slices.Index(actionNames[:Assign], d.Action)
	if i < 0 || Action(i) == Dummy {
		return o, fmt.Errorf("there is no action %q", d.Action)
	}
	o.Action = Action(i)
	if err := d.target(&o); err != nil {
		return o, err
	}
	if (d.With != "") && o.Action != Replace && o.Action != Edit || d.Pattern != "" && o.Action != Edit {
		return o, fmt.Errorf("action %s takes no pattern and no value", o.Action)
	}
	if o.Action == Replace {
		if err := values.CheckText("the value", d.With); err != nil {
			return o, err
		}
	}
	if o.Action == Edit {
		var err error
		if o.Pattern, err = regexp.Compile(d.Pattern); err != nil || d.Pattern == "" {
			return o, fmt.Errorf("the pattern %q is not a regular expression in Go's (RE2) syntax", d.Pattern)
		}
	}
	return o, o.check()
}

// target reads what an override applies to.
func (d *Override) target(o *OwnRule) error {
	if d.VR != "" {
		if len(d.VR) == 2 {
			o.VR = dict.VR(d.VR[0])<<8 | dict.VR(d.VR[1])
		}
		if !o.VR.Known() {
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
		o.Tag, o.Mask = e.Tag, 0xFFFFFFFF
	case d.Tag != "":
		var err error
		if o.Tag, o.Mask, err = table.ParsePattern(d.Tag); err != nil {
			return err
		}
	}
	if d.Creator != "" && (o.Mask&0xFFFF00FF != 0xFFFF00FF || !o.Tag.IsPrivate()) {
		return errors.New(`with a creator it needs a private tag such as "(0019,xx10)"`)
	}
	if d.Creator != "" {
		o.Tag &= 0xFFFF00FF
	}
	return nil
}
