// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/internal/files"
)

// FolderMarkName is the file that says by what a folder's objects were de-identified.
const FolderMarkName = ".adit-deid.json"

// folderMark is what it holds: of key, trial, patients and pseudonyms only what whoever has the key can find again
// (deid.Key.FolderMark).
type folderMark struct {
	Format         int               `json:"format"`
	Profile        string            `json:"profile"`
	ProfileVersion string            `json:"profile_version"`
	ProfileSHA256  string            `json:"profile_sha256"`
	Key            string            `json:"key"`
	Trial          string            `json:"trial"`
	Patients       map[string]string `json:"patients"` // pseudonyms by patient
}

const folderFormat = 1

// deidFolder is a folder that objects are written to: all of one key, profile and trial.
type deidFolder struct {
	path   string
	key    deid.Key
	mark   folderMark
	found  []byte            // what the folder says, and after enter what it then says; nil: nothing
	owners map[string]string // patients by pseudonym, both as in the mark
}

// LookAtFolder checks that what a folder has was de-identified as what is to be added. It may be missing; an empty path
// is one that nothing is written to.
func LookAtFolder(path string, key deid.Key, s deid.Subject, p *deid.Profile) (*deidFolder, error) {
	f := &deidFolder{path: path, key: key, owners: map[string]string{}, mark: folderMark{
		Format: folderFormat, Profile: p.Name(), ProfileVersion: p.Version(), ProfileSHA256: p.Hash(),
		Key: key.FolderMark("key"), Trial: key.FolderMark("trial\x00" + s.TrialID + "\x00" + s.TrialName),
		Patients: map[string]string{},
	}}
	if path == "" {
		return f, nil
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, command.Usage("%s is a file; name a folder as the last path", command.Printable(path))
	}
	var err error
	if f.found, err = f.read(); err != nil {
		return nil, err
	}
	if f.found == nil {
		return f, f.empty()
	}
	var there folderMark
	if err := json.Unmarshal(f.found, &there); err != nil || there.Format != folderFormat {
		return nil, fmt.Errorf("%s is damaged, or of another version of ADIT, so nobody can tell by which key the "+
			"instances beside it were de-identified; write to another folder",
			command.Printable(filepath.Join(path, FolderMarkName)))
	}
	other := func(what, use string) error {
		return fmt.Errorf(
			"%s holds instances that were de-identified %s; %s, or write to another folder",
			command.Printable(path), what, use,
		)
	}
	switch {
	case there.Key != f.mark.Key:
		return nil,
			other("under another key, by which patients have other UIDs and dates", "take that key (--key-file)")
	case there.ProfileSHA256 != f.mark.ProfileSHA256:
		return nil, other(fmt.Sprintf(
			"by profile %s %s (%s), so that one UID would have two contents", command.Printable(there.Profile),
			command.Printable(there.ProfileVersion), command.Printable(there.ProfileSHA256),
		),
			"take that profile")
	case there.Trial != f.mark.Trial:
		return nil, other("with another trial ID or name, so that one UID would have two contents", "give that trial")
	}
	for patient, pseudonym := range there.Patients {
		f.mark.Patients[patient], f.owners[pseudonym] = pseudonym, patient
	}
	return f, nil
}

// mostMark bounds the file in bytes: 64 and a few for each patient.
const mostMark = 1 << 28

func (f *deidFolder) read() ([]byte, error) {
	in, err := os.Open(filepath.Join(f.path, FolderMarkName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // was only read
	return io.ReadAll(io.LimitReader(in, mostMark))
}

// empty checks that a folder without a mark has nothing that we may have written.
func (f *deidFolder) empty() error {
	entries, err := os.ReadDir(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && isName(e.Name()) {
			return fmt.Errorf(
				"%s holds folders of studies but no %s, so nobody can tell by which key they were de-identified; "+
					"write to another folder",
				command.Printable(f.path), FolderMarkName,
			)
		}
	}
	return nil
}

func (f *deidFolder) patientMark(id deid.Identity) string {
	return f.key.FolderMark("patient\x00" + string(id))
}

func (f *deidFolder) pseudonymMark(p string) string { return f.key.FolderMark("pseudonym\x00" + p) }

// fault says, as a clause, what of the folder's objects speaks against a patient; it is empty if nothing does.
func (f *deidFolder) fault(p *Patient) string {
	patient, pseudonym := f.patientMark(p.Identity), f.pseudonymMark(p.Pseudonym)
	if has, ok := f.mark.Patients[patient]; ok && has != pseudonym {
		return "the patient has another pseudonym in " + command.Printable(f.path) +
			" already; give that one, or write to another folder"
	}
	if owner, ok := f.owners[pseudonym]; ok && owner != patient {
		return "the pseudonym is another patient's in " + command.Printable(f.path) +
			" already; give another one, or write to another folder"
	}
	return ""
}

// Enter makes the folder, keeps other runs out of it until leave is called, and notes the patients of this one.
func (f *deidFolder) Enter(patients []Patient) (leave func(), err error) {
	if len(patients) == 0 {
		return func() {}, nil // nothing will be written
	}
	if err := os.MkdirAll(f.path, 0o750); err != nil {
		return nil, err
	}
	dir, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	leave = func() { _ = dir.Close() } // which unlocks it
	err = f.lock(dir)
	if err == nil {
		err = f.note(patients)
	}
	if err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

func (f *deidFolder) lock(dir *os.File) error {
	if taken, _ := files.Lock(dir); taken { // a file system that has no locks has what is read below
		return fmt.Errorf("another adit deid writes to %s; wait until it has ended", command.Printable(f.path))
	}
	now, err := f.read()
	if err == nil && !bytes.Equal(now, f.found) {
		err = fmt.Errorf(
			"another adit deid has written to %s meanwhile; de-identify the files again", command.Printable(f.path),
		)
	}
	return err
}

// note writes the mark, unless it says all already.
func (f *deidFolder) note(patients []Patient) error {
	known := len(f.mark.Patients)
	for i := range patients {
		f.mark.Patients[f.patientMark(patients[i].Identity)] = f.pseudonymMark(patients[i].Pseudonym)
	}
	if f.found != nil && len(f.mark.Patients) == known {
		return nil
	}
	text, err := json.MarshalIndent(f.mark, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(f.path, FolderMarkName)
	text = append(text, '\n')
	f.found = text
	if err := os.WriteFile(path+".part", f.found, 0o640); err != nil { // the group may read what tells of nobody
		return err
	}
	return os.Rename(path+".part", path)
}
