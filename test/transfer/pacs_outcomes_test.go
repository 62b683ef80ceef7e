// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// attempts is how often a harness' member tries a task that fails by its own fault.
const attempts = 3

// outcome is what a misbehaving server makes of a transfer of twelve instances.
type outcome struct {
	name      string
	src, dst  pacs.Misbehave
	srcCfg    func(c *pacs.Config)
	dstCfg    func(c *pacs.Config, st *phantom.Study)
	impatient bool   // both servers are given up after a second of silence
	patientID string // that the job names

	status    string
	message   string // part of the task's
	delivered int
	already   int // of them, which the destination had before
	failures  int // attempts that count; 0 of a failure: it failed at once
	named     []int
	check     func(t *testing.T, src, dst pacs.Log)
}

// instances is how many instances the study of an outcome has. Its UIDs are the same in each test.
const images = 12

// outcomeStudy has a name that isn't ASCII, so that a character set matters.
func outcomeStudy() *phantom.Study {
	return phantom.New(20, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phäntom^Bêta", CharacterSet: []string{"ISO_IR 100"}},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: images, Rows: 64, Columns: 64}},
	})
}

func uidOf(i int) string { return outcomeStudy().Instances()[i].SOPInstanceUID }

func answering(i int, s dimse.Status) pacs.Misbehave {
	return pacs.Misbehave{Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{uidOf(i): s}}}
}

// associated asserts how often the servers were called: one that refuses is asked once.
func associated(src, dst int) func(t *testing.T, s, d pacs.Log) {
	return func(t *testing.T, s, d pacs.Log) {
		require.Equal(t, src, s.Total+s.Rejected, "associations that the source saw")
		require.Equal(t, dst, d.Total+d.Rejected, "associations that the destination saw")
	}
}

// run runs the transfer and asserts what holds for every outcome: it ends as it should, the ledger is what the
// destination acknowledged, and nothing is stored twice.
func (o outcome) run(t *testing.T, n *harness.Member) {
	study := outcomeStudy()
	srcCfg := pacs.Config{Studies: []*phantom.Study{study}, Misbehave: o.src}
	dstCfg := pacs.Config{Misbehave: o.dst}
	if o.srcCfg != nil {
		o.srcCfg(&srcCfg)
	}
	if o.dstCfg != nil {
		o.dstCfg(&dstCfg, study)
	}
	src, dst := startPACS(t, srcCfg), startPACS(t, dstCfg)
	settings := func(s *nodes.NewServer) {
		if o.impatient {
			s.IdleTimeout = time.Second
		}
	}
	source, destination := addPair(n, src, dst, settings)

	job := n.Wait(n.Create(jobs.Transfer{
		Source: source, Destination: destination,
		Studies: []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID, PatientID: o.patientID}},
	}).ID)
	task := n.Task(job.ID)
	require.Equal(t, o.status, job.Status, task.Message)
	require.Contains(t, task.Message, o.message)
	require.EqualValues(t, o.failures, task.Failures, task.Message)
	require.EqualValues(t, o.delivered, task.Delivered)
	requireStored(t, dst, o.delivered-o.already)
	if o.named != nil {
		require.Equal(t, o.named, namedIn(t, n, task.ID))
	}
	if o.check != nil {
		o.check(t, src.Recorder().Log(), dst.Recorder().Log())
	}
}

// pairs counts them: names and AE titles are unique.
var pairs atomic.Int32

// addPair adds two servers that answer to any AE title to a member that others share.
func addPair(n *harness.Member, src, dst *pacs.PACS, change func(*nodes.NewServer)) (source, destination string) {
	i := pairs.Add(1)
	source, destination = fmt.Sprintf("SRC%d", i), fmt.Sprintf("DST%d", i)
	n.AddServer(source, source, src.Addr(), change)
	n.AddServer(destination, destination, dst.Addr(), change)
	return source, destination
}

// requireStored asserts how many instances of the outcomes' study a destination took, each once and as it was
// generated.
func requireStored(t *testing.T, dst *pacs.PACS, n int) {
	t.Helper()
	stored, generated := map[string]bool{}, outcomeStudy().Instances()
	for _, s := range dst.Recorder().Log().Stores {
		switch dimse.Status(s.Status).Meaning(dimse.CStore).Outcome {
		case dimse.Done, dimse.DoneNoted:
			require.False(t, stored[s.SOPInstanceUID], "stored twice")
			stored[s.SOPInstanceUID] = true
			i := slices.IndexFunc(
				generated, func(in *phantom.Instance) bool { return in.SOPInstanceUID == s.SOPInstanceUID },
			)
			require.GreaterOrEqual(t, i, 0, "nobody asked for it")
			sum := generated[i].SHA256()
			require.Equal(t, hex.EncodeToString(sum[:]), s.SHA256, "not one byte changes")
		}
	}
	require.Len(t, stored, n)
}

// namedIn returns the indices of the instances that a task names.
func namedIn(t *testing.T, n *harness.Member, task int64) []int {
	t.Helper()
	series, err := n.Engine.Jobs.TaskSeries(t.Context(), n.Admin, task)
	require.NoError(t, err)
	var list []int
	for _, m := range series[0].Missing {
		require.NotEmpty(t, m.Reason)
		for i, in := range outcomeStudy().Instances() {
			if in.SOPInstanceUID == m.SOPInstanceUID {
				list = append(list, i)
			}
		}
	}
	return list
}

// TestSourceMisbehaves: each way in which a source errs has one right outcome. More of them are in TestLyingSources.
func TestSourceMisbehaves(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 8})
	find := func(f pacs.FindFaults) pacs.Misbehave { return pacs.Misbehave{Find: f} }
	get := func(f pacs.GetFaults) pacs.Misbehave { return pacs.Misbehave{Get: f} }
	answers := func(tag dict.Tag, values ...string) pacs.Misbehave {
		return find(pacs.FindFaults{Answers: map[dict.Tag][]string{tag: values}})
	}
	for _, o := range []outcome{
		{
			name: "accepts no context", src: pacs.Misbehave{Association: pacs.AssociationFaults{NoContexts: true}},
			status: jobs.Failure, message: "accepted none of the", check: associated(1, 0),
		},
		{
			name: "has no such study", srcCfg: func(c *pacs.Config) { c.Studies = nil },
			status: jobs.Failure, message: "has no study", check: associated(1, 0),
		},
		{
			name: "answers the same study twice", src: find(pacs.FindFaults{SendTwice: 1}),
			status: jobs.Success, delivered: images,
		},
		{
			name: "has the study under another PatientID than the job", patientID: "PHANTOM-999",
			status: jobs.Warning, message: "Mismatching PatientIDs", delivered: images,
		},
		{
			name:      "has changed the PatientID since the query",
			patientID: "PHANTOM-001", src: answers(dict.PatientID, "MERGED"),
			status: jobs.Warning, message: "Mismatching PatientIDs", delivered: images,
		},
		{
			name: "filters by no key", patientID: "PHANTOM-001", status: jobs.Success, delivered: images,
			src: find(
				pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientID, dict.StudyInstanceUID, dict.SeriesInstanceUID}},
			),
			srcCfg: func(c *pacs.Config) { c.Studies = append([]*phantom.Study{ct(21, 3), large(22)}, c.Studies...) },
		},
		{
			name: "leaves out what was asked for", status: jobs.Success, delivered: images,
			src: find(pacs.FindFaults{OmitKeys: []dict.Tag{
				dict.SOPClassUID, dict.AvailableTransferSyntaxUID, dict.SeriesNumber,
				dict.NumberOfStudyRelatedInstances, dict.ModalitiesInStudy,
			}}),
		},
		{
			name: "has no date, time and birth date", status: jobs.Success, delivered: images,
			src: find(pacs.FindFaults{
				Answers: map[dict.Tag][]string{dict.StudyDate: nil, dict.StudyTime: nil, dict.PatientBirthDate: nil},
			}),
		},
		{
			name:   "has an accession number of more than 16 characters",
			src:    answers(dict.AccessionNumber, "A-0123456789-0123456789"),
			status: jobs.Success, delivered: images,
		},
		{
			name: "lies about its character set", status: jobs.Success, delivered: images,
			src: find(pacs.FindFaults{CharacterSet: "ISO_IR 192"}),
		},
		{
			name: "names a character set that isn't one", status: jobs.Success, delivered: images,
			src: find(pacs.FindFaults{CharacterSet: "KLINGON"}),
		},
		{
			name: "answers without an identifier", src: find(pacs.FindFaults{EmptyPending: 3}),
			status: jobs.Success, delivered: images,
		},
		{
			name: "can't process a query, once", src: find(pacs.FindFaults{First: 1, Status: 0xC001}),
			status: jobs.Success, delivered: images, failures: 1,
		},
		{
			name: "can't process queries", src: find(pacs.FindFaults{Status: 0xC001}),
			status: jobs.Failure, message: "status C001H", failures: attempts,
		},
		{
			name: "answers queries by what is no data set", src: find(pacs.FindFaults{Garbled: true}),
			status: jobs.Failure, message: "the answer is invalid", failures: attempts,
		},
		{
			name: "cuts off its answers", src: find(pacs.FindFaults{CutOff: true}),
			status: jobs.Failure, message: "the answer is invalid", failures: attempts,
		},
		{
			name: "cuts off its answers, once", src: find(pacs.FindFaults{First: 1, CutOff: true}),
			status: jobs.Success, delivered: images,
		},
		{
			name: "sends out of order", src: get(pacs.GetFaults{OutOfOrder: true}),
			status: jobs.Success, delivered: images,
		},
		{
			name: "sends no pending responses", src: get(pacs.GetFaults{NoPending: true}),
			status: jobs.Success, delivered: images,
		},
		{
			name: "fails with one, once", src: get(pacs.GetFaults{First: 1, Refuse: []string{uidOf(4)}}),
			status: jobs.Success, delivered: images,
		},
		{
			name: "sends half an instance, always", src: get(pacs.GetFaults{Truncate: map[string]int64{uidOf(4): 5000}}),
			status:    jobs.Failure,
			message:   "1 instance is missing at the destination: the instance that the source sent is damaged",
			delivered: images - 1, failures: attempts, named: []int{4},
		},
		{
			name: "sends half a header, always", src: get(pacs.GetFaults{Truncate: map[string]int64{uidOf(4): 61}}),
			status: jobs.Failure, message: "the instance that the source sent is damaged",
			delivered: images - 1, failures: attempts, named: []int{4},
		},
		{
			name:   "sends half an instance, once",
			src:    get(pacs.GetFaults{First: 1, Truncate: map[string]int64{uidOf(4): 5000}}),
			status: jobs.Success, delivered: images, failures: 1,
		},
		{
			name:   "drops the connection within an instance, once",
			src:    get(pacs.GetFaults{First: 1, DropAtObject: 5, DropAfterBytes: 5000}),
			status: jobs.Success, delivered: images,
		},
		{
			name:   "drops the connection within a header, once",
			src:    get(pacs.GetFaults{First: 1, DropAtObject: 5, DropAfterBytes: 61}),
			status: jobs.Success, delivered: images,
		},
		{
			name:      "falls silent within an instance, once",
			src:       get(pacs.GetFaults{First: 1, StallAtObject: 5, StallAfterBytes: 1000}),
			impatient: true, status: jobs.Success, delivered: images,
		},
	} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			o.run(t, n)
		})
	}
}

// TestDestinationMisbehaves: likewise for destinations.
func TestDestinationMisbehaves(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 8})
	// The destination can be asked what it holds, and says of one instance that it has it already.
	already := answering(4, dimse.DuplicateSOPInstance)
	cannotBeAsked := already
	cannotBeAsked.Find = pacs.FindFaults{Status: dimse.CannotUnderstand}
	holding := func(c *pacs.Config, st *phantom.Study) { c.Studies = []*phantom.Study{st} }
	for _, o := range []outcome{
		{
			name: "accepts no context", dst: pacs.Misbehave{Association: pacs.AssociationFaults{NoContexts: true}},
			status: jobs.Failure, message: "accepted none of the", check: associated(1, 1),
		},
		{
			name: "refuses one for good", dst: answering(4, dimse.CannotUnderstand),
			status:    jobs.Failure,
			message:   "1 instance is missing at the destination: the destination refused this instance: the peer cannot understand",
			delivered: images - 1, failures: attempts, named: []int{4},
		},
		{
			name: "doesn't take the class of one", dst: answering(4, dimse.RefusedSOPClass),
			status: jobs.Failure, message: "SOP class not supported",
			delivered: images - 1, failures: attempts, named: []int{4},
		},
		{
			name: "says that one doesn't match its class", dst: answering(4, dimse.DataSetMismatch),
			status: jobs.Failure, message: "does not match its SOP class",
			delivered: images - 1, failures: attempts, named: []int{4},
		},
		{
			name: "isn't allowed to take one", dst: answering(4, dimse.RefusedNotAuthorized),
			status: jobs.Failure, message: "not authorized", delivered: images - 1, failures: attempts, named: []int{4},
		},
		{
			name: "coerces one", dst: answering(4, dimse.CoercionOfDataElements),
			status:    jobs.Warning,
			message:   "took 1 instance with a remark: delivered; the peer coerced data elements (status B000H)",
			delivered: images,
		},
		{
			name: "discards elements of one", dst: answering(4, dimse.ElementsDiscarded),
			status: jobs.Warning, message: "discarded elements", delivered: images,
		},
		{
			name: "answers a warning that nobody knows", dst: answering(4, 0xB0AA),
			status: jobs.Warning, message: "an unknown warning (status B0AAH)", delivered: images,
		},
		{
			name: "answers a failure that nobody knows", dst: answering(4, 0x1234),
			status: jobs.Failure, message: "an unknown failure",
			delivered: images - 1, failures: attempts, named: []int{4},
		},
		{
			name: "has one already", dst: already, dstCfg: holding, status: jobs.Success, delivered: images, already: 1,
			check: func(t *testing.T, _, d pacs.Log) {
				require.Equal(
					t, []string{uidOf(4)}, d.Finds[0].SOPInstanceUIDs,
				)
			},
		},
		{
			name: "has one already but doesn't list it", dst: already,
			status: jobs.Failure, delivered: images - 1, failures: attempts,
			message: "the destination says that it already holds this instance, but doesn't list it", named: []int{4},
		},
		{
			name: "has one already but can't be asked", dst: cannotBeAsked,
			dstCfg: holding, status: jobs.Failure, delivered: images - 1,
			failures: attempts,
			message:  "the destination says that it already holds this instance, which could not be confirmed",
			named:    []int{4},
		},
		{
			name:   "drops the connection within an instance",
			dst:    pacs.Misbehave{Store: pacs.StoreFaults{DropAtObject: 5, DropAfterBytes: 1000}},
			status: jobs.Success, delivered: images,
		},
		{
			name:      "reads nothing more of an instance",
			dst:       pacs.Misbehave{Store: pacs.StoreFaults{StallAtObject: 5, StallAfterBytes: 1000}},
			impatient: true, status: jobs.Success, delivered: images,
		},
		{
			name:   "has room for one association",
			dstCfg: func(c *pacs.Config, _ *phantom.Study) { c.MaxAssociations = 1 },
			status: jobs.Success, delivered: images,
		},
	} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			o.run(t, n)
		})
	}
}

// TestLargeDamagedImages: instances beyond the buffer go out while they still come in. One that the source sends cut
// short is named; the destination keeps nothing of it, and gets all the others.
func TestLargeDamagedImages(t *testing.T) {
	t.Parallel()
	study := phantom.New(24, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 4, Rows: 1600, Columns: 1600}}, // 5 MB each
	})
	damaged := study.Instances()[1]
	src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Get: pacs.GetFaults{
		Truncate: map[string]int64{damaged.SOPInstanceUID: damaged.Size() - 100_000},
	}}})
	dst := startPACS(t, pacs.Config{})
	n := harness.New(t, harness.Config{})
	source, destination := addPair(n, src, dst, nil)
	folder := t.TempDir()
	n.AddFolder("folder", folder)
	for _, to := range []string{destination, "folder"} {
		job := n.Wait(n.Transfer(source, to, study.StudyInstanceUID).ID)
		task := n.Task(job.ID)
		require.Equal(t, jobs.Failure, job.Status, task.Message)
		require.Contains(
			t, task.Message, "1 instance is missing at the destination: the instance that the source sent is damaged",
		)
		require.EqualValues(t, 3, task.Delivered)
		series, err := n.Engine.Jobs.TaskSeries(t.Context(), n.Admin, task.ID)
		require.NoError(t, err)
		require.Len(t, series[0].Missing, 1)
		require.Equal(t, damaged.SOPInstanceUID, series[0].Missing[0].SOPInstanceUID)
	}
	require.Len(t, dst.Recorder().Log().Stores, 3)
	require.NotContains(t, pacs.UIDs(dst.Recorder().Log().Stores), damaged.SOPInstanceUID)
	files, err := filepath.Glob(filepath.Join(folder, "*", "*", "*", "*", "*"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, f := range files {
		require.NotContains(t, f, damaged.SOPInstanceUID)
	}
}
