-- CountRejectedCaller adds to the calls that the receiver turned away. Ages are in seconds: clocks of members may differ.
-- name: CountRejectedCaller :exec
INSERT INTO rejected_callers (server, calling_ae, called_ae, address, reason, calls, first_at, last_at)
VALUES ($1, $2, $3, $4, $5, $6, now() - make_interval(secs => sqlc.arg(first_age)::float8), now() - make_interval(secs => sqlc.arg(last_age)::float8))
ON CONFLICT (server, calling_ae, called_ae, address, reason) DO UPDATE SET
    calls = rejected_callers.calls + excluded.calls, last_at = greatest(rejected_callers.last_at, excluded.last_at);

-- TrimRejectedCallers removes what is old, and the oldest of what is too many of one server, or of one server and address.
-- name: TrimRejectedCallers :exec
DELETE FROM rejected_callers WHERE last_at < now() - make_interval(days => sqlc.arg(days)::integer) OR id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY server ORDER BY last_at DESC, id DESC) AS of_server,
            row_number() OVER (PARTITION BY server, address ORDER BY last_at DESC, id DESC) AS of_address
        FROM rejected_callers) ranked
    WHERE of_server > sqlc.arg(per_server)::integer OR of_address > sqlc.arg(per_address)::integer);

-- RejectedLately gives the calls of a server that were turned away within the last seconds, the latest first.
-- name: RejectedLately :many
SELECT * FROM rejected_callers WHERE server = $1 AND last_at >= now() - make_interval(secs => sqlc.arg(seconds)::float8)
ORDER BY last_at DESC, id DESC LIMIT sqlc.arg(max);

-- ListRejectedCallers is a page of them, the newest first.
-- name: ListRejectedCallers :many
SELECT * FROM rejected_callers WHERE sqlc.arg(below)::bigint = 0 OR id < sqlc.arg(below) ORDER BY id DESC LIMIT sqlc.arg(max);

-- name: RejectedOfServer :many
SELECT * FROM rejected_callers WHERE server = $1;

-- name: ForgetRejectedCallers :exec
DELETE FROM rejected_callers WHERE id = ANY(sqlc.arg(ids)::bigint[]);
