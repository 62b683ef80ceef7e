// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

// realFile is a file of the corpus: of the phantoms, or of pydicom.
type realFile struct {
	name   string
	syntax string
	data   []byte // the data set
}

// phantomFiles returns a file of each kind of phantom.
func phantomFiles(t testing.TB) []realFile {
	var files []realFile
	small := []phantom.SeriesSpec{
		{Kind: phantom.CT},
		{Kind: phantom.MR},
		{Kind: phantom.Ultrasound, Frames: 2},
		{Kind: phantom.MultiFrame, Frames: 2},
		{Kind: phantom.SecondaryCapture},
		{Kind: phantom.Report},
	}
	for i := range small {
		small[i].Rows, small[i].Columns = 32, 32
	}
	patient := phantom.Patient{ID: "PH-1", Name: "Phantom^One", BirthDate: "19700101", Sex: "O"}
	for _, in := range phantom.New(1, phantom.StudySpec{Patient: patient, Series: small}).Instances() {
		r := in.Open()
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		files = append(files, realFile{"phantom " + dict.UIDName(in.SOPClassUID), in.TransferSyntaxUID, b})
	}
	return files
}

// pydicomFiles returns the whole and sound DICOM files that Debian's python3-pydicom ships, as the list of package
// stream has them.
func pydicomFiles(t testing.TB) []realFile {
	root := os.Getenv("ADIT_PYDICOM_DATA")
	if root == "" {
		out, err := exec.Command("dpkg", "-L", "python3-pydicom").Output()
		require.NoError(
			t, err,
			"this test needs Debian's test files: apt-get install python3-pydicom, or name the folder in ADIT_PYDICOM_DATA",
		)
		for line := range strings.Lines(string(out)) {
			if line = strings.TrimSpace(line); strings.HasSuffix(line, "/pydicom/data") {
				root = line
			}
		}
	}
	list, err := os.ReadFile("../stream/testdata/pydicom.txt")
	require.NoError(t, err)
	var files []realFile
	for line := range strings.Lines(string(list)) {
		f := strings.Split(strings.TrimSpace(line), " | ")
		if f[0] != "pass" || f[1] != "meta" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, f[2]))
		require.NoError(t, err)
		meta, o, err := stream.OpenFile(bytes.NewReader(b), stream.Limits{})
		require.NoError(t, err)
		data, err := io.ReadAll(o)
		require.NoError(t, err)
		require.NoError(t, o.Close())
		files = append(files, realFile{f[2], meta.TransferSyntaxUID, data})
	}
	require.Greater(t, len(files), 100)
	return files
}

// number is a value in dciodvfy's words; the names of attributes and modules are none.
var number = regexp.MustCompile(` <[^>]*>|0x[0-9a-f]{4,}|[0-9]{4,}`)

// verify returns the errors that dciodvfy finds, in the order found, without values.
func verify(t testing.TB, path string) []string {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	out, err := exec.CommandContext(ctx, "dciodvfy", path).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err, "dciodvfy is missing: apt-get install dicom3tools")
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Error") {
			found = append(found, line)
		}
	}
	return found
}

// writeFile writes a file for dciodvfy, which doesn't inflate.
func writeFile(t testing.TB, path, class, instance, syntax string, data []byte) {
	if syntax == dict.DeflatedExplicitVRLittleEndian {
		data, syntax = encode(t, parse(t, data, syntax), dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian
	}
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: class, MediaStorageSOPInstanceUID: instance, TransferSyntaxUID: syntax,
	}
	require.NoError(t, os.WriteFile(path, append(meta.AppendTo(nil), data...), 0o600))
}

// TestValidity: dciodvfy finds no error in the output that it doesn't find in the input, without any exception, and
// pixel data is the same, byte for byte. Under the default profile, the basic one and that of the original, with and
// without a trial.
func TestValidity(t *testing.T) {
	files := append(phantomFiles(t), pydicomFiles(t)...)
	for _, x := range seededCorpus(t) {
		files = append(files, realFile{"corpus " + x.kind + " of " + x.person.id, x.syntax, x.in})
	}
	profiles := []*deid.Profile{}
	for _, text := range []string{
		"{name: default, version: '1', base: ps3.15-basic, options: [modified-dates, retain-patient-characteristics, clean-descriptors, retain-safe-private]",
		"{name: basic, version: '1', base: ps3.15-basic", "{name: adit, version: '1', base: adit",
	} {
		p, err := deid.LoadProfile([]byte(text + ", allow: [burned-in, encapsulated-document]}"))
		require.NoError(t, err)
		profiles = append(profiles, p)
	}
	dir := t.TempDir()
	var mu sync.Mutex
	done, unsafe := 0, 0
	t.Run("files", func(t *testing.T) {
		for i, f := range files {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				before := parse(t, f.data, f.syntax)
				class, uid := before.String(dict.SOPClassUID), before.String(dict.SOPInstanceUID)
				in := filepath.Join(dir, fmt.Sprint(i, ".in"))
				writeFile(t, in, class, uid, f.syntax, f.data)
				known := verify(t, in)
				for j, p := range profiles {
					patient := deid.PatientIdentity(
						before.String(dict.PatientID), "", before.String(dict.StudyInstanceUID),
					)
					subject := deid.Subject{
						Key: proofKey(5).OfPatient(patient), Patient: patient, Pseudonym: proofPseudonym,
					}
					if j%2 == 0 {
						subject.TrialID, subject.TrialName = "TRIAL-7", "Trial of seven"
					}
					s, err := p.Session(subject)
					require.NoError(t, err)
					b, _, err := rewrite(s, f.data, f.syntax)
					if failed := (*deid.UnsafeError)(nil); errors.As(err, &failed) {
						require.Equal(t, deid.UnknownSOPClass, failed.Reason)
						require.False(
							t, dict.IsStorageClass(class), "a directory, or an instance that doesn't say what it is",
						)
						mu.Lock()
						unsafe++
						mu.Unlock()
						continue
					}
					require.NoError(t, err)
					after := parse(t, b, f.syntax)
					require.Equal(t, pixelSum(before), pixelSum(after), "pixel data")
					out := filepath.Join(dir, fmt.Sprint(i, ".", j))
					writeFile(t, out, class, after.String(dict.SOPInstanceUID), f.syntax, b)
					for _, e := range newErrors(known, verify(t, out)) {
						t.Errorf("profile %s: %s", p.Name(), e)
					}
					mu.Lock()
					done++
					mu.Unlock()
				}
			})
		}
	})
	t.Logf(
		"%d files, %d outputs verified; %d instances that don't say what they are left out",
		len(files), done, unsafe/len(profiles),
	)
}

// newErrors returns what is found in the output more often than in the input, numbers apart.
func newErrors(in, out []string) []string {
	known := map[string]int{}
	for _, e := range in {
		known[number.ReplaceAllString(e, "#")]++
	}
	var news []string
	for _, e := range out {
		key := number.ReplaceAllString(e, "#")
		if known[key]--; known[key] < 0 {
			news = append(news, e)
		}
	}
	return news
}

// pixelSum is the SHA-256 of an instance's pixel data.
func pixelSum(ds *stream.DataSet) (sum [3][sha256.Size]byte) {
	for i, tag := range []dict.Tag{dict.PixelData, dict.FloatPixelData, dict.DoubleFloatPixelData} {
		e, _ := ds.Get(tag)
		sum[i] = sha256.Sum256(e.Value)
	}
	return sum
}
