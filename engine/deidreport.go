// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/people"
)

// The columns of a job's report that count.
var (
	deidActions = []deid.Action{
		deid.Keep, deid.Remove, deid.Empty, deid.Dummy, deid.MapUID, deid.Clean, deid.Shift, deid.Hash, deid.Replace, deid.Truncate, deid.Edit, deid.Assign,
	}
	refusedReasons = []deid.Reason{deid.BurnedIn, deid.EncapsulatedDocument, deid.PixelsElsewhere, deid.Recognizable}
	unsafeReasons  = []deid.Reason{deid.Unparsable, deid.UnknownSOPClass, deid.Undecodable, deid.OtherPatient, deid.OverlayInPixels, deid.IdentifierLeft, deid.Telling}
)

// ExportDeidReport gives what writes, as CSV, what de-identification did to the studies of a job: a row for each task of which something was
// de-identified. It holds nothing of the originals.
func (e *Engine) ExportDeidReport(ctx context.Context, user people.User, jobID int64) (func(ctx context.Context, w io.Writer) error, error) {
	job, err := e.Job(ctx, user, jobID)
	if err != nil {
		return nil, err
	}
	all, err := e.seesPseudonyms(ctx, user, job)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, w io.Writer) error {
		out := csv.NewWriter(w)
		if err := out.Write(deidColumns()); err != nil {
			return err
		}
		p := db.ListTaskDeidParams{JobID: jobID, Max: exportPage}
		for {
			rows, err := e.q.ListTaskDeid(ctx, p)
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
				if err := writeRow(out, report.cells(row.Task)); err != nil {
					return err
				}
				p.Above = row.Task.Seq
			}
			if out.Flush(); out.Error() != nil || len(rows) < exportPage {
				return out.Error()
			}
		}
	}, nil
}

func deidColumns() []string {
	columns := []string{"Task", "Status", "Pseudonym", "StudyInstanceUID", "Profile", "ProfileVersion", "ProfileSHA256", "UIDGeneration", "Instances"}
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
		strconv.Itoa(int(task.Seq)), task.Status, r.Pseudonym, r.StudyInstanceUID, r.ProfileName, r.ProfileVersion, r.ProfileSHA256,
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
