-- ListProjects is a page of projects above an ID: of one user, or all of them (0).
-- name: ListProjects :many
SELECT sqlc.embed(p), g.name AS group_name, coalesce(d.version, '')::text AS profile_version,
       ARRAY(SELECT u.username FROM project_members m JOIN users u ON u.id = m.user_id WHERE m.project_id = p.id ORDER BY u.username)::text[] AS members
FROM projects p
JOIN groups g ON g.id = p.group_id
LEFT JOIN deid_profiles d ON d.id = p.profile_id
WHERE p.id > sqlc.arg(above) AND (sqlc.arg(user_id)::bigint = 0
    OR EXISTS (SELECT FROM project_members m WHERE m.project_id = p.id AND m.user_id = sqlc.arg(user_id))
    OR EXISTS (SELECT FROM group_members m WHERE m.group_id = p.group_id AND m.user_id = sqlc.arg(user_id)))
ORDER BY p.id
LIMIT sqlc.arg(max);

-- name: GetProjectByName :one
SELECT sqlc.embed(p), g.name AS group_name, coalesce(d.version, '')::text AS profile_version,
       ARRAY(SELECT u.username FROM project_members m JOIN users u ON u.id = m.user_id WHERE m.project_id = p.id ORDER BY u.username)::text[] AS members
FROM projects p
JOIN groups g ON g.id = p.group_id
LEFT JOIN deid_profiles d ON d.id = p.profile_id
WHERE lower(p.name) = lower(sqlc.arg(name));

-- name: GroupByName :one
SELECT id FROM groups WHERE lower(name) = lower(sqlc.arg(name));

-- name: InsertNewProject :one
INSERT INTO projects (name, description, group_id, profile, profile_id, sealed_key, sealed_salt, scan, manifest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id;

-- name: LockProjectRow :one
SELECT * FROM projects WHERE id = $1 FOR NO KEY UPDATE;

-- name: UpdateProject :exec
UPDATE projects SET description = $2, profile = $3, profile_id = $4, sealed_salt = $5, scan = $6, manifest = $7 WHERE id = $1;

-- name: DeleteProjectMembers :exec
DELETE FROM project_members WHERE project_id = $1;

-- AddProjectMembers adds people by their names; as many rows as there are such people.
-- name: AddProjectMembers :execrows
INSERT INTO project_members (project_id, user_id)
SELECT sqlc.arg(project_id), u.id FROM users u WHERE lower(u.username) = ANY (sqlc.arg(usernames)::text[]);

-- name: InsertProfile :one
INSERT INTO deid_profiles (name, version, sha256, text, created_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING *;

-- name: ProfileByVersion :one
SELECT * FROM deid_profiles WHERE name = $1 AND version = $2;

-- NewestProfile: the version that was uploaded last.
-- name: NewestProfile :one
SELECT * FROM deid_profiles WHERE name = $1 ORDER BY id DESC LIMIT 1;

-- name: ListProfiles :many
SELECT * FROM deid_profiles WHERE id > sqlc.arg(above) ORDER BY id LIMIT sqlc.arg(max);
