// SPDX-License-Identifier: AGPL-3.0-or-later

package housekeeping

import (
	"context"
	"fmt"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// UseDays is for how many days the use of servers is kept.
const UseDays = 36

// defaultUse is the time before now that is told of if none is named: four weeks of a heat map.
const defaultUse = 28 * 24 * time.Hour

// HourOfUse is how a server was used in an hour. Averages and figures are of the part of it that ADIT ran in.
type HourOfUse struct {
	Hour     time.Time // its beginning, an hour of UTC
	Jobs     Used      // associations of jobs
	People   Used      // associations of searches and checks
	From, To Moved     // of tasks that ended in it; Failed is not told
}

// Used is how many associations were in use.
type Used struct {
	Average float64
	Most    int
}

// ServerUse is how a server was used over a time. Hours in which ADIT didn't run are left out.
type ServerUse struct {
	From, To time.Time // hours of UTC; To is not among them
	Hours    []HourOfUse
}

// sampleUse takes down how the servers are used, once a minute for all of them, by one member.
func (svc *Service) sampleUse(ctx context.Context, _ Chores) error {
	_, err := svc.Q.SampleUse(ctx)
	return err
}

// Use returns how a server was used in the hours that begin in a time, of the last UseDays days; zero times are the
// last four weeks until now. It is for staff.
func (svc *Service) Use(ctx context.Context, user people.User, server string, from, to time.Time) (ServerUse, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return ServerUse{}, err
	}
	n, err := svc.Q.GetDicomNodeByName(ctx, server)
	if err != nil {
		return ServerUse{}, refusal.NotFound(err, "DICOM node", fmt.Sprintf("%q", server))
	}
	if n.Kind != "server" {
		return ServerUse{}, &refusal.Invalid{
			Field: "name", Reason: "this DICOM node is a folder; only servers have associations",
		}
	}
	if to.IsZero() {
		now, err := svc.Q.Now(ctx)
		if err != nil {
			return ServerUse{}, err
		}
		to = now.Truncate(time.Hour).Add(time.Hour)
	}
	if from.IsZero() {
		from = to.Add(-defaultUse)
	}
	out := ServerUse{From: wholeHour(from), To: wholeHour(to), Hours: []HourOfUse{}}
	switch {
	case out.To.Year() > lastYear || out.From.Year() < 1:
		return out, &refusal.Invalid{Field: "to", Reason: "so far away is no time that can be written down"}
	case !out.From.Before(out.To):
		return out, &refusal.Invalid{Field: "to", Reason: "the time ends before it begins"}
	case out.To.Sub(out.From) > UseDays*24*time.Hour:
		return out, &refusal.Invalid{Field: "from", Reason: fmt.Sprintf("at most %d days at once", UseDays)}
	}
	rows, err := svc.Q.UseOf(ctx, db.UseOfParams{ServerID: n.ID, First: out.From, Last: out.To})
	for _, r := range rows {
		out.Hours = append(out.Hours, hourOfUse(r))
	}
	return out, err
}

const lastYear = 9000 // RFC 3339 has four digits

// wholeHour returns the first hour of UTC that does not begin before an instant.
func wholeHour(t time.Time) time.Time {
	return t.UTC().Add(time.Hour - time.Nanosecond).Truncate(time.Hour)
}

func hourOfUse(r db.ServerUse) HourOfUse {
	samples := float64(max(1, r.Samples))
	return HourOfUse{
		Hour:   r.Hour.UTC(),
		Jobs:   Used{float64(r.BatchSum) / samples, int(r.BatchMost)},
		People: Used{float64(r.InteractiveSum) / samples, int(r.InteractiveMost)},
		From:   Moved{Tasks: r.FromStudies, Images: r.FromInstances, Bytes: r.FromBytes},
		To:     Moved{Tasks: r.ToStudies, Images: r.ToInstances, Bytes: r.ToBytes},
	}
}
