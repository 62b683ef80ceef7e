// SPDX-License-Identifier: AGPL-3.0-or-later

package mass

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/people"
)

// exportPage is how many volumes are read at once.
const exportPage = 1000

// Export returns what writes the series that a job has found as a table, with what became of each and what it was sent
// as. Whose pseudonym it is, is told to those who may see the project's linkage table.
func (svc *Service) Export(ctx context.Context, user people.User, id int64, f batch.Format) (
	func(ctx context.Context, w io.Writer) error, error,
) {
	job, err := svc.jobOf(ctx, user, id)
	if err != nil {
		return nil, err
	}
	linked, err := svc.jobs.SeesPseudonyms(ctx, user, job)
	if err != nil {
		return nil, err
	}
	if err := audit.Record(ctx, svc.Q, audit.Entry{
		Action: "job.volumes", Object: fmt.Sprintf("job %d", id), Source: job.Source, Destination: job.Destination,
		Detail: map[string]any{"pseudonyms": linked && job.Pseudonymize},
	}); err != nil {
		return nil, err
	}
	return func(ctx context.Context, w io.Writer) error {
		out, err := batch.NewTable(w, f, "Volumes", columns())
		if err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		filter := VolumeFilter{Limit: exportPage}
		for {
			list, err := svc.volumes(ctx, id, filter)
			if err != nil {
				return err
			}
			for _, v := range list {
				if err := out.Row(row(v, linked)...); err != nil {
					return err
				}
				filter.After = v.Volume.ID
			}
			if len(list) < exportPage {
				return out.Finish()
			}
		}
	}, nil
}

func columns() (list []batch.ExportColumn) {
	add := func(kind batch.ExportKind, names ...string) {
		for _, n := range names {
			list = append(list, batch.ExportColumn{Name: n, Kind: kind})
		}
	}
	add(batch.TextExport, "partition_key", "pseudonym", "patient_id", "accession_number", "study_instance_uid",
		"study_instance_uid_pseudonymized", "series_instance_uid", "series_instance_uid_pseudonymized", "modality",
		"study_description", "series_description")
	add(batch.NumberExport, "series_number")
	add(batch.DateExport, "study_date")
	add(batch.TimeExport, "study_time")
	add(batch.TextExport, "institution_name")
	add(batch.NumberExport, "number_of_images")
	add(batch.TextExport, "status")
	add(batch.NumberExport, "delivered")
	return list
}

func row(v Volume, linked bool) []string {
	if !linked {
		v.Pseudonym, v.SentStudyUid, v.Volume.SentSeriesUid = "", "", ""
	}
	of, number, images := v.Volume, "", ""
	if of.SeriesNumber != nil {
		number = strconv.Itoa(int(*of.SeriesNumber))
	}
	if of.Instances >= 0 {
		images = strconv.Itoa(int(of.Instances))
	}
	return []string{
		v.Partition(), v.Pseudonym, of.PatientID, of.AccessionNumber, of.StudyInstanceUid, v.SentStudyUid,
		of.SeriesInstanceUid, of.SentSeriesUid, of.Modality, of.StudyDescription, of.SeriesDescription, number, of.StudyDate,
		of.StudyTime, of.InstitutionName, images, v.Status, strconv.Itoa(int(v.Delivered)),
	}
}
