-- Mass transfers and batch queries that run again and again.

-- +goose Up
CREATE TABLE recurrences (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id     bigint      NOT NULL REFERENCES users ON DELETE CASCADE,
    kind         text        NOT NULL CHECK (kind IN ('mass_transfer', 'batch_query')),
    title        text        NOT NULL CHECK (length(title) <= 150),
    settings     jsonb       NOT NULL,               -- of the jobs that it makes
    weekdays     smallint[]  NOT NULL,               -- 1 = Monday
    at_minute    smallint    NOT NULL CHECK (at_minute BETWEEN 0 AND 1439),   -- of the site's day
    overlap_days integer     NOT NULL DEFAULT 0 CHECK (overlap_days BETWEEN 0 AND 3660),
    first_day    text        NOT NULL DEFAULT '',    -- of a mass transfer: the first day that is looked through, YYYYMMDD, as the days below
    covered      text        NOT NULL DEFAULT '',    -- the last day that a run has looked through to its end
    until_day    text        NOT NULL DEFAULT '',    -- the last day on which it runs; empty: there is none
    paused       boolean     NOT NULL DEFAULT false,
    next_at      timestamptz,                        -- NULL: it runs no more
    job_id       bigint,                             -- the first job of its last run
    reported     boolean     NOT NULL DEFAULT true,  -- the end of that run has been seen to
    message      text        NOT NULL DEFAULT '',    -- how the last run ended, or why it could not be made
    runs         integer     NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recurrences_owner ON recurrences (owner_id, id);
CREATE INDEX recurrences_due ON recurrences (next_at) WHERE NOT paused AND next_at IS NOT NULL;
CREATE INDEX recurrences_unreported ON recurrences (id) WHERE NOT reported;

ALTER TABLE jobs ADD COLUMN recurrence_id bigint REFERENCES recurrences ON DELETE SET NULL;
CREATE INDEX jobs_recurrence ON jobs (recurrence_id, id);

-- +goose Down
ALTER TABLE jobs DROP COLUMN recurrence_id;
DROP TABLE recurrences;
