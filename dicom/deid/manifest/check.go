// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Options is what a check may know beside the folder.
type Options struct {
	Manifest string    // the file; empty: that in the folder
	Beside   string    // the file at the top of the folder that Run.Mark is of
	Marker   string    // a file at the top of the folder that says which folder it is, and is not checked
	Chain    string    // what the manifest ended in, as it was kept elsewhere; empty: nobody kept it
	Key      *deid.Key // that the runs were made under; nil: seals aren't checked
}

// Result is what a check found.
type Result struct {
	Chain  Chain
	Runs   []Run
	Files  int      // that are as the manifest says
	Faults []string // why the folder is not what was made: sentences
	Doubts []string // what people should look at
	Sealed bool     // all seals were checked, and are the key's
}

// check is a check under way.
type check struct {
	dir     string
	root    *os.Root
	o       Options
	result  *Result
	byPath  map[string]*entry
	byUID   map[string]*entry   // of data sets
	content map[string][]*entry // by hash, to name exchanges
	looks   map[string]int      // doubts, and in how many files
	open    int                 // the line in which the run began that has no end, 0 for none
	objects int
	marked  bool // there is a file Options.Beside
}

// entry is what the manifest says of an instance.
type entry struct {
	Object
	line int
	run  int // in Runs
	seen bool
}

// Check checks a folder against its manifest. The error says why it can't be done; what is wrong with the folder stands
// in the result.
func Check(ctx context.Context, dir string, o Options) (*Result, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // was only read
	c := &check{
		dir: dir, root: root, o: o, result: &Result{}, byPath: map[string]*entry{},
		byUID: map[string]*entry{}, content: map[string][]*entry{},
		looks: map[string]int{},
	}
	if err := c.readManifest(); err != nil {
		return nil, err
	}
	if err := c.walk(ctx); err != nil {
		return nil, err
	}
	c.missing()
	for _, what := range slices.Sorted(maps.Keys(c.looks)) {
		c.doubtf("in %s %s", files(c.looks[what]), what)
	}
	return c.result, nil
}

func (c *check) faultf(format string, args ...any) {
	c.result.Faults = append(c.result.Faults, fmt.Sprintf(format, args...))
}

func (c *check) doubtf(format string, args ...any) {
	c.result.Doubts = append(c.result.Doubts, fmt.Sprintf(format, args...))
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

// readManifest reads what the manifest says, as far as its chain holds.
func (c *check) readManifest() error {
	path := cmp.Or(c.o.Manifest, filepath.Join(c.dir, Name))
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no manifest %s, so nothing about the folder can be proven", path)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // was only read
	c.result.Sealed = c.o.Key != nil
	broken := func(err error) error {
		c.faultf("The manifest was changed: %v.", err)
		return nil
	}
	if err := read(f, broken, c.take); err != nil {
		_ = broken(err)
	}
	switch {
	case len(c.result.Runs) == 0 && len(c.result.Faults) == 0:
		c.faultf("The manifest is empty.")
	case c.open > 0:
		c.faultf(
			"The run that begins in line %d of the manifest has no end: it was interrupted, or its end was removed.",
			c.open,
		)
	}
	if c.o.Chain != "" && !strings.EqualFold(c.o.Chain, c.result.Chain.String()) {
		c.faultf("The manifest does not end with the hash that you gave: it was replaced, or lines were removed " +
			"or added since.")
	}
	c.result.Sealed = c.result.Sealed && len(c.result.Faults) == 0
	return nil
}

// take takes a line.
func (c *check) take(n int, l *line, at link) error {
	c.result.Chain = at.chain
	switch {
	case l.Run != nil:
		if l.Run.Format != format {
			return fmt.Errorf("line %d has version %d of the format, which this ADIT doesn't know", n, l.Run.Format)
		}
		if c.open > 0 {
			c.doubtf("The run that begins in line %d of the manifest was interrupted; another one follows.", c.open)
		}
		c.result.Runs = append(c.result.Runs, *l.Run)
		c.open, c.objects = n, 0
		if c.o.Key != nil && l.Run.Key != Fingerprint(*c.o.Key) {
			c.faultf("The run that begins in line %d of the manifest was made under another key than the one given.", n)
		}
	case c.open == 0:
		c.faultf("Line %d of the manifest belongs to no run.", n)
	case l.Object != nil:
		c.objects++
		c.takeObject(&entry{Object: *l.Object, line: n, run: max(0, len(c.result.Runs)-1)})
	case l.End != nil:
		c.open = 0
		if l.End.Objects != c.objects {
			c.faultf("Line %d of the manifest counts %d instances, but %d precede it.", n, l.End.Objects, c.objects)
		}
		if c.o.Key != nil && at.whole && !hmac.Equal([]byte(l.End.Seal), []byte(seal(*c.o.Key, at.before))) {
			c.faultf(
				"The seal in line %d of the manifest does not match the key: the writer of the manifest didn't have it.", n,
			)
		}
	}
	return nil
}

func (c *check) takeObject(e *entry) {
	if e.Path != "" && e.Of == OfFile {
		if old := c.byPath[e.Path]; old != nil && old.SHA256 != e.SHA256 {
			c.doubtf(
				"A later run overwrote %s with other content (lines %d and %d of the manifest).",
				e.Path, old.line, e.line,
			)
		}
		c.byPath[e.Path] = e
	} else {
		c.byUID[e.Instance] = e
	}
}

// walk checks what is in the folder.
func (c *check) walk(ctx context.Context) error {
	for _, e := range c.byPath {
		c.content[e.SHA256] = append(c.content[e.SHA256], e)
	}
	return fs.WalkDir(c.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case d.IsDir(), path == Name, path == c.o.Marker:
			return nil
		case !d.Type().IsRegular():
			c.faultf("%s is not a file, but a link or a device; the manifest doesn't list it.", path)
			return nil
		case path == c.o.Beside:
			return c.mark(path)
		}
		return c.file(path)
	})
}

// file checks one file.
func (c *check) file(path string) error {
	f, err := c.root.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // was only read
	e := c.byPath[path]
	if e == nil && len(c.byUID) > 0 {
		return c.dataSet(path, f)
	}
	sum, size, err := hashOf(f)
	if err != nil {
		return err
	}
	switch {
	case e == nil:
		c.faultf("%s was added: the manifest doesn't list it%s.", path, c.whose(sum, path))
		return nil
	case e.seen:
		return nil
	}
	e.seen = true
	if sum != e.SHA256 {
		c.faultf(
			"%s was changed: its SHA-256 is not the one in line %d of the manifest (%d bytes now, %d then)%s.",
			path, e.line, size, e.Size, c.whose(sum, path),
		)
		return nil
	}
	c.result.Files++
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	c.header(path, f, e)
	return nil
}

// mark checks the file that says by what the folder was de-identified. The last run left it as it should be.
func (c *check) mark(path string) error {
	c.marked = true
	f, err := c.root.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // was only read
	sum, _, err := hashOf(f)
	switch want := c.lastMark(); {
	case err != nil:
		return err
	case want == "":
		c.doubtf("The manifest doesn't prove %s: an older ADIT wrote it, or it covers other files.", path)
	case sum != want:
		c.faultf(
			"%s was changed: its SHA-256 is not the one of the last run in the manifest, or a later run "+
				"wrote no manifest.",
			path,
		)
	}
	return nil
}

func (c *check) lastMark() string {
	if len(c.result.Runs) == 0 {
		return ""
	}
	return c.result.Runs[len(c.result.Runs)-1].Mark
}

// whose says of which other file a content is.
func (c *check) whose(sum, path string) string {
	for _, e := range c.content[sum] {
		if e.Path != path {
			return ", and it contains what " + e.Path + " held"
		}
	}
	return ""
}

// dataSet checks a file by the instance that it holds.
func (c *check) dataSet(path string, f io.Reader) error {
	_, o, err := stream.OpenFile(f, stream.Limits{})
	if err != nil {
		c.faultf("%s was added: it is not a readable DICOM file.", path)
		return nil
	}
	defer func() { _ = o.Close() }() // gives memory back
	e := c.byUID[o.Header().SOPInstanceUID()]
	if e == nil {
		c.faultf("%s was added: the manifest doesn't list its instance.", path)
		return nil
	}
	if e.seen {
		c.faultf("%s contains an instance that another file contains, too.", path)
		return nil
	}
	e.seen = true
	c.judgeHeader(path, o, e)
	h := sha256.New()
	if _, err := io.Copy(h, o); err != nil {
		c.faultf("%s can't be read to its end: %v.", path, err)
		return nil
	}
	if hex.EncodeToString(h.Sum(nil)) != e.SHA256 {
		c.faultf("%s was changed: the SHA-256 of its data set is not the one in line %d of the manifest.", path, e.line)
		return nil
	}
	c.result.Files++
	return nil
}

func hashOf(f io.Reader) (sum string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// header opens a file whose content is proven.
func (c *check) header(path string, f io.Reader, e *entry) {
	_, o, err := stream.OpenFile(f, stream.Limits{})
	if err != nil {
		c.faultf("%s is not a readable DICOM file: %v.", path, err)
		return
	}
	defer func() { _ = o.Close() }() // gives memory back
	c.judgeHeader(path, o, e)
}

// judgeHeader sees that an instance names the profile of its run, and looks for text that looks like somebody's.
func (c *check) judgeHeader(path string, o *stream.Object, e *entry) {
	h, run := o.Header(), Run{}
	if e.run < len(c.result.Runs) {
		run = c.result.Runs[e.run]
	}
	if run.Hash == "" || !strings.Contains(h.Text(dict.DeidentificationMethod)+methodOf(h), run.Hash) {
		c.faultf(
			"%s doesn't name the profile %s %s with its hash in (0012,0063): something else wrote it.",
			path, run.Profile.Name, run.Profile.Version,
		)
	}
	if h.SOPInstanceUID() != e.Instance {
		c.faultf("%s contains another instance than line %d of the manifest says.", path, e.line)
	}
	for _, f := range deid.LooksLike(h) {
		c.looks[f]++
	}
}

// methodOf returns all values of De-identification Method.
func methodOf(h *stream.Header) string {
	e, _ := h.Get(dict.DeidentificationMethod)
	return string(e.Value)
}

// missing names what isn't there.
func (c *check) missing() {
	var gone []string
	if c.lastMark() != "" && !c.marked {
		gone = append(gone, c.o.Beside+" is missing: the last run in the manifest lists it.")
	}
	for _, m := range []map[string]*entry{c.byPath, c.byUID} {
		for name, e := range m {
			if !e.seen {
				gone = append(gone, fmt.Sprintf("%s is missing: line %d of the manifest lists it.", name, e.line))
			}
		}
	}
	slices.Sort(gone)
	c.result.Faults = append(c.result.Faults, gone...)
}
