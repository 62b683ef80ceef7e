-- What is evidence of completeness: the counts of a source, unless they are known to be wrong; the count of a destination's series after
-- the transfer, only if it had none of it before.

-- +goose Up
ALTER TABLE servers ADD COLUMN ignore_counts boolean NOT NULL DEFAULT false;
-- By Series Instance UID as sent: instances that the destination counted before anything was sent, and 0 by "" if it was asked.
ALTER TABLE tasks ADD COLUMN counted_before jsonb NOT NULL DEFAULT '{}';
-- By SOP Instance UID: why the source has rejected instances, by its rejection notes.
ALTER TABLE tasks ADD COLUMN rejected jsonb NOT NULL DEFAULT '{}';
-- What is to be known of what was delivered, and of what came unasked, is not forgotten by a task that goes on later.
ALTER TABLE delivered ADD COLUMN remarks smallint NOT NULL DEFAULT 0; -- bits: oddity of package engine
ALTER TABLE tasks ADD COLUMN unasked integer NOT NULL DEFAULT 0;      -- instances of other studies that the source sent

-- +goose Down
ALTER TABLE tasks DROP COLUMN unasked;
ALTER TABLE tasks DROP COLUMN rejected;
ALTER TABLE delivered DROP COLUMN remarks;
ALTER TABLE tasks DROP COLUMN counted_before;
ALTER TABLE servers DROP COLUMN ignore_counts;
