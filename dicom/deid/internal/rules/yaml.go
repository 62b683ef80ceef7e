// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !wasm

package rules

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

// Load reads a profile in YAML. LoadProfile of package deid says what it may hold.
func Load(text []byte) (*Profile, error) {
	if len(text) > maxProfile {
		return nil, errors.New("the de-identification profile is larger than 1 MiB; is it the right file?")
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(text, &tree); err == nil { // else the decoder says the same
		if line := twice(&tree); line > 0 {
			return nil, fmt.Errorf(
				"the de-identification profile is not valid YAML: the key in line %d occurs twice", line,
			)
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
		return nil, fmt.Errorf("the de-identification profile is not valid YAML: %w", err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New(
			"the de-identification profile is not valid YAML: something follows its end (---); put everything " +
				"into one document",
		)
	}
	return New(d)
}

// quotedValue is what the decoder quotes: in what is no profile it may be a patient's.
var quotedValue = regexp.MustCompile("`[^`]*` ?")

// twice returns the line of a key that a mapping has twice; 0 if there is none. The decoder finds them too, but
// compares each key with each other and tells of every pair, which takes minutes where somebody uploads what is no
// profile.
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
