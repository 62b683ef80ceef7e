-- name: LockSetting :one
SELECT value FROM settings WHERE key = $1 FOR UPDATE;

-- name: DeleteSetting :execrows
DELETE FROM settings WHERE key = $1;

-- name: InsertSetting :exec
INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING;
