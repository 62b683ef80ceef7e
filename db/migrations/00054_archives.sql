-- A transfer into a folder may leave one encrypted archive there instead of a tree of files (engine/sink/archive.go).

-- +goose Up

ALTER TABLE jobs
    ADD COLUMN archive_password bytea,                            -- sealed; NULL: the job makes no archive
    ADD COLUMN archive          boolean NOT NULL GENERATED ALWAYS AS (archive_password IS NOT NULL) STORED,
    ADD COLUMN archive_begun    integer NOT NULL DEFAULT 1,       -- how many times: a restart begins it anew
    ADD COLUMN archive_open     boolean NOT NULL DEFAULT false,   -- something was written that has not got its name
    ADD COLUMN archive_member   uuid;                             -- who gives it its name, while no task runs; of no meaning when that member is gone
CREATE INDEX jobs_archive_open ON jobs (id) WHERE archive_open;

-- +goose Down
ALTER TABLE jobs DROP COLUMN archive_member, DROP COLUMN archive_open, DROP COLUMN archive_begun, DROP COLUMN archive, DROP COLUMN archive_password;
