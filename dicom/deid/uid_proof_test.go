// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestOnlyRegisteredUIDs: what names an instance is replaced, whatever its root; what PS3.6 registers stays.
func TestOnlyRegisteredUIDs(t *testing.T) {
	instances := []string{
		"1.2.840.10008.1.2.3.4.5.6", "1.2.840.10008.20240301.4711", "1.2.840.10008.5.1.4.1.1.2.20240301.1",
		"1.2.840.10008.5.1.4.1.1.2.1.99", "1.2.840.10008.1.4.1.1.1",
		"1.2.840.10008.1.4.1.01", "1.2.840.10008", "1.2.840.10008.",
		"1.2.840.10008.6.1.99999", "1.2.840.113619.2.1", "2.25.1", "1.2.840.1000800.1",
	}
	registered := []string{
		dict.CTImageStorage, dict.JPEGBaseline8Bit, "1.2.840.10008.1.4.1.1",
		"1.2.840.10008.5.1.1.17", dict.HotIronPalette, "1.2.840.10008.2.16.4",
		"1.2.840.10008.8.1.1", "1.2.840.10008.15.1.1", "1.2.840.10008.7.1.1",
		"1.2.840.10008.3.1.1.1", "1.2.840.10008.5.1.4.34.5",
	}
	tags := []dict.Tag{
		dict.FrameOfReferenceUID, dict.SynchronizationFrameOfReferenceUID,
		dict.ReferencedSOPInstanceUID, dict.StudyInstanceUID, dict.DimensionOrganizationUID,
		dict.UID, dict.PaletteColorLookupTableUID, 0x00080017, // in the table; then one that isn't
		dict.ConceptualVolumeUID,
	}
	// Attributes that name kinds of things keep what the standard gives, also where the dictionary lacks it.
	classes := []dict.Tag{
		dict.ReferencedSOPClassUID, dict.ContextUID, dict.CodingSchemeUID,
		dict.MappingResourceUID, dict.ReferencedTransferSyntaxUIDInFile,
	}
	for _, name := range deid.BuiltinProfiles() {
		p, _ := deid.BuiltinProfile(name)
		for _, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian} {
			for _, uid := range append(append([]string{}, instances...), registered...) {
				for _, value := range []string{uid, uid + `\1.2.3`} {
					before := &stream.DataSet{}
					before.Set(dict.SOPClassUID, dict.CTImageStorage)
					before.Set(dict.SOPInstanceUID, uid)
					before.Set(dict.PatientID, "P")
					item := &stream.DataSet{}
					for _, tag := range tags {
						before.SetVR(tag, dict.UI, value)
						item.SetVR(tag, dict.UI, value)
					}
					before.Set(dict.StudyInstanceUID, uid) // of which there is one
					for _, tag := range classes {
						before.SetVR(tag, dict.UI, value)
					}
					before.SetSequence(dict.SharedFunctionalGroupsSequence, item)
					s := sessionFor(t, p, proofKey(3), before)
					out, _, err := rewrite(s, encode(t, before, syntax), syntax)
					require.NoError(t, err)
					after := parse(t, out, syntax)
					stays := func(uid string) bool {
						_, ok := dict.LookupUID(uid)
						return ok
					}
					require.Equal(t, stays(uid), after.String(dict.SOPInstanceUID) == uid, "%s by %s", uid, name)
					require.Equal(t, after.String(dict.SOPInstanceUID), s.MapUID(uid), "%s by %s", uid, name)
					for _, ds := range []*stream.DataSet{after, after.Items(dict.SharedFunctionalGroupsSequence)[0]} {
						for _, tag := range tags {
							now := ds.String(tag)
							if now == "" {
								continue // by the table
							}
							first, _, _ := strings.Cut(now, `\`)
							require.Equal(t, stays(uid), first == uid, "%s in %s by %s: %s", value, tag, name, now)
							require.NotContains(t, now, `\1.2.3`)
						}
					}
					for _, tag := range classes {
						e, ok := after.Get(tag)
						if !ok {
							continue
						}
						now := strings.TrimRight(string(e.Value), "\x00")
						if value == uid && (stays(uid) || strings.HasPrefix(uid, "1.2.840.10008.")) {
							require.Equal(t, value, now, "%s by %s", tag, name)
							continue
						}
						first, _, _ := strings.Cut(now, `\`)
						require.Equal(t, stays(uid), first == uid, "%s in %s by %s: %s", value, tag, name, now)
						require.NotContains(t, now, `\1.2.3`)
					}
				}
			}
		}
	}
}
