-- Objects that declare no character set are read in one that is set for their source; what was assumed is part of the report.

-- +goose Up

-- By the terms of Specific Character Set (0008,0005). Empty: ISO_IR 100.
ALTER TABLE servers ADD COLUMN fallback_charset text NOT NULL DEFAULT '' CHECK (length(fallback_charset) <= 64);
-- Instances by the character set that their text was read in although they declare none.
ALTER TABLE task_deid ADD COLUMN assumed_charsets jsonb NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE task_deid DROP COLUMN assumed_charsets;
ALTER TABLE servers DROP COLUMN fallback_charset;
