-- What is asked of a source, and of the database.

-- +goose Up

-- Studies younger than this may still grow: their lists are asked for again at the end. 0: those of no study are, but for a reason.
ALTER TABLE servers ADD COLUMN young_study_s integer NOT NULL DEFAULT 86400 CHECK (young_study_s >= 0);

-- +goose Down
ALTER TABLE servers DROP COLUMN young_study_s;
