-- What the receiver and the schedule lacked: duplicates, studies that have to be brought back, who sent what nobody asked for, C-MOVEs whose
-- own store associations count, turns of C-MOVEs over the whole cluster, and verifications that are found without walking over others.

-- +goose Up
ALTER TABLE servers
    DROP CONSTRAINT servers_duplicates_check,
    ADD CONSTRAINT servers_duplicates_check CHECK (duplicates IN ('send', 'skip', 'refuse')), -- of what it holds already, as a destination
    ALTER COLUMN offline_patience_s SET DEFAULT 14400,
    -- Jobs from here begin with C-MOVE: a task needs a second slot, for the association over which the objects come.
    ADD COLUMN moves_first boolean NOT NULL GENERATED ALWAYS AS (
        (study_root_move OR patient_root_move)
        AND (NOT (study_root_get OR patient_root_get) OR coalesce(retrieve_methods[1], 'C-GET') = 'C-MOVE')) STORED;
UPDATE servers SET offline_patience_s = 14400 WHERE offline_patience_s = 900;

ALTER TABLE server_state
    ADD COLUMN move_limit integer NOT NULL DEFAULT 0,  -- C-MOVEs at once, after it said that it had too many; 0: none is known
    ADD COLUMN moves_good integer NOT NULL DEFAULT 0;  -- in a row that it did not refuse since

ALTER TABLE expectations ADD COLUMN direct boolean NOT NULL DEFAULT false; -- to another destination than our receiver
CREATE INDEX expectations_source ON expectations (source_id) WHERE ended_at IS NULL;

ALTER TABLE tasks
    ADD COLUMN unavailable_since timestamptz,                         -- its study is offline or nearline, and was not brought back since
    ADD COLUMN duplicates_passed boolean     NOT NULL DEFAULT false;  -- the destination held nothing of it before the first object was sent

-- A claim looks for the verifications of jobs that may run, and steps over no others.
ALTER TABLE verifications ADD COLUMN job_id bigint;
UPDATE verifications v SET job_id = t.job_id FROM tasks t WHERE t.id = v.task_id;
ALTER TABLE verifications ALTER COLUMN job_id SET NOT NULL;
CREATE INDEX verifications_job ON verifications (job_id, due_at) WHERE open;

-- Objects that nobody had asked for, by day and sender.
CREATE TABLE foreign_objects (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day           date        NOT NULL,
    server        text        NOT NULL,              -- name of the server that calls under this AE title
    calling_ae    text        NOT NULL,
    address       text        NOT NULL,              -- from which it called, without the port
    sop_class_uid text        NOT NULL,
    objects       bigint      NOT NULL,
    quarantined   bigint      NOT NULL,              -- of them
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL,
    UNIQUE (day, server, calling_ae, address, sop_class_uid)
);

-- Objects in the quarantine. Their files are in the folder of one node.
CREATE TABLE quarantine (
    id                  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    folder              uuid        NOT NULL,        -- the quarantine's, which only processes of one data directory see
    file                uuid        NOT NULL UNIQUE,
    server              text        NOT NULL,
    calling_ae          text        NOT NULL,
    address             text        NOT NULL,
    sop_class_uid       text        NOT NULL,
    sop_instance_uid    text        NOT NULL,
    transfer_syntax_uid text        NOT NULL,
    bytes               bigint      NOT NULL,
    arrived_at          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quarantine_folder ON quarantine (folder, arrived_at);

ALTER TABLE group_permissions
    DROP CONSTRAINT group_permissions_permission_check,
    ADD CONSTRAINT group_permissions_permission_check CHECK (permission IN (
        'selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer', 'explorer', 'upload', 'direct_download',
        'dicomweb_query', 'dicomweb_retrieve', 'dicomweb_store', 'urgent', 'urgent_outside_windows', 'transfer_unpseudonymized', 'tokens',
        'tokens_without_expiry', 'linkage', 'quarantine'));
INSERT INTO group_permissions (group_id, permission) SELECT min(id), 'quarantine' FROM groups HAVING min(id) IS NOT NULL;

-- +goose Down
DELETE FROM group_permissions WHERE permission = 'quarantine';
ALTER TABLE group_permissions
    DROP CONSTRAINT group_permissions_permission_check,
    ADD CONSTRAINT group_permissions_permission_check CHECK (permission IN (
        'selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer', 'explorer', 'upload', 'direct_download',
        'dicomweb_query', 'dicomweb_retrieve', 'dicomweb_store', 'urgent', 'urgent_outside_windows', 'transfer_unpseudonymized', 'tokens',
        'tokens_without_expiry', 'linkage'));
DROP TABLE quarantine, foreign_objects;
DROP INDEX verifications_job;
ALTER TABLE verifications DROP COLUMN job_id;
ALTER TABLE tasks DROP COLUMN unavailable_since, DROP COLUMN duplicates_passed;
DROP INDEX expectations_source;
ALTER TABLE expectations DROP COLUMN direct;
ALTER TABLE server_state DROP COLUMN move_limit, DROP COLUMN moves_good;
UPDATE servers SET duplicates = 'send' WHERE duplicates = 'refuse';
ALTER TABLE servers
    DROP COLUMN moves_first,
    ALTER COLUMN offline_patience_s SET DEFAULT 900,
    DROP CONSTRAINT servers_duplicates_check,
    ADD CONSTRAINT servers_duplicates_check CHECK (duplicates IN ('send', 'skip'));
