-- People, groups, projects and what each group may do with which DICOM node.

-- +goose Up
CREATE TABLE groups (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text   NOT NULL UNIQUE CHECK (name <> '' AND length(name) <= 150)
);

CREATE TABLE users (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username        text        NOT NULL CHECK (username <> '' AND length(username) <= 150),
    mail            text        NOT NULL DEFAULT '',
    first_name      text        NOT NULL DEFAULT '',
    last_name       text        NOT NULL DEFAULT '',
    phone           text        NOT NULL DEFAULT '',
    department      text        NOT NULL DEFAULT '',
    password_hash   text,                               -- argon2id; null = no local password
    is_active       boolean     NOT NULL DEFAULT true,
    is_staff        boolean     NOT NULL DEFAULT false,
    is_superuser    boolean     NOT NULL DEFAULT false,
    active_group_id bigint      REFERENCES groups ON DELETE SET NULL,
    preferences     jsonb       NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_username ON users (lower(username));

CREATE TABLE group_members (
    group_id bigint NOT NULL REFERENCES groups ON DELETE CASCADE,
    user_id  bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_user ON group_members (user_id);

CREATE TABLE group_permissions (
    group_id   bigint NOT NULL REFERENCES groups ON DELETE CASCADE,
    permission text   NOT NULL CHECK (permission IN (
        'selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer', 'explorer', 'upload', 'direct_download',
        'dicomweb_query', 'dicomweb_retrieve', 'dicomweb_store', 'urgent', 'transfer_unpseudonymized', 'tokens',
        'tokens_without_expiry')),
    PRIMARY KEY (group_id, permission)
);

-- A project holds the de-identification profile and key under which its jobs run. The key is random, 256 bit, and sealed
-- with the server's key; uid_generation rises when the profile changes.
CREATE TABLE projects (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text        NOT NULL UNIQUE CHECK (name <> ''),
    description    text        NOT NULL DEFAULT '',
    group_id       bigint      NOT NULL REFERENCES groups,
    is_default     boolean     NOT NULL DEFAULT false,   -- the project of this group's jobs that name none
    profile        text        NOT NULL DEFAULT 'default',
    sealed_key     bytea       NOT NULL,
    uid_generation integer     NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX projects_default ON projects (group_id) WHERE is_default;

CREATE TABLE project_members (
    project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE,
    user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (project_id, user_id)
);

-- Only the SHA-256 of a token is kept: a token is shown once.
CREATE TABLE api_tokens (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint      NOT NULL REFERENCES users ON DELETE CASCADE,
    description text        NOT NULL DEFAULT '',
    sha256      bytea       NOT NULL UNIQUE CHECK (length(sha256) = 32),
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_tokens_user ON api_tokens (user_id);

-- What the installation knows of itself, such as the fingerprint of the server key.
CREATE TABLE settings (
    key   text  PRIMARY KEY,
    value jsonb NOT NULL
);

-- +goose Down
DROP TABLE settings, api_tokens, project_members, projects, group_permissions, group_members, users, groups;
