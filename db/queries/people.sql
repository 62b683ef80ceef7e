-- name: CountUsers :one
SELECT count(*) FROM users;

-- name: InsertUser :one
INSERT INTO users (username, is_staff, is_superuser) VALUES ($1, $2, $3) RETURNING *;

-- name: InsertGroup :one
INSERT INTO groups (name) VALUES ($1) RETURNING id;

-- name: AddGroupMember :exec
INSERT INTO group_members (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: SetActiveGroup :exec
UPDATE users SET active_group_id = $2 WHERE id = $1;

-- name: GrantPermission :exec
INSERT INTO group_permissions (group_id, permission) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: InsertProject :one
INSERT INTO projects (name, group_id, is_default, sealed_key) VALUES ($1, $2, $3, $4) RETURNING id;

-- name: DefaultProject :one
SELECT id FROM projects WHERE group_id = $1 AND is_default;

-- name: InsertToken :exec
INSERT INTO api_tokens (user_id, description, sha256, expires_at) VALUES ($1, $2, $3, $4);

-- name: UserOfToken :one
SELECT u.* FROM api_tokens t JOIN users u ON u.id = t.user_id
WHERE t.sha256 = $1 AND (t.expires_at IS NULL OR t.expires_at > now()) AND u.is_active;

-- name: GetUser :one
SELECT * FROM users WHERE id = $1;

-- HasPermission: superusers have every permission, others those of their groups.
-- name: HasPermission :one
SELECT EXISTS (
    SELECT FROM users u WHERE u.id = sqlc.arg(user_id) AND u.is_active AND (u.is_superuser OR EXISTS (
        SELECT FROM group_members m JOIN group_permissions p ON p.group_id = m.group_id
        WHERE m.user_id = u.id AND p.permission = sqlc.arg(permission))));

-- HasNodeAccess: through any of the user's groups; nobody, administrators included, without such a row.
-- name: HasNodeAccess :one
SELECT EXISTS (
    SELECT FROM users u
    JOIN group_members m ON m.user_id = u.id
    JOIN node_access a ON a.group_id = m.group_id
    WHERE u.id = sqlc.arg(user_id) AND u.is_active AND a.dicom_node_id = sqlc.arg(node_id)
      AND (a.is_source OR NOT sqlc.arg(as_source)::boolean) AND (a.is_destination OR NOT sqlc.arg(as_destination)::boolean));

-- name: GetSetting :one
SELECT value FROM settings WHERE key = $1;

-- name: PutSetting :exec
INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value;
