// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import "context"

const insertVolumes = `
INSERT INTO volumes (job_id, partition_id, patient_id, accession_number, study_instance_uid, study_date, study_time, study_description,
                     series_instance_uid, modality, series_description, series_number, institution_name, instances)
SELECT $1, $2, r.patient_id, r.accession_number, r.study, r.study_date, r.study_time, r.study_description,
       r.series, r.modality, r.series_description, r.series_number, r.institution_name, r.instances
FROM jsonb_to_recordset($3::jsonb)
     AS r(patient_id text, accession_number text, study text, study_date text, study_time text, study_description text, series text, modality text,
          series_description text, series_number integer, institution_name text, instances integer)
ON CONFLICT (job_id, series_instance_uid) DO NOTHING`

// InsertVolumes writes the series that a partition has found, out of a JSON array of objects. What another partition of
// the job has found is passed over.
func (q *Queries) InsertVolumes(ctx context.Context, job, partition int64, volumes []byte) error {
	_, err := q.db.Exec(ctx, insertVolumes, job, partition, volumes)
	return err
}
