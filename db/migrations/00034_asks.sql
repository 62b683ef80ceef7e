-- What is asked of a source, and of the database.

-- +goose Up

-- Studies younger than this may still grow: their lists are asked for again at the end. 0: those of no study are, but for a reason.
ALTER TABLE servers ADD COLUMN young_study_s integer NOT NULL DEFAULT 86400 CHECK (young_study_s >= 0);

-- Lists by a status, and by a time.
CREATE INDEX jobs_status ON jobs (status, id);
CREATE INDEX jobs_owner_status ON jobs (owner_id, status, id);
CREATE INDEX tasks_status ON tasks (job_id, status, seq);
CREATE INDEX outbox_status ON outbox (status, id);
CREATE INDEX linkage_pseudonym ON linkage (project_id, pseudonym);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Whoever deletes what a foreign key points at looks for who does.
CREATE INDEX jobs_source ON jobs (source_id);
CREATE INDEX jobs_destination ON jobs (destination_id);
CREATE INDEX jobs_project ON jobs (project_id);
CREATE INDEX idempotency_keys_job ON idempotency_keys (job_id);
CREATE INDEX node_access_node ON node_access (dicom_node_id);
CREATE INDEX users_active_group ON users (active_group_id);
CREATE INDEX projects_group ON projects (group_id);
CREATE INDEX projects_profile ON projects (profile_id);
CREATE INDEX deid_profiles_author ON deid_profiles (created_by);

-- +goose Down
DROP INDEX deid_profiles_author, projects_profile, projects_group, users_active_group, node_access_node, idempotency_keys_job, jobs_project, jobs_destination,
    jobs_source, idempotency_keys_age, linkage_pseudonym, outbox_status, tasks_status, jobs_owner_status, jobs_status;
ALTER TABLE servers DROP COLUMN young_study_s;
