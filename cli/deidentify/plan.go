// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/words"
)

// inside reports whether a path is a folder, or lies in it.
func inside(folder, path string) bool {
	folder, path = resolved(folder), resolved(path)
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}

// resolved is a path without symbolic links, as far as it exists.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(resolved(dir), filepath.Base(path))
	}
	return path
}

// filesIn lists files and those of folders, in lexical order. out, which is written to, must not lie in one of the
// folders.
func filesIn(io command.Streams, paths []string, out string) ([]string, error) {
	var files []string
	for _, path := range paths {
		before, root := len(files), path
		if target, err := filepath.EvalSymlinks(path); err == nil && out != "" {
			if info, err := os.Stat(target); err == nil && info.IsDir() {
				path = target // a link to a folder is that folder
			}
		}
		if inside(path, out) {
			return nil, command.Usage("the folder to write to must lie outside of %s, which is read", path)
		}
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.Name() == FolderMarkName, d.Name() == manifest.Name, // of a folder that we wrote
				d.Name() == nodes.MarkerName: // of a folder that jobs write to
			case d.Type().IsRegular(), d.Type()&fs.ModeSymlink != 0:
				files = append(files, path)
			case !d.IsDir():
				fmt.Fprintf(io.Err, "%s: not a file, left out\n", command.Printable(path))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			fmt.Fprintf(io.Err, "%s: there is no file in it\n", command.Printable(root))
		}
	}
	return files, nil
}

// deidPlan says whose each file is, before the first one is written.
type deidPlan struct {
	files    []string
	of       []int32 // by file: the place of its patient, or one of the two below
	patients []Patient
	copies   map[int32]int32 // files that hold the object of an earlier one
}

const (
	nobodys = -1 // it has neither Patient ID nor Study Instance UID
	unread  = -2 // it could not be opened, and is named when its turn comes
)

// Patient is one of those whose files are de-identified.
type Patient struct {
	Identity  deid.Identity
	issuer    string // as the table of pseudonyms has it
	Pseudonym string // empty: fault says why
	fault     string // a clause
	unclear   bool   // it may be one of the other patients
	said      string // Issuer of Patient ID, as its objects say
	first     int32  // its first file
	files     int32
	silent    int32 // those that name no issuer

	known deid.Known // what the headers of all of its files tell
}

// facts are what the header of a file says of whose it is.
type facts struct {
	err                                error
	patientID, issuer, study, instance string

	several bool // values of what says whose it is
	ids     deid.Identifiers
	known   deid.Known
}

// factsOf reads the header of a file; reader is nil where nobody scans.
func factsOf(path string, profile *deid.Profile, reader *deid.Reader) facts {
	in, object, err := openObject(path)
	if err != nil {
		return facts{err: err}
	}
	defer func() { _ = errors.Join(object.Close(), in.Close()) }() // was only read
	h := object.Header()
	var known deid.Known
	if reader != nil {
		if known, err = reader.Header(object); err != nil {
			return facts{err: err}
		}
	}
	return facts{
		known: known, patientID: h.Text(dict.PatientID), issuer: h.Text(dict.IssuerOfPatientID),
		study: h.Text(dict.StudyInstanceUID), instance: h.SOPInstanceUID(),
		several: deid.SeveralPatients(h), ids: profile.IdentifiersOf(object),
	}
}

// makePlan reads the headers of all files, and checks that they can be de-identified together. What speaks against it
// is listed as a whole, and is an error.
func makePlan(
	ctx context.Context, io command.Streams, files []string, names namer,
	folder *deidFolder, profile *deid.Profile, subject deid.Subject,
) (*deidPlan, error) {
	p := newPlanner(files, names, []string{subject.TrialID, subject.TrialName})
	var reader *deid.Reader
	if subject.Scan {
		var err error
		if reader, err = profile.Reader(subject.Charset); err != nil {
			return nil, &command.Status{Code: command.ExitUsage, Err: err}
		}
	}
	p.problems = append(p.problems, names.faults()...)
	progress := command.NewBar(io.Err)
	for i, f := range inOrder(ctx, len(files), func(i int) facts { return factsOf(files[i], profile, reader) }) {
		p.take(int32(i), f)
		progress.Count(i+1, len(files), "files checked")
	}
	progress.Clear()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.judge(folder)
	for _, note := range p.notes {
		fmt.Fprintln(io.Err, note)
	}
	if len(p.problems) == 0 {
		return p.plan, nil
	}
	for _, text := range p.problems[:min(len(p.problems), mostProblems)] {
		fmt.Fprintln(io.Err, text)
	}
	if n := len(p.problems) - mostProblems; n > 0 {
		fmt.Fprintf(io.Err, "and %d more\n", n)
	}
	if len(p.problems) == 1 {
		return nil, errors.New("nothing was written; correct this and de-identify the files again")
	}
	return nil, fmt.Errorf("nothing was written; correct these %d and de-identify the files again", len(p.problems))
}

// mostProblems is how many problems are shown.
const mostProblems = 200

// planner makes a plan, file by file.
type planner struct {
	plan       *deidPlan
	names      namer
	byIdentity map[deid.Identity]int32
	studies    map[[16]byte]study // by digest of Study Instance UID
	instances  map[[16]byte]int32 // by digest of SOP Instance UID: the file
	trial      []string           // what is written of the trial
	judged     judged
	problems   []string
	notes      []string
}

// judged is the patient, with the identifiers of a file, that tells was asked about last: most files say what the one
// before says.
type judged struct {
	of  int32
	ids deid.Identifiers
}

// study is whose a study is, by its first file.
type study struct {
	patient, first int32
	faulty         bool // it is said already that it holds two
}

func newPlanner(files []string, names namer, trial []string) *planner {
	return &planner{
		plan:  &deidPlan{files: files, of: make([]int32, 0, len(files)), copies: map[int32]int32{}},
		names: names, trial: trial, judged: judged{of: nobodys}, byIdentity: map[deid.Identity]int32{},
		studies: map[[16]byte]study{}, instances: map[[16]byte]int32{},
	}
}

func (p *planner) problemf(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

func (p *planner) name(i int32) string { return command.Printable(p.plan.files[i]) }

// take notes what the header of the next file says.
func (p *planner) take(i int32, f facts) {
	if f.err != nil {
		p.plan.of = append(p.plan.of, unread)
		return
	}
	if deid.PatientIdentity(f.patientID, "", f.study) == deid.PatientIdentity("", "", "") {
		p.plan.of = append(p.plan.of, nobodys)
		return
	}
	if f.several {
		p.plan.of = append(p.plan.of, nobodys)
		p.problemf("%s: its Patient ID, or its Study Instance UID, has several values, and nobody knows which of "+
			"them counts; leave it out, or correct it", p.name(i))
		return
	}
	of := p.patientOf(i, f)
	p.plan.of = append(p.plan.of, of)
	p.takeStudy(i, of, f.study)
	if f.instance == "" {
		return // it is named when its turn comes
	}
	key := digest(f.instance)
	first, twice := p.instances[key]
	if !twice {
		p.instances[key] = i
		return
	}
	same, err := sameObject(p.plan.files[first], p.plan.files[i])
	switch {
	case err != nil: // what can't be read is named when its turn comes
	case same:
		p.plan.copies[i] = first
	default:
		p.problemf(
			"%s: it has the same SOP Instance UID as %s but another content; leave one of them out",
			p.name(i), p.name(first),
		)
	}
}

// patientOf finds the patient of a file, or notes a new one.
func (p *planner) patientOf(i int32, f facts) int32 {
	made := p.names.of(f)
	of, known := p.byIdentity[made.Identity]
	if !known {
		of = int32(len(p.plan.patients))
		p.byIdentity[made.Identity] = of
		made.first = i
		p.plan.patients = append(p.plan.patients, made)
	}
	patient := &p.plan.patients[of]
	patient.files++
	patient.known.Add(f.known)
	if last := &p.judged; patient.fault == "" && (last.of != of || !last.ids.Equal(&f.ids)) {
		patient.fault = p.tells(patient, &f)
		last.of, last.ids = of, f.ids
	}
	if f.issuer == "" {
		patient.silent++
	}
	switch {
	case patient.said == "":
		patient.said = f.issuer
	case f.issuer != "" && f.issuer != patient.said && patient.fault == "":
		patient.fault = fmt.Sprintf(
			"one Patient ID, but two values of Issuer of Patient ID (the other in %s), so they may be two patients; "+
				"de-identify them apart",
			p.name(i),
		)
	}
	return of
}

// tells says, as a clause, what of a patient the pseudonym or the trial would tell; it is empty if nothing.
func (p *planner) tells(patient *Patient, f *facts) string {
	if of, tells := f.ids.In(patient.Pseudonym, false); tells {
		return fmt.Sprintf("its pseudonym is, or holds, what %s %s says of the patient; give another", of.Keyword(), of)
	}
	for _, text := range p.trial {
		if of, tells := f.ids.In(text, true); tells {
			return fmt.Sprintf(
				"the trial's ID or name is, or holds, what %s %s says of the patient; give another", of.Keyword(), of,
			)
		}
	}
	return ""
}

// takeStudy finds studies that hold more than one patient.
func (p *planner) takeStudy(i, of int32, uid string) {
	if uid == "" {
		return // it is named when its turn comes
	}
	key := digest(uid)
	s, known := p.studies[key]
	switch {
	case !known:
		p.studies[key] = study{patient: of, first: i}
	case s.patient != of && !s.faulty && !p.plan.patients[of].unclear && !p.plan.patients[s.patient].unclear:
		p.problemf(
			"%s: its study has two patients, this one and the one of %s; leave the files of one of them out, or "+
				"correct its Patient ID",
			p.name(i), p.name(s.first),
		)
		s.faulty = true
		p.studies[key] = s
	}
}

// judge checks the patients against each other and against those whose objects the folder has.
func (p *planner) judge(folder *deidFolder) {
	owners, ids := map[string]int32{}, map[string]int32{} // by pseudonym, by Patient ID
	for i := range p.plan.patients {
		id, _, _ := strings.Cut(string(p.plan.patients[i].Identity), "\x1f")
		ids[deid.BareID(id)] = int32(i)
	}
	for i := range p.plan.patients {
		patient := &p.plan.patients[i]
		more := ""
		if patient.files > 1 {
			more = " (and " + words.Plural(int(patient.files-1), "more file", "more files") + ")"
		}
		fault := patient.fault
		if fault == "" {
			if owner, taken := owners[patient.Pseudonym]; taken {
				fault = p.names.twice(p.name(p.plan.patients[owner].first))
			} else {
				owners[patient.Pseudonym] = int32(i)
				fault = folder.fault(patient)
			}
		}
		if other, is := ids[deid.BareID(patient.Pseudonym)]; is && fault == "" && patient.Pseudonym != "" {
			fault = "its pseudonym is the Patient ID of " + p.name(p.plan.patients[other].first) +
				"; give another, and see that Patient IDs and pseudonyms aren't swapped"
		}
		if fault == "" && patient.said != "" && patient.silent > 0 {
			p.notes = append(p.notes, fmt.Sprintf(
				"%s%s: %s of this patient no Issuer of Patient ID, the others do; all are taken for one patient. If "+
					"they may be two, de-identify them apart.",
				p.name(patient.first), more, words.Plural(int(patient.silent), "file names", "files name"),
			))
		}
		if fault != "" {
			p.problemf("%s%s: %s", p.name(patient.first), more, fault)
		}
	}
}

// copyError says that a file holds the object of another one.
type copyError struct{ of string }

func (e *copyError) Error() string {
	return "it is a copy of " + command.Printable(e.of) + "; one of them is enough"
}

// sameObject reports whether two files hold the same data set in the same encoding. The error says that one of them
// can't be read.
func sameObject(a, b string) (bool, error) {
	first, x, err := openObject(a)
	if err != nil {
		return false, err
	}
	defer func() { _ = errors.Join(x.Close(), first.Close()) }() // was only read
	second, y, err := openObject(b)
	if err != nil {
		return false, err
	}
	defer func() { _ = errors.Join(y.Close(), second.Close()) }() // was only read
	if x.TransferSyntax().UID != y.TransferSyntax().UID {
		return false, nil
	}
	return sameBytes(x, y)
}

func sameBytes(x, y io.Reader) (bool, error) {
	const piece = 64 << 10
	a, b := make([]byte, piece), make([]byte, piece)
	for {
		n, err := io.ReadFull(x, a)
		m, other := io.ReadFull(y, b)
		if bad := cmp.Or(unlessEnd(err), unlessEnd(other)); bad != nil {
			return false, bad
		}
		if !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
		if n < piece {
			return true, nil
		}
	}
}

// unlessEnd tells the end of what io.ReadFull reads from an error, which may wrap io.ErrUnexpectedEOF: that of an
// object that was cut off.
func unlessEnd(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // see above
		return nil
	}
	return err
}
