-- How much a server bears of jobs, as far as it has said so by refusing; and which studies it refuses while others go through.

-- +goose Up
ALTER TABLE server_state
    ADD COLUMN allowance      integer,                        -- associations of jobs at once; null: nothing is learned, and the cap of the hour holds
    ADD COLUMN ceiling        integer,                        -- so many were refused last; null: no number is known to be too high
    ADD COLUMN tries          integer NOT NULL DEFAULT 0,     -- in a row of one more than the allowance that were refused
    ADD COLUMN trial_task     bigint,                         -- that was let in beyond the allowance last
    ADD COLUMN echo           boolean NOT NULL DEFAULT true,  -- of an open breaker: a C-ECHO tells whether it can be closed, else a task does
    ADD COLUMN echoed         boolean NOT NULL DEFAULT false, -- a C-ECHO closed it, and no task has got through since
    ADD COLUMN refused_task   bigint,                         -- refused last, and nothing got through since
    ADD COLUMN succeeded_task bigint,                         -- that got through last, as far as that mattered ...
    ADD COLUMN succeeded_at   timestamptz,                    -- ... and when
    ADD COLUMN troubled_at    timestamptz;                    -- when a refusal was last the server's, not the study's
UPDATE server_state SET allowance = 0, tries = 1 WHERE breaker = 'open';

ALTER TABLE tasks
    ADD COLUMN refused       integer NOT NULL DEFAULT 0, -- times in a row that a server refused it
    ADD COLUMN refused_since timestamptz;                -- the first of them

-- +goose Down
ALTER TABLE tasks DROP COLUMN refused_since, DROP COLUMN refused;
ALTER TABLE server_state
    DROP COLUMN troubled_at, DROP COLUMN succeeded_at, DROP COLUMN succeeded_task, DROP COLUMN refused_task, DROP COLUMN echoed,
    DROP COLUMN echo, DROP COLUMN trial_task, DROP COLUMN tries, DROP COLUMN ceiling, DROP COLUMN allowance;
