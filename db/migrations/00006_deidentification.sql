-- De-identification: profiles that people bring, what a job was made with, who is behind a pseudonym, and what was done (deid.md).

-- +goose Up

-- A profile of a project's own, as it was uploaded. A version never changes: an improved profile is another version.
CREATE TABLE deid_profiles (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL,
    version    text        NOT NULL,
    sha256     text        NOT NULL UNIQUE,          -- deid.Profile.Hash
    text       text        NOT NULL,                 -- YAML
    created_by bigint      REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, version)
);

-- A project uses a built-in profile by its name, or one of its own. The hash is that of the UID generation's jobs: with another one
-- a new generation begins, since one UID must not have two contents.
ALTER TABLE projects
    ALTER COLUMN profile SET DEFAULT 'adit-default',
    ADD COLUMN profile_id     bigint REFERENCES deid_profiles,
    ADD COLUMN profile_sha256 text   NOT NULL DEFAULT '';
UPDATE projects SET profile = 'adit-default' WHERE profile = 'default';

-- What a job de-identifies with, so that a retry gives the same bytes whatever its project has been changed to meanwhile.
ALTER TABLE jobs
    ADD COLUMN pseudonymize    boolean NOT NULL DEFAULT false, -- tasks without a pseudonym get the patient's own
    ADD COLUMN profile_name    text    NOT NULL DEFAULT '',
    ADD COLUMN profile_version text    NOT NULL DEFAULT '',
    ADD COLUMN profile_sha256  text    NOT NULL DEFAULT '',
    ADD COLUMN uid_generation  integer NOT NULL DEFAULT 0;

-- Whose Patient IDs a server's are: two servers of one issuer mean the same patient by one ID.
ALTER TABLE servers ADD COLUMN issuer_of_patient_id text NOT NULL DEFAULT '' CHECK (length(issuer_of_patient_id) <= 64);

-- The linkage table. Within a key, pseudonym and patient are unique both ways. A group's default project has a key per trial.
CREATE TABLE linkage (
    project_id bigint      NOT NULL REFERENCES projects ON DELETE CASCADE,
    trial      text        NOT NULL DEFAULT '',
    pseudonym  text        NOT NULL CHECK (pseudonym <> '' AND length(pseudonym) <= 64),
    identity   text        NOT NULL,                 -- deid.PatientIdentity
    patient_id text        NOT NULL,
    issuer     text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, trial, pseudonym),
    UNIQUE (project_id, trial, identity)
);

-- What de-identification did to the study of a task.
CREATE TABLE task_deid (
    task_id   bigint  PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
    study_uid text    NOT NULL,                      -- as sent
    instances integer NOT NULL DEFAULT 0,
    counts    jsonb   NOT NULL DEFAULT '{}',         -- attributes by action, of what was delivered
    codes     text[]  NOT NULL DEFAULT '{}',         -- CID 7050
    to_utf8   integer NOT NULL DEFAULT 0,            -- instances moved to ISO_IR 192
    left_out  jsonb   NOT NULL DEFAULT '[]',         -- [{"uid", "reason", "unsafe"}], uid as received
    omitted   jsonb   NOT NULL DEFAULT '{}'          -- instances of excluded modalities, by modality
);

-- +goose Down
DROP TABLE task_deid, linkage;
ALTER TABLE servers DROP COLUMN issuer_of_patient_id;
ALTER TABLE jobs DROP COLUMN pseudonymize, DROP COLUMN profile_name, DROP COLUMN profile_version, DROP COLUMN profile_sha256, DROP COLUMN uid_generation;
ALTER TABLE projects ALTER COLUMN profile SET DEFAULT 'default', DROP COLUMN profile_id, DROP COLUMN profile_sha256;
DROP TABLE deid_profiles;
