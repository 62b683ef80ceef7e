// SPDX-License-Identifier: AGPL-3.0-or-later

package values

import (
	"testing"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// BenchmarkAllowed is what a header of a hundred and fifty attributes spends on judging
func BenchmarkAllowed(b *testing.B) {
	var list []*Element
	for vr, value := range map[dict.VR]string{
		dict.CS: `ORIGINAL\PRIMARY\AXIAL`, dict.DS: `0.9765625\-1.2246467991473532e-16`,
		dict.IS: "512", dict.TM: "101500.25", dict.UI: dict.CTImageStorage, dict.US: "\x00\x02",
	} {
		for range 25 {
			list = append(list, &Element{Head: stream.Head{VR: vr}, Value: []byte(value)})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range list {
			if !Allowed(e, e.VR, false, stream.Encoding{}) {
				b.Fatal(e.VR.String())
			}
		}
	}
}
