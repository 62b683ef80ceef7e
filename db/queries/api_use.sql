-- AddAPIUse adds to what was counted. Ages are in seconds: clocks of members may differ. In the order of the key, so that two members don't
-- wait for each other in a circle.
-- name: AddAPIUse :exec
INSERT INTO api_use (day, user_id, token_id, token, operation, requests, client_errors, server_errors, bytes, last_at)
SELECT (now() - make_interval(secs => c.age))::date AS day, c.user_id, c.token_id, max(coalesce(t.description, '')), c.operation,
       sum(c.requests)::bigint, sum(c.client_errors)::bigint, sum(c.server_errors)::bigint, sum(c.bytes)::bigint,
       max(now() - make_interval(secs => c.age))
FROM (SELECT unnest(sqlc.arg(ages)::float8[]) AS age, unnest(sqlc.arg(user_ids)::bigint[]) AS user_id,
             unnest(sqlc.arg(token_ids)::bigint[]) AS token_id, unnest(sqlc.arg(operations)::text[]) AS operation,
             unnest(sqlc.arg(requests)::bigint[]) AS requests, unnest(sqlc.arg(client_errors)::bigint[]) AS client_errors,
             unnest(sqlc.arg(server_errors)::bigint[]) AS server_errors, unnest(sqlc.arg(bytes)::bigint[]) AS bytes) c
JOIN users u ON u.id = c.user_id
LEFT JOIN api_tokens t ON t.id = c.token_id
GROUP BY c.user_id, 1, c.token_id, c.operation
ORDER BY c.user_id, 1, c.token_id, c.operation
ON CONFLICT (user_id, day, token_id, operation) DO UPDATE SET
    requests = api_use.requests + excluded.requests, client_errors = api_use.client_errors + excluded.client_errors,
    server_errors = api_use.server_errors + excluded.server_errors, bytes = api_use.bytes + excluded.bytes,
    last_at = greatest(api_use.last_at, excluded.last_at);

-- ListAPIUse is a page of it, the latest first, of one user or of all. It is planned for the values that it is given.
-- name: ListAPIUse :many
SELECT a.*, u.username
FROM api_use a JOIN users u ON u.id = a.user_id
WHERE (sqlc.narg(user_id)::bigint IS NULL OR a.user_id = sqlc.narg(user_id))
  AND (sqlc.narg(first_day)::date IS NULL OR a.day >= sqlc.narg(first_day))
  AND (sqlc.narg(last_day)::date IS NULL OR a.day <= sqlc.narg(last_day))
  AND (sqlc.arg(below)::bigint = 0 OR a.id < sqlc.arg(below))
ORDER BY a.id DESC
LIMIT sqlc.arg(max);

-- name: DeleteOldAPIUse :execrows
DELETE FROM api_use WHERE id IN (SELECT a.id FROM api_use a WHERE a.day < current_date - sqlc.arg(days)::integer LIMIT sqlc.arg(max));
