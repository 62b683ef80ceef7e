// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"path/filepath"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
)

// deidProof are the flags of what proves a run.
type deidProof struct {
	NoScan     bool `help:"Don't search what is written for what was read. Otherwise an object that still holds a name, an ID, a date or a UID of the original is left out and named."`
	NoManifest bool `help:"Don't write manifest.jsonl, by which --verify proves the files: their hashes cost time."`
}

// openManifest begins a run in the manifest of a folder, nil if nobody wants one.
func openManifest(out string, profile *deid.Profile, subject deid.Subject) (*manifest.File, error) {
	if !subject.Account {
		return nil, nil //nolint:nilnil // nobody wants one
	}
	run := manifest.NewRun("adit "+version, profile.Definition(), profile.Hash(), subject.Key)
	run.Generation, run.Scan = subject.Generation, subject.Scan
	return manifest.Append(out, run)
}

// summed is the hash of a file that is being written.
type summed struct {
	hash hash.Hash
	size int64
}

// newSum gives nil, which sums nothing, where nobody wants a manifest.
func newSum(m *manifest.File) *summed {
	if m == nil {
		return nil
	}
	return &summed{hash: sha256.New()}
}

func (s *summed) add(parts ...[]byte) {
	if s == nil {
		return
	}
	for _, p := range parts {
		_, _ = s.hash.Write(p) // a hash takes everything
		s.size += int64(len(p))
	}
}

// proven is what the manifest says of an object written below out.
func (o *deidObject) proven(out string) (manifest.Object, error) {
	name, err := filepath.Rel(out, o.path)
	return manifest.Object{
		Path: filepath.ToSlash(name), Study: o.study, Series: o.series, Instance: o.instance, Of: manifest.OfFile, Size: o.sum.size,
		SHA256: hex.EncodeToString(o.sum.hash.Sum(nil)), Codes: o.report.Codes, ToUTF8: o.report.ToUTF8, Done: o.report.Done,
	}, err
}

// endManifest ends the run in the manifest, and says what it ends in.
func endManifest(io streams, m *manifest.File, leftOut map[string]int, key deid.Key) error {
	if m == nil {
		return nil
	}
	chain, err := m.End(leftOut, key)
	if err == nil {
		fmt.Fprintf(io.out, "The manifest ends in %s; keep this number with your records.\n", chain)
	}
	return err
}
