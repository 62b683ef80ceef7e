// SPDX-License-Identifier: AGPL-3.0-or-later

// Package licenses holds the licences of what is linked into adit.
package licenses

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
)

//go:generate go run ./gen

//go:embed licenses.json.gz
var packed []byte

// Module is a Go module that is linked.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version,omitempty"` // none of ADIT itself and of the standard library
}

func (m Module) String() string {
	if m.Version == "" {
		return m.Path
	}
	return m.Path + " " + m.Version
}

// License is a text and the modules that come with it.
type License struct {
	Modules []Module `json:"modules"`
	Text    string   `json:"text"`
}

// All returns the licences, ADIT's own first.
func All() ([]License, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	var out []License
	return out, json.NewDecoder(unpacked).Decode(&out)
}

// Write writes them for people.
func Write(w io.Writer) error {
	all, err := All()
	if err != nil {
		return err
	}
	for i, l := range all {
		if i > 0 {
			fmt.Fprint(w, "\n\n--------\n\n")
		}
		for _, m := range l.Modules {
			fmt.Fprintln(w, m)
		}
		if _, err := fmt.Fprintf(w, "\n%s", l.Text); err != nil {
			return err
		}
	}
	return nil
}
