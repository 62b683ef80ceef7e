// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"maps"
	"slices"
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

// threeSeries is a study of three series of six small instances each.
func threeSeries(seed uint64) *phantom.Study {
	spec := phantom.SeriesSpec{Kind: phantom.CT, Instances: 6, Rows: 16, Columns: 16}
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{spec, spec, spec},
	})
}

// beforePixels returns where the pixel data of a phantom in explicit VR little endian begins, from the start of its
// data set.
func beforePixels(in *phantom.Instance) int64 {
	return in.Size() - int64(2*16*16) - 12
}

func sopUIDs(instances []*phantom.Instance) (uids []string) {
	for _, in := range instances {
		uids = append(uids, in.SOPInstanceUID)
	}
	return uids
}

// evidence is what a lying source tells and sends of a study of three series, and what has to come of it.
type evidence struct {
	name   string
	faults func(st, other *phantom.Study) pacs.Misbehave
	store  func(st *phantom.Study) pacs.StoreFaults
	server func(s *nodes.NewServer) // of the source
	series []int                    // that are chosen; none: the whole study

	status   string
	stored   int
	expected int    // 0: as many as are stored
	message  string // part of the task's
	silent   string // not part of it
}

// TestEvidence: Success is said only where no evidence speaks against it: counts, lists, what arrives, what is refused
// or damaged. Where a source can be made to send what it hides, it is.
func TestEvidence(t *testing.T) {
	count := func(n string) map[dict.Tag][]string {
		return map[dict.Tag][]string{dict.NumberOfSeriesRelatedInstances: {n}}
	}
	list := func(f pacs.ListFaults) func(_, _ *phantom.Study) pacs.Misbehave {
		return func(_, _ *phantom.Study) pacs.Misbehave { return pacs.Misbehave{Find: pacs.FindFaults{Image: f}} }
	}
	get := func(f pacs.GetFaults) func(_, _ *phantom.Study) pacs.Misbehave {
		return func(_, _ *phantom.Study) pacs.Misbehave { return pacs.Misbehave{Get: f} }
	}
	none := pacs.ListFaults{Status: dimse.DataSetMismatch}
	tests := []evidence{
		{
			name: "series capped at 2 of 3",
			faults: func(_, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Find: pacs.FindFaults{Series: pacs.ListFaults{Cap: 2}}}
			},
			status: jobs.Success, stored: 18,
		},
		{
			name: "a series with an empty UID",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{Series: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{
						st.Series[1].SeriesInstanceUID: {dict.SeriesInstanceUID: {}},
					}}},
				}
			},
			status: jobs.Success, stored: 18,
		},
		{
			name: "a series under another's UID, and a study's count that is too low",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Find: pacs.FindFaults{
					Study: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{
						st.StudyInstanceUID: {dict.NumberOfStudyRelatedInstances: {"0"}},
					}},
					Series: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{
						st.Series[1].SeriesInstanceUID: {dict.SeriesInstanceUID: {st.Series[0].SeriesInstanceUID}},
					}},
				}}
			},
			status: jobs.Warning, stored: 18, message: "a series without a valid Series Instance UID of its own",
		},
		{
			name: "a series under another's UID",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{Series: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{
						st.Series[1].SeriesInstanceUID: {dict.SeriesInstanceUID: {st.Series[0].SeriesInstanceUID}},
					}}},
				}
			},
			status: jobs.Success, stored: 18,
		},
		{
			name: "a series that is listed twice, with different counts",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Find: pacs.FindFaults{
					Study: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{
						st.StudyInstanceUID: {dict.NumberOfStudyRelatedInstances: {}},
					}},
					Series: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{
						st.Series[1].SeriesInstanceUID: {
							dict.SeriesInstanceUID: {st.Series[0].SeriesInstanceUID},
							dict.SeriesNumber:      {"1"}, dict.NumberOfSeriesRelatedInstances: {"9"},
						},
					}},
				}}
			},
			series: []int{0},
			status: jobs.Warning, stored: 6, message: "The source counts 9 instances in series",
		},
		{
			name: "a series that is said to be empty",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				s := st.Series[1]
				return pacs.Misbehave{Find: pacs.FindFaults{
					Series: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{s.SeriesInstanceUID: count("0")}},
					Image:  pacs.ListFaults{Hidden: sopUIDs(s.Instances)},
				}}
			},
			status: jobs.Success, stored: 18,
		},
		{
			name: "a capped list, and retrieves that break off",
			faults: func(_, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{Image: pacs.ListFaults{Cap: 4}},
					Get:  pacs.GetFaults{First: 3, DropAtObject: 2},
				}
			},
			status: jobs.Success, stored: 18,
		},
		{
			name: "the study's count alone is too high",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{Study: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{
						st.StudyInstanceUID: {dict.NumberOfStudyRelatedInstances: {"20"}},
					}}},
				}
			},
			status: jobs.Warning, stored: 18,
			message: "The source counts 20 instances in the study but lists 18; ADIT asked for the whole once more",
		},
		{
			name: "a series' count alone is too high",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Find: pacs.FindFaults{Series: pacs.ListFaults{
					Answers: map[string]map[dict.Tag][]string{st.Series[0].SeriesInstanceUID: count("9")},
				}}}
			},
			status: jobs.Warning, stored: 18, message: "The source counts 9 instances in series",
		},
		{
			name: "counts that are known to be wrong",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Find: pacs.FindFaults{Series: pacs.ListFaults{
					Answers: map[string]map[dict.Tag][]string{st.Series[0].SeriesInstanceUID: count("9")},
				}}}
			},
			server: func(s *nodes.NewServer) { s.Rules.IgnoreCounts = true },
			status: jobs.Success, stored: 18, message: "ADIT does not use the counts of the source as evidence",
		},
		{
			name:   "beyond a capped list, one is refused by the destination",
			faults: list(pacs.ListFaults{Cap: 4}),
			store: func(st *phantom.Study) pacs.StoreFaults {
				return pacs.StoreFaults{
					Statuses: map[string]dimse.Status{st.Series[0].Instances[5].SOPInstanceUID: dimse.CannotUnderstand},
				}
			},
			status: jobs.Failure, stored: 17, expected: 18,
			message: "1 instance is missing at the destination: the destination refused this instance",
		},
		{
			name: "beyond a capped list, one comes damaged",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{Image: pacs.ListFaults{Cap: 4}, OmitKeys: []dict.Tag{dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances}},
					Get:  pacs.GetFaults{Damage: sopUIDs(st.Series[2].Instances[5:])},
				}
			},
			status: jobs.Failure, stored: 17, expected: 18,
			message: "1 instance is missing at the destination: the instance that the source sent is damaged",
		},
		{
			name: "beyond a capped list, without counts, some fail",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{Image: pacs.ListFaults{Cap: 4}, OmitKeys: []dict.Tag{dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances}},
					Get:  pacs.GetFaults{Refuse: sopUIDs(st.Series[2].Instances[4:]), NoFailedList: true},
				}
			},
			status: jobs.Warning, stored: 16, message: "The source counts 6 instances in series",
		},
		{
			name: "one series chosen, the study sent", faults: get(pacs.GetFaults{Wide: true}), series: []int{1},
			status: jobs.Success, stored: 6,
			message: "The source also sent 12 instances of other series, which nobody asked for",
		},
		{
			name: "the study asked for, and sent with each series", faults: get(pacs.GetFaults{Wide: true}),
			status: jobs.Success, stored: 18, silent: "also sent",
		},
		{
			name: "no IMAGE level, four of six, and two of another series",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{Image: none},
					Get:  pacs.GetFaults{Refuse: sopUIDs(st.Series[0].Instances[4:]), FinalStatus: new(dimse.Status), NoCounts: true, Besides: sopUIDs(st.Series[1].Instances[:2])},
				}
			},
			series: []int{0}, status: jobs.Failure, stored: 4, expected: 6, message: "2 instances are missing",
		},
		{
			name:   "every retrieve is answered C001",
			faults: get(pacs.GetFaults{Status: 0xC001}), status: jobs.Failure,
			expected: 18, message: "the source answered the retrieve with status C001H",
		},
		{
			name:   "every retrieve is answered 0110",
			faults: get(pacs.GetFaults{Status: dimse.ProcessingFailure}), status: jobs.Failure,
			expected: 18, message: "the source answered the retrieve with status 0110H",
		},
		{
			name:   "retrieves are answered C001 at first",
			faults: get(pacs.GetFaults{First: 4, Status: 0xC001}), status: jobs.Success, stored: 18,
		},
		{
			name: "another Patient ID inside",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Get: pacs.GetFaults{Inside: map[string]map[dict.Tag]string{
					st.Series[0].Instances[0].SOPInstanceUID: {dict.PatientID: "PHANTOM-002"},
				}}}
			},
			status: jobs.Warning, stored: 18,
			message: "1 instance with another Patient ID inside than the study has at the source: ",
		},
		{
			name: "another SOP Instance UID in the destination's answer",
			store: func(st *phantom.Study) pacs.StoreFaults {
				return pacs.StoreFaults{Misname: sopUIDs(st.Series[0].Instances[:1])}
			},
			status: jobs.Failure, stored: 17, expected: 18,
			message: "the destination acknowledged another SOP Instance UID for this instance, but doesn't list it",
		},
		{
			name: "one SOP Instance UID in two series",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{Image: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{
						st.Series[1].Instances[0].SOPInstanceUID: {
							dict.SOPInstanceUID: {st.Series[0].Instances[0].SOPInstanceUID},
						},
					}}},
				}
			},
			status: jobs.Warning, stored: 18, message: "in 2 series; a destination can keep only one instance under it",
		},
		{
			name: "one SOP Instance UID twice in a series",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				in := st.Series[0].Instances
				return pacs.Misbehave{
					Find: pacs.FindFaults{Image: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{in[1].SOPInstanceUID: {dict.SOPInstanceUID: {in[0].SOPInstanceUID}}}}},
					Get:  pacs.GetFaults{Refuse: sopUIDs(in[1:2]), FinalStatus: new(dimse.Status), NoCounts: true},
				}
			},
			status: jobs.Warning, stored: 17, message: "is in the list more than once",
		},
		{
			name: "a SOP Instance UID that is none",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				in := st.Series[0].Instances[0].SOPInstanceUID
				return pacs.Misbehave{
					Find: pacs.FindFaults{Image: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{in: {dict.SOPInstanceUID: {"../../1.2.3"}}}}},
					Get:  pacs.GetFaults{Refuse: []string{in}, FinalStatus: new(dimse.Status), NoCounts: true},
				}
			},
			status: jobs.Failure, stored: 17, expected: 18,
			message: "the source lists it under an invalid SOP Instance UID",
		},
		{
			name: "lists that are not filtered by series",
			faults: list(pacs.ListFaults{
				IgnoreKeys: []dict.Tag{dict.SeriesInstanceUID}, OmitKeys: []dict.Tag{dict.SeriesInstanceUID},
			}),
			status: jobs.Success, stored: 18,
		},
		{
			name: "lists that are not filtered by series, of one series",
			faults: list(pacs.ListFaults{
				IgnoreKeys: []dict.Tag{dict.SeriesInstanceUID}, OmitKeys: []dict.Tag{dict.SeriesInstanceUID},
			}),
			series: []int{1}, status: jobs.Success, stored: 6,
		},
		{
			name: "another patient's instance besides",
			faults: func(_, other *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Get: pacs.GetFaults{Besides: sopUIDs(other.Instances()[:1])}}
			},
			status: jobs.Warning, stored: 18, message: "of another study, which nobody asked for",
		},
		{
			name: "a list that comes late",
			faults: list(pacs.ListFaults{
				First: 1, Status: dimse.DataSetMismatch,
			}),
			status: jobs.Success, stored: 18,
		},
		{
			name: "a source that aborts each C-GET, with C-MOVE beside it",
			faults: func(_, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Get: pacs.GetFaults{AbortAtObject: 1},
				}
			},
			server: func(s *nodes.NewServer) { s.Supports.StudyRootMove = true },
			status: jobs.Success, stored: 18,
		},
		{
			name: "nothing of a series by C-GET, and a C-MOVE that can't be used",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Get:  pacs.GetFaults{Refuse: sopUIDs(st.Series[0].Instances), FinalStatus: new(dimse.Status), NoCounts: true},
					Move: pacs.MoveFaults{GetFaults: pacs.GetFaults{Status: dimse.MoveDestinationUnknown}},
				}
			},
			server: func(s *nodes.NewServer) { s.Supports.StudyRootMove = true },
			status: jobs.Failure, stored: 12, expected: 18, message: "6 instances are missing",
		},
		{
			name: "an instance cut off before its pixel data",
			faults: func(st, _ *phantom.Study) pacs.Misbehave {
				in := st.Series[1].Instances[2]
				return pacs.Misbehave{
					Get: pacs.GetFaults{Truncate: map[string]int64{in.SOPInstanceUID: beforePixels(in)}},
				}
			},
			status: jobs.Warning, stored: 18,
			message: "1 instance without the pixel data or content that instances of its class have",
		},
		{
			name: "a C-MOVE that counts one and sends the rest later",
			faults: func(_, _ *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Move: pacs.MoveFaults{
					Late: 6, LatePause: 20 * time.Millisecond,
					GetFaults: pacs.GetFaults{
						Counts: &dimse.Counts{Completed: dimse.Counted(1)},
					},
				}}
			},
			server: func(s *nodes.NewServer) { byMove(s); s.Retrieve.MovePatience = 10 * time.Second },
			status: jobs.Success, stored: 18,
		},
	}
	n := harness.New(t, harness.Config{Workers: 4})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st, other := threeSeries(77), ct(78, 3)
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{st, other}, MoveDestinations: movesTo(n)})
			dst := startPACS(t, pacs.Config{})
			if tt.faults != nil {
				src.SetMisbehave(tt.faults(st, other))
			}
			if tt.store != nil {
				dst.SetMisbehave(pacs.Misbehave{Store: tt.store(st)})
			}
			source, destination := addPair(n, src, dst, tt.server)
			study := jobs.Study{StudyInstanceUID: st.StudyInstanceUID}
			for _, i := range tt.series {
				study.SeriesInstanceUIDs = append(study.SeriesInstanceUIDs, st.Series[i].SeriesInstanceUID)
			}
			job := n.Wait(
				n.Create(jobs.Transfer{Source: source, Destination: destination, Studies: []jobs.Study{study}}).ID,
			)
			task := n.Task(job.ID)
			require.Equal(t, tt.status, job.Status, task.Message)
			require.Contains(t, task.Message, tt.message)
			if tt.silent != "" {
				require.NotContains(t, task.Message, tt.silent)
			}
			stored := map[string]bool{}
			for _, s := range dst.Recorder().Log().Stores {
				if dimse.Status(s.Status).Class() != dimse.ClassFailure {
					stored[s.SOPInstanceUID] = true
				}
			}
			require.Subset(t, sopUIDs(st.Instances()), slices.Collect(maps.Keys(stored)))
			require.EqualValues(t, tt.stored, task.Delivered, "%d stored", len(stored))
			expected := tt.expected
			if expected == 0 {
				expected = tt.stored
			}
			require.EqualValues(t, expected, task.Expected)
			if tt.status == jobs.Failure {
				require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
				n.Wait(job.ID)
			}
		})
	}
}
