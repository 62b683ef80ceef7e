// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/pacs"
)

const (
	// firstProbe is how soon one more than a server takes, which may be none, is tried for the first time.
	firstProbe = 5 * time.Second
	// longestMore is how long a server that takes some is left alone at most: with growth after it, its whole cap is in use within two minutes.
	longestMore = time.Minute

	// refusedPatience is how long a study is refused while others of its server go through before that is its own failure. A night's work at a
	// full archive is over by then, and a person can still look into it on the day on which the job was made.
	refusedPatience = 4 * time.Hour
	// suspectAfter is after how many refusals in a row a study, if others go through, says nothing about its server any more.
	suspectAfter = 3
	// silentShare bounds what a study that a server answers nothing about takes of one place there: one part in so many.
	silentShare = 12
)

// down says that a server refused what a run asked of it, or could not be had, before it answered anything.
type down struct {
	server DICOMNode
	reason string
	gone   bool // there is no association to be had, so that it is not the study
	echo   bool // a C-ECHO would tell whether that has passed
	silent bool // it said nothing until the idle timeout
}

// downOf finds out of an error of a run whether a server refused it, and which.
func (r *run) downOf(err error) *down {
	d, heard := &down{server: r.src, reason: strings.TrimSuffix(err.Error(), ".")}, &r.heardSource
	if _, ok := errors.AsType[*atDestination](err); ok {
		d.server, heard = r.dst, &r.heardDestination
	}
	if d.server.Server == nil {
		return nil
	}
	_, d.silent = errors.AsType[*ul.TimeoutError](err)
	if own, ok := errors.AsType[*fault](err); ok {
		if own.full {
			return d
		}
		return nil
	}
	if _, unopened := errors.AsType[*pacs.NoAssociation](err); unopened {
		rejected, isRejected := errors.AsType[*ul.RejectedError](err)
		d.gone, d.echo = !isRejected || !rejected.Transient(), !isRejected || !heard.Load()
		return d
	}
	if Unreachable(err) || !heard.Load() && (d.silent || heard == &r.heardSource && brokenOff(err)) {
		return d
	}
	return nil
}

// unanswered reports whether a server that was sent an object said nothing to it, or ended the association instead.
func unanswered(err error) bool {
	if _, source := errors.AsType[*ul.SourceError](err); source {
		return false
	}
	_, silent := errors.AsType[*ul.TimeoutError](err)
	return silent || brokenOff(err)
}

// brokenOff reports whether a server ended an association without a word of DIMSE.
func brokenOff(err error) bool {
	_, lost := errors.AsType[*ul.LostError](err)
	_, aborted := errors.AsType[*ul.AbortedError](err)
	return lost || aborted || errors.Is(err, dimse.ErrReleased)
}

// pressure is what a server has said that it bears of jobs: DESIGN.md, "Pressure".
type pressure struct {
	db.ServerState
	now     time.Time
	used    int32         // associations that it is used for, among them that of the run which is judged
	longest time.Duration // between two tries
}

// lockPressure reads it, and keeps it until the transaction ends.
func (e *Engine) lockPressure(ctx context.Context, q *db.Queries, server int64) (*pressure, error) {
	row, err := q.LockPressure(ctx, server)
	return &pressure{ServerState: row.ServerState, now: row.Now, used: int32(row.Used), longest: e.cfg.ProbePause}, err
}

func (p *pressure) put(ctx context.Context, q *db.Queries) error {
	return q.PutPressure(ctx, db.PutPressureParams{
		ServerID: p.ServerID, Breaker: p.Breaker, BreakerReason: p.BreakerReason, BreakerAt: p.BreakerAt, ProbeAt: p.ProbeAt,
		Allowance: p.Allowance, Ceiling: p.Ceiling, Tries: p.Tries, TrialTask: p.TrialTask, Echo: p.Echo, Echoed: p.Echoed,
		RefusedTask: p.RefusedTask, SucceededTask: p.SucceededTask, SucceededAt: p.SucceededAt, TroubledAt: p.TroubledAt,
	})
}

func (p *pressure) open() bool { return p.Breaker == breakerOpen }

func is(kept *int64, task int64) bool { return kept != nil && *kept == task }

// refuse takes down that a task was refused, and reports whether that is the server's. The first refusal after a success is the study's alone;
// that of another task, with no success in between, halves what the server is used for at once, down to nothing. A trial says only that there
// is no room for one more. suspect: the study was refused often while others went through.
func (p *pressure) refuse(d *down, task int64, suspect bool) (servers bool) {
	own := is(p.SucceededTask, task) && p.RefusedTask == nil // it had got through itself, and then no further
	trial := is(p.TrialTask, task)
	alone := suspect || !own && (p.RefusedTask == nil || is(p.RefusedTask, task))
	switch {
	case p.open():
		if trial {
			p.BreakerReason, p.Echo = d.reason, d.echo && !p.Echoed
			p.later()
		}
	case d.gone:
		p.trip(d, own)
	case !suspect && p.proving():
		p.Allowance = new(*p.Ceiling - 1)
		p.later()
		return true
	case trial:
		p.later()
		return true
	case alone:
		if !suspect {
			p.RefusedTask = &task
		}
		return false
	default:
		p.halve(d, own)
	}
	p.RefusedTask, p.TroubledAt = &task, &p.now
	return true
}

func (p *pressure) halve(d *down, own bool) {
	n := p.used
	if p.Allowance != nil {
		n = min(n, *p.Allowance)
	}
	if n /= 2; n == 0 {
		p.trip(d, own)
		return
	}
	p.Allowance, p.Ceiling, p.TrialTask = &n, new(p.used), nil
	p.later()
}

// trip opens the breaker. The pauses go on from where they were, if nothing but a C-ECHO or the task itself has got through meanwhile.
func (p *pressure) trip(d *down, own bool) {
	if !p.Echoed && !own {
		p.Tries = 0
	}
	p.Breaker, p.BreakerReason, p.BreakerAt, p.Echo = breakerOpen, d.reason, &p.now, d.echo && !p.Echoed
	p.Allowance, p.Ceiling = new(int32), nil
	p.later()
}

// later has the next try wait, twice as long as the last one.
func (p *pressure) later() {
	longest := p.longest
	if !p.open() {
		longest = min(longest, longestMore)
	}
	at := p.now.Add(doubled(firstProbe, p.Tries, longest))
	p.ProbeAt, p.TrialTask = &at, nil
	p.Tries++
}

// doubled doubles a pause so many times, up to the longest.
func doubled(first time.Duration, times int32, longest time.Duration) time.Duration {
	return min(first<<min(times, 10), longest)
}

// succeed takes down that the server did what a task asked of it: one more is let in, up to one below what was refused last.
func (p *pressure) succeed(task int64) {
	trial, instead := is(p.TrialTask, task), p.RefusedTask != nil && !is(p.RefusedTask, task) // the trial took the place of another one
	p.RefusedTask, p.SucceededTask, p.SucceededAt, p.Echoed = nil, &task, &p.now, false
	if p.Allowance == nil {
		return
	}
	n := *p.Allowance + 1
	switch {
	case p.open():
		n++ // there was room for this one
		p.close()
	case trial && instead:
		p.later()
	case trial: // others may yet be refused in its place
		p.Allowance, p.ProbeAt, p.TrialTask = &n, new(p.now.Add(min(firstProbe, p.longest))), nil
		return
	case p.proving() && !p.now.Before(*p.ProbeAt):
		p.Ceiling, p.Tries, p.ProbeAt = nil, 0, nil
	}
	if p.Ceiling == nil || n < *p.Ceiling {
		p.Allowance = &n
	}
	if most := max(p.BatchCap, p.OutsideCap); most > 0 && *p.Allowance >= most {
		p.Allowance, p.Ceiling, p.Tries, p.ProbeAt, p.TrialTask = nil, nil, 0, nil, nil
	}
}

// proving reports whether a trial got through, and nobody was refused in its place so far.
func (p *pressure) proving() bool {
	return p.Allowance != nil && p.Ceiling != nil && *p.Allowance >= *p.Ceiling && p.ProbeAt != nil
}

func (p *pressure) close() {
	p.Breaker, p.BreakerReason, p.BreakerAt, p.ProbeAt, p.TrialTask = "closed", "", nil, nil, nil
}

// answered takes down that a server which could not be had answered a C-ECHO. Whether it does what tasks need of it, the next one finds out.
func (p *pressure) answered() {
	p.close()
	p.Allowance, p.Echoed = new(int32(1)), true
}

// end gives a trial back that neither got through nor was refused.
func (p *pressure) end(task int64) {
	if is(p.TrialTask, task) {
		p.ProbeAt, p.TrialTask = new(p.now.Add(doubled(firstProbe, p.Tries, p.longest))), nil
	}
}

// bookRefusal takes down, where a run ends, that a server refused it: for the server, and for the study, which waits.
func (e *Engine) bookRefusal(ctx context.Context, q *db.Queries, o *Outcome, t *db.Task, p *db.EndLeaseParams) error {
	d := o.down
	st, err := e.lockPressure(ctx, q, d.server.ID)
	if err != nil {
		return err
	}
	before := st.Breaker
	since := st.now
	if t.Refused > 0 && t.RefusedSince != nil && t.RefusedSince.Before(since) {
		since = *t.RefusedSince
	}
	passed := st.SucceededAt != nil && st.SucceededAt.After(since) && !st.SucceededAt.After(st.now) // others got through meanwhile
	servers := st.refuse(d, t.ID, passed && t.Refused >= suspectAfter)
	if err := st.put(ctx, q); err != nil {
		return err
	}
	p.Refused, p.RefusedSince = t.Refused+1, &since
	longest := e.cfg.ProbePause
	if passed {
		longest *= 3
	}
	switch {
	case servers && st.open(): // it goes on when the server takes something again
		p.WaitSeconds = 0
	case o.Wait == 0: // nothing but the refusal says how long
		p.WaitSeconds = doubled(min(firstProbe, e.cfg.ProbePause), t.Refused, longest).Seconds()
		if passed && d.silent { // each try keeps a place from others for that long
			p.WaitSeconds = max(p.WaitSeconds, float64(silentShare*d.server.Server.IdleTimeoutS))
		}
	}
	if st.open() && before != breakerOpen {
		e.log.WarnContext(ctx, "a server can't be had; its tasks wait", "server", d.server.Name, "reason", d.reason)
	}
	if !servers {
		st.judgeStudy(d, since, p)
	}
	return nil
}

// judgeStudy fails a study that a server has refused for too long while others went through, not long ago either, and the server had no trouble.
func (p *pressure) judgeStudy(d *down, since time.Time, end *db.EndLeaseParams) {
	if p.TroubledAt != nil && p.TroubledAt.After(since) && !p.TroubledAt.After(p.now) {
		since = *p.TroubledAt
	}
	elapsed := p.now.Sub(since)
	if elapsed < refusedPatience || p.SucceededAt == nil || !p.SucceededAt.After(since) || p.now.Sub(*p.SucceededAt) > refusedPatience/4 {
		return
	}
	end.Status, end.WaitingReason, end.WaitSeconds = Failure, "", 0
	end.Message = fmt.Sprintf("DICOM Server %s has refused this study for %s while others went through: %s. Ask its administrator what is wrong with it there, then retry.",
		d.server.Name, elapsed.Round(time.Minute), d.reason)
}

// bookSuccess takes down where a run ends what went well at servers that have refused something lately.
func (e *Engine) bookSuccess(ctx context.Context, q *db.Queries, o *Outcome) error {
	r := o.run
	nodes := []DICOMNode{r.src, r.dst}
	slices.SortFunc(nodes, func(a, b DICOMNode) int { return cmp.Compare(a.ID, b.ID) }) // so that no two ends wait for each other
	for _, n := range nodes {
		if n.Server == nil || o.down != nil && o.down.server.ID == n.ID {
			continue
		}
		st, err := e.lockPressure(ctx, q, n.ID)
		if err != nil {
			return err
		}
		if r.wentWell(o, n) {
			if booked, _ := r.booked.Load(n.ID); booked == nil {
				st.succeed(r.held.TaskID)
			}
		} else {
			st.end(r.held.TaskID)
		}
		if err := st.put(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// wentWell reports whether a server did what a run that has ended asked of it.
func (r *run) wentWell(o *Outcome, n DICOMNode) bool {
	if n.ID == r.dst.ID {
		return r.heardDestination.Load()
	}
	return r.heardSource.Load() && (r.progress.Received.Load() > r.before || !o.failed && !o.waited && o.Status != Pending)
}

// gotThrough takes down, while the run goes on, that a server did what was asked of it for the first time. Nothing is to be done unless it has
// refused something lately.
func (r *run) gotThrough(ctx context.Context, n DICOMNode) {
	if !n.pressed {
		return
	}
	if _, booked := r.booked.LoadOrStore(n.ID, true); booked {
		return
	}
	r.booking.Go(func() {
		err := r.e.inTx(ctx, func(q *db.Queries) error {
			st, err := r.e.lockPressure(ctx, q, n.ID)
			if err != nil {
				return err
			}
			st.succeed(r.held.TaskID)
			return st.put(ctx, q)
		})
		if err != nil {
			r.booked.Delete(n.ID) // the end of the run does it
			return
		}
		r.e.signals.Wake()
	})
}
