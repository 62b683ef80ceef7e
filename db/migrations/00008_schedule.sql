-- The schedule of a server, and what it is asked and spared of at all hours.

-- +goose Up

-- The default outside all windows stands in batch_cap, interactive_cap and the two rates.
ALTER TABLE servers
    ADD COLUMN studies_per_minute  float8  NOT NULL DEFAULT 0,                    -- 0: no limit
    ADD COLUMN mb_per_second       float8  NOT NULL DEFAULT 0,                    -- 0: no limit
    ADD COLUMN schedule            jsonb   NOT NULL DEFAULT '{}',                 -- {"windows", "holidays"} of schedule.Schedule
    ADD COLUMN min_study_age_s     integer NOT NULL DEFAULT 0 CHECK (min_study_age_s >= 0),       -- its studies are not read before
    ADD COLUMN offline_patience_s  integer NOT NULL DEFAULT 900 CHECK (offline_patience_s BETWEEN 1 AND 86400), -- with studies that are offline or nearline
    ADD COLUMN refused_sop_classes text[]  NOT NULL DEFAULT '{}',                 -- that it never takes: left out by rule
    ADD COLUMN duplicates          text    NOT NULL DEFAULT 'send' CHECK (duplicates IN ('send', 'skip')); -- skip: what it holds already isn't sent

-- What the schedule allows now. The nodes work it out from the schedule and schedule_now() and keep it here, so that claims, searches and
-- explanations all see the same; nothing of it holds from caps_until on.
ALTER TABLE server_state
    ADD COLUMN batch_cap          integer     NOT NULL DEFAULT 0,
    ADD COLUMN interactive_cap    integer     NOT NULL DEFAULT 0,
    ADD COLUMN outside_cap        integer     NOT NULL DEFAULT 0,  -- batch associations of urgent jobs that may run outside their window
    ADD COLUMN studies_per_minute float8      NOT NULL DEFAULT 0,
    ADD COLUMN mb_per_second      float8      NOT NULL DEFAULT 0,
    ADD COLUMN caps_until         timestamptz          DEFAULT 'epoch', -- null: until the schedule is changed
    ADD COLUMN opens_at           timestamptz,                          -- while it is closed for jobs; null: not foreseeable
    ADD COLUMN opens_zone         text        NOT NULL DEFAULT '',
    ADD COLUMN breaker_at         timestamptz;                          -- since when it is open
UPDATE server_state st
SET batch_cap = s.batch_cap, interactive_cap = s.interactive_cap, outside_cap = s.batch_cap, caps_until = NULL
FROM servers s
WHERE s.id = st.server_id;

-- Slots beyond those of the claim are the first to be given back.
ALTER TABLE association_slots ADD COLUMN further boolean NOT NULL DEFAULT false;

ALTER TABLE jobs ADD COLUMN outside_windows boolean NOT NULL DEFAULT false; -- urgent, and allowed where the window is closed for jobs

-- How many tasks a node runs at once over the week (schedule.Workers).
CREATE TABLE worker_schedules (
    node_name text  PRIMARY KEY CHECK (node_name <> ''),
    schedule  jsonb NOT NULL
);

ALTER TABLE group_permissions
    DROP CONSTRAINT group_permissions_permission_check,
    ADD CONSTRAINT group_permissions_permission_check CHECK (permission IN (
        'selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer', 'explorer', 'upload', 'direct_download',
        'dicomweb_query', 'dicomweb_retrieve', 'dicomweb_store', 'urgent', 'urgent_outside_windows', 'transfer_unpseudonymized', 'tokens',
        'tokens_without_expiry', 'linkage'));
INSERT INTO group_permissions (group_id, permission) SELECT min(id), 'urgent_outside_windows' FROM groups HAVING min(id) IS NOT NULL;

-- +goose Down
DELETE FROM group_permissions WHERE permission = 'urgent_outside_windows';
ALTER TABLE group_permissions
    DROP CONSTRAINT group_permissions_permission_check,
    ADD CONSTRAINT group_permissions_permission_check CHECK (permission IN (
        'selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer', 'explorer', 'upload', 'direct_download',
        'dicomweb_query', 'dicomweb_retrieve', 'dicomweb_store', 'urgent', 'transfer_unpseudonymized', 'tokens',
        'tokens_without_expiry', 'linkage'));
DROP TABLE worker_schedules;
ALTER TABLE jobs DROP COLUMN outside_windows;
ALTER TABLE association_slots DROP COLUMN further;
ALTER TABLE server_state
    DROP COLUMN batch_cap, DROP COLUMN interactive_cap, DROP COLUMN outside_cap, DROP COLUMN studies_per_minute, DROP COLUMN mb_per_second,
    DROP COLUMN caps_until, DROP COLUMN opens_at, DROP COLUMN opens_zone, DROP COLUMN breaker_at;
ALTER TABLE servers
    DROP COLUMN studies_per_minute, DROP COLUMN mb_per_second, DROP COLUMN schedule, DROP COLUMN min_study_age_s, DROP COLUMN offline_patience_s,
    DROP COLUMN refused_sop_classes, DROP COLUMN duplicates;
