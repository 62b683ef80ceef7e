-- The latest instant that the database's clock has shown to a node: a clock that shows an earlier one was put back.

-- +goose Up
ALTER TABLE nodes ADD COLUMN beat_at timestamptz NOT NULL DEFAULT now();

-- +goose Down
ALTER TABLE nodes DROP COLUMN beat_at;
