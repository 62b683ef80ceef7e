// SPDX-License-Identifier: AGPL-3.0-or-later

// Command promise writes what PS3.15 Table E.1-1 promises of each attribute (promise.txt), as the table's own letters.
// It shares nothing with the command that writes the engine's rules, so that a mistake there shows as a promise that
// isn't kept.
package main

import (
	"encoding/json"
	"log"
	"os"
	"slices"
	"strings"
)

// columns are the options in the order of table.Option.
var columns = []string{
	"rtnSafePrivOpt", "rtnUIDsOpt", "rtnDevIdOpt", "rtnInstIdOpt",
	"rtnPatCharsOpt", "rtnLongFullDatesOpt", "rtnLongModifDatesOpt",
	"cleanDescOpt", "cleanStructContOpt", "cleanGraphOpt",
}

func main() {
	log.SetFlags(0)
	b, err := os.ReadFile("../../testdata/ps3.15-table-e1-1.json")
	if err != nil {
		log.Fatal(err)
	}
	var rows []map[string]string
	if err := json.Unmarshal(b, &rows); err != nil {
		log.Fatal(err)
	}
	lines := make([]string, 0, len(rows))
	for _, r := range rows {
		id := r["id"]
		if len(id) != 8 {
			continue // private attributes: the list of safe ones is another table
		}
		letters := make([]byte, len(columns))
		for i, c := range columns {
			letters[i] = (r[c] + "-")[0]
		}
		lines = append(
			lines, strings.ToUpper(strings.ReplaceAll(id, "x", "."))+" "+r["basicProfile"]+" "+string(letters),
		)
	}
	slices.Sort(lines)
	text := "# PS3.15 Table E.1-1: tag (. for any digit), basic profile, and each option's letter in the order of " +
		"table.Option.\n" +
		"# Written by dicom/deid/internal/gen/promise; do not edit.\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile("promise.txt", []byte(text), 0o644); err != nil {
		log.Fatal(err)
	}
}
