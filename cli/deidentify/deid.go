// SPDX-License-Identifier: AGPL-3.0-or-later

// Package deidentify is the command adit deid: folders of DICOM files, de-identified and proven.
package deidentify

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	stdio "io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/internal/quickfile"
	"github.com/adit-go/adit/internal/words"
)

// Cmd is the command adit deid.
type Cmd struct {
	command.Output
	Profile      string `default:"${deid_profile}" placeholder:"NAME|FILE" help:"The profile, which says what happens to each attribute: ${deid_profiles}, or a YAML file."`
	KeyFile      string `type:"path" placeholder:"FILE" help:"File with the secret key from which new UIDs, dates and pseudonyms are derived: 64 hexadecimal digits, readable by you alone. Without it, a new key is used once and forgotten."`
	NewKey       bool   `help:"Create the key file, which must not exist yet."`
	Pseudonym    string `xor:"pseudonym" placeholder:"P" help:"The new Patient ID and Patient's Name. All files must be of one patient."`
	Pseudonyms   string `xor:"pseudonym" type:"path" placeholder:"FILE" help:"CSV file with the columns PatientID and Pseudonym, such as \"adit project linkage export\" writes."`
	Pseudonymize bool   `xor:"pseudonym" help:"Derive each patient's pseudonym from the key and the Patient ID. Only the same key file gives the same pseudonyms again."`
	TrialID      string `name:"trial-id" placeholder:"ID" help:"Clinical Trial Protocol ID to write into each instance."`
	TrialName    string `placeholder:"NAME" help:"Clinical Trial Protocol Name to write into each instance."`
	Charset      string `placeholder:"TERM" help:"Character set of files that declare none and aren't UTF-8: ISO_IR 100 (default), ISO_IR 144, …; ISO_IR 6: leave such files out."`
	Report       string `type:"path" placeholder:"FILE" help:"Write a CSV file that says what was done to each instance. It names instances by their new UIDs, and files by number."`
	Explain      bool   `help:"Show what would happen to each attribute of one file, with its values, and write nothing."`
	deidProof
	deidVerify
	Paths []string `arg:"" name:"path" type:"path" help:"DICOM files and folders to read; the last one is the folder to write to."`
}

// Help tells what happens to the files.
func (c *Cmd) Help() string {
	return `Examples:

  adit deid --pseudonym P-1 --key-file key --new-key patient1 out

  adit deid --pseudonyms names.csv --key-file key ward1 ward2 out

  adit deid --explain image.dcm

  adit deid --verify out

Each file is written to FOLDER/<Study Instance UID>/<Series Instance UID>/<SOP Instance UID>.dcm, with the new UIDs. The same files under the same key and profile give the same files.

The command looks at all files before it writes the first one. If a patient has no pseudonym, a pseudonym stands for two patients, a study holds two patients, or two instances have one SOP Instance UID, the command lists these problems, writes nothing, and exits with 1.

Instances that the profile refuses (burned-in text, encapsulated documents) are left out and counted. Instances that can't be de-identified are left out and named, and the exit code is 3. No part of an original is ever copied unprocessed.

A folder takes the instances of one key, profile and trial. The file ` + FolderMarkName + ` in it records which, without the key. You may add more files later.

The command searches each new file for identifying values of the original, and leaves it out if it finds one. ` + manifest.Name + ` in the folder records what was written and how; --verify checks the folder against it. Keep the hash at its end with your records.

Keep the key if more files will follow, and keep it secret: anyone who has it can link the new UIDs to the old ones.`
}

// Run de-identifies files.
func (c *Cmd) Run(ctx context.Context, io command.Streams) error {
	if c.Verify {
		return c.verify(ctx, io)
	}
	if c.Explain {
		return c.explain(ctx, io)
	}
	if !c.pseudonymizes() || len(c.Paths) < 2 {
		return command.Usage(
			"give --pseudonym, --pseudonyms or --pseudonymize, the files or folders to read, and the folder to write " +
				"to",
		)
	}
	last := len(c.Paths) - 1
	if err := c.keepApart(c.Paths[last]); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(c.Paths[last], manifest.Name)); c.NoManifest && err == nil {
		return command.Usage(
			"%s has a manifest, which would lack the new files; omit --no-manifest, or write to "+
				"another folder",
			command.Printable(c.Paths[last]),
		)
	}
	answer := io.Out
	io = c.Aside(io)
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
	leave, err := d.folder.Enter(d.plan.patients)
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
	d.progress.Clear()
	err = errors.Join(err, d.endManifest(err == nil))
	if err != nil {
		return fmt.Errorf("%s de-identified, then: %w", words.Plural(d.written, "instance was", "instances were"), err)
	}
	return c.tellOutcome(answer, d)
}

// tellOutcome says what a run did; the error is its exit code.
func (c *Cmd) tellOutcome(answer stdio.Writer, d *deidRun) error {
	err := d.outcome()
	d.sayChain()
	if c.JSON {
		err = errors.Join(command.PrintJSON(answer, d.summary()), err)
	}
	return err
}

// keepApart checks that key and report lie outside of the folder that is handed on, and that no report is overwritten.
func (c *Cmd) keepApart(out string) error {
	for _, f := range []struct{ path, what string }{{c.KeyFile, "the key"}, {c.Report, "the report"}} {
		if f.path == "" {
			continue
		}
		if inside(out, f.path) {
			return command.Usage(
				"%s must lie outside of %s, which is handed on; name another file", f.what, command.Printable(out),
			)
		}
	}
	if c.Report == "" {
		return nil
	}
	if _, err := os.Lstat(c.Report); err == nil {
		return command.Usage(
			"the report %s exists already and is not overwritten; name another file", command.Printable(c.Report),
		)
	}
	return nil
}

func (c *Cmd) pseudonymizes() bool {
	return c.Pseudonym != "" || c.Pseudonyms != "" || c.Pseudonymize
}

// prepare looks at all files and checks that they can be de-identified into a folder together. It writes nothing.
func (c *Cmd) prepare(ctx context.Context, io command.Streams, files []string, out string) (*deidRun, error) {
	key, subject, profile, err := c.subject(io)
	if err != nil {
		return nil, err
	}
	names, err := c.namer(key)
	if err != nil {
		return nil, err
	}
	folder, err := LookAtFolder(out, key, subject, profile)
	if err != nil {
		return nil, err
	}
	plan, err := makePlan(ctx, io, files, names, folder, profile, subject)
	if err != nil {
		return nil, err
	}
	d := newDeidRun(io, profile, subject, plan, folder)
	if len(plan.patients) > 0 {
		if _, err := d.sessions.of(0); err != nil { // the trial is no better in the other ones
			return nil, &command.Status{Code: command.ExitUsage, Err: err}
		}
	}
	return d, nil
}

// subject reads profile and key. The patient is still open.
func (c *Cmd) subject(io command.Streams) (key deid.Key, s deid.Subject, profile *deid.Profile, err error) {
	s = deid.Subject{
		TrialID: c.TrialID, TrialName: c.TrialName, Charset: c.Charset, Scan: !c.NoScan, Account: !c.NoManifest,
	}
	if profile, err = findProfile(c.Profile); err != nil {
		return key, s, nil, err
	}
	switch {
	case c.KeyFile == "" && c.NewKey:
		return key, s, nil, command.Usage("--new-key makes the file that --key-file names")
	case c.Explain && c.NewKey:
		return key, s, nil, command.Usage("--explain writes nothing, not even a key file; omit --new-key")
	case c.KeyFile == "":
		_, _ = rand.Read(key[:]) // never fails
		if c.Explain {
			break
		}
		other := "UIDs and dates"
		if c.Pseudonymize {
			other = "pseudonyms, UIDs and dates"
		}
		fmt.Fprintf(io.Err, "No --key-file: this run uses a new key and then forgets it. Files that you de-identify "+
			"later will not match these: they get other %s. To keep a key: --key-file FILE --new-key\n", other)
	case c.NewKey:
		key, err = makeKey(c.KeyFile)
	default:
		key, err = ReadKey(c.KeyFile)
	}
	return key, s, profile, err
}

// explained is an attribute as deid --explain --json writes it.
type explained struct {
	Path    string `json:"path"`
	Keyword string `json:"keyword,omitempty"`
	Before  string `json:"before"`
	Action  string `json:"action"`
	Rule    string `json:"rule"`
	After   string `json:"after"`
}

func jsonExplained(list []deid.Explained) []explained {
	out := make([]explained, len(list))
	for i, x := range list {
		out[i] = explained{x.Path, x.Keyword, x.Before, x.Action.String(), x.Rule, x.After}
	}
	return out
}

// explain shows what a run would do to a file. It ends as the run would.
func (c *Cmd) explain(ctx context.Context, io command.Streams) error {
	if len(c.Paths) != 1 {
		return command.Usage("--explain takes one file")
	}
	if info, err := os.Stat(c.Paths[0]); err == nil && !info.Mode().IsRegular() {
		return command.Usage(
			"--explain takes one file, and %s is a folder, a pipe or a device; name a file in it",
			command.Printable(c.Paths[0]),
		)
	}
	if !c.pseudonymizes() {
		c.Pseudonym = "PSEUDONYM"
	}
	d, err := c.prepare(ctx, io, c.Paths, "")
	if err != nil {
		return err
	}
	list, report, err := d.explain(0)
	if c.JSON {
		if err := command.PrintJSON(io.Out, jsonExplained(list)); err != nil {
			return err
		}
		io, list = c.Aside(io), nil
	}
	if len(list) > 0 {
		w := tabwriter.NewWriter(io.Out, 0, 1, 2, ' ', 0)
		fmt.Fprintln(w, "ATTRIBUTE\tKEYWORD\tBEFORE\tACTION\tRULE\tAFTER")
		for i := range list {
			x := &list[i]
			fmt.Fprintf(
				w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Path, x.Keyword, command.Printable(x.Before),
				x.Action, command.Printable(x.Rule), command.Printable(x.After),
			)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if err == nil {
		if report.Trailing > 0 {
			fmt.Fprintf(io.Out, "\n%s behind the last frame of the pixel data, as large as Rows, Columns and frames "+
				"make it. They stay, and nobody looks into them; see what they are.\n",
				words.Plural(int(report.Trailing), "byte stands", "bytes stand"))
		}
		return nil
	}
	d.leaveOut(0, err)
	d.sayRefused()
	if unsafe, ok := errors.AsType[*deid.UnsafeError](err); ok {
		return cmp.Or(sayFindings(io, unsafe.Findings, list), error(&command.Status{Code: command.ExitWarning}))
	}
	return &command.Status{Code: command.ExitWarning}
}

// sayFindings shows what the scan found in a file, by which of its rules, and what let it stay. It shows no value.
func sayFindings(io command.Streams, found []deid.Finding, list []deid.Explained) error {
	if len(found) == 0 {
		return nil
	}
	fmt.Fprintln(io.Out, "\nThe scan of the result holds the file back:")
	w := tabwriter.NewWriter(io.Out, 0, 1, 2, ' ', 0)
	fmt.Fprintln(w, "FOUND IN\tKEYWORD\tHOLDS\tTHAT OF\tRULE OF THE SCAN\tWHAT LET IT STAY")
	for _, f := range found {
		of := f.Of.Keyword()
		if f.Of != 0 {
			of = strings.TrimSpace(f.Of.String() + " " + of)
		}
		stayed := "it stands behind the header, in what is not held whole"
		for i := range list {
			if list[i].Path == f.Path {
				stayed = list[i].Action.String() + ": " + list[i].Rule
			}
		}
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Path, f.Tag.Keyword(),
			f.Kind, of, f.Kind.Rule(), command.Printable(stayed),
		)
	}
	return w.Flush()
}

// explain tells what becomes of a file, with what it tells of before it fails.
func (d *deidRun) explain(i int) (list []deid.Explained, report *deid.Report, err error) {
	in, object, err := openObject(d.plan.files[i])
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = errors.Join(object.Close(), in.Close()) }() // was only read
	session, err := d.sessionOf(i)
	if err != nil {
		return nil, nil, err
	}
	list, report, err = session.Explain(object)
	if err == nil {
		_, err = nameOf(object)
	}
	if err != nil {
		return list, report, err
	}
	lead, err := leadOf(in)
	return append(deid.ExplainLead(lead, object.FileMeta()), list...), report, err
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
