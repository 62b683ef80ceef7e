-- Instances that were about to be sent by STOW-RS, by the UIDs under which they were sent: what is not in the ledger of these may have been
-- stored all the same, and is asked for before it is sent again.

-- +goose Up
CREATE TABLE intended_stores (
    task_id          bigint NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    sop_instance_uid text   NOT NULL,
    PRIMARY KEY (task_id, sop_instance_uid)
);

-- +goose Down
DROP TABLE intended_stores;
