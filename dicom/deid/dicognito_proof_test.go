// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

// readBack is a program for pydicom: it reads files to their ends, and every value in them.
const readBack = `
import sys, pydicom
def visit(ds):
    for e in ds:
        if e.VR == "SQ":
            for item in e.value: visit(item)
        else: str(e.value)
for path in sys.argv[1:]:
    ds = pydicom.dcmread(path)
    visit(ds.file_meta); visit(ds)
    if ds.SOPInstanceUID != ds.file_meta.MediaStorageSOPInstanceUID: sys.exit("another instance in " + path)
    print("read", path)
`

// TestDicognito: of the files by which another de-identifier tests itself, each built-in profile leaves no identifier,
// and pydicom, DCMTK and dciodvfy find in the outputs nothing that is worse than it was. What the profiles refuse,
// since it may show text, is tried with that allowed.
func TestDicognito(t *testing.T) {
	paths := testpeer.Dicognito(t)
	require.GreaterOrEqual(t, len(paths), 14)
	dir := t.TempDir()
	t.Run("files", func(t *testing.T) {
		for i, path := range paths {
			t.Run(filepath.Base(path), func(t *testing.T) {
				t.Parallel()
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				meta, o, err := stream.OpenFile(bytes.NewReader(b), stream.Limits{})
				require.NoError(t, err)
				in, err := io.ReadAll(o)
				require.NoError(t, err)
				require.NoError(t, o.Close())
				before := parse(t, in, meta.TransferSyntaxUID)
				if !before.Has(dict.SOPClassUID) { // one file has no data set
					p, _ := deid.BuiltinProfile(deid.DefaultProfile)
					_, _, err := rewrite(sessionFor(t, p, proofKey(6), before), in, meta.TransferSyntaxUID)
					require.Error(t, err)
					return
				}
				original := filepath.Join(dir, fmt.Sprint(i, ".in"))
				writeFile(
					t, original, before.String(dict.SOPClassUID),
					before.String(dict.SOPInstanceUID), meta.TransferSyntaxUID, in,
				)
				known := verify(t, original)
				require.NoError(t, os.Remove(original))
				for _, name := range deid.BuiltinProfiles() {
					out := rewriteAllowing(t, name, before, in, meta.TransferSyntaxUID)
					after := parse(t, out, meta.TransferSyntaxUID)
					file := filepath.Join(dir, fmt.Sprint(i, ".", name))
					writeFile(
						t, file, before.String(dict.SOPClassUID),
						after.String(dict.SOPInstanceUID), meta.TransferSyntaxUID, out,
					)
					for _, e := range newErrors(known, verify(t, file)) {
						t.Errorf("profile %s: %s", name, e)
					}
					plain := encode(t, after, dict.ExplicitVRLittleEndian) // if it was deflated
					for what, id := range identifiersOf(before, name) {
						for form, hidden := range forms(id) {
							if bytes.Contains(plain, hidden) {
								t.Errorf("profile %s: %s of the original is left as %s", name, what, form)
							}
						}
					}
				}
			})
		}
	})
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, (len(paths)-1)*len(deid.BuiltinProfiles()))
	// dcmdump -q prints errors alone, beside the dump
	for _, reader := range [][]string{{"/usr/bin/python3", "-W", "ignore", "-c", readBack}, {"dcmdump", "-q"}} {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		output, err := exec.CommandContext(ctx, reader[0], append(reader[1:], files...)...).CombinedOutput()
		require.NoError(t, err, "scripts/setup test installs what the tests need; %s says: %s", reader[0], output)
		if reader[0] != "dcmdump" {
			require.Equal(t, len(files), strings.Count(string(output), "read /"))
		}
	}
}

// rewriteAllowing de-identifies by a built-in profile, which refuses what may show text, and by the same that allows
// it, if it does.
func rewriteAllowing(t testing.TB, name string, ds *stream.DataSet, in []byte, syntax string) []byte {
	t.Helper()
	p, ok := deid.BuiltinProfile(name)
	require.True(t, ok)
	out, _, err := rewrite(sessionFor(t, p, proofKey(6), ds), in, syntax)
	if refused, ok := errors.AsType[*deid.RefusedError](err); ok {
		require.Equal(t, deid.BurnedIn, refused.Reason)
		d := p.Definition()
		d.Name, d.Allow = "allowing", []string{"burned-in"}
		p, err = deid.NewProfile(d)
		require.NoError(t, err)
		out, _, err = rewrite(sessionFor(t, p, proofKey(6), ds), in, syntax)
		require.NoError(t, err)
	}
	require.NoError(t, err)
	return out
}

// identifiersOf returns what of an instance tells whose it is, by attribute: names, IDs, addresses, dates and UIDs,
// private ones as well. Base adit leaves dates of the examination, accession numbers and short descriptions.
func identifiersOf(ds *stream.DataSet, profile string) map[string]string {
	ids := map[string]string{}
	walk(ds, func(_ []dict.Tag, e stream.Element, ds *stream.DataSet) {
		for i, value := range ds.Strings(e.Tag) {
			switch value = strings.TrimSpace(value); {
			case len(value) < 4, strings.Contains(ds.String(dict.Manufacturer), value),
				e.VR == dict.UI && strings.HasPrefix(value, "1.2.840.10008."),
				profile == "adit" && (e.VR == dict.DA || e.Tag == dict.AccessionNumber):
			case e.VR == dict.PN, e.VR == dict.UI, e.VR == dict.DA, slices.Contains(toldBy, e.Tag),
				e.Tag.IsPrivate() && !e.Tag.IsPrivateCreator() && strings.Contains(value, ","):
				ids[fmt.Sprint(e.Tag, " ", i)] = value
			}
		}
	})
	return ids
}

// toldBy are attributes of other VRs that the files have and that tell whose they are; the last two are a vendor's name
// and number of the patient. What is a part of the manufacturer's name is no identifier.
var toldBy = []dict.Tag{
	dict.PatientID, dict.OtherPatientIDs, dict.IssuerOfPatientID, dict.AccessionNumber, dict.StudyID,
	dict.InstitutionName, dict.InstitutionAddress, dict.StationName, dict.DeviceSerialNumber,
	dict.PatientAddress, dict.PatientTelephoneNumbers, dict.RegionOfResidence, dict.CountryOfResidence,
	dict.RequestedProcedureID, dict.PerformedProcedureStepID, dict.ScheduledProcedureStepID,
	dict.CurrentPatientLocation, dict.MilitaryRank, dict.Occupation, 0x00091040, 0x00311120,
}
