-- Projects that people make, and the right to see who is behind a pseudonym.

-- +goose Up
ALTER TABLE group_permissions
    DROP CONSTRAINT group_permissions_permission_check,
    ADD CONSTRAINT group_permissions_permission_check CHECK (permission IN (
        'selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer', 'explorer', 'upload', 'direct_download',
        'dicomweb_query', 'dicomweb_retrieve', 'dicomweb_store', 'urgent', 'transfer_unpseudonymized', 'tokens',
        'tokens_without_expiry', 'linkage'));
INSERT INTO group_permissions (group_id, permission) SELECT min(id), 'linkage' FROM groups HAVING min(id) IS NOT NULL;

-- A project that went on from the original ADIT derives new pseudonyms from the salt that it had there; sealed with the server's key.
ALTER TABLE projects ADD COLUMN sealed_salt bytea;
CREATE UNIQUE INDEX projects_name ON projects (lower(name));
CREATE INDEX project_members_user ON project_members (user_id);
CREATE INDEX linkage_patient ON linkage (project_id, patient_id);

-- +goose Down
DROP INDEX linkage_patient, project_members_user, projects_name;
ALTER TABLE projects DROP COLUMN sealed_salt;
DELETE FROM group_permissions WHERE permission = 'linkage';
ALTER TABLE group_permissions
    DROP CONSTRAINT group_permissions_permission_check,
    ADD CONSTRAINT group_permissions_permission_check CHECK (permission IN (
        'selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer', 'explorer', 'upload', 'direct_download',
        'dicomweb_query', 'dicomweb_retrieve', 'dicomweb_store', 'urgent', 'transfer_unpseudonymized', 'tokens',
        'tokens_without_expiry'));
