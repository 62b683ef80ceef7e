// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// The identifiers that are looked for afterwards.
var (
	quorra = phantom.Patient{ID: "QUORRA-774411", Name: "Zzyzx^Quorra", BirthDate: "19330217", Sex: "F"}
	yorick = phantom.Patient{ID: "YORICK-885522", Name: "Xanthippe^Yorick", BirthDate: "19410930", Sex: "M"}
)

const accession = "ACC-99310"

func studyOf(seed uint64, p phantom.Patient, series ...phantom.SeriesSpec) *phantom.Study {
	if len(series) == 0 {
		series = []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 3, Rows: 16, Columns: 16}}
	}
	return phantom.New(seed, phantom.StudySpec{
		Patient: p, Date: "20231114", AccessionNumber: accession, Description: "CT Thorax Zzyzx", Series: series,
	})
}

// ward is a member with a source of studies and a folder that takes them.
type ward struct {
	*harness.Member
	t   *testing.T
	src *pacs.PACS
	dir string
}

func newWard(t *testing.T, cfg harness.Config, src pacs.Config) *ward {
	t.Helper()
	w := &ward{Member: harness.New(t, cfg), t: t, dir: t.TempDir()}
	src.AETitle = "SRC"
	w.src = startPACS(t, src)
	for title, addr := range movesTo(w.Member) {
		w.src.AddMoveDestination(title, addr)
	}
	w.AddServer("source", "SRC", w.src.Addr(), nil)
	w.AddFolder("disk", w.dir)
	return w
}

// send makes a transfer of one study and waits for its end. change may be nil.
func (w *ward) send(study string, change func(*jobs.Transfer)) jobs.Job {
	w.t.Helper()
	tr := jobs.Transfer{
		Source: "source", Destination: "disk", Pseudonymize: true,
		Studies: []jobs.Study{{StudyInstanceUID: study}},
	}
	if change != nil {
		change(&tr)
	}
	return w.Wait(w.Create(tr).ID)
}

func under(pseudonym string) func(*jobs.Transfer) {
	return func(tr *jobs.Transfer) { tr.Studies[0].Pseudonym = pseudonym }
}

func in(project string) func(*jobs.Transfer) {
	return func(tr *jobs.Transfer) { tr.Project = project }
}

// require asserts how a job ended, and that its message has all these words.
func (w *ward) require(job jobs.Job, status string, words ...string) jobs.Task {
	w.t.Helper()
	task := w.Task(job.ID)
	require.Equal(w.t, status, job.Status, task.Message)
	for _, word := range words {
		require.Contains(w.t, task.Message, word)
	}
	return task
}

// sent returns what a job wrote, by file names below its folder.
func (w *ward) sent(job jobs.Job) map[string][]byte {
	w.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(w.dir, "adit_selective_transfer_"+itoa(job.ID)+"_*"))
	require.NoError(w.t, err)
	if len(dirs) == 0 {
		return map[string][]byte{}
	}
	require.Len(w.t, dirs, 1)
	return files(w.t, dirs[0])
}

func itoa(n int64) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

// headers reads the headers of files.
func headers(t *testing.T, all map[string][]byte) []*stream.Object {
	t.Helper()
	var out []*stream.Object
	for _, content := range all {
		_, obj, err := stream.OpenFile(bytes.NewReader(content), stream.Limits{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = obj.Close() })
		out = append(out, obj)
	}
	return out
}

// uidsSent returns study, series and instance UIDs of what was written.
func uidsSent(t *testing.T, all map[string][]byte) map[string]bool {
	t.Helper()
	uids := map[string]bool{}
	for _, obj := range headers(t, all) {
		for _, tag := range []dict.Tag{
			dict.StudyInstanceUID, dict.SeriesInstanceUID, dict.SOPInstanceUID, dict.FrameOfReferenceUID,
		} {
			if uid := obj.Header().Text(tag); uid != "" {
				uids[uid] = true
			}
		}
	}
	return uids
}

func disjoint(t *testing.T, a, b map[string]bool) {
	t.Helper()
	require.NotEmpty(t, a)
	require.NotEmpty(t, b)
	for uid := range a {
		require.NotContains(t, b, uid)
	}
}

// project makes a project of the administrator's group.
func (w *ward) project(name string, change func(*projects.NewProject)) {
	w.t.Helper()
	p := projects.NewProject{Name: name}
	if change != nil {
		change(&p)
	}
	_, err := w.Engine.Projects.Create(w.t.Context(), w.Admin, p)
	require.NoError(w.t, err)
}

// TestOnePatientOnePseudonym: within a project pseudonym and patient belong together, both ways.
func TestOnePatientOnePseudonym(t *testing.T) {
	first, second, other := studyOf(1, quorra), studyOf(2, quorra), studyOf(3, yorick)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{first, second, other}})
	w.project("lung", nil)
	w.require(w.send(first.StudyInstanceUID, under("P-1")), jobs.Success)

	refused := w.send(other.StudyInstanceUID, under("P-1"))
	task := w.require(refused, jobs.Failure, "The pseudonym for study "+other.StudyInstanceUID+
		" belongs to another patient of this project")
	require.NotContains(t, task.Message, yorick.ID)
	require.Empty(t, w.sent(refused))
	refused = w.send(second.StudyInstanceUID, under("P-2"))
	w.require(
		refused, jobs.Failure,
		"The patient of study "+second.StudyInstanceUID+" already has another pseudonym in this project",
		"linkage table",
	)
	require.Empty(t, w.sent(refused))

	// Without a pseudonym named, the table's; for somebody new, one that is made, and stays.
	require.Equal(t, "P-1", w.pseudonym(w.send(second.StudyInstanceUID, nil)))
	made := w.pseudonym(w.send(other.StudyInstanceUID, nil))
	require.Regexp(t, `^[A-Z0-9]{14}$`, made)
	require.Equal(t, made, w.pseudonym(w.send(other.StudyInstanceUID, nil)))

	// Another project, and another trial of the default project, know nothing of it.
	w.require(
		w.send(other.StudyInstanceUID, func(tr *jobs.Transfer) { in("lung")(tr); under("P-1")(tr) }), jobs.Success,
	)
	w.require(
		w.send(other.StudyInstanceUID, func(tr *jobs.Transfer) { tr.TrialProtocolID = "T"; under("P-1")(tr) }),
		jobs.Success,
	)
	links, err := w.Engine.Projects.Linkage(t.Context(), w.Admin, "lung", projects.LinkFilter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, links, 1)
	require.Equal(t, yorick.ID, links[0].PatientID)

	// A patient other than the one named is a failure under a pseudonym.
	wrong := w.send(
		first.StudyInstanceUID, func(tr *jobs.Transfer) { under("P-1")(tr); tr.Studies[0].PatientID = yorick.ID },
	)
	w.require(wrong, jobs.Failure, "Mismatching PatientIDs")
	require.Empty(t, w.sent(wrong))

	// Both in one request are refused before anything is made.
	for _, studies := range [][]jobs.Study{
		{{StudyInstanceUID: "1.2.1", PatientID: "A", Pseudonym: "X"}, {StudyInstanceUID: "1.2.2", PatientID: "B", Pseudonym: "X"}},
		{{StudyInstanceUID: "1.2.1", PatientID: "A", Pseudonym: "X"}, {StudyInstanceUID: "1.2.2", PatientID: "A", Pseudonym: "Y"}},
		{{StudyInstanceUID: "1.2.1", Pseudonym: "A^B"}},
	} {
		_, err := w.Engine.Jobs.Create(
			t.Context(), w.Admin, jobs.Transfer{Source: "source", Destination: "disk", Studies: studies},
		)
		var invalid *refusal.Invalid
		require.ErrorAs(t, err, &invalid)
	}
}

// TestIssuers: one Patient ID of two issuers is two patients, so once patients of a source have pseudonyms its issuer
// is changed on purpose only.
func TestIssuers(t *testing.T) {
	here, there := studyOf(1, quorra), studyOf(2, quorra)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{here}})
	elsewhere := startPACS(t, pacs.Config{AETitle: "ELSEWHERE", Studies: []*phantom.Study{there}})
	w.AddServer("elsewhere", "ELSEWHERE", elsewhere.Addr(), nil)
	issuer := func(to string, anew bool) error {
		_, err := w.Engine.Nodes.UpdateServer(t.Context(), w.Admin, "elsewhere", func(s *nodes.NewServer) error {
			s.IssuerOfPatientID, s.PatientsAnew = to, anew
			s.ResultLimit++ // the rest can be changed
			return nil
		})
		return err
	}
	require.NoError(t, issuer("Nobody yet", false))
	require.NoError(t, issuer("Elsewhere Hospital", false))
	fromThere := func() string {
		return w.pseudonym(w.send(there.StudyInstanceUID, func(tr *jobs.Transfer) { tr.Source = "elsewhere" }))
	}
	mine, theirs := w.pseudonym(w.send(here.StudyInstanceUID, nil)), fromThere()
	require.NotEqual(t, mine, theirs)

	var invalid *refusal.Invalid
	require.ErrorAs(t, issuer("", false), &invalid)
	require.Equal(t, "issuer_of_patient_id", invalid.Field)
	require.NoError(t, issuer("Elsewhere Hospital", false))
	require.Equal(t, theirs, fromThere())

	require.NoError(t, issuer("", true))
	require.NoError(t, issuer("Nobody yet", false))
	require.NoError(t, issuer("", false))
	require.Equal(t, mine, fromThere())
	require.ErrorAs(t, issuer("Elsewhere Hospital", false), &invalid)
}

// altered is a phantom's object with other attributes and without pixel data.
func altered(t *testing.T, from *phantom.Instance, change func(*stream.DataSet)) held {
	t.Helper()
	ds := from.Attributes()
	if strings.Contains(dict.UIDName(from.SOPClassUID), "Image") {
		ds.SetBytes(dict.PixelData, dict.OW, []byte{1, 2})
	}
	change(ds)
	data, err := ds.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	return held{
		ds.String(dict.StudyInstanceUID), ds.String(dict.SOPClassUID),
		ds.String(dict.SOPInstanceUID), dict.ExplicitVRLittleEndian, data,
	}
}

func asItIs(*stream.DataSet) {}

// TestTwoPatientsInOneStudy: an object of another patient than its study is named, and nothing of it is sent.
func TestTwoPatientsInOneStudy(t *testing.T) {
	study := studyOf(4, quorra)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}, Memory: 16 << 20})
	foreign := altered(t, study.Instances()[1], func(ds *stream.DataSet) {
		ds.Set(dict.SOPInstanceUID, "2.25.4711")
		ds.Set(dict.PatientID, yorick.ID)
		ds.Set(dict.PatientName, yorick.Name)
	})
	w.src.SetMisbehave(
		pacs.Misbehave{Find: pacs.FindFaults{Answers: map[dict.Tag][]string{dict.PatientID: {quorra.ID}}}},
	)
	give(t, w.src, foreign)
	job := w.send(study.StudyInstanceUID, nil)
	task := w.require(job, jobs.Warning, "1 instance is not sent, since ADIT could not de-identify it safely")
	require.EqualValues(t, 3, task.Delivered)
	require.Len(t, w.sent(job), 3)
	series, err := w.Engine.Jobs.TaskSeries(t.Context(), w.Admin, task.ID)
	require.NoError(t, err)
	require.Len(t, series[0].Missing, 1)
	require.Equal(t, "2.25.4711", series[0].Missing[0].SOPInstanceUID, "as the source has it")
	require.Contains(t, series[0].Missing[0].Reason, "cannot be de-identified")
	require.NotContains(t, series[0].Missing[0].Reason, yorick.ID)
	report := w.report(task)
	require.Equal(t, map[deid.Reason]int{deid.OtherPatient: 1}, report.Unsafe)
}

// pseudonym returns that under which the study of a job was sent.
func (w *ward) pseudonym(job jobs.Job) string {
	w.t.Helper()
	return w.report(w.require(job, jobs.Success)).Pseudonym
}

func (w *ward) report(task jobs.Task) jobs.DeidReport {
	w.t.Helper()
	report, err := w.Engine.Jobs.DeidReport(w.t.Context(), w.Admin, task.ID)
	require.NoError(w.t, err)
	return report
}

// TestRefusedByProfile: what the profile leaves out is a note with counts, and Success; a profile may allow it.
func TestRefusedByProfile(t *testing.T) {
	study := studyOf(5, quorra)
	template := study.Instances()[0]
	w := newWard(t, harness.Config{}, pacs.Config{Memory: 16 << 20})
	give(
		t, w.src,
		altered(t, template, asItIs),
		altered(t, template, func(ds *stream.DataSet) {
			ds.Set(dict.SOPInstanceUID, "2.25.1")
			ds.Set(dict.BurnedInAnnotation, "YES")
		}),
		altered(t, template, func(ds *stream.DataSet) {
			ds.Set(dict.SOPInstanceUID, "2.25.2")
			ds.Set(dict.SOPClassUID, dict.EncapsulatedPDFStorage)
			ds.SetBytes(dict.EncapsulatedDocument, dict.OB, []byte("%PDF Zzyzx "))
		}),
		altered(t, template, func(ds *stream.DataSet) {
			ds.Set(dict.SOPInstanceUID, "2.25.3")
			ds.Set(dict.SOPClassUID, dict.EncapsulatedPDFStorage)
			ds.SetBytes(dict.EncapsulatedDocument, dict.OB, []byte("%PDF Zzyzx "))
		}),
	)
	job := w.send(study.StudyInstanceUID, nil)
	task := w.require(
		job, jobs.Success, "1 instance left out by the profile (burned-in).",
		"2 instances left out by the profile (encapsulated-document).", "1 instance transferred",
	)
	require.EqualValues(t, 1, task.Expected)
	require.Len(t, w.sent(job), 1)
	report := w.report(task)
	require.Equal(t, map[deid.Reason]int{deid.BurnedIn: 1, deid.EncapsulatedDocument: 2}, report.Refused)
	require.Empty(t, report.Unsafe)
	require.Equal(t, 1, report.Instances)
	require.Len(t, report.LeftOut, 3)

	_, err := w.Engine.Projects.AddProfile(
		t.Context(), w.Admin, []byte("name: with-text\nversion: '1'\nbase: ps3.15-basic\nallow: [burned-in]\n"),
	)
	require.NoError(t, err)
	w.project("looked at", func(p *projects.NewProject) { p.Profile.Name = "with-text" })
	w.require(
		w.send(study.StudyInstanceUID, in("looked at")), jobs.Success,
		"2 instances transferred", "2 instances left out by the profile (encapsulated-document).",
	)
}

// TestUnsafe: what can't be de-identified is not sent, and a Warning names it; all else is.
func TestUnsafe(t *testing.T) {
	study := studyOf(6, quorra)
	template := study.Instances()[0]
	w := newWard(t, harness.Config{}, pacs.Config{Memory: 16 << 20})
	torn := altered(t, template, func(ds *stream.DataSet) { ds.Set(dict.SOPInstanceUID, "2.25.3") })
	// a name behind the pixels
	torn.data = append(
		torn.data, "\xe0\x7f\x10\x00OW\x00\x00\x04\x00\x00\x00\x01\x02\x03\x04\x10\x00\x10\x00PN\x06\x00Zzyzx "...,
	)
	unsafe := map[string]deid.Reason{
		"2.25.1": deid.UnknownSOPClass, "2.25.2": deid.Undecodable, "2.25.3": deid.Unparsable,
	}
	give(
		t, w.src,
		altered(t, template, asItIs),
		altered(t, template, func(ds *stream.DataSet) {
			ds.Set(dict.SOPInstanceUID, "2.25.1")
			ds.Set(dict.SOPClassUID, "1.2.826.0.1.3680043.9.9.9")
		}),
		altered(t, template, func(ds *stream.DataSet) {
			ds.Set(dict.SOPInstanceUID, "2.25.2")
			ds.SetBytes(dict.SpecificCharacterSet, dict.CS, []byte("ISO_IR 192"))
			ds.SetBytes(dict.Manufacturer, dict.LO, []byte("\xff\xfeZzyzx ")) // stays, so it must be readable
		}),
		torn,
	)
	job := w.send(study.StudyInstanceUID, nil)
	task := w.require(
		job, jobs.Warning, "3 instances are not sent, since ADIT could not de-identify them safely", "1 instance transferred",
	)
	require.Len(t, w.sent(job), 1)
	series, err := w.Engine.Jobs.TaskSeries(t.Context(), w.Admin, task.ID)
	require.NoError(t, err)
	require.Len(t, series[0].Missing, 3)
	for _, m := range series[0].Missing {
		require.Contains(t, unsafe, m.SOPInstanceUID)
		require.NotContains(t, m.Reason, "Zzyzx")
	}
	report := w.report(task)
	for _, out := range report.LeftOut {
		require.Equal(t, unsafe[out.SOPInstanceUID], out.Reason)
		require.True(t, out.Unsafe)
	}
	require.Len(t, report.LeftOut, 3)
}

// TestUndeclaredCharacterSet: text of an object that declares no character set is read in UTF-8, or in the fallback of
// its source; what goes out declares it, and the report says so.
func TestUndeclaredCharacterSet(t *testing.T) {
	study := studyOf(9, quorra)
	template := study.Instances()[0]
	w := newWard(t, harness.Config{}, pacs.Config{Memory: 16 << 20})
	for uid, maker := range map[string]string{"2.25.1": "M\xfcller", "2.25.2": "M\xc3\xbcller ", "2.25.3": "Muller"} {
		give(t, w.src, altered(t, template, func(ds *stream.DataSet) {
			ds.Remove(dict.SpecificCharacterSet)
			ds.Set(dict.SOPInstanceUID, uid)
			ds.SetBytes(dict.Manufacturer, dict.LO, []byte(maker))
		}))
	}
	for i, c := range []struct{ fallback, term, maker string }{
		{"", "ISO_IR 100", "Müller"}, {"ISO_IR 101", "ISO_IR 101", "Müller"},
	} {
		_, err := w.Engine.Nodes.UpdateServer(t.Context(), w.Admin, "source", func(s *nodes.NewServer) error {
			s.Rules.FallbackCharset = c.fallback
			return nil
		})
		require.NoError(t, err)
		job := w.send(study.StudyInstanceUID, nil)
		task := w.require(job, jobs.Success, "3 instances transferred")
		declared := map[string]string{}
		for _, obj := range headers(t, w.sent(job)) {
			declared[obj.Header().Text(dict.SpecificCharacterSet)] = obj.Header().Text(dict.Manufacturer)
		}
		require.Equal(t, map[string]string{c.term: c.maker, "ISO_IR 192": "Müller", "": "Muller"}, declared)
		require.Equal(t, map[string]int{c.term: 1, "ISO_IR 192": 1}, w.report(task).AssumedCharsets)
		var csv bytes.Buffer
		write, err := w.Engine.Jobs.ExportDeidReport(t.Context(), w.Admin, job.ID)
		require.NoError(t, err)
		require.NoError(t, write(t.Context(), &csv))
		require.Contains(t, csv.String(), c.term+" (1), ISO_IR 192 (1)", "job %d", i)
	}
	_, err := w.Engine.Nodes.UpdateServer(t.Context(), w.Admin, "source", func(s *nodes.NewServer) error {
		s.Rules.FallbackCharset = "ISO_IR 6" // nothing is read that isn't declared
		return nil
	})
	require.NoError(t, err)
	w.require(w.send(study.StudyInstanceUID, nil), jobs.Warning, "2 instances are not sent", "1 instance transferred")
	_, err = w.Engine.Nodes.UpdateServer(t.Context(), w.Admin, "source", func(s *nodes.NewServer) error {
		s.Rules.FallbackCharset = "LATIN1"
		return nil
	})
	require.ErrorContains(t, err, "ISO_IR 100")
}

// TestSeriesApart: two series of a study that are fetched by two jobs belong to one study, as if they had gone
// together.
func TestSeriesApart(t *testing.T) {
	spec := phantom.SeriesSpec{Kind: phantom.CT, Instances: 2, Rows: 16, Columns: 16}
	study := studyOf(7, quorra, spec, spec)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}})
	whole := w.sent(w.send(study.StudyInstanceUID, nil))
	require.Len(t, whole, 4)
	apart := map[string][]byte{}
	for i := range 2 {
		part := w.sent(w.send(study.StudyInstanceUID, func(tr *jobs.Transfer) {
			tr.Studies[0].SeriesInstanceUIDs = []string{study.Series[1-i].SeriesInstanceUID}
		}))
		require.Len(t, part, 2)
		maps.Copy(apart, part)
	}
	require.Equal(t, whole, apart)
	studies := map[string]bool{}
	for _, obj := range headers(t, apart) {
		studies[obj.Header().Text(dict.StudyInstanceUID)] = true
	}
	require.Len(t, studies, 1)
}

// TestSameBytesAfterLosses: connections that break and a process that is started again leave no trace in what arrives.
func TestSameBytesAfterLosses(t *testing.T) {
	study := studyOf(8, quorra, phantom.SeriesSpec{Kind: phantom.CT, Instances: 30, Rows: 16, Columns: 16})
	reached, let := make(chan struct{}), make(chan struct{})
	var once sync.Once
	holding := false
	w := newWard(t, harness.Config{}, pacs.Config{
		Studies: []*phantom.Study{study},
		Gate: func(ctx context.Context, e pacs.Event) {
			if holding && e.Kind == pacs.AtSubOperation && e.Number == 10 {
				once.Do(func() {
					close(reached)
					select {
					case <-let:
					case <-ctx.Done():
					}
				})
			}
		},
	})
	quiet := w.sent(w.send(study.StudyInstanceUID, nil))
	require.Len(t, quiet, 30)

	require.NoError(t, w.src.Recorder().WaitOpen(t.Context(), 0))
	holding = true
	w.src.SetMisbehave(pacs.Misbehave{Get: pacs.GetFaults{First: 1, DropAtObject: 20, DropAfterBytes: 300}})
	job := w.Create(jobs.Transfer{
		Source: "source", Destination: "disk", Pseudonymize: true,
		Studies: []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID}},
	})
	select {
	case <-reached:
	case <-time.After(harness.Deadline):
		t.Fatal("the transfer did not come so far")
	}
	w.Stop(0)
	close(let)
	w.src.SetMisbehave(pacs.Misbehave{Get: pacs.GetFaults{First: 1, DropAtObject: 12, DropAfterBytes: 300}})
	w.Start()
	job = w.Wait(job.ID)
	task := w.require(job, jobs.Success)
	require.Equal(t, quiet, w.sent(job))
	require.Equal(t, 30, w.report(task).Instances, "each counted once")
}

// TestProjectsApart: UIDs of two projects have nothing in common. Another profile gives UIDs of another generation; the
// same profile, the same.
func TestProjectsApart(t *testing.T) {
	study := studyOf(9, quorra)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}})
	w.project("one", nil)
	w.project("two", nil)
	send := func(project string) (map[string]bool, jobs.Job) {
		job := w.send(study.StudyInstanceUID, func(tr *jobs.Transfer) { in(project)(tr); under("P-1")(tr) })
		w.require(job, jobs.Success)
		return uidsSent(t, w.sent(job)), job
	}
	one, first := send("one")
	two, _ := send("two")
	disjoint(t, one, two)
	again, _ := send("one")
	require.Equal(t, one, again)
	require.EqualValues(t, 1, first.UidGeneration)

	text := []byte("name: own\nversion: '1'\nbase: ps3.15-basic\noptions: [modified-dates]\n")
	added, err := w.Engine.Projects.AddProfile(t.Context(), w.Admin, text)
	require.NoError(t, err)
	_, err = w.Engine.Projects.Change(
		t.Context(), w.Admin, "one", projects.ProjectChange{Profile: &projects.ProfileName{Name: "own"}},
	)
	require.NoError(t, err)
	p, err := w.Engine.Projects.Get(t.Context(), w.Admin, "one")
	require.NoError(t, err)
	require.EqualValues(t, 1, p.UIDGeneration, "begins with the next job")
	changed, second := send("one")
	disjoint(t, one, changed)
	require.EqualValues(t, 2, second.UidGeneration)
	require.Equal(t, added.SHA256, second.ProfileSha256)

	// A new version of it is another generation once more; going back is none of the earlier ones.
	_, err = w.Engine.Projects.AddProfile(t.Context(), w.Admin, bytes.ReplaceAll(text, []byte("'1'"), []byte("'2'")))
	require.NoError(t, err)
	kept, _ := send("one")
	require.Equal(t, changed, kept, "the project keeps the version that it was given")
	_, err = w.Engine.Projects.Change(
		t.Context(), w.Admin, "one", projects.ProjectChange{Profile: &projects.ProfileName{Name: deid.DefaultProfile}},
	)
	require.NoError(t, err)
	back, third := send("one")
	disjoint(t, one, back)
	disjoint(t, changed, back)
	require.EqualValues(t, 3, third.UidGeneration)
}

// TestKeysByPatient: what a transfer sends derives from the patient's key alone, which whoever knows the project's and
// the patient's identity can make.
func TestKeysByPatient(t *testing.T) {
	first, second, other := studyOf(41, quorra), studyOf(42, quorra), studyOf(43, yorick)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{first, second, other}})
	w.project("lung", nil)
	var sealed []byte
	require.NoError(t, w.Pool.QueryRow(
		t.Context(), "SELECT sealed_key FROM projects WHERE name = 'lung'",
	).Scan(&sealed))
	secret, err := w.People.Open(projects.ProjectKeyPurpose, sealed)
	require.NoError(t, err)
	profile, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for _, study := range []*phantom.Study{first, second, other} {
		report := w.report(w.require(w.send(study.StudyInstanceUID, in("lung")), jobs.Success))
		patient := deid.PatientIdentity(study.Spec.Patient.ID, "", study.StudyInstanceUID)
		key := deid.Key(secret)
		require.Equal(t, key.Pseudonym(patient), report.Pseudonym)
		session, err := profile.Session(deid.Subject{
			Key: key.OfPatient(patient), Generation: uint32(report.UIDGeneration),
			Patient: patient, Pseudonym: report.Pseudonym,
		})
		require.NoError(t, err)
		require.Equal(t, session.MapUID(study.StudyInstanceUID), report.StudyInstanceUID)
	}
}

// TestJobKeepsItsProfile: a job that is retried after its project was changed gives what it would have given before.
func TestJobKeepsItsProfile(t *testing.T) {
	study := studyOf(10, quorra)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	w.AddServer("destination", "DST", dst.Addr(), nil)
	// the description names the patient, and base adit keeps it
	w.project("one", func(p *projects.NewProject) { p.NoScan = true })
	before := uidsSent(t, w.sent(w.send(study.StudyInstanceUID, in("one"))))

	dst.SetMisbehave(pacs.Misbehave{Store: pacs.StoreFaults{Status: dimse.CannotUnderstand}})
	job := w.send(study.StudyInstanceUID, func(tr *jobs.Transfer) { in("one")(tr); tr.Destination = "destination" })
	w.require(job, jobs.Failure, "3 instances are missing at the destination")
	_, err := w.Engine.Projects.Change(
		t.Context(), w.Admin, "one", projects.ProjectChange{Profile: &projects.ProfileName{Name: "adit"}},
	)
	require.NoError(t, err)
	after := w.send(study.StudyInstanceUID, in("one"))
	disjoint(t, before, uidsSent(t, w.sent(after)))

	dst.SetMisbehave(pacs.Misbehave{})
	refused := len(dst.Recorder().Log().Stores)
	require.NoError(t, w.Engine.Jobs.Act(t.Context(), w.Admin, job.ID, jobs.RetryJob))
	w.require(w.Wait(job.ID), jobs.Success)
	stores := dst.Recorder().Log().Stores[refused:]
	require.Len(t, stores, 3)
	for _, s := range stores {
		require.Contains(t, before, s.SOPInstanceUID)
	}
	report := w.report(w.Task(job.ID))
	require.Equal(t, deid.DefaultProfile, report.ProfileName)
	require.EqualValues(t, 1, report.UIDGeneration)
}

// TestExcludedModalities: they are left out under a pseudonym, noted, and go along without one.
func TestExcludedModalities(t *testing.T) {
	ct, sr := phantom.SeriesSpec{Kind: phantom.CT, Instances: 3, Rows: 16, Columns: 16},
		phantom.SeriesSpec{Kind: phantom.Report, Instances: 2}
	mixed, reports := studyOf(11, quorra, ct, sr), studyOf(12, quorra, sr)
	w := newWard(
		t, harness.Config{Engine: base.Config{ExcludedModalities: []string{"PR", "SR"}}},
		pacs.Config{Studies: []*phantom.Study{mixed, reports}},
	)
	job := w.send(mixed.StudyInstanceUID, nil)
	task := w.require(job, jobs.Success, "3 instances transferred", "Series of modality SR left out (2 instances).")
	require.EqualValues(t, 3, task.Expected)
	require.Len(t, w.sent(job), 3)
	require.Equal(t, map[string]int{"SR": 2}, w.report(task).Omitted)
	for name := range w.sent(job) {
		require.Contains(t, name, "-CT/", "the folder tells what was sent")
	}

	require.NoError(t, w.Engine.Jobs.Act(t.Context(), w.Admin, job.ID, jobs.RestartJob))
	w.require(w.Wait(job.ID), jobs.Success)
	require.Equal(t, 3, w.report(task).Instances, "a restart counts anew")

	job = w.send(reports.StudyInstanceUID, nil)
	w.require(job, jobs.Warning, "Nothing to send", "Series of modality SR left out (2 instances).")
	require.Empty(t, w.sent(job))
	job = w.send(mixed.StudyInstanceUID, func(tr *jobs.Transfer) { tr.Pseudonymize = false })
	w.require(job, jobs.Success, "5 instances transferred")
}

// TestExcludedByTheirOwn: where the source says nothing, or something wrong, about the modality of a series, that of
// each object and its SOP class decide.
func TestExcludedByTheirOwn(t *testing.T) {
	mixed := studyOf(
		18, quorra, phantom.SeriesSpec{Kind: phantom.CT, Instances: 3, Rows: 16, Columns: 16},
		phantom.SeriesSpec{Kind: phantom.Report, Instances: 2},
	)
	reports := mixed.Series[1]
	modality := func(value ...string) pacs.FindFaults {
		return pacs.FindFaults{Series: pacs.ListFaults{
			Answers: map[string]map[dict.Tag][]string{reports.SeriesInstanceUID: {dict.Modality: value}},
		}}
	}
	inside := map[string]map[dict.Tag]string{}
	for _, in := range reports.Instances {
		inside[in.SOPInstanceUID] = map[dict.Tag]string{dict.Modality: "CT"}
	}
	for name, faults := range map[string]pacs.Misbehave{
		"no modality":                       {Find: modality()},
		"another modality":                  {Find: modality("CT")},
		"another modality, inside them too": {Find: modality("CT"), Get: pacs.GetFaults{Inside: inside}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(
				t, harness.Config{Engine: base.Config{ExcludedModalities: []string{"PR", "SR"}}},
				pacs.Config{Studies: []*phantom.Study{mixed}, Misbehave: faults},
			)
			job := w.send(mixed.StudyInstanceUID, nil)
			w.require(
				job, jobs.Success, "3 instances transferred",
				"2 instances left out: a modality that is excluded under a pseudonym.",
			)
			require.Len(t, w.sent(job), 3)
		})
	}
}

// TestByMoveAndLarge: objects that come by C-MOVE, and objects too large to be buffered, go out as by C-GET, and the
// same.
func TestByMoveAndLarge(t *testing.T) {
	study := studyOf(
		13, quorra, phantom.SeriesSpec{Kind: phantom.CT, Instances: 5, Rows: 16, Columns: 16},
		phantom.SeriesSpec{Kind: phantom.MultiFrame, Frames: 20, Rows: 512, Columns: 512}, // 10 MB
	)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}})
	got := w.send(study.StudyInstanceUID, nil)
	w.require(got, jobs.Success)
	w.AddServer("mover", "MOVER", w.src.Addr(), nil)
	_, err := w.Engine.Nodes.UpdateServer(
		t.Context(), w.Admin, "source", func(s *nodes.NewServer) error { byMove(s); return nil },
	)
	require.NoError(t, err)
	moved := w.send(study.StudyInstanceUID, nil)
	w.require(moved, jobs.Success)
	require.NotEmpty(t, w.src.Recorder().Log().Moves)
	require.Len(t, w.sent(got), 6)
	require.Equal(t, w.sent(got), w.sent(moved))
	large := 0
	for name, content := range w.sent(moved) {
		requireNoTrace(t, study, append([]byte(name), content[:min(len(content), 1<<20)]...))
		if len(content) > 4<<20 {
			large++
		}
	}
	require.Equal(t, 1, large)
}

// TestAlreadyThere: a destination that says of what was sent that it holds it is asked for it under the names that were
// sent.
func TestAlreadyThere(t *testing.T) {
	study := studyOf(14, quorra)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST", Memory: 16 << 20})
	w.AddServer("destination", "DST", dst.Addr(), nil)
	there := func(tr *jobs.Transfer) { tr.Destination = "destination" }
	w.require(w.send(study.StudyInstanceUID, there), jobs.Success)
	duplicates := map[string]dimse.Status{}
	for _, s := range dst.Recorder().Log().Stores {
		duplicates[s.SOPInstanceUID] = dimse.DuplicateSOPInstance
	}
	require.Len(t, duplicates, 3)
	dst.SetMisbehave(pacs.Misbehave{Store: pacs.StoreFaults{Statuses: duplicates}})
	w.require(w.send(study.StudyInstanceUID, there), jobs.Success)
	finds := dst.Recorder().Log().Finds
	require.NotEmpty(t, finds)
	for _, f := range finds {
		for _, uid := range append(append(f.StudyInstanceUIDs, f.SeriesInstanceUIDs...), f.SOPInstanceUIDs...) {
			require.True(t, strings.HasPrefix(uid, "2.25."), uid)
			require.NotContains(t, uidsOf(study), uid)
		}
		require.NotContains(t, f.PatientIDs, quorra.ID)
	}
}

// TestNothingBeside: names of folders and files, their times, and the log at its most talkative say nothing of the
// patient, whatever happens.
func TestNothingBeside(t *testing.T) {
	var log testpeer.Buffer
	began := time.Now().Add(-time.Minute)
	fine, clash, odd := studyOf(15, quorra), studyOf(16, yorick), studyOf(17, quorra)
	w := newWard(t, harness.Config{Log: &log}, pacs.Config{Studies: []*phantom.Study{fine, clash}, Memory: 16 << 20})
	template := odd.Instances()[0]
	give(
		t, w.src, altered(t, template, asItIs),
		altered(t, template, func(ds *stream.DataSet) {
			ds.Set(dict.SOPInstanceUID, "2.25.2")
			ds.SetBytes(dict.SpecificCharacterSet, dict.CS, []byte("ISO_IR 192"))
			ds.SetBytes(dict.Manufacturer, dict.LO, []byte("\xff\xfeZzyzx "))
		}),
		altered(t, template, func(ds *stream.DataSet) {
			ds.Set(dict.SOPInstanceUID, "2.25.3")
			ds.Set(dict.PatientID, yorick.ID)
		}),
	)
	dst := startPACS(t, pacs.Config{
		AETitle:   "DST",
		Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{Status: dimse.OutOfResources, First: 2}},
	})
	w.AddServer("destination", "DST", dst.Addr(), nil)
	w.require(w.send(fine.StudyInstanceUID, under("P-1")), jobs.Success)
	w.require(w.send(clash.StudyInstanceUID, under("P-1")), jobs.Failure)
	w.send(odd.StudyInstanceUID, nil)
	w.send(fine.StudyInstanceUID, func(tr *jobs.Transfer) { tr.Destination = "destination" })
	w.Stop(harness.Deadline)

	said := strings.ToUpper(log.String())
	require.Contains(t, said, "TASK RUN ENDED")
	for _, secret := range []string{
		quorra.ID, yorick.ID, "Quorra", "Yorick", "Zzyzx", "Xanthippe", quorra.BirthDate, yorick.BirthDate, accession,
	} {
		require.NotContains(t, said, strings.ToUpper(secret), "in the log")
	}
	original := append(append(uidsOf(fine), uidsOf(clash)...), uidsOf(odd)...)
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		for _, secret := range append(
			[]string{quorra.ID, yorick.ID, "Quorra", "Yorick", "Zzyzx", "20231114", accession}, original...,
		) {
			require.NotContains(t, strings.ToUpper(path), strings.ToUpper(secret))
		}
		info, err := d.Info()
		require.NoError(t, err)
		require.True(t, info.ModTime().After(began), "a time of the instance's own: %s", info.ModTime())
		return nil
	}))
}

// TestRights: who may not transfer unpseudonymized may pseudonymize; who is in neither a project nor its group has no
// part in it, and one who leaves it has none any more.
func TestRights(t *testing.T) {
	study := studyOf(18, quorra)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}})
	ctx := t.Context()
	w.project("closed", nil)
	var reader, group int64
	require.NoError(t, w.Pool.QueryRow(ctx, `
		WITH g AS (INSERT INTO groups (name) VALUES ('Readers') RETURNING id),
		     u AS (INSERT INTO users (username, active_group_id) SELECT 'reader', g.id FROM g RETURNING id),
		     m AS (INSERT INTO group_members (group_id, user_id) SELECT g.id, u.id FROM g, u),
		     p AS (INSERT INTO group_permissions (group_id, permission) SELECT g.id, 'selective_transfer' FROM g),
		     d AS (INSERT INTO projects (name, group_id, is_default, sealed_key) SELECT 'Readers', g.id, true, (SELECT sealed_key FROM projects WHERE is_default) FROM g),
		     a AS (INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination) SELECT g.id, n.id, true, true FROM g, dicom_nodes n)
		SELECT u.id, g.id FROM u, g`).Scan(&reader, &group))
	user := people.User{ID: reader, Username: "reader", ActiveGroupID: &group}
	tr := jobs.Transfer{
		Source: "source", Destination: "disk", Studies: []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID}},
	}
	create := func(change func(*jobs.Transfer)) (jobs.Job, error) {
		copied := tr
		copied.Studies = append([]jobs.Study{}, tr.Studies...)
		change(&copied)
		return w.Engine.Jobs.Create(ctx, user, copied)
	}

	var denied *people.Denied
	_, err := create(func(*jobs.Transfer) {})
	require.ErrorAs(t, err, &denied)
	require.Contains(t, denied.Reason, people.TransferUnpseudonymized)
	staff := people.User{ID: reader, Username: "reader", IsStaff: true}
	require.NoError(t, w.Pool.QueryRow(
		ctx, `INSERT INTO users (username, is_staff) VALUES ('staff', true) RETURNING id`,
	).Scan(&staff.ID))
	for _, c := range []struct {
		shown  string
		change func(*jobs.Transfer)
	}{{"P-1", under("P-1")}, {"", func(tr *jobs.Transfer) { tr.Pseudonymize = true }}} {
		job, err := create(c.change)
		require.NoError(t, err)
		task := w.require(w.Wait(job.ID), jobs.Success)
		var pseudonym string
		require.NoError(
			t, w.Pool.QueryRow(ctx, `SELECT pseudonym FROM task_deid WHERE task_id = $1`, task.ID).Scan(&pseudonym),
		)
		require.Equal(t, "P-1", pseudonym)
		// Nobody reads a linkage table out of jobs: one sees what one gave oneself.
		for _, u := range []struct {
			user people.User
			want string
		}{{user, c.shown}, {staff, ""}} {
			seen, err := w.Engine.Jobs.Task(ctx, u.user, task.ID)
			require.NoError(t, err)
			require.Equal(t, u.want, seen.Pseudonym)
			list, err := w.Engine.Jobs.Tasks(ctx, u.user, job.ID, jobs.TaskFilter{Limit: 1})
			require.NoError(t, err)
			require.Equal(t, u.want, list[0].Pseudonym)
			report, err := w.Engine.Jobs.DeidReport(ctx, u.user, task.ID)
			require.NoError(t, err)
			require.Equal(t, u.want, report.Pseudonym)
			write, err := w.Engine.Jobs.ExportDeidReport(ctx, u.user, job.ID)
			require.NoError(t, err)
			var table bytes.Buffer
			require.NoError(t, write(ctx, &table))
			require.Equal(t, u.want != "", testpeer.Stands(table.String(), "P-1"), table.String())
		}
	}

	var invalid *refusal.Invalid
	_, err = create(func(tr *jobs.Transfer) { in("closed")(tr); under("P-1")(tr) })
	require.ErrorAs(t, err, &invalid)
	_, noSuch := create(func(tr *jobs.Transfer) { in("no such")(tr); under("P-1")(tr) })
	require.Equal(t, err, noSuch, "not even that it is there")
	_, err = w.Engine.Projects.Get(ctx, user, "closed")
	require.ErrorIs(t, err, refusal.ErrNotFound)
	_, err = w.Engine.Projects.Change(ctx, w.Admin, "closed", projects.ProjectChange{Members: &[]string{"Reader"}})
	require.NoError(t, err)
	job, err := create(func(tr *jobs.Transfer) { in("closed")(tr); under("P-1")(tr) })
	require.NoError(t, err)
	w.require(w.Wait(job.ID), jobs.Success)
	_, err = w.Engine.Projects.Linkage(ctx, user, "closed", projects.LinkFilter{Limit: 1})
	require.ErrorAs(t, err, &denied, "a right of its own")

	_, err = w.Engine.Projects.Change(ctx, w.Admin, "closed", projects.ProjectChange{Members: &[]string{}})
	require.NoError(t, err)
	require.NoError(t, w.Engine.Jobs.Act(ctx, w.Admin, job.ID, jobs.RestartJob))
	w.require(w.Wait(job.ID), jobs.Failure, "neither to this project nor to its group")
}
