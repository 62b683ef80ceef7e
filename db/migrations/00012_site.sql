-- The site: mails that wait to be sent, chores that one node does, warnings, quotas of folders, retention, and what was moved on
-- each day.

-- +goose Up

-- Mails, written in the transaction that they tell of and delivered at least once, one row per recipient. The first form of this table was never used.
DROP TABLE outbox;
CREATE TABLE outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text        NOT NULL DEFAULT 'mail' CHECK (kind IN ('mail', 'webhook')),
    message_id uuid        NOT NULL DEFAULT gen_random_uuid() UNIQUE, -- the same at each attempt
    recipient  text        NOT NULL CHECK (recipient <> ''),
    subject    text        NOT NULL,
    body       text        NOT NULL,                   -- emptied when it is sent: it may hold a link that is a secret
    job_end    jsonb,                                  -- of the mail of a job that ended, whose words are found when it is sent
    status     text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'given_up')),
    attempts   integer     NOT NULL DEFAULT 0,
    next_at    timestamptz NOT NULL DEFAULT now(),     -- while a node sends it: until when it has it for itself
    error      text        NOT NULL DEFAULT '',        -- of the last attempt
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    CHECK ((status = 'pending') = (ended_at IS NULL))
);
CREATE INDEX outbox_pending ON outbox (next_at) WHERE status = 'pending';
CREATE INDEX outbox_ended ON outbox (ended_at) WHERE status <> 'pending';

-- A job ends in many ways: its last task ends, is deleted or lost for good, or the job is canceled. They all change its status, which is why the
-- mail is written here and nowhere else.
-- +goose StatementBegin
CREATE FUNCTION mail_job_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (recipient, subject, body, job_end)
    SELECT u.mail, '', '', jsonb_build_object(
        'job', NEW.id, 'status', NEW.status, 'source', src.name, 'destination', dst.name,
        'success', NEW.n_success, 'warning', NEW.n_warning, 'failure', NEW.n_failure, 'canceled', NEW.n_canceled)
    FROM users u
    LEFT JOIN dicom_nodes src ON src.id = NEW.source_id
    LEFT JOIN dicom_nodes dst ON dst.id = NEW.destination_id
    WHERE u.id = NEW.owner_id AND u.is_active AND u.mail <> '';
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER jobs_mail_end AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (NEW.mail_when_finished AND OLD.status IN ('unverified', 'pending', 'in_progress', 'canceling')
          AND NEW.status IN ('canceled', 'success', 'warning', 'failure'))
    EXECUTE FUNCTION mail_job_end();

-- What one node does for all, at a time: whoever moves next_at on has the chore.
CREATE TABLE chores (
    name    text        PRIMARY KEY,
    next_at timestamptz NOT NULL,
    ran_at  timestamptz,                               -- when it was last done
    result  jsonb       NOT NULL DEFAULT '{}'
);

-- What staff was told of once and that still holds. The row goes when it holds no more.
CREATE TABLE warnings (
    key     text        PRIMARY KEY,
    message text        NOT NULL,
    since   timestamptz NOT NULL DEFAULT now()
);

-- 1 GB = 10^9 bytes; 0: none.
ALTER TABLE folders
    ADD COLUMN quota_gb float8 NOT NULL DEFAULT 0 CHECK (quota_gb >= 0),
    ADD COLUMN warn_gb  float8 NOT NULL DEFAULT 0 CHECK (warn_gb >= 0);

-- Hot, so that nothing points here.
CREATE TABLE folder_usage (
    folder_id   bigint      PRIMARY KEY REFERENCES folders ON DELETE CASCADE,
    bytes       bigint      NOT NULL DEFAULT 0,        -- of all files, what running tasks have set aside included
    measured_at timestamptz                            -- when the files themselves were last counted
);
INSERT INTO folder_usage (folder_id) SELECT id FROM folders;

ALTER TABLE jobs ADD COLUMN erased_at timestamptz;     -- since then it holds no identifiers of patients
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE erased_at IS NULL;
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;

-- What was moved on the days that are over, by the site's calendar. It outlives the jobs.
CREATE TABLE daily_transfers (
    day            date   NOT NULL,
    owner_id       bigint NOT NULL,
    source_id      bigint NOT NULL,
    destination_id bigint NOT NULL,
    tasks          bigint NOT NULL,
    failed         bigint NOT NULL,                    -- of those
    images         bigint NOT NULL,
    bytes          bigint NOT NULL,
    PRIMARY KEY (day, owner_id, source_id, destination_id)
);

-- +goose Down
DROP TABLE daily_transfers;
DROP INDEX tasks_ended, jobs_ended;
ALTER TABLE jobs DROP COLUMN erased_at;
DROP TABLE folder_usage;
ALTER TABLE folders DROP COLUMN quota_gb, DROP COLUMN warn_gb;
DROP TABLE warnings, chores;
DROP TRIGGER jobs_mail_end ON jobs;
DROP FUNCTION mail_job_end;
DROP TABLE outbox;
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
