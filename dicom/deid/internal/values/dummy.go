// SPDX-License-Identifier: AGPL-3.0-or-later

package values

import "github.com/adit-go/adit/dicom/dict"

// DummyText stands where a value is required and nothing may be said.
const DummyText = "ANON"

// AppendDummy appends a value of the VR that says nothing; length is that of the original, for bytes.
func AppendDummy(b []byte, vr dict.VR, length int) []byte {
	switch vr {
	case dict.AS:
		return append(b, "000Y"...)
	case dict.DA:
		return append(b, "19000101"...)
	case dict.DT:
		return append(b, "19000101000000"...)
	case dict.TM:
		return append(b, "000000"...)
	case dict.DS, dict.IS:
		return append(b, '0')
	case dict.UR:
		return append(b, "urn:anon"...)
	}
	if vr.Text() {
		return append(b, DummyText...)
	}
	n := max(vr.Width(), 2)
	if vr == dict.AT {
		n = 4
	}
	return append(b, make([]byte, min(n, max(length, 2)))...)
}
