// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/quickfile"
	"github.com/adit-go/adit/internal/words"
)

// deidRun is the de-identification of the files of a plan into a folder.
type deidRun struct {
	profile  *deid.Profile
	plan     *deidPlan
	folder   *deidFolder
	sessions *sessions
	io       command.Streams
	progress *command.Bar
	report   *deidReport    // nil: nobody wants one
	manifest *manifest.File // nil: nobody wants one
	chain    manifest.Chain // that it ends in
	leftOut  map[string]int // by reason

	written  int
	trailing int // objects written that have bytes behind the image in their pixel data
	copies   int // of unsafe: files that hold what another one holds
	unsafe   int // files that are left out, and named
	refused  map[deid.Reason]int
	assumed  map[string]int     // files written, by the character set that was read though they declare none
	seen     map[[16]byte]int32 // digests of the names written, with the place of their originals
}

func newDeidRun(
	io command.Streams, profile *deid.Profile, subject deid.Subject, plan *deidPlan, folder *deidFolder,
) *deidRun {
	return &deidRun{
		profile: profile, plan: plan, folder: folder, io: io, refused: map[deid.Reason]int{},
		assumed: map[string]int{}, seen: map[[16]byte]int32{},
		leftOut: map[string]int{},
		sessions: &sessions{
			profile: profile, key: folder.key, subject: subject,
			patients: plan.patients, open: map[int32]*deid.Session{},
		},
	}
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

// run de-identifies the files, several at a time, and gives the new ones their names in the order of the list: so the
// result does not depend on who is ready first.
func (d *deidRun) run(ctx context.Context) error {
	d.progress = command.NewBar(d.io.Err)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	for i, o := range inOrder(ctx, len(d.plan.files), d.rewrite) {
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
		d.progress.Count(i+1, len(d.plan.files), "files de-identified")
	}
	return err
}

// inOrder calls f for the numbers below n, several at a time, and gives what it returns in the order of the numbers
// until ctx ends. What was begun must be taken, as there may be files to remove.
func inOrder[T any](ctx context.Context, n int, f func(i int) T) iter.Seq2[int, T] {
	workers := min(runtime.GOMAXPROCS(0), 8)
	return func(yield func(int, T) bool) {
		if workers == 1 { // nothing could go on beside it
			for i := range n {
				if ctx.Err() != nil || !yield(i, f(i)) {
					return
				}
			}
			return
		}
		type item struct {
			i    int
			done chan T
		}
		pending := make(chan chan T, 2*workers) // in the order of the numbers
		items := make(chan item)
		for range workers { // they last, and so do their stacks
			go func() {
				for it := range items {
					it.done <- f(it.i)
				}
			}()
		}
		go func() {
			defer close(pending)
			defer close(items)
			for i := range n {
				done := make(chan T, 1)
				select {
				case pending <- done:
					items <- item{i, done}
				case <-ctx.Done():
					return
				}
			}
		}()
		i := 0
		for done := range pending {
			if !yield(i, <-done) {
				panic("what was begun must be taken")
			}
			i++
		}
	}
}

// take notes what became of a file, and gives a new one its name. An error ends the run.
func (d *deidRun) take(i int, o *deidObject) error {
	if diskFailed(o.err, d.plan.files[i]) {
		return o.err // the next file would fare no better
	}
	if o.err == nil {
		name := digest(o.path)
		if first, twice := d.seen[name]; twice {
			o.drop()
			o.err = fmt.Errorf("it gets the same UIDs as %s, which is kept", command.Printable(d.plan.files[first]))
		} else if err := o.file.Name(o.path); err != nil {
			return err
		} else {
			o.file = nil
			d.seen[name] = int32(i)
			d.written++
			if set := o.report.AssumedCharset; set != "" {
				d.assumed[set]++
			}
			if o.report.Trailing > 0 {
				d.trailing++
			}
			if err := d.prove(o); err != nil {
				return err
			}
			return d.report.write(i, "de-identified", "", o)
		}
	}
	reason := d.leaveOut(i, o.err)
	d.leftOut[reason]++
	return d.report.write(i, "left out", reason, o)
}

// digest stands for a text where many are to be told apart.
func digest(text string) (d [16]byte) {
	sum := sha256.Sum256([]byte(text))
	copy(d[:], sum[:])
	return d
}

// diskFailed tells errors of writing, and of a disk, from what is wrong with one file that is read.
func diskFailed(err error, in string) bool {
	if _, ok := errors.AsType[syscall.Errno](err); !ok {
		return false
	}
	path, ok := errors.AsType[*fs.PathError](err)
	return !ok || path.Path != in
}

// leaveOut counts what the profile refuses, and names what can't be de-identified. It returns the reason in a word.
func (d *deidRun) leaveOut(i int, why error) string {
	if refused, ok := errors.AsType[*deid.RefusedError](why); ok {
		d.refused[refused.Reason]++
		d.progress.Clear()
		if n := d.refusals(); n <= mostProblems {
			fmt.Fprintf(
				d.io.Err, "%s (file %d): left out, as the profile says: %s (%s; rule of the profile: %s)\n",
				command.Printable(d.plan.files[i]), i+1, leftOutAs[refused.Reason], refused.Detail, refused.Reason,
			)
		} else if n == mostProblems+1 {
			fmt.Fprintln(d.io.Err, "More are left out by the profile; --report lists all.")
		}
		return string(refused.Reason)
	}
	d.unsafe++
	d.progress.Clear()
	fmt.Fprintf(d.io.Err, "%s (file %d): %v\n", command.Printable(d.plan.files[i]), i+1, why)
	if unsafe, ok := errors.AsType[*deid.UnsafeError](why); ok {
		return string(unsafe.Reason)
	}
	if _, ok := errors.AsType[*copyError](why); ok {
		d.copies++
		return "duplicate"
	}
	return "unreadable"
}

// deidSummary is what deid --json writes.
type deidSummary struct {
	Written int            `json:"written"`
	LeftOut map[string]int `json:"left_out"` // by reason
	Chain   string         `json:"chain,omitempty"`
}

func (d *deidRun) summary() deidSummary {
	s := deidSummary{Written: d.written, LeftOut: d.leftOut}
	if d.manifest != nil {
		s.Chain = d.chain.String()
	}
	return s
}

// refusals counts what the profile leaves out.
func (d *deidRun) refusals() (n int) {
	for _, k := range d.refused {
		n += k
	}
	return n
}

func wasOrWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// drop leaves nothing of a file that has no name yet.
func (o *deidObject) drop() {
	if o.file != nil {
		_ = o.file.Close() // nobody wants it
		o.file = nil
	}
}

// rewrite de-identifies a file into one without a name.
func (d *deidRun) rewrite(i int) *deidObject {
	o := &deidObject{}
	if first, ok := d.plan.copies[int32(i)]; ok {
		o.err = &copyError{d.plan.files[first]}
		return o
	}
	in, object, err := openObject(d.plan.files[i])
	if err != nil {
		o.err = err
		return o
	}
	defer func() { _ = errors.Join(object.Close(), in.Close()) }() // was only read
	session, err := d.sessionOf(i)
	if err != nil {
		o.err = err
		return o
	}
	h := object.Header()
	if d.report != nil { // it names what is left out, too
		o.study, o.series, o.instance = session.MapUID(h.Text(dict.StudyInstanceUID)),
			session.MapUID(h.Text(dict.SeriesInstanceUID)), session.MapUID(h.SOPInstanceUID())
	}
	report, err := session.Rewrite(object)
	if err != nil {
		o.err = err
		return o
	}
	if o.err = d.write(o, object); o.err != nil {
		o.drop()
		return o
	}
	o.report = *report
	return o
}

// write writes an object that is rewritten.
func (d *deidRun) write(o *deidObject, object *stream.Object) error {
	n, err := nameOf(object)
	if err != nil {
		return err
	}
	o.study, o.series, o.instance = n.study, n.series, n.instance
	dir := d.folder.path + "/" + o.study + "/" + o.series
	o.path = dir + "/" + o.instance + ".dcm"
	if o.file, err = createIn(dir); err != nil {
		return err
	}
	var room [512]byte
	file := &part10{o.file, object.FileMeta().AppendTo(room[:0])}
	if d.manifest == nil {
		_, err = object.WriteTo(file)
		return err
	}
	o.sum = newSummed(file)
	_, err = object.WriteTo(o.sum)
	return err
}

// openObject opens a DICOM file. Both are to be closed, the object first.
func openObject(path string) (*quickfile.File, *stream.Object, error) {
	in, err := quickfile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	_, object, err := stream.OpenFile(in, stream.Limits{})
	if err != nil {
		_ = in.Close() // was only read
		return nil, nil, err
	}
	return in, object, nil
}

// objectName is what an object's file is named after: UIDs as sent.
type objectName struct{ study, series, instance string }

func nameOf(object *stream.Object) (objectName, error) {
	h := object.Header()
	n := objectName{h.Text(dict.StudyInstanceUID), h.Text(dict.SeriesInstanceUID), h.SOPInstanceUID()}
	if !isName(n.study) || !isName(n.series) || !isName(n.instance) {
		return n, errors.New("its Study, Series or SOP Instance UID is missing or none; nothing is written")
	}
	return n, nil
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

// isName reports whether a UID as sent, which is one of ours unless the profile retains UIDs, may name a file.
func isName(uid string) bool {
	return uid != "" && len(uid) <= 64 && uid[0] != '.' && strings.Trim(uid, "0123456789.") == ""
}

// part10 writes an object as a file (PS3.10). What leads it leaves with the object's first bytes.
type part10 struct {
	file *quickfile.File
	lead []byte // preamble and file meta information, of ours, that is still to be written
}

func (w *part10) Write(p []byte) (int, error) {
	lead := w.lead
	w.lead = nil
	n, err := w.file.WriteBoth(lead, p)
	return max(0, n-len(lead)), err
}

// WriteFrom has pixel data go from file to file. It is part of stream.SourceWriter.
func (w *part10) WriteFrom(p []byte, src io.Reader, n int64) (int64, error) {
	in, ok := src.(*quickfile.File)
	if !ok {
		k, err := w.Write(p)
		return int64(k), err
	}
	lead := w.lead
	w.lead = nil
	done, err := w.file.WriteFrom(lead, p, in, n)
	return max(0, done-int64(len(lead))), err
}

// sessionOf returns the session for a file's patient.
func (d *deidRun) sessionOf(i int) (*deid.Session, error) {
	switch patient := d.plan.of[i]; patient {
	case nobodys:
		return nil, errors.New(
			"it has neither Patient ID nor Study Instance UID, so nobody can tell whose it is; a DICOMDIR, for one, " +
				"is not de-identified",
		)
	case unread:
		return nil,
			errors.New("it could not be read when all files were checked, and can be now; de-identify it once more")
	default:
		return d.sessions.of(patient)
	}
}

// sessions are those of the patients whose files come: few at a time, since files lie in the order of their names.
type sessions struct {
	profile  *deid.Profile
	key      deid.Key
	subject  deid.Subject // of all, without the patient
	patients []Patient

	mu    sync.Mutex
	open  map[int32]*deid.Session
	order []int32 // of open, the oldest first
}

// mostSessions bounds the memory of the sessions. One that is begun again gives the same bytes.
const mostSessions = 32

func (s *sessions) of(i int32) (*deid.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session, ok := s.open[i]; ok {
		return session, nil
	}
	p := &s.patients[i]
	subject := s.subject
	subject.Patient, subject.Issuer, subject.Pseudonym = p.Identity, p.issuer, p.Pseudonym
	subject.Key, subject.Known = s.key.OfPatient(p.Identity), p.known
	session, err := s.profile.Session(subject)
	if err != nil {
		return nil, err
	}
	if len(s.order) == mostSessions {
		delete(s.open, s.order[0])
		s.order = s.order[:copy(s.order, s.order[1:])]
	}
	s.open[i], s.order = session, append(s.order, i)
	return session, nil
}

// outcome says how it went.
func (d *deidRun) outcome() error {
	of := ""
	if n := len(d.plan.patients); n > 1 {
		of = fmt.Sprintf(" of %d patients", n)
	}
	fmt.Fprintf(
		d.io.Out, "%s%s %s de-identified by profile %s %s (%s)\n", words.Plural(d.written, "instance", "instances"),
		of, wasOrWere(d.written), d.profile.Name(), d.profile.Version(), d.profile.Hash(),
	)
	for _, set := range slices.Sorted(maps.Keys(d.assumed)) {
		fmt.Fprintf(
			d.io.Out, "%s no character set; the text was read as %s, which is declared now\n",
			words.Plural(d.assumed[set], "instance declares", "instances declare"), set,
		)
	}
	if d.trailing > 0 {
		fmt.Fprintf(d.io.Out,
			"%s bytes behind the last frame of its pixel data, which stay; --report says which, see what they are\n",
			words.Plural(d.trailing, "instance has", "instances have"),
		)
	}
	d.sayRefused()
	if d.unsafe > 0 {
		fmt.Fprintf(
			d.io.Out, "%s not be de-identified and %s left out\n",
			words.Plural(d.unsafe, "file could", "files could"), isOrAre(d.unsafe),
		)
	}
	if d.copies > 0 {
		fmt.Fprintf(
			d.io.Out, "%s of another file: nothing of it is missing\n",
			words.Plural(d.copies, "of them is a copy", "of them are copies"),
		)
	}
	if d.unsafe > 0 || d.written == 0 {
		return &command.Status{Code: command.ExitWarning}
	}
	return nil
}

// sayRefused counts what the profile leaves out.
func (d *deidRun) sayRefused() {
	for _, reason := range slices.Sorted(maps.Keys(d.refused)) {
		fmt.Fprintf(
			d.io.Out, "%s left out, as the profile says: %s\n",
			words.Plural(d.refused[reason], "instance is", "instances are"), leftOutAs[reason],
		)
	}
}

// leftOutAs says what the profile leaves out for a reason.
var leftOutAs = map[deid.Reason]string{
	deid.BurnedIn:             "text is, or may be, burned in",
	deid.EncapsulatedDocument: "encapsulated documents",
	deid.PixelsElsewhere:      "pixel data lies elsewhere (JPIP)",
	deid.Recognizable:         "the patient can be recognized in the image",
}
