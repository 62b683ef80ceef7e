-- Who may call the receiver: each server from the addresses of its host, and from its ranges. Who was turned away is kept for staff, and for
-- the tasks that waited.

-- +goose Up
COMMENT ON COLUMN servers.address_ranges IS 'from which it may call besides its host''s addresses';

CREATE TABLE rejected_callers (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server     text        NOT NULL,              -- name of the server that it may have been; empty: of none
    calling_ae text        NOT NULL,              -- empty where it was not told, or too many were counted together
    called_ae  text        NOT NULL,
    address    text        NOT NULL,              -- from which it called, without the port
    reason     text        NOT NULL,
    calls      bigint      NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    UNIQUE (server, calling_ae, called_ae, address, reason)
);
CREATE INDEX rejected_callers_server ON rejected_callers (server, last_at);

-- +goose Down
DROP TABLE rejected_callers;
COMMENT ON COLUMN servers.address_ranges IS NULL;
