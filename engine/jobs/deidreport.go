// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// The columns of a job's report that count.
var (
	deidActions = []deid.Action{
		deid.Keep, deid.Remove, deid.Empty, deid.Dummy, deid.MapUID, deid.Clean,
		deid.Shift, deid.Hash, deid.Replace, deid.Truncate, deid.Edit, deid.Assign,
	}
	refusedReasons = []deid.Reason{deid.BurnedIn, deid.EncapsulatedDocument, deid.PixelsElsewhere, deid.Recognizable}
	unsafeReasons  = []deid.Reason{
		deid.Unparsable, deid.UnknownSOPClass, deid.Undecodable, deid.OtherPatient,
		deid.OverlayInPixels, deid.IdentifierLeft, deid.Telling,
	}
)

// ExportDeidReport returns what writes, as CSV, what de-identification did to the studies of a job: a row for each task
// of which something was de-identified. It holds nothing of the originals.
func (svc *Service) ExportDeidReport(ctx context.Context, user people.User, jobID int64) (func(
	ctx context.Context, w io.Writer,
) error, error,
) {
	job, err := svc.Get(ctx, user, jobID)
	if err != nil {
		return nil, err
	}
	all, err := svc.SeesPseudonyms(ctx, user, job)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, w io.Writer) error {
		out := csv.NewWriter(w)
		if err := out.Write(deidColumns()); err != nil {
			return err
		}
		p := db.ListTaskDeidParams{JobID: jobID, Max: projects.ExportPage}
		for {
			rows, err := svc.Q.ListTaskDeid(ctx, p)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if !all && (row.TaskDeid.Pseudonym != row.Task.Pseudonym || job.OwnerID != user.ID) {
					row.TaskDeid.Pseudonym = ""
				}
				report, err := reportOf(row.Task, job.Job, row.TaskDeid)
				if err != nil {
					return err
				}
				if err := projects.WriteRow(out, report.cells(row.Task)); err != nil {
					return err
				}
				p.Above = row.Task.Seq
			}
			if out.Flush(); out.Error() != nil || len(rows) < projects.ExportPage {
				return out.Error()
			}
		}
	}, nil
}

func deidColumns() []string {
	columns := []string{
		"Task", "Status", "Pseudonym", "StudyInstanceUID", "Profile",
		"ProfileVersion", "ProfileSHA256", "UIDGeneration", "Instances",
	}
	for _, a := range deidActions {
		columns = append(columns, "Attributes:"+a.String())
	}
	columns = append(columns, "MovedToUTF8", "AssumedCharacterSets")
	for _, r := range refusedReasons {
		columns = append(columns, "Refused:"+string(r))
	}
	for _, r := range unsafeReasons {
		columns = append(columns, "Unsafe:"+string(r))
	}
	return append(columns, "ExcludedModalities", "Codes")
}

func (r DeidReport) cells(task db.Task) []string {
	cells := []string{
		strconv.Itoa(int(task.Seq)), task.Status, r.Pseudonym,
		r.StudyInstanceUID, r.ProfileName, r.ProfileVersion, r.ProfileSHA256,
		strconv.Itoa(int(r.UIDGeneration)), strconv.Itoa(r.Instances),
	}
	for _, a := range deidActions {
		cells = append(cells, strconv.Itoa(r.Counts[a.String()]))
	}
	var assumed []string
	for _, set := range slices.Sorted(maps.Keys(r.AssumedCharsets)) {
		assumed = append(assumed, fmt.Sprintf("%s (%d)", set, r.AssumedCharsets[set]))
	}
	cells = append(cells, strconv.Itoa(r.ToUTF8), strings.Join(assumed, ", "))
	for _, reason := range refusedReasons {
		cells = append(cells, strconv.Itoa(r.Refused[reason]))
	}
	for _, reason := range unsafeReasons {
		cells = append(cells, strconv.Itoa(r.Unsafe[reason]))
	}
	omitted := 0
	for _, n := range r.Omitted {
		omitted += n
	}
	return append(cells, strconv.Itoa(omitted), strings.Join(r.Codes, " "))
}

// DeidReport is what de-identification did to a task's study.
type DeidReport struct {
	TaskID           int64
	Pseudonym        string
	StudyInstanceUID string // as sent
	ProfileName      string
	ProfileVersion   string
	ProfileSHA256    string
	UIDGeneration    int32
	Instances        int            // delivered
	Counts           map[string]int // attributes of them, by action
	Codes            []string       // of CID 7050, as (0012,0064) says what was done
	ToUTF8           int            // instances whose text was moved to ISO_IR 192
	AssumedCharsets  map[string]int // instances by what their text was read in, as they declare nothing
	Refused          map[deid.Reason]int
	Unsafe           map[deid.Reason]int
	LeftOut          []LeftOut
	Omitted          map[string]int // instances of excluded modalities, as far as the source counts them
}

// LeftOut is an instance that was not sent.
type LeftOut struct {
	SOPInstanceUID string // as received
	Reason         deid.Reason
	Unsafe         bool // it could not be de-identified; otherwise the profile leaves it out
}

// reportOf reads a row of task_deid.
func reportOf(task db.Task, job db.Job, row db.TaskDeid) (DeidReport, error) {
	report := DeidReport{
		TaskID: task.ID, Pseudonym: row.Pseudonym, StudyInstanceUID: row.StudyUid,
		ProfileName: job.ProfileName, ProfileVersion: job.ProfileVersion,
		ProfileSHA256: job.ProfileSha256, UIDGeneration: job.UidGeneration,
		Instances: int(row.Instances), Codes: row.Codes, ToUTF8: int(row.ToUtf8),
		Refused: map[deid.Reason]int{}, Unsafe: map[deid.Reason]int{},
	}
	var out []LeftOutInstance
	err := errors.Join(
		json.Unmarshal(row.Counts, &report.Counts), json.Unmarshal(row.LeftOut, &out),
		json.Unmarshal(row.Omitted, &report.Omitted),
		json.Unmarshal(row.AssumedCharsets, &report.AssumedCharsets),
	)
	for _, o := range out {
		report.LeftOut = append(report.LeftOut, LeftOut{o.UID, o.Reason, o.Unsafe})
		if o.Unsafe {
			report.Unsafe[o.Reason]++
		} else {
			report.Refused[o.Reason]++
		}
	}
	return report, err
}

// DeidReport returns what de-identification did to a task's study, ErrNotFound if nothing of it was de-identified.
func (svc *Service) DeidReport(ctx context.Context, user people.User, id int64) (DeidReport, error) {
	task, err := svc.Task(ctx, user, id)
	if err != nil {
		return DeidReport{}, err
	}
	job, err := svc.Get(ctx, user, task.JobID)
	if err != nil {
		return DeidReport{}, err
	}
	row, err := svc.Q.GetTaskDeid(ctx, id)
	if err != nil {
		return DeidReport{}, refusal.NotFound(err, "de-identification report of task", id)
	}
	all, err := svc.SeesPseudonyms(ctx, user, job)
	if err != nil {
		return DeidReport{}, err
	}
	if !all && row.Pseudonym != task.Pseudonym {
		row.Pseudonym = ""
	}
	return reportOf(task.Task, job.Job, row)
}

// SeesPseudonyms reports whether a user may see the pseudonyms of all studies of a job, beside whose they are: that is
// what the project's linkage table says. Who made the job sees those that were given to it, and nobody else does.
func (svc *Service) SeesPseudonyms(ctx context.Context, user people.User, job Job) (bool, error) {
	if job.ProfileName == "" { // nothing is pseudonymized
		return true, nil
	}
	err := svc.People.Check(ctx, user.ID, people.Action{Permissions: []string{people.Linkage}, Project: job.ProjectID})
	if _, denied := errors.AsType[*people.Denied](err); denied {
		return false, nil
	}
	return err == nil, err
}

// Pseudonymized reports whether a task's instances lose their patient.
func Pseudonymized(task db.Task, job db.Job) bool { return task.Pseudonym != "" || job.Pseudonymize }

// LeftOutInstance is an instance that is not sent: because a rule says so, or because it can't be de-identified safely.
type LeftOutInstance struct {
	UID    string      `json:"uid"` // as received
	Reason deid.Reason `json:"reason"`
	Unsafe bool        `json:"unsafe,omitempty"`
}
