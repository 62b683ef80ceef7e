-- How long jobs are kept after they ended, and how long they can be tried again: what a ledger says is of use only for that.

-- +goose Up
ALTER TABLE jobs
    ADD COLUMN forgotten_at timestamptz,  -- since then the ledger of what ended before is gone; a job that began anew and ended later has one again
    ADD COLUMN removing     boolean NOT NULL DEFAULT false; -- the clean-up takes it away, a part at a time: it isn't shown any more
CREATE INDEX jobs_to_clean_up ON jobs (ended_at) WHERE NOT active;
CREATE INDEX jobs_removing ON jobs (id) WHERE removing;

-- +goose Down
ALTER TABLE jobs DROP COLUMN forgotten_at, DROP COLUMN removing;
