-- What has changed is told to whoever listens at the channel "adit", with ids alone: every process then reads the rows again, under the rights
-- of those who look. Of the same words in one transaction one is sent.
--   job ID           a job was made or changed
--   job ID OWNER     a job was deleted, which was this user's
--   task JOB ID      a task was changed or deleted
--   tasks JOB        many tasks of a job were
--   jobs             so many jobs that each is to be looked at again
--   people           rights, or who is known, may be others
--   profile          what people say of themselves, their active group, their preferences
--   nodes            DICOM nodes were added, changed or deleted, paused, or are available again or not
--   audit            rows were added to the audit log

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION tell_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM changed LIMIT 501) c) > 500 THEN
        PERFORM pg_notify('adit', 'jobs');
    ELSE
        PERFORM pg_notify('adit', 'job ' || c.id || CASE WHEN TG_OP = 'DELETE' THEN ' ' || c.owner_id ELSE '' END) FROM changed c;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION tell_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM changed LIMIT 101) c) > 100 THEN
        PERFORM pg_notify('adit', 'tasks ' || c.job_id) FROM (SELECT DISTINCT job_id FROM changed) c;
    ELSE
        PERFORM pg_notify('adit', 'task ' || c.job_id || ' ' || c.id) FROM changed c;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION tell_word() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('adit', TG_ARGV[0]);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER tell_insert AFTER INSERT ON jobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell_jobs();
CREATE TRIGGER tell_update AFTER UPDATE ON jobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell_jobs();
CREATE TRIGGER tell_delete AFTER DELETE ON jobs REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell_jobs();
-- Tasks that are made come with their job.
CREATE TRIGGER tell_update AFTER UPDATE ON tasks REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell_tasks();
CREATE TRIGGER tell_delete AFTER DELETE ON tasks REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell_tasks();

CREATE TRIGGER tell_rights AFTER UPDATE OF is_active, is_staff, is_superuser OR DELETE ON users FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');
CREATE TRIGGER tell AFTER UPDATE ON users FOR EACH STATEMENT EXECUTE FUNCTION tell_word('profile');
CREATE TRIGGER tell AFTER UPDATE OR DELETE ON groups FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON group_members FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON group_permissions FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON project_members FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON node_access FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON settings FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');
-- That a session is in use is noted every minute; that it ends is told.
CREATE TRIGGER tell AFTER DELETE ON sessions FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');
CREATE TRIGGER tell AFTER DELETE ON api_tokens FOR EACH STATEMENT EXECUTE FUNCTION tell_word('people');

CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON dicom_nodes FOR EACH STATEMENT EXECUTE FUNCTION tell_word('nodes');
CREATE TRIGGER tell AFTER UPDATE OF paused, breaker ON server_state FOR EACH STATEMENT EXECUTE FUNCTION tell_word('nodes');
CREATE TRIGGER tell AFTER UPDATE ON servers FOR EACH STATEMENT EXECUTE FUNCTION tell_word('nodes');

CREATE TRIGGER tell AFTER INSERT ON audit FOR EACH STATEMENT EXECUTE FUNCTION tell_word('audit');

-- +goose Down
DROP TRIGGER tell ON audit;
DROP TRIGGER tell ON servers;
DROP TRIGGER tell ON server_state;
DROP TRIGGER tell ON dicom_nodes;
DROP TRIGGER tell ON api_tokens;
DROP TRIGGER tell ON sessions;
DROP TRIGGER tell ON settings;
DROP TRIGGER tell ON node_access;
DROP TRIGGER tell ON project_members;
DROP TRIGGER tell ON group_permissions;
DROP TRIGGER tell ON group_members;
DROP TRIGGER tell ON groups;
DROP TRIGGER tell ON users;
DROP TRIGGER tell_rights ON users;
DROP TRIGGER tell_delete ON tasks;
DROP TRIGGER tell_update ON tasks;
DROP TRIGGER tell_delete ON jobs;
DROP TRIGGER tell_update ON jobs;
DROP TRIGGER tell_insert ON jobs;
DROP FUNCTION tell_word();
DROP FUNCTION tell_tasks();
DROP FUNCTION tell_jobs();
