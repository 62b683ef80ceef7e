-- Folders are known by a marker file, what was delivered belongs to the destination that acknowledged it, and folders are named once.

-- +goose Up

-- The id in the marker file of the folder; NULL: it was not used since there are such files.
ALTER TABLE folders ADD COLUMN marker uuid UNIQUE;

-- Which destination the ledger and the verification of a task are of: a server's AE title and address, or a folder's marker. Empty: none yet.
ALTER TABLE tasks ADD COLUMN delivered_to text NOT NULL DEFAULT '';
UPDATE tasks t SET delivered_to = format('server %s at %s:%s', s.ae_title, lower(s.host), s.port)
FROM jobs j
JOIN servers s ON s.id = j.destination_id
WHERE j.id = t.job_id AND (EXISTS (SELECT FROM delivered d WHERE d.task_id = t.id) OR EXISTS (SELECT FROM verifications v WHERE v.task_id = t.id));

-- Of an instance in a folder: its file below that, and how long it is. Of what is there already nobody knows that: it is sent again, if its
-- task is tried again.
ALTER TABLE delivered
    ADD COLUMN file       text   NOT NULL DEFAULT '',
    ADD COLUMN file_bytes bigint NOT NULL DEFAULT 0;
DELETE FROM delivered d USING tasks t, jobs j, folders f WHERE t.id = d.task_id AND j.id = t.job_id AND f.id = j.destination_id;
DELETE FROM task_deid d USING tasks t, jobs j, folders f
WHERE t.id = d.task_id AND j.id = t.job_id AND f.id = j.destination_id AND t.status NOT IN ('success', 'warning');

-- The names that a job and a task have in a folder. Values that they are made of may change while a task is tried again.
ALTER TABLE jobs ADD COLUMN folder_name text NOT NULL DEFAULT '';
CREATE TABLE task_folders (
    task_id    bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    series_uid text   NOT NULL,                        -- as sent
    path       text   NOT NULL,                        -- of the series' folder, below the destination's
    PRIMARY KEY (task_id, series_uid)
);

-- +goose Down
DROP TABLE task_folders;
ALTER TABLE jobs DROP COLUMN folder_name;
ALTER TABLE delivered DROP COLUMN file, DROP COLUMN file_bytes;
ALTER TABLE tasks DROP COLUMN delivered_to;
ALTER TABLE folders DROP COLUMN marker;
