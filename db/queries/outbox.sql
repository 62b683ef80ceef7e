-- name: InsertMail :exec
INSERT INTO outbox (recipient, subject, body, sealed)
SELECT unnest(sqlc.arg(recipients)::text[]), sqlc.arg(subject), sqlc.arg(body), sqlc.narg(sealed)::bytea;

-- ClaimMail has one mail that is due for this member alone until the lease is over. A clock that was put back makes none wait longer than it was
-- meant to; a claim of another member may have begun later than this one, hence the minute.
-- name: ClaimMail :one
UPDATE outbox SET next_at = now() + make_interval(secs => sqlc.arg(lease_seconds)::float8), wait_seconds = sqlc.arg(lease_seconds)::float8,
    attempts = attempts + 1, created_at = least(created_at, now())
WHERE id = (
    SELECT o.id FROM outbox o
    WHERE o.kind = 'mail' AND o.status = 'pending' AND (o.next_at <= now() OR o.next_at > now() + make_interval(secs => o.wait_seconds + 60))
    ORDER BY o.next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, message_id, recipient, subject, body, sealed, job_end, attempts, created_at, extract(epoch FROM now() - created_at)::float8 AS age_seconds;

-- EndMail writes down what became of an attempt. Zero rows: another member has the mail by now.
-- name: EndMail :execrows
UPDATE outbox
SET status = sqlc.arg(status), error = sqlc.arg(error), body = CASE WHEN sqlc.arg(status)::text = 'sent' THEN '' ELSE body END,
    sealed = CASE WHEN sqlc.arg(status)::text <> 'sent' THEN sealed END,
    next_at = now() + make_interval(secs => sqlc.arg(wait_seconds)::float8), wait_seconds = sqlc.arg(wait_seconds)::float8,
    ended_at = CASE WHEN sqlc.arg(status)::text <> 'pending' THEN now() END
WHERE id = sqlc.arg(id) AND attempts = sqlc.arg(attempts) AND status = 'pending';

-- ListMails is a page of the outbox, newest first, below the id given (0 = from the newest).
-- name: ListMails :many
SELECT * FROM outbox
WHERE (sqlc.arg(below)::bigint = 0 OR id < sqlc.arg(below)) AND (sqlc.arg(status)::text = '' OR status = sqlc.arg(status))
ORDER BY id DESC LIMIT sqlc.arg(max);

-- name: GetMail :one
SELECT * FROM outbox WHERE id = $1;

-- name: LockMail :one
SELECT * FROM outbox WHERE id = $1 FOR UPDATE;

-- RetryMail has a mail that was given up tried again from the start; it must be locked.
-- name: RetryMail :one
UPDATE outbox SET status = 'pending', attempts = 0, next_at = now(), wait_seconds = 0, created_at = now(), ended_at = NULL WHERE id = $1 RETURNING *;

-- name: StaffMails :many
SELECT mail FROM users WHERE is_active AND (is_staff OR is_superuser) AND mail <> '' ORDER BY id;

-- name: AllMails :many
SELECT DISTINCT ON (lower(mail)) mail FROM users WHERE is_active AND mail <> '' ORDER BY lower(mail);
