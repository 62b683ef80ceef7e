-- Jobs that are made from a file: their rows, what they are for, and, of a batch query, what is asked and what was found.

-- +goose Up
ALTER TABLE jobs
    ADD COLUMN title       text NOT NULL DEFAULT '' CHECK (length(title) <= 150),
    ADD COLUMN description text NOT NULL DEFAULT '' CHECK (length(description) <= 2000),
    ADD COLUMN ethics_id   text NOT NULL DEFAULT '' CHECK (length(ethics_id) <= 100),
    ADD COLUMN extra_columns text[] NOT NULL DEFAULT '{}',  -- columns of the file that ADIT doesn't know; they come back in the export
    ADD COLUMN first_job_id  bigint;                        -- of a batch query at several sources: the job of the first one
CREATE INDEX jobs_first ON jobs (first_job_id) WHERE first_job_id IS NOT NULL;

-- The rows of the file that a task is made of.
ALTER TABLE tasks ADD COLUMN rows integer[] NOT NULL DEFAULT '{}';

-- What a task of a batch query asks; its pseudonym is the task's.
CREATE TABLE queries (
    task_id            bigint   PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
    patient_id         text     NOT NULL,
    patient_name       text     NOT NULL,           -- in DICOM form
    patient_birth_date text     NOT NULL,           -- YYYYMMDD, as the dates below
    accession_number   text     NOT NULL,
    study_date_from    text     NOT NULL,
    study_date_to      text     NOT NULL,
    modalities         text[]   NOT NULL,
    study_description  text     NOT NULL,
    series_description text     NOT NULL,
    series_numbers     integer[] NOT NULL,
    extra              text[]   NOT NULL            -- what jobs.extra_columns hold in its row
);

-- What a batch query found: studies, or series where it asks for series. Dates and times are as the source sent them.
CREATE TABLE query_results (
    job_id              bigint  NOT NULL REFERENCES jobs ON DELETE CASCADE,
    id                  bigint  GENERATED ALWAYS AS IDENTITY,
    task_id             bigint  NOT NULL REFERENCES tasks ON DELETE CASCADE,
    patient_id          text    NOT NULL,
    patient_name        text    NOT NULL,
    patient_birth_date  text    NOT NULL,
    accession_number    text    NOT NULL,
    study_instance_uid  text    NOT NULL,
    study_date          text    NOT NULL,
    study_time          text    NOT NULL,
    study_description   text    NOT NULL,
    modalities          text[]  NOT NULL,
    series_instance_uid text    NOT NULL,           -- empty: a study
    series_description  text    NOT NULL,
    series_number       integer,                   -- NULL: the source doesn't say
    instances           integer NOT NULL,           -- of the series, or of the study; -1: the source doesn't say
    PRIMARY KEY (job_id, id),                       -- no index by id alone, which a list of one job would walk
    UNIQUE (task_id, study_instance_uid, patient_id, series_instance_uid)
);

-- +goose Down
DROP TABLE query_results, queries;
ALTER TABLE tasks DROP COLUMN rows;
ALTER TABLE jobs DROP COLUMN title, DROP COLUMN description, DROP COLUMN ethics_id, DROP COLUMN extra_columns, DROP COLUMN first_job_id;
