-- A source that counts nothing, and was not heard to the end of a series, is asked for it once more: also by a later run.

-- +goose Up
-- Series that the source sent as a whole, as far as its own answer says.
ALTER TABLE tasks ADD COLUMN heard text[] NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE tasks DROP COLUMN heard;
