// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Instants says what becomes of the instants in a table that lie ahead, because the database's clock ran ahead and
// was put right. Each column of a time stands in one of its lists: a test holds them against the schema.
type Instants struct {
	Table string
	// When something happened. Nothing has happened later than now, so that is when it counts as having happened.
	Happened []string
	// Until when something holds from the row's created_at on. It moves along with that.
	Lasts []string
	// What needs no change here, and why.
	Bound []Bound
}

// Bound is a column whose rule is kept elsewhere.
type Bound struct{ Column, By string }

// AllInstants are those of the schema, in the order in which PutBack goes through them. The members come last: they
// tell that it was not done.
var AllInstants = []Instants{
	{Table: "jobs", Happened: []string{"created_at", "started_at", "ended_at", "last_claim_at", "erased_at"}},
	{
		Table:    "tasks",
		Happened: []string{"created_at", "started_at", "ended_at", "unavailable_since", "refused_since"},
		Bound:    []Bound{{"not_before", "BoundWaits: wait_seconds"}, {"alone_until", "BoundWaits: ten minutes"}},
	},
	{Table: "task_log", Happened: []string{"at"}},
	{Table: "job_samples", Bound: []Bound{{"at", "SampleJobs: removes what lies ahead"}}},
	{
		Table: "verifications", Happened: []string{"since"},
		Bound: []Bound{{"due_at", "BoundWaits: the task's wait_seconds"}},
	},
	// after the verification, whose requests are no older
	{Table: "commitments", Happened: []string{"requested_at", "reported_at"}},
	{Table: "expectations", Happened: []string{"created_at", "ended_at"}},
	{Table: "read_series", Happened: []string{"since"}},
	{Table: "association_slots", Bound: []Bound{{"expires_at", "BoundWaits: the server's idle timeout"}}},
	{
		Table: "server_state", Happened: []string{"breaker_at", "succeeded_at", "troubled_at"},
		Bound: []Bound{
			{"probe_at", "BoundWaits: one pause"},
			{"next_start_at", "BoundWaits: one interval of the rate"},
			{"caps_until", "worked out of the schedule at each beat"},
			{"opens_at", "worked out of the schedule at each beat"},
		},
	},
	{Table: "servers", Happened: []string{"pseudonyms_since"}},
	{Table: "chores", Happened: []string{"ran_at"}, Bound: []Bound{{"next_at", "TakeChore: a day of 25 hours"}}},
	{Table: "warnings", Happened: []string{"since"}},
	{
		Table: "outbox", Happened: []string{"created_at", "ended_at"},
		Bound: []Bound{{"next_at", "ClaimMail: wait_seconds"}},
	},
	{Table: "sessions", Lasts: []string{"expires_at"}, Happened: []string{"created_at", "last_seen_at", "confirmed_at"}},
	{Table: "api_tokens", Lasts: []string{"expires_at"}, Happened: []string{"created_at"}},
	{Table: "password_resets", Lasts: []string{"expires_at"}, Happened: []string{"created_at"}},
	{Table: "registrations", Happened: []string{"created_at"}},
	{Table: "attempts", Happened: []string{"at"}},
	{Table: "idempotency_keys", Happened: []string{"created_at"}},
	{Table: "recurrences", Happened: []string{"created_at"}, Bound: []Bound{{"next_at", "recurring.Tick: the plan"}}},
	{Table: "users", Happened: []string{"created_at"}},
	{Table: "projects", Happened: []string{"created_at"}},
	{Table: "linkage", Happened: []string{"created_at"}},
	{Table: "deid_profiles", Happened: []string{"created_at"}},
	{Table: "dicom_nodes", Happened: []string{"created_at"}},
	{Table: "folder_usage", Happened: []string{"measured_at"}},
	{Table: "unsolicited_instances", Happened: []string{"first_at", "last_at"}, Bound: []Bound{{"day", "only tells rows apart"}}},
	{Table: "quarantine", Happened: []string{"arrived_at"}},
	{Table: "api_use", Happened: []string{"last_at"}, Bound: []Bound{{"day", "only tells rows apart"}}},
	{Table: "rejected_callers", Happened: []string{"first_at", "last_at"}},
	{Table: "server_use", Bound: []Bound{{"hour", "CleanUpUse"}}},
	{Table: "daily_transfers", Bound: []Bound{{"day", "ForgetDaysAhead"}}},
	{Table: "audit", Bound: []Bound{{"at", "sealed: it is what the clock showed, and is never changed"}}},
	{Table: "audit_receivers", Bound: []Bound{{"held_until", "HoldAuditReceiver: two minutes"}}},
	{Table: "goose_db_version", Bound: []Bound{{"tstamp", "nothing reads it"}}},
	{Table: "members", Happened: []string{"started_at", "beat_at", "fenced_at"}},
}

// putBack is the statement that puts the rows of a table right; empty if it has nothing to do. Five seconds are for
// transactions that began meanwhile.
func (t Instants) putBack() string {
	var set, ahead []string
	for _, c := range t.Lasts {
		set = append(set, fmt.Sprintf("%s = %[1]s - greatest(created_at - now(), interval '0')", c))
	}
	for _, c := range t.Happened {
		set = append(set, fmt.Sprintf("%s = CASE WHEN %[1]s > now() THEN now() ELSE %[1]s END", c))
		ahead = append(ahead, c+" > now() + interval '5 seconds'")
	}
	if len(set) == 0 {
		return ""
	}
	return "UPDATE " + t.Table + " SET " + strings.Join(set, ", ") + " WHERE " + strings.Join(ahead, " OR ")
}

// PutBack puts right what lies ahead of the database's clock, and returns how many rows there were. It reads whole
// tables, so it is called when the clock was put back (Queries.ClockPutBack), which is asked again until all is done.
func PutBack(ctx context.Context, conn Beginner) (rows int64, err error) {
	for _, t := range AllInstants {
		sql := t.putBack()
		if sql == "" {
			continue
		}
		var n int64
		err := InTx(ctx, conn, func(tx pgx.Tx) error {
			// a large table takes what it takes
			if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '10min'"); err != nil {
				return err
			}
			done, err := tx.Exec(ctx, sql)
			n = done.RowsAffected()
			return err
		})
		if err != nil {
			return rows, fmt.Errorf("times in %s that lie in the future can't be corrected: %w", t.Table, err)
		}
		rows += n
	}
	return rows, nil
}
