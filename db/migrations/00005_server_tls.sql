-- DICOM TLS of a server (PS3.15 annex B), and what its C-FIND lacks.

-- +goose Up
ALTER TABLE servers
    ADD COLUMN tls              boolean NOT NULL DEFAULT false,
    ADD COLUMN tls_profile      text    NOT NULL DEFAULT 'bcp195-rfc9325' CHECK (tls_profile IN ('bcp195-rfc9325', 'bcp195')),
    ADD COLUMN tls_verify       text    NOT NULL DEFAULT 'name' CHECK (tls_verify IN ('name', 'authority')),
    ADD COLUMN tls_authorities  text    NOT NULL DEFAULT '',  -- PEM; '' = those that the system trusts
    ADD COLUMN tls_certificate  text    NOT NULL DEFAULT '',  -- PEM, ours there; '' = none
    ADD COLUMN tls_sealed_key   bytea,                        -- its private key in PEM, sealed by the server key
    ADD COLUMN tls_server_name  text    NOT NULL DEFAULT '',  -- that its certificate names, if not its host
    ADD COLUMN find_images      boolean NOT NULL DEFAULT true, -- C-FIND at IMAGE level is worth asking for
    ADD CHECK ((tls_certificate = '') = (tls_sealed_key IS NULL));

-- +goose Down
ALTER TABLE servers
    DROP COLUMN tls,
    DROP COLUMN tls_profile,
    DROP COLUMN tls_verify,
    DROP COLUMN tls_authorities,
    DROP COLUMN tls_certificate,
    DROP COLUMN tls_sealed_key,
    DROP COLUMN tls_server_name,
    DROP COLUMN find_images;
