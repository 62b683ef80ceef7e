// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestPrivate: without the option every private element goes, their creators too. With it those stay that PS3.15
// Table E.3.10-1 names, whatever block they are in, at any depth, and nothing else.
func TestPrivate(t *testing.T) {
	// Read in the standard, by hand: what is safe, and next to it what isn't.
	for _, c := range []struct {
		creator string
		group   uint16
		safe    uint8
		vr      dict.VR
		text    string
		unsafe  uint8
	}{
		{"SIEMENS MR HEADER", 0x0019, 0x0C, dict.IS, "1000", 0x08},
		{"SIEMENS MR HEADER", 0x0019, 0x0D, dict.CS, "DIRECTIONAL", 0x09},
		{"GEMS_PARM_01", 0x0043, 0x39, dict.IS, `800\8\0\0`, 0x2A},
		{"GEMS_ACQU_01", 0x0019, 0x23, dict.DS, "55.0", 0x25},
		{"GEMS_SERS_01", 0x0025, 0x07, dict.SL, "120", 0x06},
		{"Philips Imaging DD 001", 0x2001, 0x04, dict.CS, "O", 0x62},
		{"Philips MR Imaging DD 001", 0x2005, 0x0D, dict.FL, "1.5", 0x70},
		{"Philips PET Private Group", 0x7053, 0x00, dict.DS, "0.000551", 0x03},
		{"Philips PET Private Group", 0x7053, 0x09, dict.DS, "2.5", 0x07},
		{"ELSCINT1", 0x01F1, 0x26, dict.DS, "1.1", 0x28},
		{"GEMS_HELIOS_01", 0x0045, 0x02, dict.FL, "1.25", 0x3F},
	} {
		for _, encoding := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian} {
			for _, block := range []uint8{0x10, 0x42, 0xFF} {
				for _, nested := range []bool{false, true} {
					t.Run(
						fmt.Sprintf("%s %02X in block %02X, nested %v, %s", c.creator, c.safe, block, nested, encoding),
						func(t *testing.T) {
							tag := dict.NewTag(c.group, uint16(block)<<8|uint16(c.safe))
							neighbour := dict.NewTag(c.group, uint16(block)<<8|uint16(c.unsafe))
							creator := dict.NewTag(c.group, uint16(block))
							other := dict.NewTag(0x0021, 0x0010)
							var ds, item stream.DataSet
							in := &ds
							if nested {
								in = &item
							}
							in.SetVR(creator, dict.LO, c.creator)
							in.SetVR(tag, c.vr, strings.Split(c.text, `\`)...)
							in.SetVR(neighbour, dict.LO, "PATIENT^NAME")
							in.SetVR(other, dict.LO, "Creator of nobody's")
							in.SetVR(other|0x1001, dict.LO, "PATIENT^NAME")
							in.SetVR(
								dict.NewTag(0x0023, 0x1001), dict.LO, "PATIENT^NAME",
							) // a block that nobody reserved
							if nested {
								ds.SetSequence(dict.SharedFunctionalGroupsSequence, &item)
							}
							ds.Set(dict.SOPClassUID, dict.CTImageStorage)
							ds.Set(dict.SOPInstanceUID, "1.2.3")
							ds.Set(dict.PatientID, "PID-1")

							private := func(p *deid.Profile) map[dict.Tag]stream.Element {
								b, _, err := rewrite(
									sessionFor(t, p, proofKey(1), &ds), encode(t, &ds, encoding), encoding,
								)
								require.NoError(t, err)
								out := parse(t, b, encoding)
								if nested {
									out = out.Items(dict.SharedFunctionalGroupsSequence)[0]
								}
								found := map[dict.Tag]stream.Element{}
								for e := range out.All() {
									if e.Tag.IsPrivate() {
										found[e.Tag] = e
									}
								}
								return found
							}
							require.Empty(t, private(loadProfile(t)))
							kept := private(loadProfile(t, "retain-safe-private"))
							require.Len(t, kept, 2, "the safe element and its creator")
							was, _ := in.Get(tag)
							require.Equal(t, was.Value, kept[tag].Value)
							require.Contains(t, kept, creator)
						},
					)
				}
			}
		}
	}
}
