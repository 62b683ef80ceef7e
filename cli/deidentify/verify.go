// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/words"
)

// deidVerify are the flags of a check of what was de-identified.
type deidVerify struct {
	Verify   bool    `help:"Check the files of a folder against its manifest: that no file was replaced, added or removed."`
	Manifest string  `type:"path" placeholder:"FILE" help:"With --verify: the manifest, if it isn't in the folder. adit job manifest writes the manifest of a job."`
	Chain    *string `placeholder:"HEX" help:"With --verify: the hash that was printed when the files were made."`
}

// verify checks a folder.
func (c *Cmd) verify(ctx context.Context, out command.Streams) error {
	if len(c.Paths) != 1 {
		return command.Usage("--verify takes one folder to check, and nothing else")
	}
	o := manifest.Options{Manifest: c.Manifest, Beside: FolderMarkName, Marker: nodes.MarkerName}
	if c.Chain != nil {
		if b, err := hex.DecodeString(*c.Chain); err != nil || len(b) != sha256.Size {
			return command.Usage(
				"--chain is the hash of 64 hexadecimal digits that was printed when the files were made",
			)
		}
		o.Chain = *c.Chain
	}
	if c.KeyFile != "" {
		key, err := ReadKey(c.KeyFile)
		if err != nil {
			return err
		}
		o.Key = &key
	}
	r, err := manifest.Check(ctx, c.Paths[0], o)
	if err != nil {
		return err
	}
	if c.JSON {
		err = command.PrintJSON(out.Out, verified{
			r.Chain.String(), r.Files, r.Sealed, append([]string{}, r.Faults...), append([]string{}, r.Doubts...),
		})
	}
	return errors.Join(err, c.tellVerified(c.Aside(out), r))
}

// verified is what deid --verify --json writes.
type verified struct {
	Chain  string   `json:"chain"`
	Files  int      `json:"files"`
	Sealed bool     `json:"sealed"`
	Faults []string `json:"faults"`
	Doubts []string `json:"doubts"`
}

// tellVerified says what was found; the exit code says whether that is good.
func (c *Cmd) tellVerified(out command.Streams, r *manifest.Result) error {
	for _, doubt := range r.Doubts {
		fmt.Fprintf(out.Out, "Look at this: %s\n", command.Printable(doubt))
	}
	for _, fault := range r.Faults {
		fmt.Fprintf(out.Out, "Wrong: %s\n", command.Printable(fault))
	}
	for _, run := range r.Runs {
		fmt.Fprintf(
			out.Out, "Made by %s with profile %s %s (%s)%s.\n", command.Printable(run.Program),
			command.Printable(run.Profile.Name), command.Printable(run.Profile.Version), command.Printable(run.Hash),
			map[bool]string{
				true:  "; the files were searched for identifying values",
				false: "; the files were not searched for identifying values (--no-scan)",
			}[run.Scan],
		)
	}
	fmt.Fprintf(out.Out, "The manifest ends in %s\n", r.Chain)
	if len(r.Faults) > 0 {
		return fmt.Errorf(
			"%s is not as its manifest says: %s", command.Printable(c.Paths[0]),
			words.Plural(len(r.Faults), "fault was found", "faults were found"),
		)
	}
	fmt.Fprintf(out.Out, "%s what the manifest says.\n", words.Plural(r.Files, "file is", "files are"))
	switch {
	case r.Sealed:
		fmt.Fprintln(out.Out, "The manifest is sealed by the key.")
	case c.Chain == nil:
		fmt.Fprintln(out.Out,
			"Only the hash that the manifest ends in (--chain) or the key (--key-file) can prove that nobody has "+
				"replaced the manifest itself.",
		)
	}
	if len(r.Doubts) > 0 {
		return &command.Status{Code: command.ExitWarning}
	}
	return nil
}

// JobManifestCmd is the command adit job manifest.
type JobManifestCmd struct {
	command.Remote
	ID   int64  `complete:"job" arg:"" help:"Number of the job."`
	File string `name:"output" short:"o" required:"" type:"path" placeholder:"FILE" help:"File to write; it must not exist."`
}

// Run writes the manifest of a job.
func (c *JobManifestCmd) Run(ctx context.Context, out command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	f, err := command.CreateNew(c.File)
	if err != nil {
		return err
	}
	var chain manifest.Chain
	err = cl.Jobs.Manifest(ctx, c.ID, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		chain, err = manifest.End(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(c.File))
	}
	return c.Say(
		out, command.Done{"done": "written", "job": c.ID, "file": c.File, "chain": chain.String()},
		"The manifest ends in %s; keep this hash with your records.", chain,
	)
}
