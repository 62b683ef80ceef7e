-- Verification of what a destination acknowledged, and C-MOVE from a source straight to a destination (dicom.md; PS3.4 annex J).

-- +goose Up

-- How deliveries to a server are verified. No row: they aren't.
CREATE TABLE server_verification (
    server_id  bigint  PRIMARY KEY REFERENCES servers ON DELETE CASCADE,
    method     text    NOT NULL CHECK (method IN ('presence', 'commitment')),
    patience_s integer NOT NULL CHECK (patience_s BETWEEN 1 AND 86400)
);

-- Under which AE title a source sends straight to a destination. No row: all goes through ADIT.
CREATE TABLE direct_moves (
    source_id      bigint NOT NULL REFERENCES servers ON DELETE CASCADE,
    destination_id bigint NOT NULL REFERENCES servers ON DELETE CASCADE,
    ae_title       text   NOT NULL CHECK (length(ae_title) BETWEEN 1 AND 16),
    PRIMARY KEY (source_id, destination_id),
    CHECK (source_id <> destination_id)
);
CREATE INDEX direct_moves_destination ON direct_moves (destination_id);

-- A task whose study is delivered, and that is over when the destination has it for sure. Nothing is sent any more: the claim of such a
-- task takes a slot of the destination alone.
CREATE TABLE verifications (
    task_id    bigint      PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
    open       boolean     NOT NULL DEFAULT true,          -- false: given up; a retry opens it again
    since      timestamptz NOT NULL DEFAULT schedule_now(),
    due_at     timestamptz NOT NULL DEFAULT schedule_now(), -- of the next check
    patient_id text        NOT NULL,                       -- as sent
    study_uid  text        NOT NULL,                       -- as sent
    status     text        NOT NULL CHECK (status IN ('success', 'warning')), -- of the task, once it is verified
    message    text        NOT NULL
);
CREATE INDEX verifications_due ON verifications (due_at) WHERE open;

CREATE TABLE verification_instances (
    task_id         bigint  NOT NULL REFERENCES verifications ON DELETE CASCADE,
    source_sop_uid  text    NOT NULL,
    series_uid      text    NOT NULL,
    sop_class_uid   text    NOT NULL,
    sent_sop_uid    text    NOT NULL,
    sent_series_uid text    NOT NULL,
    verified        boolean NOT NULL DEFAULT false,
    reason          text    NOT NULL DEFAULT '',           -- that the destination gave against it
    PRIMARY KEY (task_id, source_sop_uid)
);
CREATE INDEX verification_instances_sent ON verification_instances (task_id, sent_sop_uid);

-- Requests for storage commitment, written before they are sent: the report may come hours later, and to another process.
CREATE TABLE commitments (
    transaction_uid text        PRIMARY KEY,
    task_id         bigint      NOT NULL REFERENCES verifications ON DELETE CASCADE,
    server_id       bigint      NOT NULL,
    requested_at    timestamptz NOT NULL DEFAULT schedule_now(),
    taken           boolean     NOT NULL DEFAULT false,    -- the server has acknowledged the request
    reported_at     timestamptz
);
CREATE INDEX commitments_task ON commitments (task_id);

ALTER TABLE delivered ADD COLUMN sop_class_uid text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE delivered DROP COLUMN sop_class_uid;
DROP TABLE commitments, verification_instances, verifications, direct_moves, server_verification;
