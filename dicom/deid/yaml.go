// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !wasm

package deid

import "github.com/adit-go/adit/dicom/deid/internal/rules"

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
//	allow: [burned-in]            # instances that are refused otherwise (see Reason)
//	vocabulary: [nodule]          # words that Clean Descriptors keeps beside the built-in ones
//
// Unknown keys, options, tags and actions are errors, and so are a profile that both keeps and shifts dates, and an
// override of one attribute that it can't be done to. One of many attributes passes those by.
func LoadProfile(text []byte) (*Profile, error) { return profileOfRules(rules.Load(text)) }
