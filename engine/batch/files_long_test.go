// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults

package batch

import (
	"io"
	"strings"
	"testing"
)

// TestFaultMemory: 100,000 rows are read in less than 150 MB.
func TestFaultMemory(t *testing.T) { memory(t, 100_000, 150_000_000) }

// TestFaultBombs are those that take a while.
func TestFaultBombs(t *testing.T) {
	explode(t, []bomb{
		{"cells", sheetPart, sheetOf(repeat(13_000, `<row>`+strings.Repeat(`<c><v>1</v></c>`, 250)+`</row>`)), "more than 3000000 cells"},
		{"rows", sheetPart, sheetOf(repeat(300_000, `<row><c><v>1</v></c></row>`)), "more than 200000 rows"},
		{"texts in cells", sheetPart, sheetOf(repeat(2500, `<row><c t="inlineStr"><is><t>`+strings.Repeat("x", 32_000)+`</t></is></c></row>`)), "more than 64 MiB of text"},
		{"empty shared strings", stringsPart, repeat(2_000_001, "<si/>"), "more than 32 MiB of text"},
		{"many shared strings", stringsPart, repeat(2_000_001, "<si><t>x</t></si>"), "more than 32 MiB of text"},
		{"long shared strings", stringsPart, repeat(1100, "<si><t>"+strings.Repeat("x", 32_000)+"</t></si>"), "more than 32 MiB of text"},
		{"200 MB of nothing", sheetPart, sheetOf(func(w io.Writer) {
			for range 200 {
				repeat(1<<16, "<a>           </a>")(w)
			}
		}), ""},
	})
}
