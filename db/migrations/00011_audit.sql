-- Who did what. Rows enter unsealed, in the transaction of what they tell of; the sealer then chains them by
-- a number of its own, so that what was committed late is not lost (audit/chain.go). Nothing points at a row and no row points at
-- anything: users, jobs and servers may go, what they did stays.

-- +goose Up
CREATE TABLE audit (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    seq            bigint      UNIQUE CHECK (seq > 0),         -- place in the chain; null: not sealed yet
    hash           bytea       CHECK (length(hash) = 32),
    CHECK ((seq IS NULL) = (hash IS NULL)),
    CHECK (length(detail) <= 65536)
);
CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_study ON audit (study_uid, id) WHERE study_uid <> '';
CREATE INDEX audit_patient ON audit (patient_id, id) WHERE patient_id <> '';
CREATE INDEX audit_username ON audit (lower(username), id);
CREATE INDEX audit_action ON audit (action, id);

-- The last row of the chain: rows cut off its end are missed by this.
CREATE TABLE audit_head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq  bigint  NOT NULL,
    hash bytea   NOT NULL CHECK (length(hash) = 32)
);
INSERT INTO audit_head (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- How far the receivers of the audit messages (syslog) have got, and which process sends to them for now.
CREATE TABLE audit_receivers (
    receiver   text        PRIMARY KEY,
    seq        bigint      NOT NULL,
    holder     uuid        NOT NULL,
    held_until timestamptz NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.seq IS NULL THEN
        RETURN NEW;
    END IF;
    -- All that may happen to a row is that it is sealed, once.
    IF TG_OP = 'UPDATE' AND OLD.seq IS NULL AND NEW.seq IS NOT NULL
        AND (NEW.id, NEW.at, NEW.user_id, NEW.username, NEW.via, NEW.peer, NEW.action, NEW.object, NEW.patient_id, NEW.study_uid,
             NEW.source, NEW.destination, NEW.profile, NEW.profile_sha256, NEW.detail)
          = (OLD.id, OLD.at, OLD.user_id, OLD.username, OLD.via, OLD.peer, OLD.action, OLD.object, OLD.patient_id, OLD.study_uid,
             OLD.source, OLD.destination, OLD.profile, OLD.profile_sha256, OLD.detail) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit_head_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.seq > OLD.seq THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the head of the audit log only grows: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_append_only BEFORE INSERT OR UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_head_grows BEFORE UPDATE OR DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_head_grows();
CREATE TRIGGER audit_head_never_emptied BEFORE TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_head_grows();

-- +goose Down
DROP TABLE audit, audit_head, audit_receivers;
DROP FUNCTION audit_append_only, audit_head_grows;
