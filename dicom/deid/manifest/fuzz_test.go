// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
)

// FuzzManifest: whatever stands in a manifest, a check ends, tells of faults in sentences that can be shown, and holds
// nothing for sound that has no sound chain.
func FuzzManifest(f *testing.F) {
	key := deid.Key{1, 2, 3}
	var b bytes.Buffer
	p, ok := deid.BuiltinProfile(deid.DefaultProfile)
	require.True(f, ok)
	m, err := manifest.NewWriter(&b, manifest.Chain{}, manifest.NewRun("adit test", p.Definition(), p.Hash(), key))
	require.NoError(f, err)
	require.NoError(f, m.Add(manifest.Object{
		Path: "1.dcm", Study: "2.25.1", Instance: "2.25.2", Of: manifest.OfDataSet, Size: 4, SHA256: "00",
	}))
	_, err = m.End(map[string]int{"burned-in": 1}, key)
	require.NoError(f, err)
	f.Add(b.Bytes(), []byte("file"))
	f.Add(bytes.Replace(b.Bytes(), []byte("1.dcm"), []byte("../x"), 1), []byte("file"))
	f.Add(b.Bytes()[:b.Len()-3], []byte{})
	f.Add(bytes.Repeat([]byte("{}\n"), 3), []byte("DICM"))
	f.Add([]byte(`{"run":null}`+"\n"), []byte{})
	f.Fuzz(func(t *testing.T, text, file []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, manifest.Name), text, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "1.dcm"), file, 0o600))
		result, err := manifest.Check(t.Context(), dir, manifest.Options{Key: &key})
		if err != nil {
			return
		}
		chain, err := manifest.End(bytes.NewReader(text))
		if err != nil {
			require.NotEmpty(t, result.Faults)
		} else {
			require.Equal(t, chain, result.Chain)
		}
		for _, fault := range append(result.Faults, result.Doubts...) {
			for _, r := range fault {
				require.True(t, unicode.IsPrint(r), "%q", fault)
			}
		}
	})
}
