// SPDX-License-Identifier: AGPL-3.0-or-later

package liar

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// sources are the ways in which a source is set up.
var sources = map[string]func(s *nodes.NewServer){
	"get":        func(*nodes.NewServer) {},
	"no images":  func(s *nodes.NewServer) { s.FindImages = new(bool) },
	"move":       func(s *nodes.NewServer) { moved(s); s.Supports.StudyRootGet, s.Retrieve.MoveOriginator = false, true },
	"plain move": func(s *nodes.NewServer) { moved(s); s.Supports.StudyRootGet = false },
	"both":       func(s *nodes.NewServer) { moved(s); s.Retrieve.MoveOriginator = true },
}

func moved(s *nodes.NewServer) {
	s.Supports.StudyRootMove, s.Retrieve.MovePatience = true, time.Second
}

// targets are the ways in which a destination is; nil: a folder.
var targets = map[string]func(s *nodes.NewServer){
	"server": func(*nodes.NewServer) {},
	"mute":   func(s *nodes.NewServer) { s.Supports.StudyRootFind = false },
	"presence": func(s *nodes.NewServer) {
		s.Verify = nodes.Verify{Method: nodes.VerifyPresence, Patience: time.Second}
	},
	"commitment": func(s *nodes.NewServer) {
		s.Verify = nodes.Verify{Method: nodes.VerifyCommitment, Patience: time.Second}
	},
	"skip": func(s *nodes.NewServer) { s.Rules.Duplicates = nodes.SkipDuplicates },
	"direct": func(s *nodes.NewServer) {
		s.Verify = nodes.Verify{Method: nodes.VerifyPresence, Patience: time.Second}
	},
	"folder": nil,
}

var sourceNames, targetNames = slices.Sorted(maps.Keys(sources)), slices.Sorted(maps.Keys(targets))

// perLane is how many tasks share the peers of a lane at a time.
const perLane = 4

// world is a member with the peers that lie to it.
type world struct {
	t      testing.TB
	member *harness.Member

	alike uint64 // lanes of each kind

	making sync.Mutex
	lanes  map[string]*lane

	mu     sync.Mutex
	actors map[string]*performance // by Study and SOP Instance UID
}

// lane is a source and a destination, set up in one way. Up to perLane tasks use it at a time.
type lane struct {
	source, target string
	src, dst       *pacs.PACS
	folder         string

	turn   sync.Mutex // of who takes places
	places chan struct{}
}

func newWorld(t testing.TB, workers int) *world {
	t.Helper()
	w := &world{t: t, alike: 1 + uint64(workers)/100, lanes: map[string]*lane{}, actors: map[string]*performance{}}
	w.member = harness.New(t, harness.Config{
		Silent: true, Workers: workers, Lease: 3 * time.Second,
		Engine: base.Config{VerifyPause: 50 * time.Millisecond},
	})
	_, err := w.member.People.Site.ChangeSettings(
		t.Context(), w.member.Admin, func(s *people.Settings) { s.MaxJobsPerHour = 0 },
	)
	require.NoError(t, err)
	return w
}

// enter returns a lane of the kind that a tale needs, when there is room on it.
func (w *world) enter(t *tale) (l *lane, leave func()) {
	l = w.lane(t.source, t.target, t.seed%w.alike)
	n := 1
	if t.alone {
		n = perLane
	}
	l.turn.Lock()
	for range n {
		l.places <- struct{}{}
	}
	l.turn.Unlock()
	return l, func() {
		for range n {
			<-l.places
		}
	}
}

func (w *world) lane(source, target string, number uint64) *lane {
	w.making.Lock()
	defer w.making.Unlock()
	key := fmt.Sprintf("%s to %s %d", source, target, number)
	if l := w.lanes[key]; l != nil {
		return l
	}
	n := len(w.lanes)
	l := &lane{source: fmt.Sprintf("S%d", n), target: fmt.Sprintf("D%d", n), places: make(chan struct{}, perLane)}
	l.src = w.start(pacs.Config{Gate: w.atSource, Web: &pacs.WebConfig{}})
	l.dst = w.start(pacs.Config{Gate: w.atTarget, Commitment: true, Web: &pacs.WebConfig{}})
	l.src.AddMoveDestination("ADIT", w.member.ReceiverAddr)
	l.src.AddMoveDestination("ADIT_LE", w.member.ReceiverAddr)
	l.src.AddMoveDestination("DIRECT", l.dst.Addr())
	caps := 64
	common := func(s *nodes.NewServer) {
		s.BatchCap, s.AssociationsPerTask, s.IdleTimeout = &caps, 2, time.Second
	}
	change := targets[target]
	if isWeb(target) {
		change = webTargets[target]
	}
	if change != nil {
		w.member.AddServer(l.target, l.target, l.dst.Addr(), func(s *nodes.NewServer) {
			common(s)
			s.DICOMweb.RootURL, s.DICOMweb.AnswerPatience = l.dst.WebURL(), time.Second
			change(s)
		})
	} else {
		l.folder = filepath.Join(w.t.TempDir(), "folder")
		require.NoError(w.t, os.Mkdir(l.folder, 0o755))
		w.member.AddFolder(l.target, l.folder)
	}
	w.member.AddServer(l.source, l.source, l.src.Addr(), func(s *nodes.NewServer) {
		common(s)
		if s.DICOMweb.RootURL = l.src.WebURL(); isWeb(source) {
			webSources[source](s)
		} else {
			sources[source](s)
		}
		if target == "direct" {
			s.Retrieve.Direct = map[string]string{l.target: "DIRECT"}
		}
	})
	w.lanes[key] = l
	return l
}

func (w *world) start(cfg pacs.Config) *pacs.PACS {
	p, err := pacs.Start(cfg)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = p.Close() })
	return p
}

// performance is a tale while it is told, and what came of it.
type performance struct {
	*tale
	lane *lane
	job  jobs.Job
	made chan struct{} // closed when the job is there

	mu      sync.Mutex
	times   int       // that the study was looked up
	healed  bool      // all lies have ended
	planted string    // a file that is not ours
	aside   string    // where the folder's contents are while others are in its place
	seen    *evidence // ever
	now     *evidence // since the study was last looked up
	took    took
}

// evidence is what the source has disclosed.
type evidence struct {
	study   []int             // counts of the study, in the order of the answers; -1: none
	series  map[string][]int  // counts by Series Instance UID
	listed  map[string]string // series by SOP Instance UID, as answered; empty: not told
	doubled map[string]bool   // SOP Instance UIDs that were listed in two series
	arrived map[string]int
	failed  map[string]bool
}

func newEvidence() *evidence {
	return &evidence{
		series: map[string][]int{}, listed: map[string]string{},
		doubled: map[string]bool{}, arrived: map[string]int{}, failed: map[string]bool{},
	}
}

// took is what a destination that is a server did with what it was sent.
type took struct {
	acked   map[string]bool // by SOP Instance UID
	whole   map[string]bool // of them, those whose bytes are what they should be
	ours    map[string]bool // those that came through ADIT
	other   map[string]bool // of them, those that aren't the study's own, to the byte
	lost    map[string]bool // those of which nothing was kept
	already map[string]bool // said to be there
}

func (w *world) actor(uid string) *performance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.actors[uid]
}

// known lists the UIDs by which events are told to be of a performance.
func (p *performance) known() []string {
	uids := []string{}
	for _, st := range []*phantom.Study{p.study, p.kin, p.stranger} {
		uids = append(uids, st.StudyInstanceUID)
		for _, in := range st.Instances() {
			uids = append(uids, in.SOPInstanceUID)
		}
	}
	for _, e := range slices.Concat(p.added, p.held) {
		uids = append(uids, e.uid())
	}
	return uids
}

// stage sets everything up for a tale.
func (w *world) stage(t *tale) (p *performance, strike func()) {
	l, leave := w.enter(t)
	p = &performance{tale: t, lane: l, made: make(chan struct{})}
	p.seen, p.now = newEvidence(), newEvidence()
	p.took = took{
		map[string]bool{},
		map[string]bool{},
		map[string]bool{},
		map[string]bool{},
		map[string]bool{},
		map[string]bool{},
	}
	w.mu.Lock()
	for _, uid := range p.known() {
		w.actors[uid] = p
	}
	w.mu.Unlock()
	l.src.MisbehaveFor(p.study, t.src)
	l.dst.MisbehaveFor(p.study, t.dst)
	l.src.AddStudies(p.study, p.kin, p.stranger)
	for _, e := range t.added {
		l.src.AddInstance(e.in, e.values)
	}
	for _, e := range t.held {
		l.dst.AddInstance(e.in, e.values)
	}
	if t.alone {
		l.src.SetMisbehave(pacs.Misbehave{Association: t.atSource})
		l.dst.SetMisbehave(pacs.Misbehave{Association: t.atTarget})
	}
	return p, func() {
		p.putBack()
		if t.alone {
			l.src.SetMisbehave(pacs.Misbehave{})
			l.dst.SetMisbehave(pacs.Misbehave{})
		}
		for _, st := range []*phantom.Study{p.study, p.kin, p.stranger} {
			l.src.RemoveStudy(st)
			l.dst.RemoveStudy(st)
		}
		w.mu.Lock()
		for _, uid := range p.known() {
			delete(w.actors, uid)
		}
		w.mu.Unlock()
		if l.folder != "" && p.job.ID != 0 {
			_ = os.RemoveAll(p.folder())
		}
		leave()
	}
}

// heal ends all lies.
func (p *performance) heal() {
	p.putBack()
	p.lane.src.MisbehaveFor(p.study, pacs.Misbehave{})
	p.lane.dst.MisbehaveFor(p.study, pacs.Misbehave{})
	if p.alone {
		p.lane.src.SetMisbehave(pacs.Misbehave{})
		p.lane.dst.SetMisbehave(pacs.Misbehave{})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks, p.healed = nil, true
}

// atSource writes down what a source discloses.
func (w *world) atSource(ctx context.Context, e pacs.Event) {
	p := w.actor(e.StudyInstanceUID)
	if p == nil {
		return
	}
	// each page of a search is a request of its own
	searches := e.Kind == pacs.AtWebRequest && e.Request.Service == "search" && e.Request.Offset <= 0
	if (e.Kind == pacs.AtFind || searches) && e.Level == "STUDY" {
		p.look(ctx)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range []*evidence{p.seen, p.now} {
		switch e.Kind {
		case pacs.AtMatch, pacs.AtWebMatch:
			s.answer(p.tale, e)
		case pacs.AtSent, pacs.AtWebSent:
			s.arrived[e.SOPInstanceUID]++
		case pacs.AtGetEnd, pacs.AtMoveEnd:
			for _, uid := range e.Result.FailedSOPInstanceUIDs {
				s.failed[uid] = true
			}
		}
	}
}

func (p *performance) look(ctx context.Context) {
	select {
	case <-p.made:
	case <-ctx.Done():
		return
	}
	p.mu.Lock()
	p.times++
	p.now = newEvidence()
	happens := p.looks[p.times]
	p.mu.Unlock()
	if happens != nil {
		happens(p)
	}
}

func (s *evidence) answer(t *tale, e pacs.Event) {
	number := func(tag dict.Tag) int {
		if n, ok := e.Answer.Int(tag); ok {
			return n
		}
		return -1
	}
	if study := e.Answer.String(dict.StudyInstanceUID); study != "" && study != t.study.StudyInstanceUID {
		return // an answer about something else
	}
	series := e.Answer.String(dict.SeriesInstanceUID)
	switch e.Level {
	case "STUDY":
		s.study = append(s.study, number(dict.NumberOfStudyRelatedInstances))
	case "SERIES":
		s.series[series] = append(s.series[series], number(dict.NumberOfSeriesRelatedInstances))
	case "IMAGE":
		uid := e.Answer.String(dict.SOPInstanceUID)
		if before, ok := s.listed[uid]; ok && before != series && before != "" {
			s.doubled[uid] = true
		}
		s.listed[uid] = series
	}
}

// atTarget writes down what a destination was sent and what it answered.
func (w *world) atTarget(_ context.Context, e pacs.Event) {
	p := w.actor(e.SOPInstanceUID)
	if p == nil || e.Kind != pacs.AtStoreResponse && e.Kind != pacs.AtWebKept {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	uid, lies, byWeb := e.SOPInstanceUID, p.dst.Store, e.Kind == pacs.AtWebKept
	if p.healed || byWeb {
		lies = pacs.StoreFaults{}
	}
	outcome := dimse.Status(e.Transfer.Status).Meaning(dimse.CStore).Outcome
	switch {
	case byWeb && alreadyByWeb(int(e.Transfer.Status)):
		outcome = dimse.AlreadyThere
	case byWeb && e.Transfer.Status != 0:
		return
	}
	switch outcome {
	case dimse.Done, dimse.DoneNoted:
		if slices.Contains(lies.Misname, uid) {
			return
		}
		p.took.acked[uid], p.took.lost[uid] = true, slices.Contains(lies.Lose, uid) || e.Transfer.Lost
		ours := e.CallingAE == "ADIT" || byWeb // else the source has sent it by itself, and nobody else has seen it
		same := p.same(uid, e.Transfer.SHA256)
		p.took.ours[uid], p.took.other[uid] = ours, ours && !same
		if same || p.untrue[uid] || !ours {
			p.took.whole[uid] = true
		}
	case dimse.AlreadyThere:
		p.took.already[uid] = true
	}
}

// same reports whether a data set is the synthetic one of the study.
func (t *tale) same(uid, digest string) bool {
	for _, in := range t.study.Instances() {
		if in.SOPInstanceUID == uid {
			sum := in.SHA256()
			return hex.EncodeToString(sum[:]) == digest
		}
	}
	return false
}

// folder is the job's own.
func (p *performance) folder() string {
	return filepath.Join(p.lane.folder, fmt.Sprintf(
		"adit_%s_%d_%s_%s", p.job.Kind, p.job.ID, p.job.CreatedAt.Format("20060102"), p.job.Owner,
	))
}

// files lists the DICOM files in it.
func (p *performance) files() []string {
	var files []string
	_ = filepath.WalkDir(p.folder(), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.HasSuffix(path, ".dcm") {
			files = append(files, path)
		}
		return nil
	})
	return files
}

// pathOf is where an instance is to be.
func (p *performance) pathOf(in *phantom.Instance) string {
	var modalities []string
	for _, s := range p.study.Series {
		modalities = append(modalities, s.Modality)
	}
	slices.Sort(modalities)
	return filepath.Join(
		p.folder(), p.study.Spec.Patient.ID,
		cmp.Or(p.study.Spec.Date, "20240102")+"-080000-"+strings.Join(slices.Compact(modalities), ","),
		fmt.Sprintf("%d-Undefined", in.Series().Number), in.SOPInstanceUID+".dcm",
	)
}

// exchange puts an empty folder in the place of the lane's.
func (p *performance) exchange() {
	if p.aside == "" {
		p.aside = p.lane.folder + " aside"
		_ = os.Rename(p.lane.folder, p.aside)
		_ = os.Mkdir(p.lane.folder, 0o755)
	}
}

// putBack undoes exchange.
func (p *performance) putBack() {
	if p.aside != "" {
		_ = os.RemoveAll(p.lane.folder)
		_ = os.Rename(p.aside, p.lane.folder)
		p.aside = ""
	}
}
