// SPDX-License-Identifier: AGPL-3.0-or-later

// Package reading gives the instances of a server to somebody who waits for them: each series is fetched once, by all
// who read it together, and kept on the disk for a while. See DESIGN.md.
package reading

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes    *nodes.Service
	projects *projects.Service
	retrieve *retrieve.Service
	foreseen *source.Foreseen
	cache    *Cache // nil: nothing can be read here

	outs *outs

	retrieves *prometheus.CounterVec

	mu      sync.Mutex
	queues  map[int64]*queue        // by server
	studies map[studyKey]*heldStudy // what servers said of studies a moment ago
	told    map[disclosure]*telling // what the audit log was told, or is being told
}

// New returns the service of an engine, which reads nothing until it has a cache.
func New(b *base.Base, ofNodes *nodes.Service, ofProjects *projects.Service, ofRetrieve *retrieve.Service) *Service {
	svc := &Service{
		Base: b, nodes: ofNodes, projects: ofProjects, retrieve: ofRetrieve, foreseen: source.NewForeseen(),
		outs:   &outs{all: map[outKey]*out{}},
		queues: map[int64]*queue{}, studies: map[studyKey]*heldStudy{}, told: map[disclosure]*telling{},
		retrieves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_series_read_total",
			Help: "Series that somebody read by DICOMweb: fetched from the server, copied from another member, or there (held).",
		}, []string{"from"}),
	}
	for _, from := range []string{fromServer, fromMember, held} {
		svc.retrieves.WithLabelValues(from)
	}
	return svc
}

// SetCache gives the service the disk that it needs. It is called once, before the first request.
func (svc *Service) SetCache(c *Cache) {
	svc.cache = c
	if svc.Config.Cluster {
		c.gone = svc.dropped
	}
}

// Keep removes what nobody has read for a while, until the context ends.
func (svc *Service) Keep(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			svc.cache.Expire(now)
			if _, err := svc.Q.DeleteOldReadSeries(ctx); err != nil {
				svc.Log.WarnContext(ctx, "old series can't be forgotten now", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

const keepEvery = time.Minute

// Collectors returns the metrics, to be registered once.
func (svc *Service) Collectors() []prometheus.Collector {
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "adit_series_cache_bytes", Help: "Bytes on the disk of series that somebody read by DICOMweb.",
	}, func() float64 {
		if svc.cache == nil {
			return 0
		}
		return float64(svc.cache.Used())
	})
	return []prometheus.Collector{svc.retrieves, held}
}

// Where a series came from, for the metric.
const (
	fromServer = "server"
	fromMember = "member"
	held       = "held"
)

// Wish says what somebody wants to read, and how it is to be changed.
type Wish struct {
	AETitle string // of the server
	Study   string // Study Instance UID
	Once    bool   // it is read by Instances, and nothing of it is kept for others

	// Pseudonym has everything de-identified by the profile of the project: that of the user's active group if none is
	// named. The trial's names are written in any case.
	Pseudonym                          string
	TrialProtocolID, TrialProtocolName string
	Project                            string

	Looks bool // nothing goes out: it is only looked whether it could
}

// Reading is a study that somebody may read. It is used by one goroutine at a time.
type Reading struct {
	svc  *Service
	user people.User
	node nodes.DICOMNode
	wish Wish
	job  db.Job // what it pins of the project

	study   *heldStudy
	session *deid.Session
	tie     func(context.Context) error // the patient to the pseudonym
	opened  bool                        // the session was asked for
}

// Open checks what the user may do: read from the server, which is not there for others, by DICOMweb, and see who
// patients are where nothing is de-identified. Errors: *people.Denied, refusal.ErrNotFound, *refusal.Invalid.
func (svc *Service) Open(ctx context.Context, user people.User, w Wish) (*Reading, error) {
	node, err := svc.nodes.ByAETitleFor(ctx, user, people.DICOMwebRetrieve, w.AETitle, nodes.AsSource)
	if err != nil {
		return nil, err
	}
	return svc.open(ctx, user, node, w)
}

// OpenAt does the same for who has another permission, and names the server. Its AE title in the wish is not heeded.
func (svc *Service) OpenAt(ctx context.Context, user people.User, server, permission string, w Wish) (*Reading, error) {
	node, err := svc.nodes.ByName(ctx, server)
	if err != nil {
		return nil, err
	}
	if node.Server == nil {
		return nil, &refusal.Invalid{Reason: "this DICOM node is a folder, and no server"}
	}
	a := nodes.AsSource(node.ID)
	a.Permissions = []string{permission}
	if err := svc.People.Check(ctx, user.ID, a); err != nil {
		return nil, err
	}
	return svc.open(ctx, user, node, w)
}

func (svc *Service) open(ctx context.Context, user people.User, node nodes.DICOMNode, w Wish) (_ *Reading, err error) {
	if !fault.ValidUID(w.Study) {
		return nil, &refusal.Invalid{Field: "study", Reason: "is not a UID"}
	}
	r := &Reading{svc: svc, user: user, node: node, wish: w}
	r.job.TrialProtocolID, r.job.TrialProtocolName = w.TrialProtocolID, w.TrialProtocolName
	if w.Pseudonym != "" {
		if err := deid.CheckPseudonym(w.Pseudonym); err != nil {
			return nil, &refusal.Invalid{Field: "pseudonym", Reason: err.Error()}
		}
	}
	if w.Pseudonym == "" {
		err = pseudonymInstead(
			svc.People.Check(ctx, user.ID, people.Action{Permissions: []string{people.TransferUnpseudonymized}}),
		)
	} else {
		err = r.pin(ctx)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// pseudonymInstead tells who lacks the permission what to do about it themselves.
func pseudonymInstead(err error) error {
	if denied, ok := errors.AsType[*people.Denied](err); ok && !denied.Locked {
		return &people.Denied{Reason: fmt.Sprintf(
			"give a pseudonym (the parameter pseudonym), under which everything is de-identified: your groups lack the "+
				"permission %q, without which nothing goes out as it is", people.TransferUnpseudonymized,
		)}
	}
	return err
}

// pin finds out by which profile and which key everything is de-identified, as for a new job.
func (r *Reading) pin(ctx context.Context) error {
	id, err := r.svc.projects.ProjectOf(ctx, r.user, r.wish.Project)
	if err != nil {
		return err
	}
	var p db.InsertJobParams
	err = r.svc.InTx(ctx, func(q *db.Queries) error { return projects.PinProfile(ctx, q, id, &p) })
	r.job.ProjectID, r.job.ProfileName, r.job.ProfileVersion, r.job.ProfileSha256 = id, p.ProfileName, p.ProfileVersion,
		p.ProfileSha256
	r.job.UidGeneration, r.job.Scan = p.UidGeneration, p.Scan
	return err
}

// Pseudonymizes reports whether instances lose their patient, and get other UIDs than the server has.
func (r *Reading) Pseudonymizes() bool { return r.wish.Pseudonym != "" }

// disclosure is what the audit log tells once, however many requests it takes: a viewer makes thousands, over many
// connections at once.
type disclosure struct {
	user                   int64
	via, machine           string
	server                 int64
	study, series, profile string
	pseudonymized          bool
}

// telling is a row of the audit log, written or on its way.
type telling struct {
	since time.Time
	done  chan struct{} // closed when err is known
	err   error
}

// toldAgain is after which time the audit log tells it once more.
const toldAgain = 15 * time.Minute

// mostTold bounds what is remembered of that.
const mostTold = 10_000

// Record leaves a row in the audit log before something of a study goes out by DICOMweb, about those of some series of
// which it did not tell a moment ago. It returns when it has told of all of them.
func (r *Reading) Record(ctx context.Context, series ...string) error {
	own, others := r.claim(audit.ActorOf(ctx), series)
	if len(own.series) > 0 {
		own.telling.err = r.Tell(ctx, audit.ActRead, own.series)
		if own.telling.err != nil {
			r.svc.forgetTold(own.telling)
		}
		close(own.telling.done)
		if own.telling.err != nil {
			return own.telling.err
		}
	}
	for _, t := range others {
		select {
		case <-t.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if t.err != nil { // that of another request; this one tries itself
			return r.Record(ctx, series...)
		}
	}
	return nil
}

// claimed are series of which a request has to tell.
type claimed struct {
	series  []string
	telling *telling
}

// claim returns those of some series of which nobody has told yet, and what others are telling.
func (r *Reading) claim(by audit.Actor, series []string) (own claimed, others []*telling) {
	machine, _, err := net.SplitHostPort(by.Peer)
	if err != nil {
		machine = by.Peer
	}
	now := time.Now()
	own.telling = &telling{since: now, done: make(chan struct{})}
	svc := r.svc
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if len(svc.told)+len(series) > mostTold {
		clear(svc.told)
	}
	for _, uid := range series {
		d := disclosure{
			user: by.UserID, via: by.Via, machine: machine, server: r.node.ID, study: r.wish.Study, series: uid,
			profile: r.job.ProfileSha256, pseudonymized: r.Pseudonymizes(),
		}
		switch t := svc.told[d]; {
		case t == nil, now.Sub(t.since) >= toldAgain:
			svc.told[d] = own.telling
			own.series = append(own.series, uid)
		case t != own.telling && !slices.Contains(others, t):
			others = append(others, t)
		}
	}
	return own, others
}

// forgetTold has it told again, as it could not be.
func (svc *Service) forgetTold(t *telling) {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	maps.DeleteFunc(svc.told, func(_ disclosure, other *telling) bool { return other == t })
}

// Tell leaves a row in the audit log before something of some series of a study goes out.
func (r *Reading) Tell(ctx context.Context, act string, series []string) error {
	study, err := r.lookUp(ctx)
	if err != nil {
		return err
	}
	return audit.Record(ctx, r.svc.Q, audit.Entry{
		Action: act, Object: "server " + r.node.Name, Source: r.node.Name, PatientID: study.patientID,
		StudyUID: r.wish.Study, Profile: r.job.ProfileName, ProfileSHA256: r.job.ProfileSha256,
		Detail: map[string]any{"series": series, "pseudonymized": r.Pseudonymizes()},
	})
}
