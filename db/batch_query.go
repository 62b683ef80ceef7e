// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import "context"

// sqlc can't read the lists of columns that jsonb_to_recordset needs.
const (
	insertQueries = `
WITH given AS MATERIALIZED (
    SELECT r.seq, r."row", r.pseudonym, r.patient_id, r.patient_name, r.birth_date, r.accession_number, r.date_from, r.date_to, r.modalities,
           r.study_description, r.series_description, r.series_numbers, r.extra
    FROM jsonb_to_recordset($2::jsonb)
         AS r(seq integer, "row" integer, pseudonym text, patient_id text, patient_name text, birth_date text, accession_number text, date_from text,
              date_to text, modalities text[], study_description text, series_description text, series_numbers integer[], extra text[])
), made AS (
    INSERT INTO tasks (job_id, seq, pseudonym, rows)
    SELECT $1, given.seq, given.pseudonym, ARRAY[given."row"] FROM given ORDER BY given.seq
    RETURNING id, seq
)
INSERT INTO queries (task_id, patient_id, patient_name, patient_birth_date, accession_number, study_date_from, study_date_to, modalities,
                     study_description, series_description, series_numbers, extra)
SELECT made.id, g.patient_id, g.patient_name, g.birth_date, g.accession_number, g.date_from, g.date_to, g.modalities, g.study_description,
       g.series_description, g.series_numbers, g.extra
FROM made
JOIN given g USING (seq)`
	insertResults = `
INSERT INTO query_results (job_id, task_id, patient_id, patient_name, patient_birth_date, accession_number, study_instance_uid, study_date, study_time,
                           study_description, modalities, series_instance_uid, series_description, series_number, instances)
SELECT $1, $2, r.patient_id, r.patient_name, r.birth_date, r.accession_number, r.study, r.study_date, r.study_time,
       r.study_description, r.modalities, r.series, r.series_description, r.series_number, r.instances
FROM jsonb_to_recordset($3::jsonb)
     AS r(patient_id text, patient_name text, birth_date text, accession_number text, study text, study_date text, study_time text,
          study_description text, modalities text[], series text, series_description text, series_number integer, instances integer)`
)

// InsertQueries makes tasks of a job and what they ask, out of a JSON array of objects.
func (q *Queries) InsertQueries(ctx context.Context, job int64, queries []byte) error {
	_, err := q.db.Exec(ctx, insertQueries, job, queries)
	return err
}

// InsertResults writes what a task of a batch query found, out of a JSON array of objects.
func (q *Queries) InsertResults(ctx context.Context, job, task int64, results []byte) error {
	_, err := q.db.Exec(ctx, insertResults, job, task, results)
	return err
}
