// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"fmt"

	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/people"
)

// Kinds of jobs. Each is a section of its own, with the permission of its name.
const (
	SelectiveTransfer = people.SelectiveTransfer // a person picks the studies
	BatchQuery        = people.BatchQuery        // a file says what is looked for
	BatchTransfer     = people.BatchTransfer     // a file names the studies
	MassTransfer      = people.MassTransfer      // filters say which series of some days
)

// kind is what tells the jobs of a kind from others.
type kind struct {
	name             string // for people
	priority, urgent int16  // where it stands in the row, by default and when urgent
	most             int    // tasks of a job of people without staff rights
	advice           string // to those who want more
}

var kinds = map[string]kind{
	SelectiveTransfer: {"selective transfer", 4, 8, 10, "use a batch transfer for more"},
	BatchQuery:        {"batch query", 3, 7, 1000, "split the file, or ask your administrator"},
	BatchTransfer:     {"batch transfer", 2, 6, 500, "split the file, or ask your administrator"},
	MassTransfer:      {"mass transfer", 1, 5, maxTasks, ""},
}

// priorityOf returns where a job stands.
func priorityOf(of string, urgent bool) int16 {
	if urgent {
		return kinds[of].urgent
	}
	return kinds[of].priority
}

// MaxRows is how many rows of a file make a job of somebody.
func MaxRows(of string, user people.User) int {
	if user.IsStaff {
		return maxTasks
	}
	return kinds[of].most
}

// checkCount refuses more tasks, called what, than somebody may put into a job.
func checkCount(of string, user people.User, field, what string, n int) error {
	k := kinds[of]
	switch {
	case n > maxTasks:
		return &refusal.Invalid{
			Field: field, Reason: fmt.Sprintf("a job has at most %d %s; make several jobs", maxTasks, what),
		}
	case n > k.most && !user.IsStaff:
		return &refusal.Invalid{
			Field: field, Reason: fmt.Sprintf("a %s has at most %d %s; %s", k.name, k.most, what, k.advice),
		}
	}
	return nil
}

// ActionOf returns what the owner of a job of a kind must be allowed to do for it, which may show patients to the
// destination. A job that only asks has no destination.
func ActionOf(of string, source, destination int64, patients bool) people.Action {
	a := people.Action{Permissions: []string{of}, Source: source, Destination: destination}
	if patients && destination != 0 {
		a.Permissions = append(a.Permissions, people.TransferUnpseudonymized)
	}
	return a
}

// About is what people write about a job.
type About struct {
	Title       string // at most 150 characters
	Description string // at most 2000 characters
	EthicsID    string // of the application to the ethics committee; at most 100 characters
}

func (a About) validate() error {
	for _, f := range []struct {
		field, value string
		most         int
	}{{"title", a.Title, 150}, {"description", a.Description, 2000}, {"ethics_id", a.EthicsID, 100}} {
		if len([]rune(f.value)) > f.most || !text.PlainLines(f.value) {
			return &refusal.Invalid{
				Field: f.field, Reason: fmt.Sprintf("at most %d characters, without invisible characters", f.most),
			}
		}
	}
	return nil
}
