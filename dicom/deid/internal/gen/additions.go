// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

// options gives the constants of the options by their names in profiles.
var options = map[string]string{
	"clean-descriptors": "CleanDescriptors", "full-dates": "FullDates",
	"retain-device-identity": "RetainDeviceIdentity",
}

// additionsTable writes the rows of additions.txt that don't stay, each with the number of its reason.
func additionsTable() []byte {
	text, err := os.ReadFile("additions.txt")
	if err != nil {
		log.Fatal(err)
	}
	var reasons, rows, patterns []string
	reason := ""
	for _, l := range lines(string(text)) {
		if r, ok := strings.CutPrefix(l, "= "); ok {
			reason = r
			continue
		}
		f := strings.Fields(l)
		if f[2] == "K" || f[2] == "C" {
			continue
		}
		if n := len(reasons); n == 0 || reasons[n-1] != reason {
			reasons = append(reasons, reason)
		}
		why := len(reasons) - 1
		if f[1] == "-" {
			tag, mask := pattern(f[0])
			patterns = append(patterns, fmt.Sprintf("{0x%08X, 0x%08X, %d},", uint32(tag), uint32(mask), why))
			continue
		}
		rows = append(rows, additionRow(f, why))
	}
	slices.Sort(rows)
	var b bytes.Buffer
	fmt.Fprintf(&b,
		"import \"github.com/adit-go/adit/dicom/dict\"\n\n// Additions are sorted by tag.\nvar Additions = "+
			"[...]Addition{\n%s\n}\n\n",
		strings.Join(rows, "\n"),
	)
	fmt.Fprintf(&b,
		"var addedPatterns = [...]addedPattern{\n%s\n}\n\n// AdditionReasons say why the additions were judged "+
			"so.\nvar AdditionReasons = [...]string{\n",
		strings.Join(patterns, "\n"),
	)
	for _, r := range reasons {
		fmt.Fprintf(&b, "%q,\n", r)
	}
	b.WriteString("}\n")
	return b.Bytes()
}

// additionRow writes the row of the fields tag, keyword, action and options.
func additionRow(f []string, why int) string {
	e, ok := dict.ByKeyword(f[1])
	if !ok || e.Tag.String() != f[0] {
		log.Fatalf("additions.txt: %s is not the tag of %s", f[0], f[1])
	}
	keep, clean := "0", "0"
	for _, o := range f[3:] {
		name, letter, _ := strings.Cut(o, "=")
		option, ok := options[name]
		switch {
		case ok && letter == "K":
			keep = option
		case ok && letter == "C":
			clean = option
		default:
			log.Fatalf("additions.txt: %s: %q is no option with =K or =C", f[1], o)
		}
	}
	return fmt.Sprintf("{Row{0x%08X, dict.%s, Basic%s, %s, %s}, %d},", uint32(e.Tag), e.VR, f[2], keep, clean, why)
}

// pattern reads a tag with x for any digit.
func pattern(s string) (tag, mask dict.Tag) {
	for _, c := range strings.NewReplacer("(", "", ")", "", ",", "").Replace(s) {
		tag, mask = tag<<4, mask<<4
		if c == 'x' {
			continue
		}
		n, err := strconv.ParseUint(string(c), 16, 4)
		if err != nil {
			log.Fatalf("additions.txt: %s is no pattern of tags", s)
		}
		tag, mask = tag|dict.Tag(n), mask|0xF
	}
	return tag, mask
}
