-- What came without having been asked for is called unsolicited, and what DICOM calls so is an instance.

-- +goose Up
ALTER TABLE foreign_objects RENAME TO unsolicited_instances;
ALTER TABLE unsolicited_instances RENAME COLUMN objects TO instances;
UPDATE settings SET value = replace(value::text, '"keep_foreign"', '"keep_unsolicited"')::jsonb WHERE key = 'site';

-- +goose Down
UPDATE settings SET value = replace(value::text, '"keep_unsolicited"', '"keep_foreign"')::jsonb WHERE key = 'site';
ALTER TABLE unsolicited_instances RENAME COLUMN instances TO objects;
ALTER TABLE unsolicited_instances RENAME TO foreign_objects;
