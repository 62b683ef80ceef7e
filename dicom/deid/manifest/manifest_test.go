// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

func profile(t *testing.T) *deid.Profile {
	t.Helper()
	p, ok := deid.BuiltinProfile(deid.DefaultProfile)
	require.True(t, ok)
	return p
}

// made de-identifies a study of some CT images into a folder, with a manifest; of says what it hashes.
func made(t *testing.T, dir, of string, seed uint64, key deid.Key) manifest.Chain {
	t.Helper()
	study := phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PAT-4711", Name: "Meierschmidt^Hannelore"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 4, Rows: 16, Columns: 16}},
	})
	s, err := profile(t).Session(deid.Subject{
		Key:     key.OfPatient(deid.PatientIdentity("PAT-4711", "", "")),
		Patient: deid.PatientIdentity("PAT-4711", "", ""), Pseudonym: "P-1", Account: true, Scan: true,
	})
	require.NoError(t, err)
	m, err := manifest.Append(dir, manifest.NewRun("adit test", profile(t).Definition(), profile(t).Hash(), key))
	require.NoError(t, err)
	for _, in := range study.Instances() {
		r := in.Open()
		o, err := stream.Open(r, in.TransferSyntaxUID, stream.Limits{})
		require.NoError(t, err)
		report, err := s.Rewrite(o)
		require.NoError(t, err)
		data, err := io.ReadAll(o)
		require.NoError(t, err)
		h := o.Header()
		file := append(o.FileMeta().AppendTo(nil), data...)
		path := h.SOPInstanceUID() + ".dcm"
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), file, 0o600))
		hashed := file
		if of == manifest.OfDataSet {
			hashed = data
		}
		sum := sha256.Sum256(hashed)
		require.NoError(t, m.Add(manifest.Object{
			Path: path, Study: h.Text(dict.StudyInstanceUID), Instance: h.SOPInstanceUID(),
			Of: of, Size: int64(len(hashed)), SHA256: hex.EncodeToString(sum[:]),
			Codes: report.Codes, Done: report.Done,
		}))
		require.NoError(t, o.Close())
		require.NoError(t, r.Close())
	}
	chain, err := m.End(nil, key)
	require.NoError(t, err)
	return chain
}

func dicomFiles(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.dcm"))
	require.NoError(t, err)
	return list
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// TestCheck: what was made is proven; what was exchanged, added, removed or edited afterwards, in the folder or in the
// manifest, is named.
func TestCheck(t *testing.T) {
	key, other := deid.Key{1, 2, 3}, deid.Key{4}
	lines := func(t *testing.T, dir string, change func(lines []string) []string) {
		path := filepath.Join(dir, manifest.Name)
		text := strings.SplitAfter(string(readFile(t, path)), "\n")
		text = change(text[:len(text)-1])
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(text, "")), 0o600))
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string, f []string)
		faults []string // one each; %0 and %1 are the first files
	}{
		"nothing": {func(*testing.T, string, []string) {}, nil},
		"a bit": {func(t *testing.T, _ string, f []string) {
			b := readFile(t, f[0])
			b[len(b)-1] ^= 1
			require.NoError(t, os.WriteFile(f[0], b, 0o600))
		}, []string{"%0 was changed"}},
		"a preamble": {func(t *testing.T, _ string, f []string) {
			b := readFile(t, f[0])
			copy(b, "Meierschmidt")
			require.NoError(t, os.WriteFile(f[0], b, 0o600))
		}, []string{"%0 was changed"}},
		"bytes behind it": {func(t *testing.T, _ string, f []string) {
			require.NoError(t, os.WriteFile(f[0], append(readFile(t, f[0]), 0, 0), 0o600))
		}, []string{"%0 was changed"}},
		"two files exchanged": {func(t *testing.T, _ string, f []string) {
			a, b := readFile(t, f[0]), readFile(t, f[1])
			require.NoError(t, os.WriteFile(f[0], b, 0o600))
			require.NoError(t, os.WriteFile(f[1], a, 0o600))
		}, []string{"%0 was changed", "%1 was changed"}},
		"a file less": {
			func(t *testing.T, _ string, f []string) { require.NoError(t, os.Remove(f[0])) }, []string{"%0 is missing"},
		},
		"a file more": {func(t *testing.T, dir string, _ []string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("x"), 0o600))
		}, []string{"notes.txt was added"}},
		"a copy": {func(t *testing.T, dir string, f []string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "copy.dcm"), readFile(t, f[0]), 0o600))
		}, []string{"copy.dcm was added"}},
		"a file moved": {func(t *testing.T, dir string, f []string) {
			require.NoError(t, os.Rename(f[0], filepath.Join(dir, "x")))
		}, []string{"x was added", "%0 is missing"}},
		"a link": {func(t *testing.T, dir string, f []string) {
			require.NoError(t, os.Symlink(f[0], filepath.Join(dir, "link")))
		}, []string{"link is not a file"}},
		"another folder": {func(t *testing.T, dir string, _ []string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", manifest.Name), []byte("x"), 0o600))
		}, []string{"sub/manifest.jsonl was added"}},
		"a line edited": {func(t *testing.T, dir string, _ []string) {
			lines(t, dir, func(l []string) []string { l[1] = strings.Replace(l[1], "remove", "keep", 1); return l })
		}, []string{"line 2 does not continue the chain"}},
		"a line removed": {func(t *testing.T, dir string, f []string) {
			require.NoError(t, os.Remove(f[0]))
			lines(t, dir, func(l []string) []string {
				at := -1
				for i := range l {
					if strings.Contains(l[i], filepath.Base(f[0])) {
						at = i
					}
				}
				return append(l[:at:at], l[at+1:]...)
			})
		}, []string{"does not continue the chain", "counts 4 instances, but 3 precede it"}},
		"lines reordered": {func(t *testing.T, dir string, _ []string) {
			lines(t, dir, func(l []string) []string { l[3], l[4] = l[4], l[3]; return l })
		}, []string{"line 4 does not continue", "line 5 does not continue", "line 6 does not continue"}},
		"a line added": {func(t *testing.T, dir string, _ []string) {
			lines(t, dir, func(l []string) []string { return append(l[:4:4], append([]string{l[3]}, l[4:]...)...) })
		}, []string{"line 5 does not continue", "counts 4 instances, but 5 precede it"}},
		"the end cut off": {func(t *testing.T, dir string, _ []string) {
			lines(t, dir, func(l []string) []string { return l[:len(l)-1] })
		}, []string{"has no end", "does not end with the hash that you gave"}},
		"another manifest of the same files": {func(t *testing.T, dir string, _ []string) {
			fresh := t.TempDir()
			made(t, fresh, manifest.OfFile, 1, other)
			b := readFile(t, filepath.Join(fresh, manifest.Name))
			require.NoError(t, os.WriteFile(filepath.Join(dir, manifest.Name), b, 0o600))
		}, []string{
			"another key", "does not match the key", "does not end with the hash that you gave",
			"was added", "was added", "was added", "was added", "missing", "missing", "missing", "missing",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			chain := made(t, dir, manifest.OfFile, 1, key)
			f := dicomFiles(t, dir)
			require.Len(t, f, 4)
			c.change(t, dir, f)
			r, err := manifest.Check(t.Context(), dir, manifest.Options{Chain: chain.String(), Key: &key})
			require.NoError(t, err)
			require.Len(t, r.Faults, len(c.faults), "%q", r.Faults)
			for i, want := range c.faults {
				want = strings.NewReplacer("%0", filepath.Base(f[0]), "%1", filepath.Base(f[1])).Replace(want)
				require.Contains(t, r.Faults[i], want)
			}
			if c.faults == nil {
				require.Equal(t, 4, r.Files)
				require.True(t, r.Sealed)
				require.Empty(t, r.Doubts)
			}
			for _, fault := range r.Faults {
				require.NotContains(t, fault, "Meierschmidt")
			}
		})
	}
}

// TestForgery: who writes a whole manifest of other files without the key is found out by the seal, or by the number
// that was kept.
func TestForgery(t *testing.T) {
	key := deid.Key{1, 2, 3}
	dir := t.TempDir()
	made(t, dir, manifest.OfFile, 1, key)
	path := filepath.Join(dir, manifest.Name)
	for i, line := range bytes.SplitAfter(readFile(t, path), []byte("\n")) {
		require.NotContains(t, string(line), "PAT-4711", i)
		require.NotContains(t, string(line), hex.EncodeToString(key[:]), i)
	}
	forged := t.TempDir()
	made(t, forged, manifest.OfFile, 2, deid.Key{9})
	r, err := manifest.Check(t.Context(), forged, manifest.Options{})
	require.NoError(t, err)
	require.Empty(t, r.Faults, "without key and number a whole forgery can't be told")
	require.False(t, r.Sealed)
	r, err = manifest.Check(t.Context(), forged, manifest.Options{Key: &key})
	require.NoError(t, err)
	require.Len(t, r.Faults, 2)
}

// TestAgain: the same files give the same manifest; another run goes on in it, after a crash too.
func TestAgain(t *testing.T) {
	key := deid.Key{1}
	a, b := t.TempDir(), t.TempDir()
	first := made(t, a, manifest.OfFile, 1, key)
	require.Equal(t, first, made(t, b, manifest.OfFile, 1, key))
	path := filepath.Join(a, manifest.Name)
	require.Equal(t, readFile(t, path), readFile(t, filepath.Join(b, manifest.Name)))

	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"object":{"file":"torn`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	second := made(t, a, manifest.OfFile, 2, key)
	require.NotEqual(t, first, second)
	r, err := manifest.Check(t.Context(), a, manifest.Options{Key: &key, Chain: second.String()})
	require.NoError(t, err)
	require.Empty(t, r.Faults)
	require.Equal(t, 8, r.Files)
	require.Len(t, r.Runs, 2)

	text := readFile(t, path)
	text[20] ^= 1
	require.NoError(t, os.WriteFile(path, text, 0o600))
	_, err = manifest.Append(a, manifest.NewRun("adit", profile(t).Definition(), profile(t).Hash(), key))
	require.ErrorContains(t, err, "use another folder")
	require.Equal(t, text, readFile(t, path))
}

// TestDataSets: a manifest of what was sent to a server proves files that came back from there, whatever their names
// and file meta information.
func TestDataSets(t *testing.T) {
	key := deid.Key{1}
	dir := t.TempDir()
	made(t, dir, manifest.OfDataSet, 1, key)
	kept := filepath.Join(t.TempDir(), "kept.jsonl")
	require.NoError(t, os.Rename(filepath.Join(dir, manifest.Name), kept))
	f := dicomFiles(t, dir)
	require.NoError(t, os.Rename(f[0], filepath.Join(dir, "IM0001")))
	b := readFile(t, f[1])
	copy(b, "preamble")
	require.NoError(t, os.WriteFile(f[1], b, 0o600))
	check := func() *manifest.Result {
		r, err := manifest.Check(t.Context(), dir, manifest.Options{Manifest: kept, Key: &key})
		require.NoError(t, err)
		return r
	}
	r := check()
	require.Empty(t, r.Faults)
	require.Equal(t, 4, r.Files)
	b[len(b)-1] ^= 1
	require.NoError(t, os.WriteFile(f[1], b, 0o600))
	require.NoError(t, os.Remove(f[2]))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "IM0002"), readFile(t, f[3]), 0o600))
	r = check()
	require.Len(t, r.Faults, 3)
	require.Contains(t, strings.Join(r.Faults, "\n"), "was changed")
	require.Contains(t, strings.Join(r.Faults, "\n"), "is missing")
	require.Contains(t, strings.Join(r.Faults, "\n"), "another file contains, too")
}
