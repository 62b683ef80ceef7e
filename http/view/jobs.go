// SPDX-License-Identifier: AGPL-3.0-or-later

// Package view shows what engine and people have as the types of client, for all doors that speak them.
package view

import (
	"fmt"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/words"
)

// Job returns a job.
func Job(j jobs.Job) client.Job {
	var by *client.DeidBy
	if j.ProfileName != "" {
		by = &client.DeidBy{
			Profile: j.ProfileName, ProfileVersion: j.ProfileVersion,
			ProfileSHA256: j.ProfileSha256, UIDGeneration: int(j.UidGeneration),
			Manifest: j.Manifest,
		}
	}
	var rate *client.Rate
	if j.Rate != nil {
		rate = &client.Rate{InstancesPerSecond: j.Rate.Instances, BytesPerSecond: j.Rate.Bytes}
	}
	return client.Job{
		ID: j.ID, Kind: j.Kind, Status: j.Status, Message: j.Message(),
		Owner: j.Owner, Source: j.Source, Destination: j.Destination,
		Project: j.Project, Title: j.Title, Description: j.Description, EthicsID: j.EthicsID,
		FirstJobID: base.IDOf(j.FirstJobID), RecurrenceID: base.IDOf(j.RecurrenceID), Pseudonymize: j.Pseudonymize,
		Deidentified: by, LeaveOutRejected: j.LeaveOutRejected,
		TrialProtocolID: j.TrialProtocolID, TrialProtocolName: j.TrialProtocolName, Urgent: j.Urgent,
		OutsideWindows: j.OutsideWindows, Priority: int(j.Priority), Paused: j.Paused,
		MailWhenFinished: j.MailWhenFinished, Archive: j.Archive,
		CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, EndedAt: j.EndedAt,
		Tasks: client.TaskCounts{
			Pending: int(j.NPending), InProgress: int(j.NRunning), Success: int(j.NSuccess), Warning: int(j.NWarning),
			Failure: int(j.NFailure), Canceled: int(j.NCanceled),
		},
		Expected: j.Expected, Received: j.Received, Delivered: j.Delivered, Bytes: j.Bytes, Rate: rate,
		ReadyAt: when(j.ReadyAt), WhyWaiting: j.WhyWaiting, WaitingUntil: when(j.WaitingUntil),
	}
}

// when leaves out what is no instant.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Task returns a task, without its series.
func Task(t jobs.Task) client.Task {
	return client.Task{
		ID: t.ID, JobID: t.JobID, Seq: int(t.Seq), Status: t.Status, WhyWaiting: t.WhyWaiting,
		WaitingUntil: when(t.WaitingUntil), Message: t.Message,
		StudyInstanceUID: t.StudyInstanceUid, SeriesInstanceUIDs: t.SeriesInstanceUids,
		PatientID: t.PatientID, Pseudonym: t.Pseudonym, Rows: t.Rows,
		Expected: int(t.Expected), Received: int(t.Received),
		Delivered: int(t.Delivered), Verified: int(t.Verified), Bytes: t.Bytes,
		Failures: int(t.Failures), Waits: int(t.Waits),
		CreatedAt: t.CreatedAt, StartedAt: t.StartedAt, EndedAt: t.EndedAt, Days: daysOf(t.Days),
	}
}

// daysOf returns days as ISO 8601 writes them: one, or the first and the last of several.
func daysOf(d jobs.Days) string {
	if d.First == d.Last {
		return words.Day(d.First)
	}
	return words.Day(d.First) + "/" + words.Day(d.Last)
}

// FailureGroup returns tasks that failed for one reason.
func FailureGroup(g jobs.FailureGroup) client.FailureGroup {
	out := client.FailureGroup{
		Status: g.Status, Message: g.Message, DICOMStatus: g.DICOMStatus, Tasks: g.Tasks, Missing: g.Missing,
		RetryHelps: g.RetryHelps, First: make([]client.TaskRef, len(g.IDs)),
	}
	for i := range g.IDs {
		out.First[i] = client.TaskRef{ID: g.IDs[i], Seq: int(g.Seqs[i])}
	}
	return out
}

// Series returns what became of a series.
func Series(s jobs.Series) client.Series {
	out := client.Series{
		SeriesInstanceUID: s.SeriesInstanceUID, Expected: s.Expected,
		Delivered: s.Delivered, Verified: s.Verified, Bytes: s.Bytes,
		Missing: make([]client.MissingInstance, 0, len(s.Missing)), Truncated: len(s.Missing) >= evidence.MaxMissing,
	}
	for _, m := range s.Missing {
		missing := client.MissingInstance{SOPInstanceUID: m.SOPInstanceUID, Reason: m.Reason}
		if m.Status != 0 {
			missing.Status = fmt.Sprintf("%04X", m.Status)
		}
		out.Missing = append(out.Missing, missing)
	}
	return out
}
