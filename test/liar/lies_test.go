// SPDX-License-Identifier: AGPL-3.0-or-later

package liar

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// lie is one way in which a peer errs.
type lie struct {
	name string
	// needs says what the tale must have for it; empty: nothing.
	needs string
	tell  func(t *tale, r *rand.Rand)
}

// What a lie needs. Several are joined by a blank.
const (
	aMove    = "move"    // a source that is moved from
	aServer  = "server"  // a destination that is a server
	aFolder  = "folder"  // or a folder
	verified = "checked" // or a server that is asked for what it took
	twoOf    = "two"     // a study of two series at least
	whole    = "whole"   // a task for the whole study
	images   = "images"  // a source that is asked for instances
)

func (l *lie) fits(t *tale) bool {
	has := map[string]bool{
		"":       true,
		aMove:    t.source == "move" || t.source == "plain move" || t.source == "both",
		aServer:  t.target != "folder",
		aFolder:  t.target == "folder",
		verified: t.target == "presence" || t.target == "direct",
		twoOf:    len(t.study.Series) > 1,
		whole:    len(t.chosen) == 0,
		images:   t.source != "no images",
		"commit": t.target == "commitment",
		"skip":   t.target == "skip",
		aWADO:    isWeb(t.source),
		aQIDO:    t.source == "web",
		aSTOW:    isWeb(t.target),
	}
	for need := range strings.SplitSeq(l.needs, " ") {
		if !has[need] {
			return false
		}
	}
	return true
}

// count draws a number that is not the true one.
func count(r *rand.Rand, n int) []string {
	return pick(r, [][]string{{}, {strconv.Itoa(n - 1)}, {strconv.Itoa(n + 3)}, {"0"}, {strconv.Itoa(2 * n)}})
}

// retrieveStatuses are final statuses that say nothing of what was sent.
var retrieveStatuses = []dimse.Status{0x0000, 0xC001, 0x0110, 0xA701, 0xA702, 0xA801, 0xC000, 0xB000, 0xA900}

var lies = slices.Concat(listing, retrieving, moving, storing, folding, searching, bringing, keeping)

// listing are the lies of C-FIND.
var listing = []lie{
	{"the study's count is wrong", "", func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Study, func(l *pacs.ListFaults) {
			answer(
				l, t.study.StudyInstanceUID, dict.NumberOfStudyRelatedInstances, count(r, len(t.study.Instances()))...,
			)
		})
	}},
	{"a series' count is wrong", "", func(t *tale, r *rand.Rand) {
		s := t.someSeries(r)
		t.list(r, &t.src.Find.Series, func(l *pacs.ListFaults) {
			answer(l, s.SeriesInstanceUID, dict.NumberOfSeriesRelatedInstances, count(r, len(s.Instances))...)
		})
	}},
	{"no counts", "", func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Series, func(l *pacs.ListFaults) {
			l.OmitKeys = append(
				l.OmitKeys, dict.NumberOfSeriesRelatedInstances,
			)
		})
		t.list(r, &t.src.Find.Study, func(l *pacs.ListFaults) {
			l.OmitKeys = append(
				l.OmitKeys, dict.NumberOfStudyRelatedInstances,
			)
		})
	}},
	{"the list of series is capped", twoOf, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Series, func(l *pacs.ListFaults) { l.Cap = len(t.study.Series) - 1 })
	}},
	{"a series without UID", "", func(t *tale, r *rand.Rand) {
		s := t.someSeries(r)
		t.list(
			r, &t.src.Find.Series, func(l *pacs.ListFaults) { answer(l, s.SeriesInstanceUID, dict.SeriesInstanceUID) },
		)
	}},
	{"a series with another's UID", twoOf, func(t *tale, r *rand.Rand) {
		s := t.someSeries(r)
		t.list(r, &t.src.Find.Series, func(l *pacs.ListFaults) {
			answer(l, s.SeriesInstanceUID, dict.SeriesInstanceUID, t.otherSeries(r, s).SeriesInstanceUID)
		})
	}},
	{"a modality is missing or wrong", "", func(t *tale, r *rand.Rand) {
		s, modality := t.someSeries(r), pick(r, [][]string{{}, {"SR"}, {"PR"}, {"XX"}})
		t.list(r, &t.src.Find.Series, func(l *pacs.ListFaults) {
			answer(
				l, s.SeriesInstanceUID, dict.Modality, modality...,
			)
		})
	}},
	{"every answer twice", "", func(t *tale, r *rand.Rand) {
		t.src.Find.Study.Twice, t.src.Find.Series.Twice, t.src.Find.Image.Twice = r.IntN(2) == 0, true, r.IntN(2) == 0
	}},
	{"series of other studies", "", func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Series, func(l *pacs.ListFaults) {
			l.IgnoreKeys = append(
				l.IgnoreKeys, dict.StudyInstanceUID,
			)
		})
	}},
	{"series of other studies, without the study's UID", "", func(t *tale, r *rand.Rand) {
		t.alone = true // those of other tasks would be answered as well
		t.list(r, &t.src.Find.Series, func(l *pacs.ListFaults) {
			l.IgnoreKeys, l.OmitKeys = append(l.IgnoreKeys, dict.StudyInstanceUID),
				append(l.OmitKeys, dict.StudyInstanceUID)
		})
	}},
	{"a series that isn't there", "", func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Series, func(l *pacs.ListFaults) {
			l.Unknown = append(
				l.Unknown, t.study.StudyInstanceUID+".77",
			)
		})
	}},
	{"the list of instances is capped", images, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) { l.Cap = 1 + r.IntN(3) })
	}},
	{"the list of instances is empty", images, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) { l.Empty = true })
	}},
	{"the list of instances is refused", images, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) {
			l.Status = pick(r, []dimse.Status{
				0xA900, 0xC000, 0x0122, 0x0110,
			})
		})
	}},
	{"the list of instances grows", images, func(t *tale, r *rand.Rand) {
		l := &t.src.Find.Image
		l.First, l.Cap = 1, 1+r.IntN(2)
	}},
	{"the list of instances shrinks", images, func(t *tale, r *rand.Rand) {
		l := &t.src.Find.Image
		l.After, l.Cap = 1, 1+r.IntN(2)
	}},
	{"some instances are not listed", images, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) { l.Hidden = append(l.Hidden, t.several(r)...) })
	}},
	{"instances of other series are listed", images + " " + twoOf, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) {
			l.IgnoreKeys = append(
				l.IgnoreKeys, dict.SeriesInstanceUID,
			)
		})
	}},
	{"instances of other series are listed, without their series", images + " " + twoOf, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) {
			l.IgnoreKeys, l.OmitKeys = append(l.IgnoreKeys, dict.SeriesInstanceUID),
				append(l.OmitKeys, dict.SeriesInstanceUID)
		})
	}},
	{"instances of other studies are listed", images, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) {
			l.IgnoreKeys = append(l.IgnoreKeys, dict.SeriesInstanceUID, dict.StudyInstanceUID)
		})
	}},
	{"instances that aren't there are listed", images, func(t *tale, r *rand.Rand) {
		uids := pick(r, [][]string{
			{t.kin.Instances()[0].SOPInstanceUID},
			{t.stranger.Instances()[0].SOPInstanceUID, t.stranger.Instances()[1].SOPInstanceUID},
			{t.study.StudyInstanceUID + ".88"},
		})
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) { l.Unknown = append(l.Unknown, uids...) })
	}},
	{"an instance is listed under another's UID", images, func(t *tale, r *rand.Rand) {
		s := t.someSeries(r)
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) {
			answer(l, s.Instances[1].SOPInstanceUID, dict.SOPInstanceUID, s.Instances[0].SOPInstanceUID)
		})
	}},
	{"UIDs that are none are listed", images, func(t *tale, r *rand.Rand) {
		t.list(r, &t.src.Find.Image, func(l *pacs.ListFaults) { l.Unknown = append(l.Unknown, pick(r, badUIDs)) })
	}},
	{"an instance whose UID is none", "", func(t *tale, r *rand.Rand) {
		t.add(t.someSeries(r).Instances[1], map[dict.Tag]string{
			dict.SOPInstanceUID: pick(r, badUIDs) + strconv.FormatUint(t.seed, 10),
		})
		t.lasts()
	}},
	{"one UID in two series", twoOf + " " + whole, func(t *tale, r *rand.Rand) {
		s := t.someSeries(r)
		t.twice = s.Instances[1].SOPInstanceUID
		t.add(t.otherSeries(r, s).Instances[1], map[dict.Tag]string{dict.SOPInstanceUID: t.twice})
		t.lasts()
	}},
	{"the first look-up fails", "", func(t *tale, r *rand.Rand) {
		t.src.Find.First, t.src.Find.Status = 1+r.IntN(4), pick(r, []dimse.Status{0xA700, 0xC001, 0x0110})
	}},
}

var badUIDs = []string{"../../../1.2/", "1.2/3.", "1.2.a.", "..1."}

func (t *tale) add(in *phantom.Instance, values map[dict.Tag]string) {
	e := extra{in, values}
	t.added = append(t.added, e)
	t.untrue[e.uid()] = true
}

// retrieving are the lies of C-GET and C-MOVE.
var retrieving = []lie{
	{
		"sends the whole study", twoOf,
		func(t *tale, r *rand.Rand) { t.retrieves(r, func(f *pacs.GetFaults) { f.Wide = true }) },
	},
	{"sends another series besides", twoOf, func(t *tale, r *rand.Rand) { t.besides(r, t.someSeries(r)) }},
	{"sends another series instead", twoOf, func(t *tale, r *rand.Rand) {
		t.besides(r, t.someSeries(r))
		t.retrieves(r, func(f *pacs.GetFaults) { f.Instead = true })
	}},
	{"sends one instance of another series besides", twoOf, func(t *tale, r *rand.Rand) {
		t.retrieves(r, func(f *pacs.GetFaults) {
			f.Besides = append(f.Besides, pick(r, t.study.Series).Instances[0].SOPInstanceUID)
		})
	}},
	{"sends another study besides", "", func(t *tale, r *rand.Rand) { t.besides(r, t.kin.Series[0]) }},
	{"sends another patient's study besides", "", func(t *tale, r *rand.Rand) { t.besides(r, t.stranger.Series[0]) }},
	{"drops at an object", "", func(t *tale, r *rand.Rand) {
		n, bytes := 1+r.IntN(4), int64(r.IntN(2)*(1+r.IntN(400)))
		t.retrieves(r, func(f *pacs.GetFaults) { f.DropAtObject, f.DropAfterBytes = n, bytes })
	}},
	{"aborts at an object", "", func(t *tale, r *rand.Rand) {
		n := 1 + r.IntN(4)
		t.retrieves(r, func(f *pacs.GetFaults) { f.AbortAtObject = n })
	}},
	{"stalls at an object", "", func(t *tale, r *rand.Rand) {
		n, bytes := 1+r.IntN(4), int64(r.IntN(400))
		t.retrieves(r, func(f *pacs.GetFaults) { f.StallAtObject, f.StallAfterBytes = n, bytes })
	}},
	{"success after some", "", func(t *tale, r *rand.Rand) {
		n := 1 + r.IntN(4)
		t.retrieves(r, func(f *pacs.GetFaults) { f.SuccessAfter = n })
	}},
	{"success, 0 of 0", "", func(t *tale, r *rand.Rand) { t.retrieves(r, func(f *pacs.GetFaults) { f.Empty = true }) }},
	{"a status at once", "", func(t *tale, r *rand.Rand) {
		s := pick(r, retrieveStatuses[1:])
		t.retrieves(r, func(f *pacs.GetFaults) { f.Status = s })
	}},
	{"a final status that lies", "", func(t *tale, r *rand.Rand) {
		s, counts, list := pick(r, retrieveStatuses), r.IntN(2) == 0, r.IntN(2) == 0
		t.retrieves(r, func(f *pacs.GetFaults) { f.FinalStatus, f.NoCounts, f.NoFailedList = &s, counts, list })
	}},
	{"refuses some", "", func(t *tale, r *rand.Rand) {
		uids, s, list := t.several(r), pick(r, []dimse.Status{0, 0, 0xC000, 0xA702, 0x0110}), r.IntN(2) == 0
		times := t.passing(r)
		t.alike(func(f *pacs.GetFaults) {
			f.Refuse, f.RefuseFirst, f.RefusedStatus, f.NoFailedList = uids, times, s, list
		})
	}},
	{"leaves some out and says success", "", func(t *tale, r *rand.Rand) {
		uids, times, counts := t.several(r), t.passing(r), r.IntN(2) == 0
		t.alike(func(f *pacs.GetFaults) {
			f.Refuse, f.RefuseFirst, f.FinalStatus, f.NoCounts = uids, times, new(dimse.Status), counts
		})
	}},
	{"damaged", "", func(t *tale, r *rand.Rand) {
		uids := t.several(r)
		t.retrieves(r, func(f *pacs.GetFaults) { f.Damage = append(f.Damage, uids...) })
	}},
	{"truncated", "", func(t *tale, r *rand.Rand) {
		uid, n := t.some(r), int64(20+r.IntN(600))
		t.retrieves(r, func(f *pacs.GetFaults) { f.Truncate = map[string]int64{uid: n} })
	}},
	{"another SOP Instance UID inside", "", func(t *tale, r *rand.Rand) {
		uid := t.some(r)
		t.inside(r, uid, dict.SOPInstanceUID, pick(r, []string{uid + ".1", t.some(r)}))
	}},
	{"another series inside", "", func(t *tale, r *rand.Rand) {
		t.inside(
			r, t.some(r), dict.SeriesInstanceUID,
			pick(r, []string{t.study.StudyInstanceUID + ".99", pick(r, t.study.Series).SeriesInstanceUID}),
		)
	}},
	{"another study inside", "", func(t *tale, r *rand.Rand) {
		t.inside(
			r, t.some(r), dict.StudyInstanceUID, t.kin.StudyInstanceUID,
		)
	}},
	{"another patient inside", "", func(t *tale, r *rand.Rand) {
		uid := t.some(r)
		t.inside(r, uid, dict.PatientID, t.stranger.Spec.Patient.ID)
		t.strange[uid] = true
	}},
	{"every object twice", "", func(t *tale, r *rand.Rand) { t.alike(func(f *pacs.GetFaults) { f.TwiceAll = true }) }},
	{"out of order", "", func(t *tale, r *rand.Rand) { t.alike(func(f *pacs.GetFaults) { f.OutOfOrder = true }) }},
	{"of odd length", "", func(t *tale, r *rand.Rand) {
		uids := t.several(r)
		for _, uid := range uids {
			t.untrue[uid] = true
		}
		t.alike(func(f *pacs.GetFaults) { f.Odd = append(f.Odd, uids...) })
	}},
	{"counts that lie", "", func(t *tale, r *rand.Rand) {
		counts := dimse.Counts{Completed: dimse.Counted(r.IntN(10)), Failed: dimse.Counted(r.IntN(3))}
		t.retrieves(r, func(f *pacs.GetFaults) { f.Counts = &counts })
	}},
	{"no counts and no pending responses", "", func(t *tale, r *rand.Rand) {
		t.alike(func(f *pacs.GetFaults) { f.NoCounts, f.NoPending = true, true })
	}},
	{"the source rejects associations", "", func(t *tale, r *rand.Rand) {
		t.alone, t.atSource = true, pacs.AssociationFaults{
			First:  1 + r.IntN(3),
			Reject: pick(r, []string{pacs.RejectLimit, pacs.RejectLimit, pacs.RejectCallingAE}),
		}
	}},
	{"the source drops idle associations", "", func(t *tale, r *rand.Rand) {
		t.alone, t.atSource = true, pacs.AssociationFaults{DropIdle: 25 * time.Millisecond}
	}},
}

// alike changes how the source errs by C-GET and C-MOVE, however often it does.
func (t *tale) alike(change func(f *pacs.GetFaults)) {
	change(&t.src.Get)
	change(&t.src.Move.GetFaults)
}

func (t *tale) besides(r *rand.Rand, s *phantom.Series) {
	var uids []string
	for _, in := range s.Instances {
		uids = append(uids, in.SOPInstanceUID)
	}
	t.retrieves(r, func(f *pacs.GetFaults) { f.Besides = append(f.Besides, uids...) })
}

func (t *tale) inside(r *rand.Rand, uid string, tag dict.Tag, value string) {
	t.untrue[uid] = true
	t.retrieves(r, func(f *pacs.GetFaults) {
		if f.Inside == nil {
			f.Inside = map[string]map[dict.Tag]string{}
		}
		if f.Inside[uid] == nil {
			f.Inside[uid] = map[dict.Tag]string{}
		}
		f.Inside[uid][tag] = value
	})
}

// moving are the lies of C-MOVE alone.
var moving = []lie{
	{"some come late", aMove, func(t *tale, r *rand.Rand) { t.src.Move.Late = 1 + r.IntN(3) }},
	{"all come late, one after the other", aMove, func(t *tale, r *rand.Rand) {
		m := &t.src.Move
		m.Late, m.LatePause = 100, time.Duration(5+r.IntN(40))*time.Millisecond
		m.Counts = pick(r, []*dimse.Counts{nil, {Completed: dimse.Counted(1)}, {Completed: dimse.Counted(0)}})
	}},
	{"over several associations", aMove, func(t *tale, r *rand.Rand) { t.src.Move.Associations = 2 + r.IntN(3) }},
	{"without originator", aMove, func(t *tale, r *rand.Rand) { t.src.Move.NoOriginator = t.source != "move" && t.source != "both" }},
	{"the C-MOVE reaches nobody", aMove, func(t *tale, r *rand.Rand) {
		t.src.Move.Status = pick(r, []dimse.Status{0xA801, 0xC000, 0xA702})
		if t.src.Move.First == 0 {
			t.lasts()
		}
	}},
}

// storing are the lies of destinations that are servers.
var storing = []lie{
	{"refuses to store some", aServer, func(t *tale, r *rand.Rand) {
		s := pick(r, []dimse.Status{0xA700, 0xC000, 0x0122, 0x0110, 0xA900, 0x0124, 0x0111})
		for _, uid := range t.several(r) {
			t.status(uid, s)
		}
		t.dst.Store.StatusesFirst = t.passing(r)
	}},
	{"stores some with a remark", aServer, func(t *tale, r *rand.Rand) {
		for _, uid := range t.several(r) {
			t.status(uid, pick(r, []dimse.Status{0xB000, 0xB006, 0xB007}))
		}
	}},
	{"acknowledges and keeps nothing", aServer, func(t *tale, r *rand.Rand) {
		t.dst.Store.Lose = append(t.dst.Store.Lose, t.several(r)...)
		t.lasts()
	}},
	{"acknowledges another UID", aServer, func(t *tale, r *rand.Rand) {
		t.dst.Store.Misname = append(t.dst.Store.Misname, t.some(r))
		t.lasts()
	}},
	{
		"aborts at an object that it is sent", aServer,
		func(t *tale, r *rand.Rand) { t.dst.Store.AbortAtObject = 1 + r.IntN(6) },
	},
	{"drops at an object that it is sent", aServer, func(t *tale, r *rand.Rand) {
		t.dst.Store.DropAtObject, t.dst.Store.DropAfterBytes = 1+r.IntN(6), int64(r.IntN(500))
	}},
	{
		"stalls at an object that it is sent", aServer,
		func(t *tale, r *rand.Rand) { t.dst.Store.StallAtObject = 1 + r.IntN(6) },
	},
	{"the destination rejects associations", aServer, func(t *tale, r *rand.Rand) {
		t.alone, t.atTarget = true, pacs.AssociationFaults{First: 1 + r.IntN(3), Reject: pacs.RejectLimit}
	}},
	{"the destination rejects contexts", aServer, func(t *tale, r *rand.Rand) {
		t.alone, t.atTarget = true, pacs.AssociationFaults{First: 1 + r.IntN(2), NoContexts: true}
	}},
	{"the destination drops idle associations", aServer, func(t *tale, r *rand.Rand) {
		t.alone, t.atTarget = true, pacs.AssociationFaults{DropIdle: 25 * time.Millisecond}
	}},
	{"holds older ones already", aServer, func(t *tale, r *rand.Rand) {
		for _, in := range t.study.Instances() {
			if r.IntN(2) == 0 {
				t.hold(in, map[dict.Tag]string{dict.StudyID: "older"})
			}
		}
	}},
	{"holds strangers in the same series", aServer, func(t *tale, r *rand.Rand) {
		s := t.someSeries(r)
		for i, in := range s.Instances {
			t.hold(in, map[dict.Tag]string{dict.SOPInstanceUID: fmt.Sprintf("%s.%d", t.study.StudyInstanceUID, 500+i)})
		}
	}},
	{"counts strangers, has no list, keeps not all", verified, func(t *tale, r *rand.Rand) {
		s := t.someSeries(r)
		t.hold(s.Instances[0], map[dict.Tag]string{dict.SOPInstanceUID: t.study.StudyInstanceUID + ".500"})
		t.dst.Store.Lose = append(t.dst.Store.Lose, s.Instances[1].SOPInstanceUID)
		t.dst.Find.Image.Status = dimse.DataSetMismatch
		t.lasts()
	}},
	{"the destination has no list", aServer, func(t *tale, r *rand.Rand) {
		t.dst.Find.Image.Status = dimse.DataSetMismatch
	}},
	{"the destination lists what it wants", verified, func(t *tale, r *rand.Rand) {
		t.dst.Find.Image.Hidden = t.several(r)
		t.dst.Find.Image.First = t.passing(r)
	}},
	{"commits and fails at once", "commit", func(t *tale, r *rand.Rand) {
		t.dst.Commitment.Both = t.several(r)
		t.lasts()
	}},
	{"refuses commitment", "commit", func(t *tale, r *rand.Rand) {
		t.dst.Commitment.Refuse = t.several(r)
		t.lasts()
	}},
}

func (t *tale) status(uid string, s dimse.Status) {
	if t.dst.Store.Statuses == nil {
		t.dst.Store.Statuses = map[string]dimse.Status{}
	}
	t.dst.Store.Statuses[uid] = s
}

func (t *tale) hold(in *phantom.Instance, values map[dict.Tag]string) {
	t.held = append(t.held, extra{in, values})
}

// folding are those of folders. They need a second look at the source, which something has to cause: at first the last
// instance of each series is left out.
var folding = []lie{
	{"a file is removed between two attempts", aFolder, func(t *tale, r *rand.Rand) {
		t.again()
		t.looks[2] = func(p *performance) {
			if files := p.files(); len(files) > 0 {
				_ = os.Remove(files[r.IntN(len(files))])
			}
		}
	}},
	{"the folder is emptied between two attempts", aFolder, func(t *tale, r *rand.Rand) {
		t.again()
		t.alone = true
		t.looks[2] = func(p *performance) { p.exchange() }
	}},
	{"the folder can't be written to at first", aFolder, func(t *tale, r *rand.Rand) {
		t.again()
		t.alone = true
		t.looks[1] = func(p *performance) {
			p.exchange()
			_ = os.Remove(p.lane.folder)
			_ = os.WriteFile(p.lane.folder, nil, 0o600)
		}
		t.looks[2] = func(p *performance) { p.putBack() }
	}},
	{"a file of the same name is there", aFolder, func(t *tale, r *rand.Rand) {
		in := t.someSeries(r).Instances[1]
		t.looks[1] = func(p *performance) {
			path := p.pathOf(in)
			if os.MkdirAll(filepath.Dir(path), 0o700) == nil {
				_ = os.WriteFile(path, []byte("not an instance"), 0o600)
				p.mu.Lock()
				defer p.mu.Unlock()
				p.planted = path
			}
		}
	}},
}

// again has the first attempts fail: something is left out that the source calls a success.
func (t *tale) again() {
	times := 5 // the first attempt asks four times by each method
	if t.source == "both" {
		times = 9
	}
	t.alike(func(f *pacs.GetFaults) {
		for _, s := range t.study.Series {
			f.Refuse = append(f.Refuse, s.Instances[len(s.Instances)-1].SOPInstanceUID)
		}
		f.RefuseFirst, f.FinalStatus, f.NoCounts = times, new(dimse.Status), true
	})
	t.lasts()
}
