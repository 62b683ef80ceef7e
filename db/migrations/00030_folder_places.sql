-- Where a folder's path led when it was set up: what the path is turned to afterwards is nobody's decision until staff adopts it.

-- +goose Up
-- Without symbolic links; empty: it was set up before this was kept.
ALTER TABLE folders ADD COLUMN resolved text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE folders DROP COLUMN resolved;
