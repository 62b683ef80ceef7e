// SPDX-License-Identifier: AGPL-3.0-or-later

package scu

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// attribute is an attribute in the DICOM JSON Model (PS3.18, Annex F).
type attribute struct {
	VR    string `json:"vr"`
	Value []any  `json:"Value,omitempty"`
	Bytes []byte `json:"InlineBinary,omitempty"`
}

func printMatches(io command.Streams, matches []*stream.DataSet) error {
	list := make([]map[string]attribute, len(matches))
	for i, m := range matches {
		list[i] = jsonModel(m)
	}
	return command.PrintJSON(io.Out, list)
}

func jsonModel(d *stream.DataSet) map[string]attribute {
	out := map[string]attribute{}
	for e := range d.All() {
		a := attribute{VR: e.VR.String()}
		for _, item := range e.Items {
			a.Value = append(a.Value, jsonModel(item))
		}
		texts := d.Strings(e.Tag)
		for _, text := range texts {
			a.Value = append(a.Value, jsonValue(e.VR, text))
		}
		if n, ok := d.Int(e.Tag); ok && len(texts) == 0 {
			a.Value = []any{n}
		} else if e.VR != dict.SQ && len(texts) == 0 {
			a.Bytes = e.Value
		}
		out[fmt.Sprintf("%08X", uint32(e.Tag))] = a
	}
	return out
}

// jsonValue is one value: names in groups, numbers as such, an empty one as null.
func jsonValue(vr dict.VR, text string) any {
	if text == "" {
		return nil
	}
	switch vr {
	case dict.PN:
		groups := map[string]string{}
		names := []string{"Alphabetic", "Ideographic", "Phonetic"}
		for i, group := range strings.SplitN(text, "=", len(names)) {
			if group != "" {
				groups[names[i]] = group
			}
		}
		return groups
	case dict.IS:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	}
	return text
}
