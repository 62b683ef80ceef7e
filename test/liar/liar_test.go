// SPDX-License-Identifier: AGPL-3.0-or-later

package liar

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/testpeer"
)

var (
	seedFlag   = flag.Uint64("seed", 1, "of the first task; each that follows has the next one")
	tasksFlag  = flag.Int("tasks", 64, "how many tasks are run")
	atOnceFlag = flag.Int("at-once", 64, "how many tasks run at a time")
	shrinkFlag = flag.Bool("shrink", true, "run what went wrong again with fewer lies")
	onlyFlag   = flag.String("only", "", "the lies to tell, joined by ' + ', instead of those that are drawn")
)

func TestMain(m *testing.M) {
	testpeer.Isolate()
	os.Exit(m.Run())
}

// TestLyingPeer: whatever is said by the peers, Success means that all is there.
func TestLyingPeer(t *testing.T) {
	runLies(t, *seedFlag, *tasksFlag, *atOnceFlag)
}

// TestOnceWrong tells tales again that went wrong once.
func TestOnceWrong(t *testing.T) {
	for _, found := range []struct {
		seed uint64
		lies string
		what string
	}{
		{
			424270, "the first look-up fails + success, 0 of 0 + the source drops idle associations",
			"a retrieve was tried again without end",
		},
		{
			1000642, "an instance whose UID is none + a series' count is wrong + the list of instances is empty",
			"an instance without a usable UID was forgotten",
		},
	} {
		t.Run(found.what, func(t *testing.T) {
			w := newWorld(t, 1)
			c := &checker{w: w, report: &report{}}
			r := c.run(draw(found.seed, strings.Split(found.lies, " + ")))
			require.Empty(t, r.findings, r.tale.String())
		})
	}
}

// result is how a task ended.
type result struct {
	*tale
	status, message string
	retried         string // how it ended after all lies had ended; empty: it was not retried
	findings        []finding
	took            time.Duration
}

func runLies(t *testing.T, first uint64, tasks, atOnce int) {
	t.Helper()
	w := newWorld(t, atOnce)
	c := &checker{w: w, report: &report{}}
	var names []string
	if *onlyFlag != "" {
		names = strings.Split(*onlyFlag, " + ")
	}
	begun := time.Now()
	next := make(chan uint64)
	var all sync.WaitGroup
	for range min(tasks, atOnce) {
		all.Go(func() {
			for seed := range next {
				c.report.add(c.run(draw(seed, names)))
			}
		})
	}
	for i := range uint64(tasks) {
		next <- first + i
	}
	close(next)
	all.Wait()
	t.Logf("%s%.1f tasks/s", c.report.table(), float64(tasks)/time.Since(begun).Seconds())
	if wrong := c.report.wrong(); len(wrong) > 0 {
		if *shrinkFlag {
			c.shrinkAll(wrong)
		}
		for _, r := range wrong {
			t.Errorf("%s\n    %s: %s", r.tale, r.status, r.message)
			for _, f := range r.findings {
				t.Logf("    wrong: %s (%s)", f.kind, f.detail)
			}
		}
	}
}

// checker runs tales and judges them.
type checker struct {
	w      *world
	report *report
}

const (
	patience = 90 * time.Second // for the end of a task, as safety only
	// runs in a row that wait for a server that says that it has no room; then the task is canceled
	leastWait = 5
)

// run tells one tale.
func (c *checker) run(t *tale) *result {
	n := c.w.member
	ctx, cancel := context.WithTimeout(c.w.t.Context(), 2*patience)
	defer cancel()
	p, strike := c.w.stage(t)
	defer strike()
	begun := time.Now()
	study := jobs.Study{StudyInstanceUID: t.study.StudyInstanceUID, SeriesInstanceUIDs: t.chosen}
	job, err := n.Engine.Jobs.Create(
		ctx, n.Admin, jobs.Transfer{Source: p.lane.source, Destination: p.lane.target, Studies: []jobs.Study{study}},
	)
	require.NoError(c.w.t, err)
	p.job = job
	close(p.made)
	task, ended := c.await(ctx, job.ID)
	r := &result{tale: t, status: task.Status, message: task.Message}
	defer func() { r.took = time.Since(begun) }()
	if !ended {
		r.message = cmp.Or(task.WhyWaiting, task.Message)
		r.findings = append(r.findings,
			finding{neverEnds, fmt.Sprintf("after %d attempts and %d times of waiting", task.Failures, task.Waits)},
		)
		return r
	}
	r.findings = p.judge(task, c.missing(ctx, task.ID))
	if task.Status == jobs.Failure {
		p.heal()
		if n.Engine.Jobs.Act(ctx, n.Admin, job.ID, jobs.RetryJob) == nil {
			task, ended := c.await(ctx, job.ID)
			r.retried = task.Status
			if !ended || task.Status == jobs.Failure && !p.hopeless() {
				r.findings = append(r.findings, finding{stuck, task.Message})
			} else {
				for _, f := range p.judge(task, c.missing(ctx, task.ID)) {
					r.findings = append(r.findings, finding{f.kind, fmt.Sprintf(
						"%s; after all lies had ended and a retry: %s: %s", f.detail, task.Status, task.Message,
					)})
				}
			}
		}
	}
	return r
}

// hopeless reports whether a task can't become whole even without lies: the source has what nobody can take.
func (p *performance) hopeless() bool { return len(p.added) > 0 }

// await waits for the end of a job's only task. One that waits for a server again and again is canceled.
func (c *checker) await(ctx context.Context, job int64) (task jobs.Task, ended bool) {
	n, end := c.w.member, time.Now().Add(patience)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for canceled := false; time.Now().Before(end); {
		var status string
		var waits int
		row := n.Pool.QueryRow(ctx, "SELECT status, waits FROM tasks WHERE job_id = $1", job)
		if err := row.Scan(&status, &waits); err != nil {
			break
		}
		switch status {
		case jobs.Success, jobs.Warning, jobs.Failure, jobs.Canceled:
			return c.taskOf(ctx, job), true
		}
		if waits >= leastWait && !canceled {
			canceled = n.Engine.Jobs.Act(ctx, n.Admin, job, jobs.CancelJob) == nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return c.taskOf(ctx, job), false
		}
	}
	task = c.taskOf(ctx, job)
	_ = n.Engine.Jobs.Act(ctx, n.Admin, job, jobs.CancelJob)
	return task, false
}

func (c *checker) taskOf(ctx context.Context, job int64) jobs.Task {
	tasks, err := c.w.member.Engine.Jobs.Tasks(
		context.WithoutCancel(ctx), c.w.member.Admin, job, jobs.TaskFilter{Limit: 1},
	)
	require.NoError(c.w.t, err)
	require.Len(c.w.t, tasks, 1)
	return tasks[0]
}

// missing returns the instances that a task names.
func (c *checker) missing(ctx context.Context, task int64) map[string]bool {
	series, err := c.w.member.Engine.Jobs.TaskSeries(ctx, c.w.member.Admin, task)
	require.NoError(c.w.t, err)
	missing := map[string]bool{}
	for _, s := range series {
		for _, m := range s.Missing {
			missing[m.SOPInstanceUID] = true
		}
	}
	return missing
}

// shrinkAll leaves out lies of what went wrong, as long as it goes wrong in the same way; of each way the first few.
func (c *checker) shrinkAll(wrong []*result) {
	const perKind = 3
	kinds := map[string]int{}
	for _, r := range wrong {
		kind := r.findings[0].kind
		if kinds[kind]++; kinds[kind] > perKind || len(r.lies) < 2 {
			continue
		}
		c.w.t.Logf("%s\n    the smallest that still goes wrong: %s", r.tale, strings.Join(c.shrink(r, kind), " + "))
	}
}

func (c *checker) shrink(r *result, kind string) []string {
	names := r.lieNames()
	for i := 0; i < len(names); {
		fewer := slices.Delete(slices.Clone(names), i, i+1)
		again := c.run(draw(r.seed, fewer))
		if slices.ContainsFunc(again.findings, func(f finding) bool { return f.kind == kind }) {
			names = fewer
		} else {
			i++
		}
	}
	return names
}

// report gathers results.
type report struct {
	mu      sync.Mutex
	results []*result
}

func (r *report) add(one *result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, one)
}

func (r *report) wrong() []*result {
	wrong := slices.DeleteFunc(slices.Clone(r.results), func(one *result) bool { return len(one.findings) == 0 })
	slices.SortFunc(wrong, func(a, b *result) int {
		return cmp.Or(
			cmp.Compare(a.findings[0].kind, b.findings[0].kind),
			cmp.Compare(len(a.lies), len(b.lies)), cmp.Compare(a.seed, b.seed),
		)
	})
	return wrong
}

var figures = regexp.MustCompile(`[0-9][0-9.]*|\b[SD][0-9]+\b`)

// table returns the figures of all results, what was found by kind and by lie, and why tasks failed.
func (r *report) table() string {
	statuses, kinds, byLie, reasons, passing := map[string]int{}, map[string]int{}, map[string]int{},
		map[string]int{}, []string{}
	for _, one := range r.results {
		statuses[one.status]++
		if one.retried != "" {
			statuses["after a Failure, all lies ended and retried: "+one.retried]++
		}
		seen := map[string]bool{}
		for _, f := range one.findings {
			if !seen[f.kind] {
				kinds[f.kind]++
				seen[f.kind] = true
			}
		}
		if len(one.findings) > 0 {
			for _, name := range one.lieNames() {
				byLie[name]++
			}
		}
		if one.status == jobs.Failure || one.status == jobs.Canceled {
			reasons[one.status+": "+figures.ReplaceAllString(one.message, "N")]++
		}
		if one.status == jobs.Failure && len(one.lasting) == 0 {
			passing = append(passing, fmt.Sprintf("%s\n        %s", one.tale, one.message))
		}
	}
	b := &strings.Builder{}
	fmt.Fprintf(b, "%d tasks\n", len(r.results))
	list := func(title string, m map[string]int) {
		if len(m) == 0 {
			return
		}
		fmt.Fprintf(b, "%s\n", title)
		for _, k := range slices.SortedFunc(
			maps.Keys(m), func(a, b string) int { return cmp.Or(-cmp.Compare(m[a], m[b]), cmp.Compare(a, b)) },
		) {
			fmt.Fprintf(b, "%8d  %s\n", m[k], k)
		}
	}
	list("how they ended", statuses)
	list("what is wrong", kinds)
	list("lies that were told where something is wrong", byLie)
	list("why they failed", reasons)
	if len(passing) > 0 {
		slices.Sort(passing)
		fmt.Fprintf(
			b, "%d failed though every lie passes by itself\n      %s\n",
			len(passing), strings.Join(passing, "\n      "),
		)
	}
	spent, told := map[string]time.Duration{}, map[string]time.Duration{}
	for _, one := range r.results {
		for _, name := range one.lieNames() {
			spent[name] += one.took
			told[name]++
		}
	}
	mean := func(name string) time.Duration { return (spent[name] / told[name]).Round(time.Millisecond) }
	for _, name := range slices.SortedFunc(
		maps.Keys(spent), func(a, b string) int { return -cmp.Compare(mean(a), mean(b)) },
	)[:min(12, len(spent))] {
		fmt.Fprintf(b, "slow: %s on the average: %s\n", mean(name), name)
	}
	slowest := slices.SortedFunc(
		slices.Values(r.results), func(a, b *result) int { return -cmp.Compare(a.took, b.took) },
	)
	for _, one := range slowest[:min(5, len(slowest))] {
		fmt.Fprintf(b, "slow: %s: %s (%s)\n", one.took.Round(time.Millisecond), one.tale, one.status)
	}
	return b.String()
}
