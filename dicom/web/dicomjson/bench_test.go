// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomjson_test

import (
	"strings"
	"testing"

	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/web/dicomjson"
)

func BenchmarkAppend(b *testing.B) {
	ds := phantom.DemoStudies()[0].Instances()[0].Attributes()
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, err = dicomjson.Append(out[:0], ds, dicomjson.Options{}); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(out)))
	}
}

func BenchmarkDecoder(b *testing.B) {
	const n = 1000
	one := write(b, phantom.DemoStudies()[0].Instances()[0].Attributes(), dicomjson.Options{})
	text := strings.Repeat(one, n)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if list, err := read(text, dicomjson.Limits{}); err != nil || len(list) != n {
			b.Fatal(len(list), err)
		}
	}
}
