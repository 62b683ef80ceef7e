-- Who may change an account: a session says when its password was last given. Mails that hold a secret are sealed.

-- +goose Up
ALTER TABLE sessions ADD COLUMN confirmed_at timestamptz NOT NULL DEFAULT now(); -- when the password was last given
UPDATE sessions SET confirmed_at = created_at;

-- The body of a mail that holds a code, under the server key; the column body is empty then. Erased when the mail is sent.
ALTER TABLE outbox ADD COLUMN sealed bytea;
-- What was given up stood here in clear. Its links are too old, or their owners ask for another one.
DELETE FROM outbox WHERE status = 'given_up' AND body ~ '[0-9a-f]{40}';

-- +goose Down
ALTER TABLE outbox DROP COLUMN sealed;
ALTER TABLE sessions DROP COLUMN confirmed_at;
