// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !wasm

package deid

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxProfile is the size of a profile in YAML: more is a mistake, or an attack.
const maxProfile = 1 << 20

// LoadProfile reads a profile in YAML:
//
//	name: lung-study
//	version: "3"
//	base: ps3.15-basic            # or adit
//	options: [modified-dates, clean-descriptors]
//	overrides:                    # the first that matches decides
//	  - {keyword: StudyDescription, action: replace, with: CT THORAX}
//	  - {tag: "(0018,9xxx)", vr: LO, action: clean}
//	  - {tag: "(0019,xx10)", creator: ACME 1.0, vr: LO, action: keep}   # of private ones vr says what they hold
//	  - {keyword: StationName, action: regex, pattern: "-.*", with: ""}
//	allow: [burned-in]            # objects that are refused otherwise (see Reason)
//	vocabulary: [nodule]          # words that Clean Descriptors keeps beside the built-in ones
//
// Unknown keys, options, tags and actions are errors, and so are a profile that both keeps and shifts dates, and an override of one
// attribute that it can't be done to. One of many attributes passes those by.
func LoadProfile(text []byte) (*Profile, error) {
	if len(text) > maxProfile {
		return nil, errors.New("the de-identification profile is larger than 1 MiB; is it the right file?")
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(text, &tree); err == nil { // else the decoder says the same
		if line := twice(&tree); line > 0 {
			return nil, fmt.Errorf("the de-identification profile cannot be read as YAML: the key in line %d is there twice", line)
		}
	}
	var d Definition
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&d); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		if faults, ok := errors.AsType[*yaml.TypeError](err); ok {
			all := strings.Join(faults.Errors[:min(len(faults.Errors), 5)], "; ")
			err = errors.New(quotedValue.ReplaceAllString(all, ""))
		}
		return nil, fmt.Errorf("the de-identification profile cannot be read as YAML: %w", err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the de-identification profile cannot be read as YAML: something follows behind its end (---); put all into one document")
	}
	return NewProfile(d)
}

// quotedValue is what the decoder quotes: in what is no profile it may be a patient's.
var quotedValue = regexp.MustCompile("`[^`]*` ?")

// twice gives the line of a key that a mapping has twice; 0 if there is none. The decoder finds them too, but compares each key with
// each other and tells of every pair, which takes minutes where somebody uploads what is no profile.
func twice(n *yaml.Node) int {
	keys := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode {
			if keys[child.Value] {
				return child.Line
			}
			keys[child.Value] = true
		}
		if line := twice(child); line > 0 {
			return line
		}
	}
	return 0
}
