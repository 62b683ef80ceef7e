// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/adit-go/adit/dicom/deid/manifest"
)

// deidVerify are the flags of a check of what was de-identified.
type deidVerify struct {
	Verify   bool    `help:"Check that the files of a folder are what its manifest says, and that none was exchanged, added or removed."`
	Manifest string  `type:"path" placeholder:"FILE" help:"With --verify: the manifest, if it isn't in the folder (adit job manifest writes those of jobs)."`
	Chain    *string `placeholder:"HEX" help:"With --verify: the number that was printed when the files were made."`
}

// verify checks a folder.
func (c *deidCmd) verify(ctx context.Context, out streams) error {
	if len(c.Paths) != 1 {
		return usage("--verify takes the folder that is to be checked, and nothing else")
	}
	o := manifest.Options{Manifest: c.Manifest, Beside: folderMarkName}
	if c.Chain != nil {
		if b, err := hex.DecodeString(*c.Chain); err != nil || len(b) != sha256.Size {
			return usage("--chain is the number of 64 hexadecimal digits that was printed when the files were made")
		}
		o.Chain = *c.Chain
	}
	if c.KeyFile != "" {
		key, err := readKey(c.KeyFile)
		if err != nil {
			return err
		}
		o.Key = &key
	}
	r, err := manifest.Check(ctx, c.Paths[0], o)
	if err != nil {
		return err
	}
	for _, doubt := range r.Doubts {
		fmt.Fprintf(out.out, "Look at this: %s\n", printable(doubt))
	}
	for _, fault := range r.Faults {
		fmt.Fprintf(out.out, "Wrong: %s\n", printable(fault))
	}
	for _, run := range r.Runs {
		fmt.Fprintf(out.out, "Made by %s with profile %s %s (%s)%s.\n", printable(run.Program), printable(run.Profile.Name), printable(run.Profile.Version), printable(run.Hash),
			map[bool]string{true: ", and searched for what came in", false: "; it was not searched for what came in (--no-scan)"}[run.Scan])
	}
	fmt.Fprintf(out.out, "The manifest ends in %s\n", r.Chain)
	if len(r.Faults) > 0 {
		return fmt.Errorf("%s is not what was made: %s", printable(c.Paths[0]), plural(len(r.Faults), "thing is wrong", "things are wrong"))
	}
	fmt.Fprintf(out.out, "%s what the manifest says.\n", plural(r.Files, "file is", "files are"))
	switch {
	case r.Sealed:
		fmt.Fprintln(out.out, "The manifest is sealed by the key.")
	case c.Chain == nil:
		fmt.Fprintln(out.out, "That the manifest itself is the one that was written, only the number that it ends in (--chain) or the key (--key-file) can prove.")
	}
	if len(r.Doubts) > 0 {
		return &status{code: exitWarning}
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

type jobManifestCmd struct {
	remote
	ID     int64  `arg:"" help:"Number of the job."`
	Output string `short:"o" required:"" type:"path" placeholder:"FILE" help:"File to write; it must not exist."`
}

// Run writes the manifest of a job.
func (c *jobManifestCmd) Run(ctx context.Context, out streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	f, err := createNew(c.Output)
	if err != nil {
		return err
	}
	var chain manifest.Chain
	err = cl.JobManifest(ctx, c.ID, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		chain, err = manifest.End(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(c.Output))
	}
	fmt.Fprintf(out.out, "The manifest ends in %s; keep this number with your records.\n", chain)
	return nil
}
