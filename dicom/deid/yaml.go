// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/adit-go/adit/dicom/dict"
)

// document is a profile as written.
type document struct {
	Name       string             `yaml:"name"`
	Version    string             `yaml:"version"`
	Base       string             `yaml:"base"`
	Options    []string           `yaml:"options"`
	Overrides  []documentOverride `yaml:"overrides"`
	Allow      []string           `yaml:"allow"`
	Vocabulary []string           `yaml:"vocabulary"`
}

type documentOverride struct {
	Tag     string `yaml:"tag"`
	Keyword string `yaml:"keyword"`
	VR      string `yaml:"vr"`
	Creator string `yaml:"creator"`
	Action  string `yaml:"action"`
	With    string `yaml:"with"`
	Pattern string `yaml:"pattern"`
}

// What a profile may have: more is a mistake, or an attack.
const (
	maxProfile   = 1 << 20
	maxOverrides = 1000
	maxWords     = 20_000
)

// LoadProfile reads a profile in YAML:
//
//	name: lung-study
//	version: "3"
//	base: ps3.15-basic            # or adit
//	options: [modified-dates, clean-descriptors]
//	overrides:                    # the first that matches decides
//	  - {keyword: StudyDescription, action: replace, with: CT THORAX}
//	  - {tag: "(0018,9xxx)", vr: LO, action: clean}
//	  - {tag: "(0019,xx10)", creator: ACME 1.0, action: keep}
//	  - {keyword: StationName, action: regex, pattern: "-.*", with: ""}
//	allow: [burned-in]            # objects that are refused otherwise
//	vocabulary: [nodule]          # words that Clean Descriptors keeps beside the built-in ones
//
// Unknown keys, options, tags and actions are errors, and so is a profile that both keeps and shifts dates.
func LoadProfile(text []byte) (*Profile, error) {
	if len(text) > maxProfile {
		return nil, errors.New("the de-identification profile is larger than 1 MiB; is it the right file?")
	}
	var d document
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&d); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return nil, fmt.Errorf("the de-identification profile cannot be read as YAML: %w", err)
	}
	p, err := d.profile()
	if err != nil {
		return nil, fmt.Errorf("de-identification profile %q: %w", d.Name, err)
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p, nil
}

func (d *document) profile() (*Profile, error) {
	p := &Profile{name: d.Name, version: d.Version, base: d.Base, words: map[string]struct{}{}}
	for _, name := range d.Options {
		i := slices.IndexFunc(options, func(o struct {
			option              Option
			name, code, meaning string
		}) bool {
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
		case BurnedIn, EncapsulatedDocument, PixelsElsewhere, UnknownSOPClass, Undecodable:
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

func (d *documentOverride) override() (override, error) {
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
	return o, nil
}

// target reads what an override applies to.
func (d *documentOverride) target(o *override) error {
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
