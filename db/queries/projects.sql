-- ListProjects is a page of projects in an order, as ListJobs: of one user, or all of them (0).
-- name: ListProjects :many
SELECT sqlc.embed(p), g.name AS group_name, coalesce(d.version, '')::text AS profile_version,
       ARRAY(SELECT u.username FROM project_members m JOIN users u ON u.id = m.user_id WHERE m.project_id = p.id ORDER BY u.username)::text[] AS members
FROM projects p
JOIN groups g ON g.id = p.group_id
LEFT JOIN deid_profiles d ON d.id = p.profile_id
WHERE (sqlc.arg(user_id)::bigint = 0
    OR EXISTS (SELECT FROM project_members m WHERE m.project_id = p.id AND m.user_id = sqlc.arg(user_id))
    OR EXISTS (SELECT FROM group_members m WHERE m.group_id = p.group_id AND m.user_id = sqlc.arg(user_id)))
  AND (sqlc.arg(in_group)::text = '' OR lower(g.name) = lower(sqlc.arg(in_group)))
  AND CASE
      WHEN sqlc.arg(after)::bigint = 0 THEN true
      WHEN sqlc.arg(sort)::text = 'name' AND sqlc.arg(down)::boolean THEN (lower(p.name), p.id) < (lower(sqlc.arg(value)::text), sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text = 'name' THEN (lower(p.name), p.id) > (lower(sqlc.arg(value)::text), sqlc.arg(after)::bigint)
      WHEN sqlc.arg(down)::boolean THEN p.id < sqlc.arg(after)::bigint
      ELSE p.id > sqlc.arg(after)::bigint
  END
ORDER BY CASE WHEN sqlc.arg(sort)::text = 'name' AND sqlc.arg(down)::boolean THEN lower(p.name) END DESC,
         CASE WHEN sqlc.arg(sort)::text = 'name' AND NOT sqlc.arg(down)::boolean THEN lower(p.name) END,
         CASE WHEN sqlc.arg(down)::boolean THEN p.id END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN p.id END
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

-- ProjectUsed reports whether a job belongs to a project, or a pseudonym.
-- name: ProjectUsed :one
SELECT (EXISTS (SELECT FROM jobs j WHERE j.project_id = sqlc.arg(id)) OR EXISTS (SELECT FROM linkage l WHERE l.project_id = sqlc.arg(id)))::boolean AS used;

-- name: UpdateProject :exec
UPDATE projects SET description = $2, profile = $3, profile_id = $4, sealed_salt = $5, scan = $6, manifest = $7 WHERE id = $1;

-- MembersOfProject gives those who were put into a project.
-- name: MembersOfProject :many
SELECT u.* FROM users u JOIN project_members m ON m.user_id = u.id WHERE m.project_id = $1 ORDER BY u.id;

-- BelongsToProject reports whether somebody is a member of a project or of its group.
-- name: BelongsToProject :one
SELECT EXISTS (SELECT FROM projects p WHERE p.id = sqlc.arg(project_id)
    AND (EXISTS (SELECT FROM project_members m WHERE m.project_id = p.id AND m.user_id = sqlc.arg(user_id))
      OR EXISTS (SELECT FROM group_members m WHERE m.group_id = p.group_id AND m.user_id = sqlc.arg(user_id))));

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
