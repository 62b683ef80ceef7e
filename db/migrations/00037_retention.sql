-- How long jobs are kept after they ended, and how long they can be tried again: what a ledger says is of use only for that.

-- +goose Up
-- What the clean-up has done to a job that ended: 1: its ledger goes; 2: that is gone; 3: the job goes, a part at a time, and isn't shown any more.
ALTER TABLE jobs ADD COLUMN stripped smallint NOT NULL DEFAULT 0 CHECK (stripped BETWEEN 0 AND 3);
CREATE INDEX jobs_to_forget ON jobs (ended_at) WHERE NOT active AND stripped < 2;
CREATE INDEX jobs_to_remove ON jobs ((profile_name = ''), ended_at) WHERE NOT active;

-- +goose Down
DELETE FROM jobs WHERE stripped = 3;
DROP INDEX jobs_to_forget, jobs_to_remove;
ALTER TABLE jobs DROP COLUMN stripped;
