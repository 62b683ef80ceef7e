-- Who gives out a source's Patient IDs is part of who a patient is: once patients of it have pseudonyms it is changed on purpose only,
-- since the same patients get others then.

-- +goose Up
ALTER TABLE servers ADD COLUMN pseudonyms_since timestamptz;
UPDATE servers s SET pseudonyms_since = now()
WHERE EXISTS (SELECT FROM jobs j JOIN tasks t ON t.job_id = j.id WHERE j.source_id = s.id AND t.pseudonym <> '');

-- +goose Down
ALTER TABLE servers DROP COLUMN pseudonyms_since;
