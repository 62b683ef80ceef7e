-- What is evidence of completeness: the counts of a source, unless they are known to be wrong; the count of a destination's series after
-- the transfer, only if it had none of it before.

-- +goose Up
ALTER TABLE servers ADD COLUMN ignore_counts boolean NOT NULL DEFAULT false;
-- By Series Instance UID as sent: instances that the destination counted before anything was sent.
ALTER TABLE tasks ADD COLUMN counted_before jsonb NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE tasks DROP COLUMN counted_before;
ALTER TABLE servers DROP COLUMN ignore_counts;
