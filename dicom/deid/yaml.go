// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !wasm

package deid

import (
	"bytes"
	"errors"
	"fmt"
	"io"

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
	var d Definition
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&d); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return nil, fmt.Errorf("the de-identification profile cannot be read as YAML: %w", err)
	}
	return NewProfile(d)
}
