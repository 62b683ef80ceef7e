// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/quickfile"
)

type deidCmd struct {
	Profile   string `default:"${deid_profile}" placeholder:"NAME|FILE" help:"What is done to which attribute: ${deid_profiles}, or a profile in a YAML file."`
	KeyFile   string `type:"path" placeholder:"FILE" help:"The secret that new UIDs and dates derive from: 64 hexadecimal digits, readable by you alone. Without it a new one is made and forgotten."`
	NewKey    bool   `help:"Make the key file first; it must not exist yet."`
	Pseudonym string `placeholder:"P" help:"What becomes Patient ID and Patient's Name. All files must be of one patient."`
	TrialID   string `name:"trial-id" placeholder:"ID" help:"Clinical Trial Protocol ID to write into each object."`
	TrialName string `placeholder:"NAME" help:"Clinical Trial Protocol Name to write into each object."`
	Report    string `type:"path" placeholder:"FILE" help:"Write a CSV file with what was done to each object; it names objects by their new UIDs."`
	deidVerify
	deidProof
	Explain bool     `help:"Show what would happen to each attribute of one file, with its values, and write nothing."`
	Paths   []string `arg:"" name:"path" type:"path" help:"DICOM files, and folders whose files are taken; the last one is the folder that the new files are written to."`
}

// Help tells what happens to the files.
func (c *deidCmd) Help() string {
	return `Each file is written to FOLDER/<Study Instance UID>/<Series Instance UID>/<SOP Instance UID>.dcm, all UIDs being the new ones. The same files under the same key and profile give the same files.

What the profile refuses (burned-in text, encapsulated documents) is left out and counted. What can't be de-identified is left out and named, and the exit code is 3. Nothing of an original is ever copied. A file of a second patient ends the command with 1.

Keep the key if more of the patient's files will follow, and keep it secret: who has it can link the new UIDs to the old ones.`
}

// Run de-identifies files.
func (c *deidCmd) Run(ctx context.Context, io streams) error {
	if c.Verify {
		return c.verify(ctx, io)
	}
	if c.Explain {
		return c.explain(io)
	}
	if c.Pseudonym == "" || len(c.Paths) < 2 {
		return usage("adit deid needs --pseudonym, the files or folders to read, and at last the folder to write to")
	}
	subject, profile, err := c.subject(io)
	if err != nil {
		return err
	}
	last := len(c.Paths) - 1
	d := &deidRun{profile: profile, subject: subject, out: c.Paths[last], io: io, refused: map[deid.Reason]int{}, seen: map[string]int{}, leftOut: map[string]int{}}
	if d.files, err = filesIn(io, c.Paths[:last], d.out); err != nil {
		return err
	}
	if len(d.files) == 0 {
		return errors.New("there is no file to de-identify")
	}
	if err := d.checkPatient(); err != nil {
		return err
	}
	if c.Report != "" {
		if err := d.openReport(c.Report); err != nil {
			return err
		}
	}
	err = errors.Join(d.run(ctx), d.closeReport())
	d.progress.clear()
	if err == nil {
		err = endManifest(d.io, d.manifest, d.leftOut, d.subject.Key)
	} else if d.manifest != nil {
		err = errors.Join(err, d.manifest.Close())
	}
	if err != nil {
		return fmt.Errorf("%d objects were de-identified, then: %w", d.written, err)
	}
	return d.outcome()
}

// subject reads profile and key.
func (c *deidCmd) subject(io streams) (deid.Subject, *deid.Profile, error) {
	s := deid.Subject{Pseudonym: c.Pseudonym, TrialID: c.TrialID, TrialName: c.TrialName, Scan: !c.NoScan, Account: !c.NoManifest}
	profile, err := findProfile(c.Profile)
	if err != nil {
		return s, nil, err
	}
	switch {
	case c.KeyFile == "" && c.NewKey:
		return s, nil, usage("--new-key makes the file that --key-file names")
	case c.KeyFile == "":
		_, _ = rand.Read(s.Key[:]) // never fails
		if !c.Explain {
			fmt.Fprintln(io.err, "No --key-file: a key was made for this once. Files that are de-identified later will not fit to these, as they get other UIDs and dates. To keep a key: --key-file FILE --new-key")
		}
	case c.NewKey:
		s.Key, err = makeKey(c.KeyFile)
	default:
		s.Key, err = readKey(c.KeyFile)
	}
	return s, profile, err
}

// findProfile takes the name of a profile that is built in, or of a file.
func findProfile(name string) (*deid.Profile, error) {
	if p, ok := deid.BuiltinProfile(name); ok {
		return p, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no de-identification profile %q: it is neither a file nor one of %s", name, strings.Join(deid.BuiltinProfiles(), ", "))
	}
	if err != nil {
		return nil, err
	}
	return deid.LoadProfile(text)
}

// makeKey writes a new key into a file that must not exist.
func makeKey(path string) (key deid.Key, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return key, fmt.Errorf("%s exists already and is left as it is; leave --new-key away to use it", path)
	}
	if err != nil {
		return key, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, _ = rand.Read(key[:]) // never fails
	if _, err := fmt.Fprintf(f, "%x\n", key); err != nil {
		return key, err
	}
	return key, f.Sync() // what derives from it can't be made again without it
}

// readKey reads a key that nobody else can read.
func readKey(path string) (key deid.Key, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("there is no key file %s; --new-key makes one", path)
	}
	if err != nil {
		return key, err
	}
	defer func() { _ = f.Close() }() // was only read
	info, err := f.Stat()
	if err != nil {
		return key, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key, fmt.Errorf("the key file %s can be read by others (mode %04o); if nobody has, correct it with chmod 600, else make a new key", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return key, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != len(key) {
		return key, fmt.Errorf("%s is no key file: it must hold 64 hexadecimal digits and nothing else", path)
	}
	copy(key[:], b)
	return key, nil
}

// filesIn lists files and those of folders, in lexical order. out, which is written to, must not lie in one of the folders.
func filesIn(io streams, paths []string, out string) ([]string, error) {
	var files []string
	for _, path := range paths {
		if rel, err := filepath.Rel(path, out); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return nil, usage("the folder to write to must lie outside of %s, which is read", path)
		}
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.Type().IsRegular(), d.Type()&fs.ModeSymlink != 0:
				files = append(files, path)
			case !d.IsDir():
				fmt.Fprintf(io.err, "%s: not a file, left out\n", printable(path))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// deidRun is the de-identification of a list of files into a folder.
type deidRun struct {
	profile  *deid.Profile
	subject  deid.Subject
	session  *deid.Session
	files    []string
	out      string
	io       streams
	progress progress

	written int
	unsafe  int // files that are left out, and named
	refused map[deid.Reason]int
	seen    map[string]int // names of files written, with the place of their originals

	manifest *manifest.File // nil: nobody wants one
	leftOut  map[string]int // by reason

	reportFile *os.File // nil: nobody wants a report
	report     *csv.Writer
}

// deidObject is what became of a file.
type deidObject struct {
	study, series, instance string // UIDs as sent, also of what isn't
	report                  deid.Report
	file                    *quickfile.File // the new one, without a name; nil if there is none
	path                    string          // where that goes
	sum                     *summed         // of the new one; nil: nobody wants it
	err                     error
}

// checkPatient begins the session, for the patient of the first file that is a DICOM object.
func (d *deidRun) checkPatient() error {
	for _, path := range d.files {
		id, err := patientOf(path)
		if err != nil {
			continue // it will be named when its turn comes
		}
		d.subject.Patient = id
		d.session, err = d.profile.Session(d.subject)
		if err != nil {
			return &status{exitUsage, err}
		}
		return nil
	}
	return errors.New("none of the files is a DICOM file that can be read")
}

func patientOf(path string) (deid.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // was only read
	_, o, err := stream.OpenFile(f, stream.Limits{})
	if err != nil {
		return "", err
	}
	defer func() { _ = o.Close() }() // gives memory back
	h := o.Header()
	return deid.PatientIdentity(h.Text(dict.PatientID), "", h.Text(dict.StudyInstanceUID)), nil
}

// run de-identifies the files, several at a time, and gives the new ones their names in the order of the list: so the result
// does not depend on who is ready first.
func (d *deidRun) run(ctx context.Context) error {
	if err := os.MkdirAll(d.out, 0o750); err != nil {
		return err
	}
	var err error
	if d.manifest, err = openManifest(d.out, d.profile, d.subject); err != nil {
		return err
	}
	d.progress = newProgress(d.io, len(d.files))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	i := 0
	for o := range d.rewritten(ctx) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = d.take(i, o)
		}
		if err != nil {
			cancel()
			o.drop()
		}
		i++
		d.progress.at(i)
	}
	return err
}

// rewritten de-identifies the files, and gives what became of them in the order of the list until ctx ends.
func (d *deidRun) rewritten(ctx context.Context) iter.Seq[*deidObject] {
	workers := min(runtime.GOMAXPROCS(0), 8)
	return func(yield func(*deidObject) bool) {
		if workers == 1 { // nothing could go on beside it
			for i := range d.files {
				if ctx.Err() != nil || !yield(d.rewrite(d.files[i])) {
					return
				}
			}
			return
		}
		pending := make(chan chan *deidObject, 2*workers) // in the order of the list
		slots := make(chan struct{}, workers)
		go func() {
			defer close(pending)
			for i := range d.files {
				done := make(chan *deidObject, 1)
				select {
				case pending <- done:
				case <-ctx.Done():
					return
				}
				slots <- struct{}{}
				go func() {
					done <- d.rewrite(d.files[i])
					<-slots
				}()
			}
		}()
		for done := range pending {
			if !yield(<-done) {
				panic("what was begun must be taken, as there may be files to remove")
			}
		}
	}
}

// take notes what became of a file, and gives a new one its name. An error ends the run.
func (d *deidRun) take(i int, o *deidObject) error {
	name := printable(d.files[i])
	refused, isRefused := errors.AsType[*deid.RefusedError](o.err)
	unsafe, isUnsafe := errors.AsType[*deid.UnsafeError](o.err)
	result, reason := "left out", "not readable"
	switch {
	case isUnsafe && unsafe.Reason == deid.OtherPatient:
		return fmt.Errorf("%s is of another patient than the files before it, and a pseudonym stands for one patient; de-identify the patients one by one", name)
	case diskFailed(o.err, d.files[i]):
		return o.err // the next file would fare no better
	case isRefused:
		d.refused[refused.Reason]++
		reason = string(refused.Reason)
	case o.err != nil:
		d.leaveOut(name, o.err)
		if isUnsafe {
			reason = string(unsafe.Reason)
		}
	default:
		if first, ok := d.seen[o.path]; ok {
			o.drop()
			d.leaveOut(name, fmt.Errorf("it has the same SOP Instance UID as %s, which is kept", printable(d.files[first])))
			result, reason = "left out", "duplicate"
			break
		}
		if err := o.file.Name(o.path); err != nil {
			return err
		}
		o.file = nil
		d.seen[o.path] = i
		d.written++
		result, reason = "de-identified", ""
		if d.manifest != nil {
			object, err := o.proven(d.out)
			if err != nil {
				return err
			}
			if err := d.manifest.Add(object); err != nil {
				return err
			}
		}
	}
	if reason != "" {
		d.leftOut[reason]++
	}
	return d.writeReport(result, reason, o)
}

// diskFailed tells errors of writing, and of a disk, from what is wrong with one file that is read.
func diskFailed(err error, in string) bool {
	if _, ok := errors.AsType[syscall.Errno](err); !ok {
		return false
	}
	path, ok := errors.AsType[*fs.PathError](err)
	return !ok || path.Path != in
}

func (d *deidRun) leaveOut(name string, why error) {
	d.unsafe++
	d.progress.clear()
	fmt.Fprintf(d.io.err, "%s: %v\n", name, why)
}

// drop leaves nothing of a file that has no name yet.
func (o *deidObject) drop() {
	if o.file != nil {
		_ = o.file.Close() // nobody wants it
		o.file = nil
	}
}

// openReport begins the report: a line per object, whose UIDs are the new ones and whose file isn't named.
func (d *deidRun) openReport(path string) (err error) {
	d.reportFile, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	d.report = csv.NewWriter(d.reportFile)
	head := []string{"Result", "Reason", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"}
	for a := deid.Keep; a <= deid.Assign; a++ {
		head = append(head, a.String())
	}
	return d.report.Write(append(head, "Profile", "ProfileVersion", "ProfileSHA256"))
}

func (d *deidRun) writeReport(result, reason string, o *deidObject) error {
	if d.report == nil {
		return nil
	}
	line := []string{result, reason, o.study, o.series, o.instance}
	for a := deid.Keep; a <= deid.Assign; a++ {
		line = append(line, strconv.Itoa(o.report.Count(a)))
	}
	return d.report.Write(append(line, d.profile.Name(), d.profile.Version(), d.profile.Hash()))
}

func (d *deidRun) closeReport() error {
	if d.report == nil {
		return nil
	}
	d.report.Flush()
	return errors.Join(d.report.Error(), d.reportFile.Close())
}

// rewrite de-identifies a file into one without a name.
func (d *deidRun) rewrite(path string) *deidObject {
	o := &deidObject{}
	in, err := quickfile.Open(path)
	if err != nil {
		o.err = err
		return o
	}
	defer func() { _ = in.Close() }() // was only read
	_, object, err := stream.OpenFile(in, stream.Limits{})
	if err != nil {
		o.err = err
		return o
	}
	defer func() { _ = object.Close() }() // gives memory back
	h := object.Header()
	if d.report != nil { // it names what is left out, too
		o.study, o.series, o.instance = d.session.MapUID(h.Text(dict.StudyInstanceUID)), d.session.MapUID(h.Text(dict.SeriesInstanceUID)), d.session.MapUID(h.SOPInstanceUID())
	}
	report, err := d.session.Rewrite(object)
	if err != nil {
		o.err = err
		return o
	}
	o.study, o.series, o.instance, o.report = h.Text(dict.StudyInstanceUID), h.Text(dict.SeriesInstanceUID), h.SOPInstanceUID(), report
	if !isName(o.study) || !isName(o.series) || !isName(o.instance) {
		o.err = errors.New("its Study, Series or SOP Instance UID is missing or none; nothing is written")
		return o
	}
	dir := d.out + "/" + o.study + "/" + o.series
	o.path = dir + "/" + o.instance + ".dcm"
	if o.file, o.err = createIn(dir); o.err != nil {
		return o
	}
	var lead [512]byte
	o.sum = newSum(d.manifest)
	if _, o.err = object.WriteTo(&part10{o.file, object.FileMeta().AppendTo(lead[:0]), o.sum}); o.err != nil {
		o.drop()
	}
	return o
}

// createIn makes a file without a name where it will have one, since file systems place a file by its folder.
func createIn(dir string) (*quickfile.File, error) {
	const perm = 0o640 // the group may read what tells of nobody
	f, err := quickfile.CreateUnnamed(dir, perm)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, err
		}
		f, err = quickfile.CreateUnnamed(dir, perm)
	}
	return f, err
}

// isName tells whether a UID as sent, which is one of ours unless the profile retains UIDs, may name a file.
func isName(uid string) bool {
	return uid != "" && len(uid) <= 64 && uid[0] != '.' && strings.Trim(uid, "0123456789.") == ""
}

// part10 writes an object as a file (PS3.10). What leads it leaves with the object's first bytes.
type part10 struct {
	file *quickfile.File
	lead []byte // preamble and file meta information, of ours, that is still to be written
	sum  *summed
}

func (w *part10) Write(p []byte) (int, error) {
	w.sum.add(w.lead, p)
	n, err := w.file.WriteBoth(w.lead, p)
	n = max(0, n-len(w.lead))
	w.lead = nil
	return n, err
}

// outcome says how it went.
func (d *deidRun) outcome() error {
	fmt.Fprintf(d.io.out, "%d objects were de-identified by profile %s %s (%s)\n", d.written, d.profile.Name(), d.profile.Version(), d.profile.Hash())
	for _, reason := range slices.Sorted(maps.Keys(d.refused)) {
		fmt.Fprintf(d.io.out, "%d objects are left out, as the profile says: %s\n", d.refused[reason], refusal[reason])
	}
	if d.unsafe > 0 {
		fmt.Fprintf(d.io.out, "%d files could not be de-identified and are left out\n", d.unsafe)
	}
	if d.unsafe > 0 || d.written == 0 {
		return &status{code: exitWarning}
	}
	return nil
}

var refusal = map[deid.Reason]string{
	deid.BurnedIn:             "text is, or may be, burned in",
	deid.EncapsulatedDocument: "encapsulated documents",
	deid.PixelsElsewhere:      "pixel data lies elsewhere (JPIP)",
}

// progress is a line on a terminal that says how far a command is.
type progress struct {
	w     io.Writer // nil: nobody looks
	total int
	shown bool
	next  time.Time
}

func newProgress(io streams, total int) progress {
	if !isTerminal(io.err) {
		return progress{}
	}
	return progress{w: io.err, total: total}
}

func (p *progress) at(done int) {
	if p.w == nil || time.Now().Before(p.next) {
		return
	}
	p.next, p.shown = time.Now().Add(100*time.Millisecond), true
	fmt.Fprintf(p.w, "\r%d of %d files", done, p.total)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

func (c *deidCmd) explain(io streams) (err error) {
	if len(c.Paths) != 1 {
		return usage("--explain takes one file")
	}
	if c.Pseudonym == "" {
		c.Pseudonym = "PSEUDONYM"
	}
	subject, profile, err := c.subject(io)
	if err != nil {
		return err
	}
	f, err := os.Open(c.Paths[0])
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // was only read
	_, o, err := stream.OpenFile(f, stream.Limits{})
	if err != nil {
		return fmt.Errorf("%s: %w", printable(c.Paths[0]), err)
	}
	defer func() { _ = o.Close() }() // gives memory back
	h := o.Header()
	subject.Patient = deid.PatientIdentity(h.Text(dict.PatientID), "", h.Text(dict.StudyInstanceUID))
	session, err := profile.Session(subject)
	if err != nil {
		return &status{exitUsage, err}
	}
	list, err := session.Explain(o)
	if err != nil {
		return &status{exitWarning, err}
	}
	w := tabwriter.NewWriter(io.out, 0, 1, 2, ' ', 0)
	fmt.Fprintln(w, "ATTRIBUTE\tKEYWORD\tBEFORE\tACTION\tRULE\tAFTER")
	for i := range list {
		x := &list[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Path, x.Keyword, printable(x.Before), x.Action, printable(x.Rule), printable(x.After))
	}
	return w.Flush()
}
