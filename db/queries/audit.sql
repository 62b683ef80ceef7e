-- name: InsertAudit :exec
INSERT INTO audit (user_id, username, via, peer, action, object, patient_id, study_uid, source, destination, profile, profile_sha256, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- LockAuditChain: who holds it seals; nobody waits for it.
-- name: LockAuditChain :one
SELECT pg_try_advisory_xact_lock(7160001);

-- name: AuditHead :one
SELECT seq, hash FROM audit_head;

-- name: AnyUnsealedAudit :one
SELECT EXISTS (SELECT FROM audit WHERE seq IS NULL);

-- name: UnsealedAudit :many
SELECT * FROM audit WHERE seq IS NULL ORDER BY id LIMIT $1;

-- SealAudit finds rows by their time as well: only the partitions of those are asked.
-- name: SealAudit :execrows
UPDATE audit SET seq = s.seq, hash = s.hash
FROM (SELECT unnest(sqlc.arg(ids)::bigint[]) AS id, unnest(sqlc.arg(ats)::timestamptz[]) AS at, unnest(sqlc.arg(seqs)::bigint[]) AS seq,
             unnest(sqlc.arg(hashes)::bytea[]) AS hash) s
WHERE audit.id = s.id AND audit.at = s.at AND audit.seq IS NULL;

-- name: PutAuditHead :exec
UPDATE audit_head SET seq = $1, hash = $2;

-- SealedAudit: the chain, after one place and up to another.
-- name: SealedAudit :many
SELECT * FROM audit WHERE seq > sqlc.arg(after)::bigint AND seq <= sqlc.arg(up_to)::bigint ORDER BY seq LIMIT sqlc.arg(most);

-- AuditEnd: the head that the sealer left, and the last row that is there, at one moment.
-- name: AuditEnd :one
SELECT seq, hash, coalesce((SELECT max(a.seq) FROM audit a), 0)::bigint AS last FROM audit_head;

-- name: CountUnsealedAudit :one
SELECT count(*) AS rows, coalesce(min(at), now())::timestamptz AS oldest FROM audit WHERE seq IS NULL;

-- ListAudit: the newest first. An act that granted rights is a row of its own kind, which names the act.
-- name: ListAudit :many
SELECT * FROM audit
WHERE (sqlc.narg(before)::bigint IS NULL OR id < sqlc.narg(before))
  AND (sqlc.narg(study_uid)::text IS NULL OR (study_uid = sqlc.narg(study_uid) AND study_uid <> ''))
  AND (sqlc.narg(patient_id)::text IS NULL OR (patient_id = sqlc.narg(patient_id) AND patient_id <> ''))
  AND (sqlc.narg(username)::text IS NULL OR lower(username) = lower(sqlc.narg(username)))
  AND (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action) OR (action = 'rights.grant' AND strpos(detail, sqlc.narg(granted_by)) > 0))
ORDER BY id DESC LIMIT sqlc.arg(most);

-- ListAuditBetween: of a time, the latest first.
-- name: ListAuditBetween :many
SELECT * FROM audit
WHERE at >= coalesce(sqlc.narg(from_time)::timestamptz, '-infinity') AND at < coalesce(sqlc.narg(until_time)::timestamptz, 'infinity')
  AND (sqlc.narg(before)::bigint IS NULL OR (at, id) < ((SELECT b.at FROM audit b WHERE b.id = sqlc.narg(before)), sqlc.narg(before)))
  AND (sqlc.narg(study_uid)::text IS NULL OR (study_uid = sqlc.narg(study_uid) AND study_uid <> ''))
  AND (sqlc.narg(patient_id)::text IS NULL OR (patient_id = sqlc.narg(patient_id) AND patient_id <> ''))
  AND (sqlc.narg(username)::text IS NULL OR lower(username) = lower(sqlc.narg(username)))
  AND (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action) OR (action = 'rights.grant' AND strpos(detail, sqlc.narg(granted_by)) > 0))
ORDER BY at DESC, id DESC LIMIT sqlc.arg(most);

-- HoldAuditReceiver: gives how far a receiver has got to the one process that may send to it for a minute; no row: another one does. A new one
-- gets what happens from now on.
-- name: HoldAuditReceiver :one
INSERT INTO audit_receivers (receiver, seq, holder, held_until)
SELECT sqlc.arg(receiver), h.seq, sqlc.arg(holder), now() + interval '1 minute' FROM audit_head h
ON CONFLICT (receiver) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
WHERE audit_receivers.holder = excluded.holder OR audit_receivers.held_until < now()
   OR audit_receivers.held_until > now() + interval '2 minutes' -- of a clock that was put back; another's hold may have begun later than this
RETURNING seq;

-- name: MoveAuditReceiver :execrows
UPDATE audit_receivers SET seq = sqlc.arg(to_seq)
WHERE receiver = sqlc.arg(receiver) AND holder = sqlc.arg(holder) AND seq = sqlc.arg(from_seq);

-- name: ReleaseAuditReceiver :exec
UPDATE audit_receivers SET held_until = now() WHERE receiver = sqlc.arg(receiver) AND holder = sqlc.arg(holder);

-- AddAuditMonths makes the partitions of this month and of the next three, where they are missing.
-- name: AddAuditMonths :exec
SELECT audit_add_month(now() + make_interval(months => n)) FROM generate_series(0, 3) n;

-- AuditReceiversBehind counts receivers that are being sent to and have not got a row of the chain.
-- name: AuditReceiversBehind :one
SELECT count(*) FROM audit_receivers WHERE seq < sqlc.arg(seq)::bigint AND held_until > now() - interval '1 day';

-- AuditDetached returns the newest sealed row that records detached months.
-- name: AuditDetached :one
SELECT * FROM audit WHERE action = 'audit.detach' AND seq IS NOT NULL ORDER BY id DESC LIMIT 1;

-- SealedRow gives a row of the chain.
-- name: SealedRow :one
SELECT * FROM audit WHERE seq = sqlc.arg(seq)::bigint;
