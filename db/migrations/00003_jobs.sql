-- Jobs, tasks and the ledger of what was delivered; the processes that run them and the associations they hold
-- (actors.md: What PostgreSQL guarantees). Lock order, always: advisory slots, jobs by id, tasks by id, the rest.

-- +goose Up

-- The instant that schedules and back-offs are reckoned from. A test shifts it by the setting adit.clock_shift;
-- leases never use it.
-- +goose StatementBegin
CREATE FUNCTION schedule_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT now() + coalesce(nullif(current_setting('adit.clock_shift', true), '')::interval, interval '0')
$$;
-- +goose StatementEnd

-- One row per incarnation of a process. A process that finds its row fenced holds nothing any more.
CREATE TABLE nodes (
    id          uuid        PRIMARY KEY,
    data_dir_id uuid        NOT NULL,              -- a restart in the same locked directory fences its predecessor
    name        text        NOT NULL,
    roles       text[]      NOT NULL DEFAULT '{}',
    actor_addr  text        NOT NULL DEFAULT '',
    data_addr   text        NOT NULL DEFAULT '',
    version     text        NOT NULL,
    schema_min  bigint      NOT NULL,
    schema_max  bigint      NOT NULL,
    beat        bigint      NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL DEFAULT now(),
    fenced_at   timestamptz
);
CREATE INDEX nodes_alive ON nodes (id) WHERE fenced_at IS NULL;

CREATE TABLE jobs (
    id                  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind                text        NOT NULL CHECK (kind IN ('selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer', 'upload')),
    owner_id            bigint      NOT NULL REFERENCES users,
    project_id          bigint      NOT NULL REFERENCES projects,
    source_id           bigint      REFERENCES dicom_nodes,
    destination_id      bigint      REFERENCES dicom_nodes,
    trial_protocol_id   text        NOT NULL DEFAULT '' CHECK (length(trial_protocol_id) <= 64),
    trial_protocol_name text        NOT NULL DEFAULT '' CHECK (length(trial_protocol_name) <= 64),
    mail_when_finished  boolean     NOT NULL DEFAULT false,
    urgent              boolean     NOT NULL DEFAULT false,
    priority            smallint    NOT NULL,
    verified            boolean     NOT NULL DEFAULT true,
    paused              boolean     NOT NULL DEFAULT false,
    canceled            boolean     NOT NULL DEFAULT false,  -- somebody asked for it; running tasks may still have to stop
    started             boolean     NOT NULL DEFAULT false,  -- a task was claimed since the job was last made ready
    n_pending           integer     NOT NULL DEFAULT 0 CHECK (n_pending >= 0),
    n_running           integer     NOT NULL DEFAULT 0 CHECK (n_running >= 0),
    n_success           integer     NOT NULL DEFAULT 0 CHECK (n_success >= 0),
    n_warning           integer     NOT NULL DEFAULT 0 CHECK (n_warning >= 0),
    n_failure           integer     NOT NULL DEFAULT 0 CHECK (n_failure >= 0),
    n_canceled          integer     NOT NULL DEFAULT 0 CHECK (n_canceled >= 0),
    version             bigint      NOT NULL DEFAULT 0,
    created_at          timestamptz NOT NULL DEFAULT now(),
    started_at          timestamptz,
    ended_at            timestamptz,
    last_claim_at       timestamptz,
    -- The status follows from the counters and from what people asked for, and can't disagree with them.
    status              text        NOT NULL GENERATED ALWAYS AS (CASE
        WHEN NOT verified THEN 'unverified'
        WHEN canceled AND n_running > 0 THEN 'canceling'
        WHEN canceled THEN 'canceled'
        WHEN n_pending + n_running > 0 AND started THEN 'in_progress'
        WHEN n_pending + n_running > 0 THEN 'pending'
        WHEN n_failure > 0 THEN 'failure'
        WHEN n_warning > 0 THEN 'warning'
        WHEN n_success > 0 THEN 'success'
        ELSE 'canceled' END) STORED,
    -- The jobs that a claim looks at. A column of its own, because its value seldom changes: counters then change
    -- without touching an index (HOT).
    active              boolean     NOT NULL GENERATED ALWAYS AS (n_pending + n_running > 0) STORED,
    CHECK (source_id <> destination_id),
    CHECK (n_pending + n_running + n_success + n_warning + n_failure + n_canceled > 0)
) WITH (fillfactor = 70);
CREATE INDEX jobs_active ON jobs (id) WHERE active;
CREATE INDEX jobs_owner ON jobs (owner_id, id);

CREATE SEQUENCE lease_tokens;

-- A task of a transfer is one study, or chosen series of it.
CREATE TABLE tasks (
    id                   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id               bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    seq                  integer     NOT NULL,
    status               text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in_progress', 'canceled', 'success', 'warning', 'failure')),
    patient_id           text        NOT NULL DEFAULT '',
    study_instance_uid   text        NOT NULL DEFAULT '',
    series_instance_uids text[]      NOT NULL DEFAULT '{}',   -- empty = the whole study
    pseudonym            text        NOT NULL DEFAULT '',
    not_before           timestamptz NOT NULL DEFAULT schedule_now(),
    waiting_reason       text        NOT NULL DEFAULT '',     -- why not_before lies ahead
    failures             integer     NOT NULL DEFAULT 0,      -- attempts that failed by the task's own fault
    waits                integer     NOT NULL DEFAULT 0,      -- times in a row that a server could not be had
    losses               integer     NOT NULL DEFAULT 0,      -- leases lost in a row without one new instance
    crashes              integer     NOT NULL DEFAULT 0,      -- of those, the ones that took the process along
    lease_node           uuid,
    lease_token          bigint,
    cancel_requested     boolean     NOT NULL DEFAULT false,
    expected             integer     NOT NULL DEFAULT 0,
    received             integer     NOT NULL DEFAULT 0,
    delivered            integer     NOT NULL DEFAULT 0,
    verified             integer     NOT NULL DEFAULT 0,
    bytes                bigint      NOT NULL DEFAULT 0,
    message              text        NOT NULL DEFAULT '',
    created_at           timestamptz NOT NULL DEFAULT now(),
    started_at           timestamptz,
    ended_at             timestamptz,
    UNIQUE (job_id, seq),
    CHECK ((status = 'in_progress') = (lease_node IS NOT NULL AND lease_token IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX tasks_pending ON tasks (job_id, not_before, seq) WHERE status = 'pending';
CREATE INDEX tasks_running ON tasks (lease_node) WHERE status = 'in_progress';

-- One row is one association that is, or may still be, open at a server.
CREATE TABLE association_slots (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server_id  bigint      NOT NULL,
    use        text        NOT NULL CHECK (use IN ('batch', 'interactive')),
    node_id    uuid        NOT NULL,
    task_id    bigint,
    token      bigint,
    expires_at timestamptz,          -- set when its node is fenced: the peer may hold the association open until then
    CHECK ((task_id IS NULL) = (token IS NULL))
);
CREATE INDEX association_slots_server ON association_slots (server_id, use);
CREATE INDEX association_slots_task ON association_slots (task_id);

-- The ledger: this instance is at the destination, with the destination's own status. Kept while the task may go on or be
-- retried; a task that ended in Success or Warning needs it no more.
CREATE TABLE delivered (
    task_id        bigint  NOT NULL REFERENCES tasks ON DELETE CASCADE,
    source_sop_uid text    NOT NULL,
    series_uid     text    NOT NULL,
    bytes          bigint  NOT NULL,
    status         integer NOT NULL,
    PRIMARY KEY (task_id, source_sop_uid)
);

-- What stays of a task: per series what was expected, what was acknowledged, and each instance that was not, with the reason.
CREATE TABLE task_series (
    task_id    bigint  NOT NULL REFERENCES tasks ON DELETE CASCADE,
    series_uid text    NOT NULL,
    expected   integer NOT NULL,
    delivered  integer NOT NULL,
    verified   integer NOT NULL DEFAULT 0,
    bytes      bigint  NOT NULL,
    missing    jsonb   NOT NULL DEFAULT '[]',   -- [{"uid", "status", "reason"}]
    PRIMARY KEY (task_id, series_uid)
);

CREATE TABLE task_log (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint      NOT NULL REFERENCES tasks ON DELETE CASCADE,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    line    text        NOT NULL
);
CREATE INDEX task_log_task ON task_log (task_id, id);

-- The receivers' truth: which running task waits for the objects of which C-MOVE.
CREATE TABLE expectations (
    source_id   bigint      NOT NULL,
    message_id  integer     NOT NULL CHECK (message_id BETWEEN 1 AND 65535),
    task_id     bigint      NOT NULL,
    lease_node  uuid        NOT NULL,
    lease_token bigint      NOT NULL,
    study_uid   text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    PRIMARY KEY (source_id, message_id)
);
CREATE INDEX expectations_study ON expectations (study_uid);

-- Mails and webhooks, written in the transaction that ends the job, delivered at least once with a stable id.
CREATE TABLE outbox (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    kind         text        NOT NULL CHECK (kind IN ('mail', 'webhook')),
    body         jsonb       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    not_before   timestamptz NOT NULL DEFAULT now(),
    attempts     integer     NOT NULL DEFAULT 0,
    delivered_at timestamptz
);
CREATE INDEX outbox_due ON outbox (not_before) WHERE delivered_at IS NULL;

CREATE TABLE idempotency_keys (
    user_id     bigint      NOT NULL REFERENCES users ON DELETE CASCADE,
    key         text        NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    body_sha256 bytea       NOT NULL,
    job_id      bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

-- +goose Down
DROP TABLE idempotency_keys, outbox, expectations, task_log, task_series, delivered, association_slots, tasks;
DROP SEQUENCE lease_tokens;
DROP TABLE jobs, nodes;
DROP FUNCTION schedule_now();
