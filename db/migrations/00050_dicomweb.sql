-- Servers that are spoken to by DICOMweb (PS3.18), beside DIMSE or alone: where their services are, how ADIT says who it is, and what a
-- request may hold. A server that is reached by DICOMweb alone has no host and no port.

-- +goose Up
ALTER TABLE servers
    DROP CONSTRAINT servers_host_check,
    DROP CONSTRAINT servers_port_check,
    DROP COLUMN moves_first,
    ADD COLUMN qido_rs               boolean NOT NULL DEFAULT false,
    ADD COLUMN wado_rs               boolean NOT NULL DEFAULT false,
    ADD COLUMN stow_rs               boolean NOT NULL DEFAULT false,
    ADD COLUMN web_root_url          text    NOT NULL DEFAULT '' CHECK (length(web_root_url) <= 2000),
    ADD COLUMN web_qido_prefix       text    NOT NULL DEFAULT '' CHECK (length(web_qido_prefix) <= 200), -- between the root and the path of a request
    ADD COLUMN web_wado_prefix       text    NOT NULL DEFAULT '' CHECK (length(web_wado_prefix) <= 200),
    ADD COLUMN web_stow_prefix       text    NOT NULL DEFAULT '' CHECK (length(web_stow_prefix) <= 200),
    ADD COLUMN web_auth              text    NOT NULL DEFAULT 'none' CHECK (web_auth IN ('none', 'basic', 'header', 'oauth2')),
    ADD COLUMN web_user              text    NOT NULL DEFAULT '' CHECK (length(web_user) <= 200),
    ADD COLUMN web_sealed_secret     bytea,  -- a password, the value of a header or a client's secret, sealed by the server key
    ADD COLUMN web_header_name       text    NOT NULL DEFAULT '' CHECK (length(web_header_name) <= 100), -- '' = Authorization
    ADD COLUMN web_token_url         text    NOT NULL DEFAULT '' CHECK (length(web_token_url) <= 2000),
    ADD COLUMN web_client_id         text    NOT NULL DEFAULT '' CHECK (length(web_client_id) <= 500),
    ADD COLUMN web_client_auth       text    NOT NULL DEFAULT 'basic' CHECK (web_client_auth IN ('basic', 'post')),
    ADD COLUMN web_scope             text    NOT NULL DEFAULT '' CHECK (length(web_scope) <= 2000),
    ADD COLUMN web_audience          text    NOT NULL DEFAULT '' CHECK (length(web_audience) <= 2000),
    ADD COLUMN web_resource          text    NOT NULL DEFAULT '' CHECK (length(web_resource) <= 2000),
    ADD COLUMN web_max_request_mb    integer NOT NULL DEFAULT 64 CHECK (web_max_request_mb BETWEEN 1 AND 4096), -- of a request that stores
    ADD COLUMN web_answer_patience_s integer NOT NULL DEFAULT 600 CHECK (web_answer_patience_s BETWEEN 1 AND 86400), -- for the answer to it
    ADD CONSTRAINT servers_port_check CHECK (port BETWEEN 0 AND 65535),
    ADD CONSTRAINT servers_address_check CHECK ((host = '') = (port = 0)),
    ADD CONSTRAINT servers_dimse_check CHECK (host <> '' OR NOT (
        patient_root_find OR patient_root_get OR patient_root_move OR study_root_find OR study_root_get OR study_root_move OR store_scp)),
    ADD CONSTRAINT servers_dicomweb_check CHECK (web_root_url <> '' OR NOT (qido_rs OR wado_rs OR stow_rs OR web_auth <> 'none')),
    ADD CONSTRAINT servers_secret_check CHECK ((web_auth = 'none') = (web_sealed_secret IS NULL));

-- The first of the retrieve methods, in the order in which they are tried, that the server supports decides about the second slot.
ALTER TABLE servers ADD COLUMN moves_first boolean NOT NULL GENERATED ALWAYS AS (coalesce((array_remove(array_remove(array_remove(
    CASE WHEN cardinality(retrieve_methods) = 0 THEN ARRAY['WADO-RS', 'C-GET', 'C-MOVE'] ELSE retrieve_methods END,
    CASE WHEN NOT wado_rs THEN 'WADO-RS' END),
    CASE WHEN NOT (study_root_get OR patient_root_get) THEN 'C-GET' END),
    CASE WHEN NOT (study_root_move OR patient_root_move) THEN 'C-MOVE' END))[1] = 'C-MOVE', false)) STORED;

-- +goose Down
ALTER TABLE servers DROP COLUMN moves_first;
ALTER TABLE servers
    DROP CONSTRAINT servers_port_check,
    DROP CONSTRAINT servers_address_check,
    DROP CONSTRAINT servers_dimse_check,
    DROP CONSTRAINT servers_dicomweb_check,
    DROP CONSTRAINT servers_secret_check,
    DROP COLUMN qido_rs, DROP COLUMN wado_rs, DROP COLUMN stow_rs, DROP COLUMN web_root_url, DROP COLUMN web_qido_prefix, DROP COLUMN web_wado_prefix,
    DROP COLUMN web_stow_prefix, DROP COLUMN web_auth, DROP COLUMN web_user, DROP COLUMN web_sealed_secret, DROP COLUMN web_header_name,
    DROP COLUMN web_token_url, DROP COLUMN web_client_id, DROP COLUMN web_client_auth, DROP COLUMN web_scope, DROP COLUMN web_audience,
    DROP COLUMN web_resource, DROP COLUMN web_max_request_mb, DROP COLUMN web_answer_patience_s;
UPDATE servers SET host = 'dicomweb.invalid', port = 104 WHERE host = '';
UPDATE servers SET retrieve_methods = array_remove(retrieve_methods, 'WADO-RS');
ALTER TABLE servers
    ADD CONSTRAINT servers_host_check CHECK (host <> ''),
    ADD CONSTRAINT servers_port_check CHECK (port BETWEEN 1 AND 65535),
    ADD COLUMN moves_first           boolean NOT NULL GENERATED ALWAYS AS (
        (study_root_move OR patient_root_move)
        AND (NOT (study_root_get OR patient_root_get) OR coalesce(retrieve_methods[1], 'C-GET') = 'C-MOVE')) STORED;
