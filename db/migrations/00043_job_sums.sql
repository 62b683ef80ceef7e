-- What pages show of a job beside the numbers of its tasks: how many instances and bytes, how fast, and why tasks failed.

-- +goose Up

-- Sums over the tasks of a job that do not run now. What running ones have is added where a job is read, by the view.
ALTER TABLE jobs
    ADD COLUMN sum_expected  bigint NOT NULL DEFAULT 0,
    ADD COLUMN sum_received  bigint NOT NULL DEFAULT 0,
    ADD COLUMN sum_delivered bigint NOT NULL DEFAULT 0,
    ADD COLUMN sum_bytes     bigint NOT NULL DEFAULT 0;
UPDATE jobs j
SET sum_expected = s.expected, sum_received = s.received, sum_delivered = s.delivered, sum_bytes = s.bytes
FROM (SELECT t.job_id, sum(t.expected) AS expected, sum(t.received) AS received, sum(t.delivered) AS delivered, sum(t.bytes) AS bytes
      FROM tasks t WHERE t.status <> 'in_progress' GROUP BY t.job_id) s
WHERE s.job_id = j.id AND (s.expected, s.received, s.delivered, s.bytes) <> (0, 0, 0, 0);

CREATE VIEW running AS
SELECT t.job_id, sum(t.expected)::bigint AS expected, sum(t.received)::bigint AS received, sum(t.delivered)::bigint AS delivered,
       sum(t.bytes)::bigint AS bytes,
       sum(CASE WHEN t.expected > 0 THEN least(t.delivered::float8 / t.expected, 1) ELSE 0 END)::float8 AS done
FROM tasks t
WHERE t.status = 'in_progress'
GROUP BY t.job_id;

-- The row in which jobs of one owner between two nodes wait, for those that come before one of them.
CREATE INDEX jobs_row ON jobs (owner_id, source_id, destination_id, urgent, priority, (-id)) WHERE active;

-- How far jobs were, about once a minute while they run, for an hour.
CREATE TABLE job_samples (
    job_id    bigint           NOT NULL REFERENCES jobs ON DELETE CASCADE,
    at        timestamptz      NOT NULL DEFAULT now(),
    done      double precision NOT NULL,   -- tasks, with the parts of those that ran
    delivered bigint           NOT NULL,
    bytes     bigint           NOT NULL,
    PRIMARY KEY (job_id, at)
);
CREATE INDEX job_samples_at ON job_samples (at);

-- What the message of a task that failed or has warnings has in common with those of others: numbers and UIDs are left out of it.
ALTER TABLE tasks ADD COLUMN reason text NOT NULL DEFAULT '', ADD COLUMN retry_helps boolean NOT NULL DEFAULT true;
UPDATE tasks
SET reason = regexp_replace(regexp_replace(message, '\m[0-2]\.[0-9]+(\.[0-9]+)+\M', 'UID', 'g'), '(^|(?<!status)[\s(])[0-9]+([.,][0-9]+)*\M', '\1N', 'g')
WHERE status IN ('failure', 'warning') AND message <> '';

-- +goose Down
ALTER TABLE tasks DROP COLUMN retry_helps, DROP COLUMN reason;
DROP TABLE job_samples;
DROP INDEX jobs_row;
DROP VIEW running;
ALTER TABLE jobs DROP COLUMN sum_bytes, DROP COLUMN sum_delivered, DROP COLUMN sum_received, DROP COLUMN sum_expected;
