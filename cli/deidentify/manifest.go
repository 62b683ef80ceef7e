// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"path/filepath"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid/manifest"
)

// deidProof are the flags of what proves a run.
type deidProof struct {
	NoScan     bool `help:"Don't search the new files for identifying values. Without this flag, an instance that still holds a name, ID, date or UID of the original is left out and reported."`
	NoManifest bool `help:"Don't write manifest.jsonl, which --verify needs. This saves the time that the hashes take."`
}

// openManifest begins a run in the manifest of the folder, nil if nobody wants one.
func (d *deidRun) openManifest() (*manifest.File, error) {
	if !d.sessions.subject.Account || len(d.plan.patients) == 0 {
		return nil, nil //nolint:nilnil // nobody wants one
	}
	run := manifest.NewRun("adit "+command.Version, d.profile.Definition(), d.profile.Hash(), d.folder.key)
	run.Scan = d.sessions.subject.Scan
	mark := sha256.Sum256(d.folder.found)
	run.Mark = hex.EncodeToString(mark[:])
	return manifest.Append(d.folder.path, run)
}

// summed writes a file, and hashes it.
type summed struct {
	file *part10
	hash hash.Hash
	size int64
}

func newSummed(file *part10) *summed {
	s := &summed{file: file, hash: sha256.New()}
	s.add(file.lead)
	return s
}

func (s *summed) Write(p []byte) (int, error) {
	s.add(p)
	return s.file.Write(p)
}

func (s *summed) add(p []byte) {
	_, _ = s.hash.Write(p) // a hash takes everything
	s.size += int64(len(p))
}

// prove writes an object into the manifest.
func (d *deidRun) prove(o *deidObject) error {
	if d.manifest == nil {
		return nil
	}
	name, err := filepath.Rel(d.folder.path, o.path)
	if err != nil {
		return err
	}
	return d.manifest.Add(manifest.Object{
		Path: filepath.ToSlash(name), Study: o.study, Series: o.series,
		Instance: o.instance, Of: manifest.OfFile, Size: o.sum.size,
		SHA256: hex.EncodeToString(o.sum.hash.Sum(nil)), Codes: o.report.Codes,
		ToUTF8: o.report.ToUTF8, Behind: o.report.Behind, Done: o.report.Done,
	})
}

// endManifest ends the run in the manifest. A run that failed has no end.
func (d *deidRun) endManifest(whole bool) error {
	switch {
	case d.manifest == nil:
		return nil
	case !whole:
		return d.manifest.Close()
	}
	var err error
	d.chain, err = d.manifest.End(d.leftOut, d.folder.key)
	return err
}

// sayChain says what the manifest ends in.
func (d *deidRun) sayChain() {
	if d.manifest != nil {
		fmt.Fprintf(d.io.Out, "The manifest ends in %s; keep this hash with your records.\n", d.chain)
	}
}
