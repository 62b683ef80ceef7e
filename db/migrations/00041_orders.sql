-- The orders that jobs can be listed in.

-- +goose Up
CREATE INDEX jobs_created_order ON jobs (created_at, id);
CREATE INDEX jobs_started_order ON jobs (coalesce(started_at, 'infinity'), id);
CREATE INDEX jobs_ended_order ON jobs (coalesce(ended_at, 'infinity'), id);
CREATE INDEX jobs_priority_order ON jobs (priority, id);

-- +goose Down
DROP INDEX jobs_priority_order, jobs_ended_order, jobs_started_order, jobs_created_order;
