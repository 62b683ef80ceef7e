-- What of a pseudonymized study is proven: whether it is scanned before it goes out, and what went out, for the manifest of its job.

-- +goose Up
ALTER TABLE projects
    ADD COLUMN scan     boolean NOT NULL DEFAULT true,  -- what goes out is searched for what came in
    ADD COLUMN manifest boolean NOT NULL DEFAULT false; -- what goes out is written down with its hash
-- As the project had them when the job was made.
ALTER TABLE jobs
    ADD COLUMN scan     boolean NOT NULL DEFAULT false,
    ADD COLUMN manifest boolean NOT NULL DEFAULT false;

-- What was done to objects, once for all that had the same done to them.
CREATE TABLE deid_actions (
    sha256 bytea PRIMARY KEY,
    done   json  NOT NULL                            -- []deid.Done
);

-- The objects of a task's report that were delivered. They stay as long as it does, longer than the ledger.
CREATE TABLE deid_objects (
    task_id bigint NOT NULL REFERENCES task_deid ON DELETE CASCADE,
    sop_uid text   NOT NULL,                         -- as sent
    object  json   NOT NULL,                         -- manifest.Object
    actions bytea  NOT NULL,                         -- of deid_actions
    PRIMARY KEY (task_id, sop_uid)
);

-- +goose Down
DROP TABLE deid_objects, deid_actions;
ALTER TABLE jobs DROP COLUMN scan, DROP COLUMN manifest;
ALTER TABLE projects DROP COLUMN scan, DROP COLUMN manifest;
