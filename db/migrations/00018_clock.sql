-- The database's clock may be put back. What waits for an instant says how long it was to wait, so that nothing waits longer than that.

-- +goose Up
ALTER TABLE tasks ADD COLUMN wait_seconds float8 NOT NULL DEFAULT 0;  -- of not_before, when it was set
ALTER TABLE outbox ADD COLUMN wait_seconds float8 NOT NULL DEFAULT 0; -- of next_at, when it was set
UPDATE tasks SET wait_seconds = greatest(extract(epoch FROM not_before - schedule_now()), 0) WHERE status = 'pending' AND not_before > schedule_now();
UPDATE outbox SET wait_seconds = greatest(extract(epoch FROM next_at - now()), 0) WHERE status = 'pending' AND next_at > now();

-- +goose Down
ALTER TABLE outbox DROP COLUMN wait_seconds;
ALTER TABLE tasks DROP COLUMN wait_seconds;
