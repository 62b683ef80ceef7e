-- Accounts: sessions, what was tried and how often, registrations that wait for approval, and password resets. Of
-- every secret only the SHA-256 is kept.

-- +goose Up
UPDATE users SET is_staff = true WHERE is_superuser;
ALTER TABLE users ADD CONSTRAINT users_superusers_are_staff CHECK (is_staff OR NOT is_superuser);
CREATE INDEX users_mail ON users (lower(mail)) WHERE mail <> '';
CREATE UNIQUE INDEX groups_name ON groups (lower(name));

CREATE TABLE sessions (
    sha256       bytea       PRIMARY KEY CHECK (length(sha256) = 32),   -- of the cookie
    user_id      bigint      NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),                    -- written once a minute at most
    expires_at   timestamptz NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- One row is one try that was refused, or is being judged. The key is a hash: people type passwords where their names belong.
CREATE TABLE attempts (
    id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea       NOT NULL CHECK (length(key) = 32),
    at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX attempts_key ON attempts (key, at);
CREATE INDEX attempts_at ON attempts (at);

-- People who asked for an account. They get it, and choose a password by a mail, when staff approves. Names may be taken, by users or by
-- others who wait: whoever asks is not told who has an account here.
CREATE TABLE registrations (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username   text        NOT NULL CHECK (username <> '' AND length(username) <= 150),
    mail       text        NOT NULL CHECK (mail <> ''),
    first_name text        NOT NULL DEFAULT '',
    last_name  text        NOT NULL DEFAULT '',
    phone      text        NOT NULL DEFAULT '',
    department text        NOT NULL DEFAULT '',
    message    text        NOT NULL DEFAULT '',                         -- to staff
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE password_resets (
    sha256     bytea       PRIMARY KEY CHECK (length(sha256) = 32),     -- of what the mail's link holds
    user_id    bigint      NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX password_resets_user ON password_resets (user_id);

-- +goose Down
DROP TABLE password_resets, registrations, attempts, sessions;
DROP INDEX groups_name, users_mail;
ALTER TABLE users DROP CONSTRAINT users_superusers_are_staff;
