// SPDX-License-Identifier: AGPL-3.0-or-later

package mass

import (
	"fmt"
	"time"

	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/refusal"
)

const (
	dayForm       = "20060102"
	maxPartitions = 100_000
)

// partitioned parts the days from the first to the last into those that a task looks through: each by itself, or seven
// from the first one on. They are days of a calendar, as the source has them; no zone of time has a say in them.
func partitioned(first, last time.Time, weekly bool) ([]jobs.Days, error) {
	step := 1
	if weekly {
		step = 7
	}
	if last.Before(first) {
		return nil, &refusal.Invalid{Field: "end_date", Reason: "the last day comes before the first"}
	}
	if first.Year() < 1900 || last.Year() > 2200 {
		return nil, &refusal.Invalid{Field: "start_date", Reason: "days of the years 1900 to 2200"}
	}
	if n := int(last.Sub(first).Hours()/24)/step + 1; n > maxPartitions {
		return nil, &refusal.Invalid{
			Field: "end_date", Reason: fmt.Sprintf("%d partitions; a job has at most %d", n, maxPartitions),
		}
	}
	var list []jobs.Days
	for day := first; !day.After(last); day = day.AddDate(0, 0, step) {
		to := day.AddDate(0, 0, step-1)
		if to.After(last) {
			to = last
		}
		list = append(list, jobs.Days{First: day.Format(dayForm), Last: to.Format(dayForm)})
	}
	return list, nil
}
