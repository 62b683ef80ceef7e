// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/internal/quickfile"
)

type deidCmd struct {
	Profile      string `default:"${deid_profile}" placeholder:"NAME|FILE" help:"What is done to which attribute: ${deid_profiles}, or a profile in a YAML file."`
	KeyFile      string `type:"path" placeholder:"FILE" help:"The secret that new UIDs, dates and made pseudonyms derive from: 64 hexadecimal digits, readable by you alone. Without it a new one is made and forgotten."`
	NewKey       bool   `help:"Make the key file; it must not exist yet."`
	Pseudonym    string `xor:"pseudonym" placeholder:"P" help:"What becomes Patient ID and Patient's Name. All files must be of one patient."`
	Pseudonyms   string `xor:"pseudonym" type:"path" placeholder:"FILE" help:"CSV file with the columns PatientID and Pseudonym, such as \"adit project linkage export\" writes."`
	Pseudonymize bool   `xor:"pseudonym" help:"Make each patient's pseudonym from key and Patient ID. Only the same key file gives the same ones again."`
	TrialID      string `name:"trial-id" placeholder:"ID" help:"Clinical Trial Protocol ID to write into each object."`
	TrialName    string `placeholder:"NAME" help:"Clinical Trial Protocol Name to write into each object."`
	Charset      string `placeholder:"TERM" help:"What text is read in of files that declare no character set and aren't UTF-8: ISO_IR 100 (default), ISO_IR 144, …; ISO_IR 6: nothing, they are left out."`
	Report       string `type:"path" placeholder:"FILE" help:"Write a CSV file with what was done to each object; it names objects by their new UIDs, and files by their number."`
	Explain      bool   `help:"Show what would happen to each attribute of one file, with its values, and write nothing."`
	deidProof
	deidVerify
	Paths []string `arg:"" name:"path" type:"path" help:"DICOM files, and folders whose files are taken; the last one is the folder that the new files are written to."`
}

// Help tells what happens to the files.
func (c *deidCmd) Help() string {
	return `Examples:

  adit deid --pseudonym P-1 --key-file key --new-key patient1 out

  adit deid --pseudonyms names.csv --key-file key ward1 ward2 out

  adit deid --explain image.dcm

  adit deid --verify out

Each file is written to FOLDER/<Study Instance UID>/<Series Instance UID>/<SOP Instance UID>.dcm, all UIDs being the new ones. The same files under the same key and profile give the same files.

All files are looked at before the first one is written. If a patient has no pseudonym, a pseudonym stands for two patients, a study holds two patients, or two objects have one SOP Instance UID, all of this is listed, nothing is written, and the exit code is 1.

What the profile refuses (burned-in text, encapsulated documents) is left out and counted. What can't be de-identified is left out and named, and the exit code is 3. Nothing of an original is ever copied.

A folder takes the objects of one key, profile and trial; ` + folderMarkName + ` in it says so, without the key. More files may be added later.

Each new file is searched for what came in, and left out if something of that is left. ` + manifest.Name + ` in the folder says what was written and what was done to it; --verify checks the folder by it. Keep the number that it ends in with your records.

Keep the key if more files will follow, and keep it secret: who has it can link the new UIDs to the old ones.`
}

// Run de-identifies files.
func (c *deidCmd) Run(ctx context.Context, io streams) error {
	if c.Verify {
		return c.verify(ctx, io)
	}
	if c.Explain {
		return c.explain(ctx, io)
	}
	if !c.pseudonymizes() || len(c.Paths) < 2 {
		return usage("adit deid needs --pseudonym, --pseudonyms or --pseudonymize, the files or folders to read, and at last the folder to write to")
	}
	last := len(c.Paths) - 1
	if err := c.keepApart(c.Paths[last]); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(c.Paths[last], manifest.Name)); c.NoManifest && err == nil {
		return usage("%s has a manifest, which would not tell of what is added; leave --no-manifest away, or write to another folder", printable(c.Paths[last]))
	}
	files, err := filesIn(io, c.Paths[:last], c.Paths[last])
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("there is no file to de-identify")
	}
	d, err := c.prepare(ctx, io, files, c.Paths[last])
	if err != nil {
		return err
	}
	if c.NewKey {
		if err := saveKey(c.KeyFile, d.folder.key); err != nil {
			return err
		}
	}
	leave, err := d.folder.enter(d.plan.patients)
	if err != nil {
		return err
	}
	defer leave()
	if c.Report != "" {
		if d.report, err = openReport(c.Report, d.profile); err != nil {
			return err
		}
	}
	if d.manifest, err = d.openManifest(); err != nil {
		return err
	}
	err = errors.Join(d.run(ctx), d.report.close())
	d.progress.clear()
	err = errors.Join(err, d.endManifest(err == nil))
	if err != nil {
		return fmt.Errorf("%s de-identified, then: %w", plural(d.written, "object was", "objects were"), err)
	}
	defer d.sayChain()
	return d.outcome()
}

// keepApart checks that key and report lie outside of the folder that is handed on, and that no report is overwritten.
func (c *deidCmd) keepApart(out string) error {
	for _, f := range []struct{ path, what string }{{c.KeyFile, "the key"}, {c.Report, "the report"}} {
		if f.path == "" {
			continue
		}
		if inside(out, f.path) {
			return usage("%s must lie outside of %s, which is handed on; name another file", f.what, printable(out))
		}
	}
	if c.Report == "" {
		return nil
	}
	if _, err := os.Lstat(c.Report); err == nil {
		return usage("the report %s exists already and is not overwritten; name another file", printable(c.Report))
	}
	return nil
}

func (c *deidCmd) pseudonymizes() bool {
	return c.Pseudonym != "" || c.Pseudonyms != "" || c.Pseudonymize
}

// prepare looks at all files and checks that they can be de-identified into a folder together. It writes nothing.
func (c *deidCmd) prepare(ctx context.Context, io streams, files []string, out string) (*deidRun, error) {
	key, subject, profile, err := c.subject(io)
	if err != nil {
		return nil, err
	}
	names, err := c.namer(key)
	if err != nil {
		return nil, err
	}
	folder, err := lookAtFolder(out, key, subject, profile)
	if err != nil {
		return nil, err
	}
	plan, err := makePlan(ctx, io, files, names, folder, profile, []string{c.TrialID, c.TrialName})
	if err != nil {
		return nil, err
	}
	d := newDeidRun(io, profile, subject, plan, folder)
	if len(plan.patients) > 0 {
		if _, err := d.sessions.of(0); err != nil { // the trial is no better in the other ones
			return nil, &status{exitUsage, err}
		}
	}
	return d, nil
}

// subject reads profile and key. The patient is still open.
func (c *deidCmd) subject(io streams) (key deid.Key, s deid.Subject, profile *deid.Profile, err error) {
	s = deid.Subject{TrialID: c.TrialID, TrialName: c.TrialName, Charset: c.Charset, Scan: !c.NoScan, Account: !c.NoManifest}
	if profile, err = findProfile(c.Profile); err != nil {
		return key, s, nil, err
	}
	switch {
	case c.KeyFile == "" && c.NewKey:
		return key, s, nil, usage("--new-key makes the file that --key-file names")
	case c.Explain && c.NewKey:
		return key, s, nil, usage("--explain writes nothing, no key file either; leave --new-key away")
	case c.KeyFile == "":
		_, _ = rand.Read(key[:]) // never fails
		if c.Explain {
			break
		}
		fit := "get other UIDs and dates"
		if c.Pseudonymize {
			fit = "get other pseudonyms, UIDs and dates"
		}
		fmt.Fprintf(io.err, "No --key-file: a key was made for this once. Files that are de-identified later will not fit to these, as they %s. To keep a key: --key-file FILE --new-key\n", fit)
	case c.NewKey:
		key, err = makeKey(c.KeyFile)
	default:
		key, err = readKey(c.KeyFile)
	}
	return key, s, profile, err
}

// explain shows what a run would do to a file. It ends as the run would.
func (c *deidCmd) explain(ctx context.Context, io streams) error {
	if len(c.Paths) != 1 {
		return usage("--explain takes one file")
	}
	if info, err := os.Stat(c.Paths[0]); err == nil && !info.Mode().IsRegular() {
		return usage("--explain takes one file, and %s is a folder, a pipe or a device; name a file in it", printable(c.Paths[0]))
	}
	if !c.pseudonymizes() {
		c.Pseudonym = "PSEUDONYM"
	}
	d, err := c.prepare(ctx, io, c.Paths, "")
	if err != nil {
		return err
	}
	list, err := d.explain(0)
	if len(list) > 0 {
		w := tabwriter.NewWriter(io.out, 0, 1, 2, ' ', 0)
		fmt.Fprintln(w, "ATTRIBUTE\tKEYWORD\tBEFORE\tACTION\tRULE\tAFTER")
		for i := range list {
			x := &list[i]
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Path, x.Keyword, printable(x.Before), x.Action, printable(x.Rule), printable(x.After))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if err == nil {
		return nil
	}
	d.leaveOut(0, err)
	d.sayRefused()
	return &status{code: exitWarning}
}

// explain tells what becomes of a file, with what it tells of before it fails.
func (d *deidRun) explain(i int) ([]deid.Explained, error) {
	in, object, err := openObject(d.plan.files[i])
	if err != nil {
		return nil, err
	}
	defer func() { _ = errors.Join(object.Close(), in.Close()) }() // was only read
	session, err := d.sessionOf(i)
	if err != nil {
		return nil, err
	}
	list, err := session.Explain(object)
	if err == nil {
		_, err = nameOf(object)
	}
	if err != nil {
		return list, err
	}
	lead, err := leadOf(in)
	return append(deid.ExplainLead(lead, object.FileMeta()), list...), err
}

// leadOf reads preamble and file meta information once more.
func leadOf(in *quickfile.File) ([]byte, error) {
	const most = 1 << 20 // more than the file meta information of a file that can be opened
	if _, err := in.Seek(0, 0); err != nil {
		return nil, err
	}
	lead := make([]byte, most)
	for n := 0; ; {
		k, err := in.Read(lead[n:])
		n += k
		if err != nil || n == len(lead) {
			return lead[:n], nil //nolint:nilerr // the file has been read to its end before
		}
	}
}
