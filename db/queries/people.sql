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

-- name: GetUser :one
SELECT * FROM users WHERE id = $1;

-- name: GetSetting :one
SELECT value FROM settings WHERE key = $1;

-- name: PutSetting :exec
INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- SealedWithKey: what the server key has sealed, and one of it to try a key with.
-- name: SealedWithKey :one
SELECT (SELECT count(*) FROM projects) AS projects, (SELECT count(*) FROM servers WHERE tls_sealed_key IS NOT NULL OR web_sealed_secret IS NOT NULL) AS servers,
       (SELECT count(*) FROM users) AS users, coalesce((SELECT p.sealed_key FROM projects p ORDER BY p.id LIMIT 1), '')::bytea AS example;

-- FirstAdministrator is who chooses a password at the page, as long as nobody has one.
-- name: FirstAdministrator :one
SELECT * FROM users WHERE is_superuser AND is_active AND NOT EXISTS (SELECT FROM users u WHERE u.password_hash IS NOT NULL) ORDER BY id LIMIT 1;
