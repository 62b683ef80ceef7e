-- name: LockSetting :one
SELECT value FROM settings WHERE key = $1 FOR UPDATE;

-- name: DeleteSetting :execrows
DELETE FROM settings WHERE key = $1;
