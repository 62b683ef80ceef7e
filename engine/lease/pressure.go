// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
)

const (
	// firstProbe is how soon one more than a server takes, which may be none, is tried for the first time.
	firstProbe = 5 * time.Second
	// longestMore is how long a server that takes some is left alone at most: with growth after it, its whole cap is in
	// use within two minutes.
	longestMore = time.Minute

	// refusedPatience is how long a study is refused while others of its server go through before that is its own
	// failure. A night's work at a full archive is over by then, and a person can still look into it on the day on
	// which the job was made.
	refusedPatience = 4 * time.Hour
	// suspectAfter is after how many refusals in a row a study, if others go through, says nothing about its server any
	// more.
	suspectAfter = 3
	// breaksOfAttempt is how many retrieves in a row that break off after an answer are an attempt that failed.
	breaksOfAttempt = 3
	// silentShare bounds what a study that a server answers nothing about takes of one place there: one part in so
	// many.
	silentShare = 12
)

// Down says that a server refused what a run asked of it, or was not available, before it answered anything.
type Down struct {
	Server nodes.DICOMNode
	Reason string
	Gone   bool // no association can be opened, so the study is not the cause
	Echo   bool // a C-ECHO would tell whether that has passed
	Early  bool // it rejected the association, and was not told which study
	Silent bool // it said nothing until the idle timeout
	Midway bool // it had answered before: the study may be why
	// After is how long it asks not to be asked again; 0: it doesn't.
	After time.Duration
}

// pressure is what a server has said that it bears of jobs: DESIGN.md, "Pressure".
type pressure struct {
	db.ServerState
	now     time.Time
	used    int32         // associations that it is used for, among them that of the run which is judged
	longest time.Duration // between two tries
}

// LockPressure reads it, and keeps it until the transaction ends.
func (svc *Service) LockPressure(ctx context.Context, q *db.Queries, server int64) (*pressure, error) {
	row, err := q.LockPressure(ctx, server)
	return &pressure{
		ServerState: row.ServerState, now: row.Now, used: int32(row.Used), longest: svc.Config.ProbePause,
	}, err
}

func (p *pressure) Put(ctx context.Context, q *db.Queries) error {
	return q.PutPressure(ctx, db.PutPressureParams{
		ServerID: p.ServerID, Breaker: p.Breaker, BreakerReason: p.BreakerReason,
		BreakerAt: p.BreakerAt, ProbeAt: p.ProbeAt,
		Allowance: p.Allowance, Ceiling: p.Ceiling, Tries: p.Tries,
		TrialTask: p.TrialTask, Echo: p.Echo, Echoed: p.Echoed,
		RefusedTask: p.RefusedTask, SucceededTask: p.SucceededTask,
		SucceededAt: p.SucceededAt, TroubledAt: p.TroubledAt, AskedSeconds: p.AskedSeconds,
	})
}

func (p *pressure) open() bool { return p.Breaker == nodes.BreakerOpen }

func is(kept *int64, task int64) bool { return kept != nil && *kept == task }

// refuse takes down that a task was refused, and reports whether that is the server's. The first refusal after a
// success is the study's alone; that of another task, with no success in between, halves what the server is used for at
// once, down to nothing. A trial says only that there is no room for one more. A server that names a time is not asked
// before. suspect: the study was refused often while others went through.
func (p *pressure) refuse(d *Down, task int64, suspect bool) (servers bool) {
	suspect = suspect && !d.Early
	own := is(p.SucceededTask, task) && p.RefusedTask == nil // it had got through itself, and then no further
	trial := is(p.TrialTask, task)
	alone := suspect || !own && (p.RefusedTask == nil || is(p.RefusedTask, task))
	switch {
	case p.open():
		if trial {
			p.BreakerReason, p.Echo = d.Reason, d.Echo && !p.Echoed
			p.later(d.After)
		}
		p.notBefore(d.After)
	case d.Gone, d.After > 0 && !suspect:
		p.trip(d, own)
	case !suspect && p.proving():
		p.Allowance, p.TroubledAt = new(*p.Ceiling-1), &p.now
		p.later(d.After)
		return true
	case trial:
		if p.later(d.After); !suspect {
			p.TroubledAt = &p.now
		}
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

func (p *pressure) halve(d *Down, own bool) {
	n := p.used
	if p.Allowance != nil {
		n = min(n, *p.Allowance)
	}
	if n /= 2; n == 0 {
		p.trip(d, own)
		return
	}
	p.Allowance, p.Ceiling, p.TrialTask = &n, new(p.used), nil
	p.later(d.After)
}

// trip opens the breaker. The pauses go on from where they were, if nothing but a C-ECHO or the task itself has got
// through meanwhile.
func (p *pressure) trip(d *Down, own bool) {
	if !p.Echoed && !own {
		p.Tries = 0
	}
	p.Breaker, p.BreakerReason, p.BreakerAt, p.Echo = nodes.BreakerOpen, d.Reason, &p.now, d.Echo && !p.Echoed
	p.Allowance, p.Ceiling = new(int32), nil
	p.later(d.After)
}

// later has the next try wait, twice as long as the last one, and at least for what the server asks for.
func (p *pressure) later(asked time.Duration) {
	longest := p.longest
	if !p.open() {
		longest = min(longest, longestMore)
	}
	at := p.now.Add(max(asked, doubled(firstProbe, p.Tries, longest)))
	p.ProbeAt, p.AskedSeconds, p.TrialTask = &at, asked.Seconds(), nil
	p.Tries++
}

// notBefore has the next try wait for what the server asks for, if that is longer.
func (p *pressure) notBefore(asked time.Duration) {
	if at := p.now.Add(asked); asked > 0 && p.ProbeAt != nil && p.ProbeAt.Before(at) {
		p.ProbeAt, p.AskedSeconds = &at, asked.Seconds()
	}
}

// doubled doubles a pause so many times, up to the longest.
func doubled(first time.Duration, times int32, longest time.Duration) time.Duration {
	return min(first<<min(times, 10), longest)
}

// Succeed takes down that the server did what a task asked of it: one more is let in, up to one below what was refused
// last.
func (p *pressure) Succeed(task int64) {
	// the trial took the place of another one
	trial, instead := is(p.TrialTask, task), p.RefusedTask != nil && !is(p.RefusedTask, task)
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
		p.later(0)
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
	p.AskedSeconds = 0
}

// answered records that an unavailable server answered a C-ECHO. Whether it does what tasks need of it,
// the next one finds out.
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
func (svc *Service) bookRefusal(
	ctx context.Context, q *db.Queries, o *Outcome, t *db.Task, p *db.EndLeaseParams,
) error {
	d := o.Down
	st, err := svc.LockPressure(ctx, q, d.Server.ID)
	if err != nil {
		return err
	}
	before := st.Breaker
	times, since := refusedBefore(t, st.now)
	// others got through meanwhile
	passed := st.SucceededAt != nil && st.SucceededAt.After(since) && !st.SucceededAt.After(st.now)
	servers := st.refuse(d, t.ID, passed && times >= suspectAfter)
	if err := st.Put(ctx, q); err != nil {
		return err
	}
	p.Refused, p.RefusedSince = times+1, &since
	switch {
	case servers && st.open(): // it goes on when the server takes something again
		p.WaitSeconds = 0
	case o.Wait == 0: // nothing but the refusal says how long
		p.WaitSeconds = max(svc.refusedPause(d, times, passed), d.After.Seconds())
	}
	if st.open() && before != nodes.BreakerOpen {
		svc.Log.WarnContext(ctx, "a server is not available; its tasks wait", "server", d.Server.Name, "reason", d.Reason)
	}
	switch {
	case d.Midway:
		o.judgeBreak(servers, p)
	case !servers:
		st.judgeStudy(d, since, p)
	}
	return nil
}

// judgeBreak counts what broke off after an answer: three in a row are an attempt that failed, unless the server does
// so to others as well, or something came.
func (o *Outcome) judgeBreak(servers bool, end *db.EndLeaseParams) {
	if servers || o.Brought {
		end.Refused = 1
	}
	if servers || end.Refused%breaksOfAttempt > 0 {
		return
	}
	o.Fail(o, fault.Sentence(errors.New(o.WaitingReason)))
	end.Status, end.Message, end.WaitingReason, end.WaitSeconds, end.Failures = o.Status, o.Message, o.WaitingReason,
		o.Wait.Seconds(), end.Failures+1
}

// refusedBefore returns how often in a row a study was refused before, and since when. One whose turn has not come for
// long since then waited for others, and was not refused meanwhile: what was before says nothing any more.
func refusedBefore(t *db.Task, now time.Time) (times int32, since time.Time) {
	waited := now.Sub(t.NotBefore) > refusedPatience/4
	if t.Refused == 0 || t.RefusedSince == nil || waited || !t.RefusedSince.Before(now) {
		return 0, now
	}
	return t.Refused, *t.RefusedSince
}

// refusedPause returns for how many seconds a study waits that was refused so often before; passed: while others went
// through.
func (svc *Service) refusedPause(d *Down, before int32, passed bool) float64 {
	longest := svc.Config.ProbePause
	if passed {
		longest *= 3
	}
	seconds := doubled(min(firstProbe, svc.Config.ProbePause), before, longest).Seconds()
	if passed && d.Silent { // each try keeps a place from others for that long
		seconds = max(seconds, float64(silentShare*d.Server.Server.IdleTimeoutS))
	}
	return seconds
}

// judgeStudy fails a study that a server has refused for too long while others went through, not long ago either, and
// the server had no trouble. What it refused before it was told which study says nothing about that.
func (p *pressure) judgeStudy(d *Down, since time.Time, end *db.EndLeaseParams) {
	if d.Early {
		return
	}
	if p.TroubledAt != nil && p.TroubledAt.After(since) && !p.TroubledAt.After(p.now) {
		since = *p.TroubledAt
	}
	elapsed := p.now.Sub(since)
	if elapsed < refusedPatience || p.SucceededAt == nil ||
		!p.SucceededAt.After(since) || p.now.Sub(*p.SucceededAt) > refusedPatience/4 {
		return
	}
	end.Status, end.WaitingReason, end.WaitSeconds = jobs.Failure, "", 0
	end.Message = fmt.Sprintf(
		"DICOM Server %s has refused this study for %s while others succeeded: %s. Ask its administrator what is "+
			"wrong with this study there, then retry.",
		d.Server.Name, elapsed.Round(time.Minute), d.Reason,
	)
}

// bookSuccess takes down where a run ends what went well at servers that have refused something lately.
func (svc *Service) bookSuccess(ctx context.Context, q *db.Queries, o *Outcome) error {
	for _, of := range o.Servers {
		if o.Down != nil && o.Down.Server.ID == of.Node.ID {
			continue
		}
		st, err := svc.LockPressure(ctx, q, of.Node.ID)
		if err != nil {
			return err
		}
		switch {
		case !of.Well:
			st.end(o.Held.TaskID)
		case !of.Booked:
			st.Succeed(o.Held.TaskID)
		}
		if err := st.Put(ctx, q); err != nil {
			return err
		}
	}
	return nil
}
