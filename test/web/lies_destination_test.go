// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

func stow(f pacs.WebStoreFaults) func(*phantom.Study) pacs.WebFaults {
	return func(*phantom.Study) pacs.WebFaults { return pacs.WebFaults{Store: f} }
}

// refusing is a destination that refuses some instances.
func refusing(reason int, f pacs.WebStoreFaults, indices ...int) func(*phantom.Study) pacs.WebFaults {
	return func(st *phantom.Study) pacs.WebFaults {
		f := f
		f.Reasons = map[string]int{}
		for _, uid := range uids(st, indices...) {
			f.Reasons[uid] = reason
		}
		return pacs.WebFaults{Store: f}
	}
}

// noting is a destination that takes one instance with a remark.
func noting(reason int, f pacs.WebStoreFaults) func(*phantom.Study) pacs.WebFaults {
	return func(st *phantom.Study) pacs.WebFaults {
		f := f
		f.Warnings = map[string]int{uids(st, 4)[0]: reason}
		return pacs.WebFaults{Store: f}
	}
}

func short(s *nodes.NewServer) { s.IdleTimeout, s.DICOMweb.AnswerPatience = time.Second, time.Second }

func byPresence(patience time.Duration) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) {
		s.Verify = nodes.Verify{Method: nodes.VerifyPresence, Patience: patience}
	}
}

// ofStores are lies of STOW-RS: whatever is answered, Success means that all is there.
var ofStores = []told{
	{name: "the truth", delivered: -1},
	{
		name: "200, and one has failed", says: refusing(0xC000, pacs.WebStoreFaults{AnswerStatus: http.StatusOK}, 4),
		status: jobs.Failure, delivered: 19, message: "the destination refused this instance", missing: []int{4},
	},
	{
		name: "200, and one has failed, once", delivered: -1,
		says: refusing(0xC000, pacs.WebStoreFaults{AnswerStatus: http.StatusOK, ReasonsFirst: 1}, 4),
	},
	{
		name: "202, and three have failed", says: refusing(0xA900, pacs.WebStoreFaults{}, 4, 5, 16),
		status: jobs.Failure, delivered: 17, missing: []int{4, 5, 16},
	},
	{
		name: "409, and says nothing, though all is stored", delivered: -1,
		says: stow(pacs.WebStoreFaults{AnswerStatus: http.StatusConflict, NoBody: true}),
	},
	{
		name: "409, and nothing is stored", says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{
			Status: http.StatusConflict,
		}}),
		status: jobs.Failure, message: "does not say that it stored this instance",
	},
	{
		name: "400 for all, since one can't be read", says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Store: pacs.WebStoreFaults{Unreadable: uids(st, 4)}}
		},
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "400 for all without a word, since one can't be read", says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Store: pacs.WebStoreFaults{Unreadable: uids(st, 4), NoBody: true}}
		},
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "can't process one, once", says: refusing(0x0110, pacs.WebStoreFaults{ReasonsFirst: 1}, 4), delivered: -1,
	},
	{
		name: "can't process one, for ever", says: refusing(0x0110, pacs.WebStoreFaults{}, 4),
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "can't process one, once, as text", delivered: -1,
		says: refusing(0x0110, pacs.WebStoreFaults{ReasonsFirst: 1, HexReasons: true}, 4),
	},
	{
		name: "doesn't know the class of one", says: refusing(0x0122, pacs.WebStoreFaults{}, 4),
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "doesn't know the class of one, as text", says: refusing(0x0122, pacs.WebStoreFaults{HexReasons: true}, 4),
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "wants one in another transfer syntax", says: refusing(0xC122, pacs.WebStoreFaults{HexReasons: true}, 4),
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "has one already, it says", says: refusing(45070, pacs.WebStoreFaults{}, 4),
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "has one already, it says once", says: refusing(45070, pacs.WebStoreFaults{ReasonsFirst: 1}, 4),
		delivered: -1,
	},
	{
		name: "is writing one, it says once", says: refusing(45071, pacs.WebStoreFaults{ReasonsFirst: 1}, 4), delivered: -1,
	},
	{
		name: "has no room for one, once", says: refusing(0xA700, pacs.WebStoreFaults{ReasonsFirst: 1}, 4), delivered: -1,
	},
	{
		name: "has no room for one, once, as text", delivered: -1,
		says: refusing(0xA710, pacs.WebStoreFaults{ReasonsFirst: 1, HexReasons: true}, 4),
	},
	{name: "424 for one, once", says: refusing(424, pacs.WebStoreFaults{ReasonsFirst: 1}, 4), delivered: -1},
	{name: "503 for one, once", says: refusing(503, pacs.WebStoreFaults{ReasonsFirst: 1}, 4), delivered: -1},
	{
		name: "coerced", says: noting(0xB000, pacs.WebStoreFaults{}), status: jobs.Warning, delivered: 20,
		message: "took 1 instance with a remark",
	},
	{
		name: "left out elements, as text", says: noting(0xB006, pacs.WebStoreFaults{HexReasons: true}),
		status: jobs.Warning, delivered: 20, message: "took 1 instance with a remark",
	},
	{
		name: "does not match its class", says: noting(0xB007, pacs.WebStoreFaults{}), status: jobs.Warning, delivered: 20,
		message: "took 1 instance with a remark",
	},
	{
		name: "values can't be searched for", says: noting(1, pacs.WebStoreFaults{}), status: jobs.Warning, delivered: 20,
		message: "took 1 instance with a remark",
	},
	{
		name: "stored what nobody sent, once", delivered: -1,
		says: stow(pacs.WebStoreFaults{AnswerFaults: once(1), Extra: []string{"1.2.3.4"}}),
	},
	{
		name: "stored what nobody sent, for ever", delivered: -1,
		says: stow(pacs.WebStoreFaults{Extra: []string{"1.2.3.4"}}),
	},
	{
		name: "some in no sequence, though stored", delivered: -1,
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Store: pacs.WebStoreFaults{Unmentioned: uids(st, 4, 5)}}
		},
	},
	{
		name: "some in no sequence, and not stored", says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Store: pacs.WebStoreFaults{Unmentioned: uids(st, 4, 5), Reasons: map[string]int{
				uids(st, 4)[0]: 0xC000, uids(st, 5)[0]: 0xC000,
			}}}
		},
		status: jobs.Failure, delivered: 18, missing: []int{4, 5},
		message: "does not say that it stored this instance",
	},
	{
		name: "200 without a body", says: stow(pacs.WebStoreFaults{NoBody: true}), delivered: -1,
	},
	{
		name:   "204, and nothing is stored",
		says:   stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{Status: http.StatusNoContent}}),
		status: jobs.Failure, message: "20 instances are missing",
	},
	{
		name: "a page of HTML with 200, and nothing is stored, once", delivered: -1,
		says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{
			First: 1, Status: http.StatusOK, ContentType: "text/html", Body: "<html>Please log in</html>",
		}}),
	},
	{
		name: "a page of HTML with 200, and nothing is stored, for ever",
		says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{
			Status: http.StatusOK, ContentType: "text/html", Body: "<html>Please log in</html>",
		}}),
		status: jobs.Failure, delivered: 0,
	},
	// those that fit are kept before the answer, and come once more
	{name: "413 for more than three", says: stow(pacs.WebStoreFaults{MaxObjects: 3}), delivered: -1, again: true},
	{
		name: "413 for more than three, and duplicates are refused", delivered: -1,
		says: stow(pacs.WebStoreFaults{MaxObjects: 3, Duplicates: 45070}),
	},
	{name: "413 for more than 30,000 bytes", says: stow(pacs.WebStoreFaults{MaxBytes: 30_000}), delivered: -1, again: true},
	{
		name: "413 for all", says: stow(pacs.WebStoreFaults{MaxBytes: 3000}),
		status: jobs.Failure, message: "takes no request as large as this instance (status 413)",
	},
	{
		name: "silent when all was read, once", delivered: -1, change: short,
		says: stow(pacs.WebStoreFaults{AnswerFaults: once(1), SilentAtEnd: true}),
	},
	{
		name: "silent in front of all, once", delivered: -1, change: short,
		says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{First: 1, Silent: true}}),
	},
	{
		name: "dropped within an object, once", delivered: -1,
		says: stow(pacs.WebStoreFaults{
			AnswerFaults: once(1), CutAtObject: 1, CutObject: pacs.CutDrop, CutObjectAt: 1000,
		}),
	},
	{
		name: "silent within an object, once", delivered: -1, change: short,
		says: stow(pacs.WebStoreFaults{
			AnswerFaults: once(1), CutAtObject: 1, CutObject: pacs.CutStall, CutObjectAt: 1000,
		}),
	},
	{
		name: "dropped behind all, though stored", delivered: -1,
		says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{First: 2, Cut: pacs.CutDrop}}),
	},
	{
		name: "dropped behind all, though stored, for ever", delivered: -1,
		says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{Cut: pacs.CutDrop}}),
	},
	{
		name: "an answer that breaks off", delivered: -1,
		says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{Cut: pacs.CutEnd, CutAfterBytes: 100}}),
	},
	{
		name:   "dropped within the first object, for ever",
		says:   stow(pacs.WebStoreFaults{CutAtObject: 1, CutObject: pacs.CutDrop, CutObjectAt: 1000}),
		status: jobs.Failure,
	},
	{
		name: "duplicates are refused, and an answer was lost", delivered: -1,
		says: stow(pacs.WebStoreFaults{
			AnswerFaults: pacs.WebAnswerFaults{First: 1, Cut: pacs.CutDrop}, Duplicates: 45070,
		}),
	},
	{name: "an answer as a list", says: stow(pacs.WebStoreFaults{List: true}), delivered: -1},
	{name: "an answer without a type", says: stow(pacs.WebStoreFaults{NoContentType: true}), delivered: -1},
	{name: "sequences without items", says: stow(pacs.WebStoreFaults{EmptyForms: true}), delivered: -1},
	{
		name: "hosts that nobody knows", delivered: -1,
		says: func(*phantom.Study) pacs.WebFaults { return pacs.WebFaults{Host: "pacs.invalid:1"} },
	},
	{
		name: "redirected within the server", delivered: -1,
		says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{Redirect: "/"}}),
	},
	{
		name: "500, once", delivered: -1,
		says: stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{First: 1, Status: http.StatusInternalServerError}}),
	},
	{
		name:   "500, for ever",
		says:   stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{Status: http.StatusInternalServerError}}),
		status: jobs.Failure, message: "500",
	},
	{
		name:   "no stores at all: 405",
		says:   stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{Status: http.StatusMethodNotAllowed}}),
		status: jobs.Failure, message: "405",
	},
	{
		name:   "doesn't take what it is sent: 415",
		says:   stow(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{Status: http.StatusUnsupportedMediaType}}),
		status: jobs.Failure, message: "415",
	},
	{
		name: "acknowledged and not kept", change: byPresence(time.Second), status: jobs.Warning, delivered: 20,
		message: "nverified", says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Store: pacs.WebStoreFaults{Lose: uids(st, 4, 17)}}
		},
		missing: []int{4, 17},
	},
	{
		name: "listed late", change: byPresence(time.Minute), delivered: -1, message: "Verified by presence.",
		says: lists(pacs.WebSearchFaults{Lag: 2}),
	},
	{
		name: "listed late, and answers are lost", change: byPresence(time.Minute), delivered: -1, message: "Verified by presence.",
		says: func(*phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{
				Search: pacs.WebSearchFaults{Lag: 2},
				Store:  pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{First: 1, Cut: pacs.CutDrop}},
			}
		},
		again: true,
	},
	{
		name: "its lists ignore keys", change: byPresence(time.Minute), delivered: -1, message: "Verified by presence.",
		says: lists(pacs.WebSearchFaults{IgnoreKeys: true}),
	},
	{
		name: "its lists are capped", change: byPresence(time.Minute), delivered: -1, message: "Verified by presence.",
		says: lists(pacs.WebSearchFaults{Cap: 3, Warn: true}),
	},
}

// TestLyingDestinations: whatever a destination of DICOMweb says, Success means that it has all.
func TestLyingDestinations(t *testing.T) {
	cfg := quick()
	cfg.Engine = base.Config{VerifyPause: 50 * time.Millisecond}
	n := harness.New(t, cfg)
	study := liars(3)
	tellAll(t, n, study, ofStores, func(tt told, m pacs.Misbehave) (from, to string, dst *pacs.PACS) {
		src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
		dst = startPACS(t, pacs.Config{Misbehave: m})
		return add(n, src), add(n, dst, byWeb(dst), tt.change), dst
	})
}

// TestOneTooLarge: a destination that takes small requests alone gets all that is small, and the task says of the
// large one why it isn't there.
func TestOneTooLarge(t *testing.T) {
	study := phantom.New(8, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 10, Rows: 64, Columns: 64},
			{Kind: phantom.CT, Instances: 1, Rows: 512, Columns: 512},
		},
	})
	src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{Misbehave: pacs.Misbehave{
		Web: pacs.WebFaults{Store: pacs.WebStoreFaults{MaxBytes: 100_000}},
	}})
	n := harness.New(t, harness.Config{})
	job := n.Wait(n.Transfer(add(n, src), add(n, dst, byWeb(dst)), study.StudyInstanceUID).ID)
	told{
		status: jobs.Failure, delivered: 10, missing: []int{10},
		message: "takes no request as large as this instance (status 413); ask its administrator to allow larger ones",
	}.require(t, n, n.Task(job.ID), study, dst)
}

// TestLiesAboutOneStudy: what a destination says wrongly of one study does no harm to another one.
func TestLiesAboutOneStudy(t *testing.T) {
	bad, good := liars(4), liars(5)
	src := startPACS(t, pacs.Config{Studies: []*phantom.Study{bad, good}})
	dst := startPACS(t, pacs.Config{})
	dst.MisbehaveFor(bad, pacs.Misbehave{Web: refusing(0xC000, pacs.WebStoreFaults{AnswerStatus: http.StatusOK}, 4)(bad)})
	src.MisbehaveFor(bad, pacs.Misbehave{Web: without(pacs.WebRetrieveFaults{}, 3)(bad)})
	n := harness.New(t, harness.Config{})
	source, destination := add(n, src, byWeb(src)), add(n, dst, byWeb(dst))
	one := n.Transfer(source, destination, bad.StudyInstanceUID)
	other := n.Transfer(source, destination, good.StudyInstanceUID)
	require.Equal(t, jobs.Success, n.Wait(other.ID).Status, n.Task(other.ID).Message)
	require.Equal(t, jobs.Failure, n.Wait(one.ID).Status)
	task := n.Task(one.ID)
	require.EqualValues(t, objects-2, task.Delivered)
	require.Contains(t, task.Message, "2 instances are missing at the destination")
}

// TestRefusedIsNotThere: a destination that refuses an instance and has an older one under its UID has not stored it,
// whichever run asks what there is.
func TestRefusedIsNotThere(t *testing.T) {
	study := liars(4)
	for name, tt := range map[string]told{
		"no room at first": {says: refusing(0xA700, pacs.WebStoreFaults{ReasonsFirst: 2}, 4), delivered: -1},
		"can't understand it": {
			says: refusing(0xC000, pacs.WebStoreFaults{}, 4), status: jobs.Failure, delivered: objects - 1, missing: []int{4},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := harness.New(t, quick())
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{
				AETitle: "DST", Memory: 1 << 30, Misbehave: pacs.Misbehave{Web: tt.says(study)},
			})
			uid := study.Instances()[4].SOPInstanceUID
			dst.AddInstance(study.Instances()[4], map[dict.Tag]string{dict.StudyID: "older"})
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), byWeb(dst))
			job := n.Transfer("source", "destination", study.StudyInstanceUID)
			if n.Wait(job.ID).Status == jobs.Failure {
				require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
				n.Wait(job.ID)
			}
			task := n.Task(job.ID)
			tt.require(t, n, task, study, dst)
			stored := slices.ContainsFunc(dst.Recorder().Log().Stores, func(s pacs.Transfer) bool {
				return s.SOPInstanceUID == uid && s.Status == 0
			})
			require.Equal(t, task.Status == jobs.Success, stored)
		})
	}
}
