// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/mass"
	"github.com/adit-go/adit/engine/recurring"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// due makes a recurrence due now, and lets it run.
func due(t *testing.T, n *harness.Member, id int64) recurring.Recurrence {
	t.Helper()
	_, err := n.Pool.Exec(t.Context(), "UPDATE recurrences SET next_at = now() WHERE id = $1", id)
	require.NoError(t, err)
	require.NoError(t, n.Engine.Recurring.Tick(t.Context()))
	r, err := n.Engine.Recurring.Get(t.Context(), n.Admin, id)
	require.NoError(t, err)
	return r
}

func mails(t *testing.T, n *harness.Member) (subjects []string) {
	t.Helper()
	rows, err := n.Pool.Query(t.Context(), "SELECT subject FROM outbox ORDER BY id")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		require.NoError(t, rows.Scan(&s))
		subjects = append(subjects, s)
	}
	return subjects
}

// TestRecurringMass: each run transfers what the ones before did not, and what has grown; it never runs twice at once,
// and says by mail if it found nothing, failed, or was not allowed any more.
func TestRecurringMass(t *testing.T) {
	t.Parallel()
	n := harness.New(t, harness.Config{})
	_, err := n.Pool.Exec(t.Context(), "UPDATE users SET mail = 'admin@example.org' WHERE id = $1", n.Admin.ID)
	require.NoError(t, err)
	today := time.Now().UTC()
	day := func(ago int) string { return today.AddDate(0, 0, -ago).Format("20060102") }
	study := func(seed uint64, date string) *phantom.Study {
		axial := phantom.SeriesSpec{Kind: phantom.CT, Instances: 2, Rows: 16, Columns: 16, Description: "Axial"}
		return phantom.New(seed, phantom.StudySpec{
			Patient: adult, Date: date, Description: "CT head", Series: []phantom.SeriesSpec{axial},
		})
	}
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study(9501, day(5)), study(9502, day(3))}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	o := mass.Order{
		Transfer: jobs.Transfer{Source: "source", Destination: "destination"}, First: today.AddDate(0, 0, -10),
		Filters: mass.Filters{{Modality: "CT"}},
	}
	made, err := n.Engine.Recurring.Create(
		t.Context(), n.Admin, recurring.Plan{At: 120, Overlap: 7}, recurring.Settings{Mass: &o},
	)
	require.NoError(t, err)
	require.NotEmpty(t, made.Settings.Mass.Project, "which the default may not be at night")

	r := due(t, n, made.ID)
	require.NotNil(t, r.JobID)
	require.Equal(t, jobs.Success, n.Wait(*r.JobID).Status)
	require.Len(t, dst.Recorder().Log().Stores, 4)
	require.NoError(t, n.Engine.Recurring.Tick(t.Context()))
	r, err = n.Engine.Recurring.Get(t.Context(), n.Admin, made.ID)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("Job %d found 2 new.", *r.JobID), r.Message)
	require.Equal(t, day(1), r.Covered)
	require.Empty(t, mails(t, n))

	src.AddStudies(study(9503, day(4))) // which arrives late
	first := *r.JobID
	r = due(t, n, made.ID)
	require.NotEqual(t, first, *r.JobID)
	second := n.Wait(*r.JobID)
	require.Equal(t, jobs.Success, second.Status)
	require.EqualValues(t, 7+1, second.NSuccess, "the days of the overlap, and one study")
	require.Len(t, dst.Recorder().Log().Stores, 6)

	r = due(t, n, made.ID)
	n.Wait(*r.JobID)
	require.NoError(t, n.Engine.Recurring.Tick(t.Context()))
	require.Equal(t, []string{fmt.Sprintf("ADIT: recurring mass transfer %d found nothing new", made.ID)}, mails(t, n))

	n.Stop(time.Second)
	r = due(t, n, made.ID)
	waiting := *r.JobID
	r = due(t, n, made.ID)
	require.Equal(t, waiting, *r.JobID, "one run at a time")
	_, err = n.Engine.Recurring.RunNow(t.Context(), n.Admin, made.ID)
	var conflict *refusal.Conflict
	require.ErrorAs(t, err, &conflict)
	n.Start()
	n.Wait(waiting)

	_, err = n.Pool.Exec(t.Context(), "DELETE FROM node_access")
	require.NoError(t, err)
	r = due(t, n, made.ID)
	require.Equal(t, waiting, *r.JobID)
	require.Contains(t, r.Message, "It could not run:")
	list := mails(t, n)
	require.Contains(t, list[len(list)-1], "could not run")
}

// TestRecurringOfSeveral: however many processes see to what is due, there is one run, and one mail about its end.
func TestRecurringOfSeveral(t *testing.T) {
	t.Parallel()
	n := harness.New(t, harness.Config{})
	_, err := n.Pool.Exec(t.Context(), "UPDATE users SET mail = 'admin@example.org' WHERE id = $1", n.Admin.ID)
	require.NoError(t, err)
	members := []*harness.Member{n, n.Join(harness.Config{Idle: true}), n.Join(harness.Config{Idle: true})}
	src := startPACS(t, pacs.Config{AETitle: "SRC"})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", src.Addr(), nil)
	made, err := n.Engine.Recurring.Create(
		t.Context(), n.Admin, recurring.Plan{At: 120}, recurring.Settings{Mass: &mass.Order{
			Transfer: jobs.Transfer{Source: "source", Destination: "destination"},
			First:    time.Now().UTC().AddDate(0, 0, -2), Filters: mass.Filters{{Modality: "CT"}},
		}},
	)
	require.NoError(t, err)
	tick := func() {
		var all sync.WaitGroup
		for _, m := range members {
			all.Go(func() {
				for range 5 {
					if err := m.Engine.Recurring.Tick(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	}
	_, err = n.Pool.Exec(t.Context(), "UPDATE recurrences SET next_at = now() WHERE id = $1", made.ID)
	require.NoError(t, err)
	tick()
	list, err := n.Engine.Jobs.List(t.Context(), n.Admin, jobs.JobFilter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	n.Wait(list[0].ID)
	tick()
	require.Equal(t, []string{fmt.Sprintf("ADIT: recurring mass transfer %d found nothing new", made.ID)}, mails(t, n))
}

// TestRecurringQuery: each run gives what the ones before did not find.
func TestRecurringQuery(t *testing.T) {
	t.Parallel()
	n := harness.New(t, harness.Config{})
	studies := phantom.DemoStudies()
	n.AddServer("source", "PACS", startPACS(t, pacs.Config{AETitle: "PACS", Studies: studies}).Addr(), nil)
	days := recurring.Plan{Weekdays: []time.Weekday{time.Sunday, time.Monday}}
	made, err := n.Engine.Recurring.Create(t.Context(), n.Admin, days, recurring.Settings{
		Query: &jobs.Queries{Sources: []string{"source"}, Rows: []jobs.Query{{Row: 2, PatientID: "PHANTOM-001", Modalities: []string{"CT"}}}},
	})
	require.NoError(t, err)
	require.Equal(t, []int16{1, 7}, made.Weekdays)
	r := due(t, n, made.ID)
	n.Wait(*r.JobID)
	require.NotEmpty(t, foundBy(t, n, *r.JobID))
	r = due(t, n, made.ID)
	n.Wait(*r.JobID)
	require.Empty(t, foundBy(t, n, *r.JobID))
	require.Contains(t, n.Task(*r.JobID).Message, "Earlier runs have found")

	yes := true
	_, err = n.Engine.Recurring.Change(t.Context(), n.Admin, made.ID, recurring.Change{Paused: &yes})
	require.NoError(t, err)
	before := *r.JobID
	require.Equal(t, before, *due(t, n, made.ID).JobID)
	other := people.User{ID: n.Admin.ID + 1000}
	_, err = n.Engine.Recurring.Get(t.Context(), other, made.ID)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.NoError(t, n.Engine.Recurring.Delete(t.Context(), n.Admin, made.ID))
	n.Wait(before) // its jobs stay
}
