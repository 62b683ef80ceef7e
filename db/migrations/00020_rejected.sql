-- Instances that a rejection note of the source names may be left out of a job: by default where studies are de-identified.

-- +goose Up
ALTER TABLE jobs ADD COLUMN leave_out_rejected boolean NOT NULL DEFAULT false;
UPDATE jobs SET leave_out_rejected = true WHERE profile_name <> '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN leave_out_rejected;
