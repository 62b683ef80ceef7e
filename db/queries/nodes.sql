-- name: RegisterNode :exec
INSERT INTO nodes (id, data_dir_id, name, roles, version, schema_min, schema_max)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- Beat keeps the latest instant that the clock has shown, not the last one: see ClockPutBack.
-- name: Beat :execrows
UPDATE nodes SET beat = beat + 1, beat_at = greatest(beat_at, now()) WHERE id = $1 AND fenced_at IS NULL;

-- name: AliveNodes :many
SELECT id, name, beat FROM nodes WHERE fenced_at IS NULL;

-- FenceNode declares a node dead whose beat stands where the caller saw it.
-- name: FenceNode :execrows
UPDATE nodes SET fenced_at = now() WHERE id = $1 AND beat = $2 AND fenced_at IS NULL;

-- FencePredecessors declares dead what ran before in the same locked data directory.
-- name: FencePredecessors :many
UPDATE nodes SET fenced_at = now() WHERE data_dir_id = $1 AND id <> sqlc.arg(self) AND fenced_at IS NULL RETURNING id;

-- name: FencedNodesWithTasks :many
SELECT DISTINCT n.id FROM nodes n JOIN tasks t ON t.lease_node = n.id WHERE n.fenced_at IS NOT NULL AND t.status = 'in_progress';

-- name: RetireNode :exec
UPDATE nodes SET fenced_at = now() WHERE id = $1 AND fenced_at IS NULL;

-- name: DeleteOldNodes :exec
DELETE FROM nodes n
WHERE n.fenced_at < now() - interval '1 day'
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.lease_node = n.id AND t.status = 'in_progress')
  AND NOT EXISTS (SELECT FROM association_slots s WHERE s.node_id = n.id);
