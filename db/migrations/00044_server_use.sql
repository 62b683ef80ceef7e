-- How servers were used, by hour: what the schedule is held against. Hours are of UTC: each comes once, and they meet
-- those of all zones that differ by whole hours.

-- +goose Up
CREATE TABLE server_use (
    server_id        bigint      NOT NULL,          -- also of one that has been removed
    hour             timestamptz NOT NULL,          -- its beginning
    samples          integer     NOT NULL DEFAULT 0, -- how often it was looked, about once a minute
    batch_sum        bigint      NOT NULL DEFAULT 0, -- associations of jobs, over all samples
    batch_most       integer     NOT NULL DEFAULT 0,
    interactive_sum  bigint      NOT NULL DEFAULT 0, -- associations of people
    interactive_most integer     NOT NULL DEFAULT 0,
    -- of tasks that ended in this hour
    from_studies     bigint      NOT NULL DEFAULT 0,
    from_instances   bigint      NOT NULL DEFAULT 0,
    from_bytes       bigint      NOT NULL DEFAULT 0,
    to_studies       bigint      NOT NULL DEFAULT 0,
    to_instances     bigint      NOT NULL DEFAULT 0,
    to_bytes         bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (server_id, hour)
) WITH (fillfactor = 70); -- rows of this hour change every minute
CREATE INDEX server_use_hour ON server_use (hour);

-- +goose Down
DROP TABLE server_use;
