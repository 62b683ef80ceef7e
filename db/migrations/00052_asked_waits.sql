-- How long a server asked not to be asked again (Retry-After), of the pause that goes on until probe_at: by it a wait is known to be as long as
-- it was meant to be. 0: it did not ask.

-- +goose Up
ALTER TABLE server_state ADD COLUMN asked_seconds double precision NOT NULL DEFAULT 0 CHECK (asked_seconds >= 0);

-- +goose Down
ALTER TABLE server_state DROP COLUMN asked_seconds;
