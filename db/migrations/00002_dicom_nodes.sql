-- DICOM nodes: servers and folders. What changes often about a server stands in server_state, which no
-- foreign key points at, so that a claim never locks what an insert elsewhere must share.

-- +goose Up
CREATE TABLE dicom_nodes (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL CHECK (name <> '' AND length(name) <= 64),
    kind       text        NOT NULL CHECK (kind IN ('server', 'folder')),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, kind)
);
CREATE UNIQUE INDEX dicom_nodes_name ON dicom_nodes (lower(name));

CREATE TABLE servers (
    id                    bigint  PRIMARY KEY,
    kind                  text    NOT NULL DEFAULT 'server' CHECK (kind = 'server'),
    ae_title              text    NOT NULL UNIQUE CHECK (length(ae_title) BETWEEN 1 AND 16),
    host                  text    NOT NULL CHECK (host <> ''),
    port                  integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    calling_ae_title      text    NOT NULL DEFAULT '' CHECK (length(calling_ae_title) <= 16),  -- ours there; '' = the node's own
    patient_root_find     boolean NOT NULL DEFAULT false,
    patient_root_get      boolean NOT NULL DEFAULT false,
    patient_root_move     boolean NOT NULL DEFAULT false,
    study_root_find       boolean NOT NULL DEFAULT false,
    study_root_get        boolean NOT NULL DEFAULT false,
    study_root_move       boolean NOT NULL DEFAULT false,
    store_scp             boolean NOT NULL DEFAULT false,
    result_limit          integer NOT NULL DEFAULT 200 CHECK (result_limit > 0),
    max_pdu               integer NOT NULL DEFAULT 1048564 CHECK (max_pdu BETWEEN 16384 AND 1048576),
    idle_timeout_s        integer NOT NULL DEFAULT 60 CHECK (idle_timeout_s BETWEEN 1 AND 3600),
    batch_cap             integer NOT NULL DEFAULT 4 CHECK (batch_cap >= 0),       -- concurrent associations of jobs; 0 = closed
    interactive_cap       integer NOT NULL DEFAULT 2 CHECK (interactive_cap >= 0), -- of searches and people who wait
    associations_per_task integer NOT NULL DEFAULT 4 CHECK (associations_per_task >= 1), -- store associations, if no task waits
    FOREIGN KEY (id, kind) REFERENCES dicom_nodes (id, kind) ON DELETE CASCADE
);

CREATE TABLE folders (
    id   bigint PRIMARY KEY,
    kind text   NOT NULL DEFAULT 'folder' CHECK (kind = 'folder'),
    path text   NOT NULL UNIQUE CHECK (path <> ''),
    FOREIGN KEY (id, kind) REFERENCES dicom_nodes (id, kind) ON DELETE CASCADE
);

-- Nobody, administrators included, transfers without such a row.
CREATE TABLE node_access (
    group_id       bigint  NOT NULL REFERENCES groups ON DELETE CASCADE,
    dicom_node_id  bigint  NOT NULL REFERENCES dicom_nodes ON DELETE CASCADE,
    is_source      boolean NOT NULL DEFAULT false,
    is_destination boolean NOT NULL DEFAULT false,
    PRIMARY KEY (group_id, dicom_node_id)
);

CREATE TABLE server_state (
    server_id      bigint      PRIMARY KEY,
    paused         boolean     NOT NULL DEFAULT false,
    breaker        text        NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open')),
    breaker_reason text        NOT NULL DEFAULT '',
    probe_at       timestamptz,
    next_start_at  timestamptz
);

-- +goose Down
DROP TABLE server_state, node_access, folders, servers, dicom_nodes;
