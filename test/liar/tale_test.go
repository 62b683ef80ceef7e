// SPDX-License-Identifier: AGPL-3.0-or-later

package liar

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// tale is what one task meets, all of it drawn from its seed.
type tale struct {
	seed   uint64
	source string // how the source is set up: a key of sources
	target string // how the destination is: a key of targets
	lies   []*lie

	study    *phantom.Study
	kin      *phantom.Study // another one of the same patient
	stranger *phantom.Study // of another patient
	chosen   []string       // Series Instance UIDs; none: the whole study

	src, dst pacs.Misbehave
	atSource pacs.AssociationFaults // of the whole source, which no other task uses meanwhile
	atTarget pacs.AssociationFaults
	added    []extra                    // instances that the source has besides the study's own
	held     []extra                    // instances that the destination has before
	looks    map[int]func(*performance) // what happens when the study is looked up for the nth time
	alone    bool                       // no other task may use the same peers meanwhile
	untrue   map[string]bool            // SOP Instance UIDs whose data sets are not the synthetic ones
	strange  map[string]bool            // of them, those that tell of another patient
	twice    string                     // a SOP Instance UID that two series have, with two contents
	lasting  []string                   // lies that don't pass by themselves
	telling  *lie                       // while it is told
}

// extra is an instance with other values of some attributes.
type extra struct {
	in     *phantom.Instance
	values map[dict.Tag]string
}

func (e extra) uid() string {
	if uid, ok := e.values[dict.SOPInstanceUID]; ok {
		return uid
	}
	return e.in.SOPInstanceUID
}

func (e extra) series() string {
	if uid, ok := e.values[dict.SeriesInstanceUID]; ok {
		return uid
	}
	return e.in.Series().SeriesInstanceUID
}

// draw draws a tale. Without names it chooses its lies among those that fit; else it tells those named.
func draw(seed uint64, names []string) *tale {
	t := &tale{seed: seed, looks: map[int]func(*performance){}, untrue: map[string]bool{}, strange: map[string]bool{}}
	r := t.random("tale")
	t.source, t.target = pick(r, sourceNames), pick(r, targetNames)
	if t.target == "direct" && !slices.Contains([]string{"move", "both"}, t.source) {
		t.source = "both"
	}
	t.drawWeb()
	t.drawStudies(r)
	count := []int{0, 1, 1, 1, 2, 2, 2, 3, 3, 4}[r.IntN(10)]
	var fit []*lie
	for i := range lies {
		if lies[i].fits(t) {
			fit = append(fit, &lies[i])
		}
	}
	r.Shuffle(len(fit), func(i, j int) { fit[i], fit[j] = fit[j], fit[i] })
	if t.random("web first").IntN(4) > 0 {
		webFirst(fit)
	}
	for _, l := range fit {
		if names != nil && slices.Contains(names, l.name) || names == nil && len(t.lies) < count {
			t.lies = append(t.lies, l)
		}
	}
	for _, l := range t.lies {
		t.telling = l
		l.tell(t, t.random(l.name))
	}
	return t
}

// random returns a source of chance that depends on the seed and a name alone, so that leaving out one lie doesn't
// change the others.
func (t *tale) random(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(t.seed, h.Sum64()))
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func (t *tale) drawStudies(r *rand.Rand) {
	kinds := []phantom.Kind{phantom.CT, phantom.CT, phantom.MR, phantom.SecondaryCapture, phantom.Report}
	small := func() phantom.SeriesSpec {
		s := phantom.SeriesSpec{Kind: pick(r, kinds), Instances: 2 + r.IntN(6), Rows: 8, Columns: 8}
		if r.IntN(4) == 0 {
			s.TransferSyntaxUID = dict.ImplicitVRLittleEndian
		}
		return s
	}
	patient := phantom.Patient{ID: fmt.Sprintf("LIAR-%x", t.seed), Name: "Liar^Leo", Sex: "O"}
	spec := phantom.StudySpec{Patient: patient}
	if t.random("age").IntN(2) == 0 { // it may still grow, and its lists are asked for again
		spec.Date = time.Now().Format("20060102")
	}
	for range 1 + r.IntN(3) {
		spec.Series = append(spec.Series, small())
	}
	if len(spec.Series) == 1 {
		spec.Series[0].Instances++
	}
	one := []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 2, Rows: 8, Columns: 8}}
	t.study = phantom.New(t.seed*4, spec)
	t.kin = phantom.New(t.seed*4+1, phantom.StudySpec{Patient: patient, Series: one})
	t.stranger = phantom.New(t.seed*4+2,
		phantom.StudySpec{Patient: phantom.Patient{ID: patient.ID + "-OTHER", Name: "Liar^Other"}, Series: one},
	)
	if len(spec.Series) > 1 && r.IntN(3) == 0 {
		for _, i := range r.Perm(len(spec.Series))[:1+r.IntN(len(spec.Series)-1)] {
			t.chosen = append(t.chosen, t.study.Series[i].SeriesInstanceUID)
		}
	}
}

// wants reports whether a series is among what the task is to move.
func (t *tale) wants(series string) bool {
	if len(t.chosen) == 0 {
		return slices.ContainsFunc(
			t.study.Series, func(s *phantom.Series) bool { return s.SeriesInstanceUID == series },
		)
	}
	return slices.Contains(t.chosen, series)
}

// someSeries picks a series that the task is to move.
func (t *tale) someSeries(r *rand.Rand) *phantom.Series {
	var wanted []*phantom.Series
	for _, s := range t.study.Series {
		if t.wants(s.SeriesInstanceUID) {
			wanted = append(wanted, s)
		}
	}
	return pick(r, wanted)
}

// otherSeries picks one that it isn't, or not the one given; nil if there is none.
func (t *tale) otherSeries(r *rand.Rand, not *phantom.Series) *phantom.Series {
	var others []*phantom.Series
	for _, s := range t.study.Series {
		if s != not {
			others = append(others, s)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return pick(r, others)
}

// some picks an instance that the task is to move, never the first of its series.
func (t *tale) some(r *rand.Rand) string {
	s := t.someSeries(r)
	return s.Instances[1+r.IntN(len(s.Instances)-1)].SOPInstanceUID
}

// several picks one to three of them.
func (t *tale) several(r *rand.Rand) []string {
	var uids []string
	for range 1 + r.IntN(3) {
		if uid := t.some(r); !slices.Contains(uids, uid) {
			uids = append(uids, uid)
		}
	}
	return uids
}

// passing draws how often the lie in hand is told: once, some times, or for ever (0), which is taken down.
func (t *tale) passing(r *rand.Rand) int {
	times := pick(r, []int{1, 1, 2, 4, 0, 0})
	if times == 0 {
		t.lasts()
	}
	return times
}

func (t *tale) lasts() { t.lasting = append(t.lasting, t.telling.name) }

// retrieves changes how the source errs by C-GET and by C-MOVE; where it knows both, at times by C-GET alone. All lies
// of one tale about retrieves are told equally often.
func (t *tale) retrieves(r *rand.Rand, change func(f *pacs.GetFaults)) {
	change(&t.src.Get)
	if t.source != "both" || r.IntN(2) == 0 {
		change(&t.src.Move.GetFaults)
	}
	shared := t.random("retrieves")
	first := pick(shared, []int{1, 1, 2, 5, 0, 0})
	if t.src.Get.First, t.src.Move.First = first, first; first == 0 {
		t.lasts()
	}
}

// list changes the answers of a level, for some askings or for ever.
func (t *tale) list(r *rand.Rand, l *pacs.ListFaults, change func(l *pacs.ListFaults)) {
	change(l)
	if l.First == 0 && l.After == 0 && r.IntN(4) == 0 {
		l.First = 1 + r.IntN(2)
		return
	}
	t.lasts()
}

// answer has one entity answered with another value.
func answer(l *pacs.ListFaults, uid string, tag dict.Tag, values ...string) {
	if l.Answers == nil {
		l.Answers = map[string]map[dict.Tag][]string{}
	}
	if l.Answers[uid] == nil {
		l.Answers[uid] = map[dict.Tag][]string{}
	}
	l.Answers[uid][tag] = values
}

func (t *tale) String() string {
	names := make([]string, len(t.lies))
	for i, l := range t.lies {
		names[i] = l.name
	}
	what := "the whole study"
	if len(t.chosen) > 0 {
		what = fmt.Sprintf("%d series of %d", len(t.chosen), len(t.study.Series))
	}
	return fmt.Sprintf("-seed %d -tasks 1: source %s, destination %s, %s of %d instances in %d series, lies: %s",
		t.seed, t.source, t.target, what, len(t.study.Instances()), len(t.study.Series), strings.Join(names, " + "))
}

func (t *tale) lieNames() []string {
	names := []string{}
	for _, l := range t.lies {
		names = append(names, l.name)
	}
	return names
}
