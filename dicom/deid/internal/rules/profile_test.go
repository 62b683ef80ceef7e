// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfileErrors(t *testing.T) {
	const head = "name: p\nversion: \"1\"\nbase: ps3.15-basic\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "empty"},
		"no YAML":             {"\t:", "YAML"},
		"unknown key":         {head + "opts: []", "opts"},
		"no name":             {"version: \"1\"\nbase: adit", "lacks a name"},
		"unknown base":        {"name: p\nversion: \"1\"\nbase: x", "no base"},
		"unknown option":      {head + "options: [retain]", "no option"},
		"kept and shifted":    {head + "options: [full-dates, modified-dates]", "gives the shift away"},
		"one kept date":       {head + "options: [modified-dates]\noverrides: [{keyword: StudyDate, action: keep}]", "(0008,0020)"},
		"kept dates by VR":    {head + "options: [modified-dates]\noverrides: [{vr: DT, action: keep}]", "gives the shift away"},
		"kept by pattern":     {head + "options: [modified-dates]\noverrides: [{tag: \"(0008,002x)\", action: keep}]", "gives the shift away"},
		"truncated date":      {head + "options: [modified-dates]\noverrides: [{keyword: SeriesDate, action: truncate}]", "gives the shift away"},
		"date beside table":   {head + "options: [modified-dates]\noverrides: [{keyword: RouteSegmentStartTime, action: keep}]", "(4010,1025)"},
		"kept birth date":     {head + "options: [modified-dates]\noverrides: [{keyword: PatientBirthDate, action: keep}]", "(0010,0030)"},
		"shift in adit":       {"name: p\nversion: \"1\"\nbase: adit\noverrides: [{keyword: ReviewDate, action: shift}]", "gives the shift away"},
		"options of adit":     {"name: p\nversion: \"1\"\nbase: adit\noptions: [modified-dates]", "no option but"},
		"unknown action":      {head + "overrides: [{keyword: StudyDate, action: burn}]", "no action"},
		"assign":              {head + "overrides: [{keyword: StudyDate, action: assign}]", "no action"},
		"unknown keyword":     {head + "overrides: [{keyword: Study, action: keep}]", "no keyword"},
		"bad tag":             {head + "overrides: [{tag: \"(0008,00)\", action: keep}]", "is not a tag"},
		"bad VR":              {head + "overrides: [{vr: XX, action: keep}]", "no VR"},
		"nothing":             {head + "overrides: [{action: keep}]", "needs a tag"},
		"creator without tag": {head + "overrides: [{creator: X, vr: LO, action: keep}]", "private tag"},
		"bad pattern":         {head + "overrides: [{keyword: StationName, action: regex, pattern: \"(\"}]", "regular expression"},
		"value of keep":       {head + "overrides: [{keyword: StationName, action: keep, with: x}]", "takes no"},
		"unknown refusal":     {head + "allow: [everything]", "no rule of refusal"},
		"long name":           {"name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nversion: \"1\"\nbase: adit", "63"},
	} {
		_, err := Load([]byte(c.text))
		require.ErrorContains(t, err, c.want, name)
	}
}

// TestOneDocument: rules behind the end of a YAML document are not passed over in silence.
func TestOneDocument(t *testing.T) {
	const one = "name: n\nversion: \"1\"\nbase: ps3.15-basic\n"
	_, err := Load([]byte(one))
	require.NoError(t, err)
	_, err = Load([]byte(one + "---\noverrides: [{keyword: Manufacturer, action: remove}]\n"))
	require.ErrorContains(t, err, "something follows its end")
}
