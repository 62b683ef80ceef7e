-- The audit log has a partition for each month, so that a month can go once it was exported (audit/months.go). What holds for the whole
-- holds for each of them: rows are only added and sealed. Rows of a month that nobody made a partition for, as of a clock that runs ahead by
-- a year, are in audit_other.

-- +goose Up
ALTER TABLE audit RENAME TO audit_before;
DROP TRIGGER audit_append_only ON audit_before;
DROP TRIGGER audit_never_emptied ON audit_before;
ALTER TABLE audit_before DROP CONSTRAINT audit_pkey, DROP CONSTRAINT audit_seq_key;
DROP INDEX audit_unsealed, audit_at, audit_study, audit_patient, audit_username, audit_action;

CREATE SEQUENCE audit_ids;
CREATE TABLE audit (
    id             bigint      NOT NULL DEFAULT nextval('audit_ids'),
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    user_id        bigint      NOT NULL DEFAULT 0,             -- 0: nobody, as in a login that failed, or adit itself
    username       text        NOT NULL DEFAULT '',
    via            text        NOT NULL DEFAULT '' CHECK (via IN ('', 'session', 'token', 'system')),
    peer           text        NOT NULL DEFAULT '',            -- address of the caller
    action         text        NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$' AND length(action) <= 64),
    object         text        NOT NULL DEFAULT '',
    patient_id     text        NOT NULL DEFAULT '',
    study_uid      text        NOT NULL DEFAULT '',
    source         text        NOT NULL DEFAULT '',
    destination    text        NOT NULL DEFAULT '',
    profile        text        NOT NULL DEFAULT '',
    profile_sha256 text        NOT NULL DEFAULT '',
    detail         text        NOT NULL DEFAULT '{}',          -- JSON, kept as it was written: the hash covers each of its bytes
    seq            bigint      CHECK (seq > 0),                -- place in the chain; null: not sealed yet
    hash           bytea       CHECK (length(hash) = 32),
    PRIMARY KEY (id, at),
    UNIQUE (seq, at),
    CHECK ((seq IS NULL) = (hash IS NULL)),
    CHECK (length(detail) <= 65536)
) PARTITION BY RANGE (at);
ALTER SEQUENCE audit_ids OWNED BY audit.id;
CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;
CREATE INDEX audit_time ON audit (at, id);
CREATE INDEX audit_study ON audit (study_uid, id) WHERE study_uid <> '';
CREATE INDEX audit_patient ON audit (patient_id, id) WHERE patient_id <> '';
CREATE INDEX audit_username ON audit (lower(username), id);
CREATE INDEX audit_action ON audit (action, id);
CREATE TABLE audit_other PARTITION OF audit DEFAULT;

-- audit_add_month makes the partition of the month that an instant is in (by UTC), unless there is one, or rows of it are in audit_other already.
-- +goose StatementBegin
CREATE FUNCTION audit_add_month(instant timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first timestamptz := date_trunc('month', instant, 'UTC');
    name  text := to_char(first AT TIME ZONE 'UTC', '"audit_"YYYY"_"MM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('CREATE TABLE %I PARTITION OF audit FOR VALUES FROM (%L) TO (%L)', name, first, (first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
    EXCEPTION WHEN check_violation THEN
        RETURN;
    END;
    EXECUTE format('CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()', name);
END $$;
-- +goose StatementEnd

SELECT audit_add_month(m) FROM (
    SELECT DISTINCT date_trunc('month', b.at, 'UTC') AS m FROM audit_before b
    UNION SELECT now() + make_interval(months => n) FROM generate_series(0, 3) n) months;
INSERT INTO audit SELECT id, at, user_id, username, via, peer, action, object, patient_id, study_uid, source, destination, profile, profile_sha256, detail, seq, hash
FROM audit_before;
SELECT setval('audit_ids', (SELECT coalesce(max(id), 0) + 1 FROM audit), false);
DROP TABLE audit_before;

CREATE TRIGGER audit_append_only BEFORE INSERT OR UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON audit_other FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

-- +goose Down
CREATE TEMPORARY TABLE audit_kept AS SELECT * FROM audit;
DROP TABLE audit;
DROP FUNCTION audit_add_month;
CREATE TABLE audit (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    user_id        bigint      NOT NULL DEFAULT 0,
    username       text        NOT NULL DEFAULT '',
    via            text        NOT NULL DEFAULT '' CHECK (via IN ('', 'session', 'token', 'system')),
    peer           text        NOT NULL DEFAULT '',
    action         text        NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$' AND length(action) <= 64),
    object         text        NOT NULL DEFAULT '',
    patient_id     text        NOT NULL DEFAULT '',
    study_uid      text        NOT NULL DEFAULT '',
    source         text        NOT NULL DEFAULT '',
    destination    text        NOT NULL DEFAULT '',
    profile        text        NOT NULL DEFAULT '',
    profile_sha256 text        NOT NULL DEFAULT '',
    detail         text        NOT NULL DEFAULT '{}',
    seq            bigint      UNIQUE CHECK (seq > 0),
    hash           bytea       CHECK (length(hash) = 32),
    CHECK ((seq IS NULL) = (hash IS NULL)),
    CHECK (length(detail) <= 65536)
);
INSERT INTO audit OVERRIDING SYSTEM VALUE SELECT * FROM audit_kept;
DROP TABLE audit_kept;
SELECT setval(pg_get_serial_sequence('audit', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM audit), false);
CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_study ON audit (study_uid, id) WHERE study_uid <> '';
CREATE INDEX audit_patient ON audit (patient_id, id) WHERE patient_id <> '';
CREATE INDEX audit_username ON audit (lower(username), id);
CREATE INDEX audit_action ON audit (action, id);
CREATE TRIGGER audit_append_only BEFORE INSERT OR UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
