-- Mass transfers: some days of a source are looked through, partition by partition, and the series that are found are transferred.

-- +goose Up
CREATE TABLE mass_transfers (
    job_id    bigint  PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    first_day text    NOT NULL,             -- YYYYMMDD, as the source has its dates, as the days below
    last_day  text    NOT NULL,
    weekly    boolean NOT NULL,             -- partitions of seven days, else of one
    filters   jsonb   NOT NULL,
    dry_run   boolean NOT NULL              -- nothing is transferred until somebody begins it
);

-- A task that looks through some days, and what it found. Such a task names no study.
CREATE TABLE partitions (
    task_id   bigint  PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
    first_day text    NOT NULL,
    last_day  text    NOT NULL,
    searched  integer NOT NULL DEFAULT 0,   -- studies that were looked at
    studies   integer NOT NULL DEFAULT 0,   -- that the filters take something of, the next ones of these
    series    integer NOT NULL DEFAULT 0,
    instances bigint  NOT NULL DEFAULT 0
);

-- A series that was found. In a job it is one volume, in whichever partitions it is found.
CREATE TABLE volumes (
    job_id              bigint  NOT NULL REFERENCES jobs ON DELETE CASCADE,
    id                  bigint  GENERATED ALWAYS AS IDENTITY,
    partition_id        bigint  NOT NULL REFERENCES tasks ON DELETE CASCADE,   -- the task that found it
    task_id             bigint  REFERENCES tasks ON DELETE SET NULL,           -- that transfers it
    patient_id          text    NOT NULL,
    accession_number    text    NOT NULL,
    study_instance_uid  text    NOT NULL,
    study_date          text    NOT NULL,
    study_time          text    NOT NULL,
    study_description   text    NOT NULL,
    series_instance_uid text    NOT NULL,
    sent_series_uid     text    NOT NULL DEFAULT '',   -- that it was sent under, where it is another one
    modality            text    NOT NULL,
    series_description  text    NOT NULL,
    series_number       integer,
    institution_name    text    NOT NULL,
    instances           integer NOT NULL,   -- -1: the source doesn't say
    PRIMARY KEY (job_id, id),
    UNIQUE (job_id, series_instance_uid)
);
CREATE INDEX volumes_partition ON volumes (partition_id);
CREATE INDEX volumes_task ON volumes (task_id);

-- A dry run asks its source, and needs nothing of its destination.
-- +goose StatementBegin
CREATE FUNCTION dry_run(j jobs) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT j.kind = 'mass_transfer' AND EXISTS (SELECT FROM mass_transfers m WHERE m.job_id = j.id AND m.dry_run)
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION dry_run(jobs);
DROP TABLE volumes, partitions, mass_transfers;
