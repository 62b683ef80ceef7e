-- name: GetServerVerification :one
SELECT method, patience_s FROM server_verification WHERE server_id = $1;

-- name: PutServerVerification :exec
INSERT INTO server_verification (server_id, method, patience_s) VALUES ($1, $2, $3)
ON CONFLICT (server_id) DO UPDATE SET method = excluded.method, patience_s = excluded.patience_s;

-- name: DeleteServerVerification :exec
DELETE FROM server_verification WHERE server_id = $1;

-- name: ListDirectMoves :many
SELECT n.name, m.ae_title FROM direct_moves m JOIN dicom_nodes n ON n.id = m.destination_id WHERE m.source_id = $1 ORDER BY n.name;

-- name: DeleteDirectMoves :exec
DELETE FROM direct_moves WHERE source_id = $1;

-- name: InsertDirectMove :exec
INSERT INTO direct_moves (source_id, destination_id, ae_title) VALUES ($1, $2, $3);

-- BeginVerification says of a task that nothing is to be sent any more.
-- name: BeginVerification :exec
INSERT INTO verifications (task_id, job_id, patient_id, study_uid, status, message) VALUES ($1, $2, $3, $4, $5, $6);

-- name: InsertVerificationInstances :exec
INSERT INTO verification_instances (task_id, source_sop_uid, series_uid, sop_class_uid, sent_sop_uid, sent_series_uid, verified)
SELECT sqlc.arg(task_id), unnest(sqlc.arg(source_sop_uids)::text[]), unnest(sqlc.arg(series_uids)::text[]), unnest(sqlc.arg(sop_class_uids)::text[]),
       unnest(sqlc.arg(sent_sop_uids)::text[]), unnest(sqlc.arg(sent_series_uids)::text[]), unnest(sqlc.arg(verified)::boolean[]);

-- OpenVerification gives the verification that a task is to go on with.
-- name: OpenVerification :one
SELECT sqlc.embed(v), extract(epoch FROM schedule_now() - v.since)::float8 AS elapsed_s
FROM verifications v
WHERE v.task_id = $1 AND v.open;

-- name: ListVerificationInstances :many
SELECT * FROM verification_instances WHERE task_id = $1 ORDER BY sent_series_uid, sent_sop_uid;

-- MarkVerified takes down instances that the destination was seen to have.
-- name: MarkVerified :exec
UPDATE verification_instances SET verified = true, reason = ''
WHERE task_id = $1 AND source_sop_uid = ANY(sqlc.arg(source_sop_uids)::text[]);

-- CountVerified writes how many instances are verified into the task and its series.
-- name: CountVerified :exec
WITH counts AS (
    SELECT series_uid, count(*) FILTER (WHERE verified) AS n FROM verification_instances i WHERE i.task_id = $1 GROUP BY series_uid
), by_series AS (
    UPDATE task_series s SET verified = counts.n FROM counts WHERE s.task_id = $1 AND s.series_uid = counts.series_uid
)
UPDATE tasks t SET verified = (SELECT coalesce(sum(n), 0) FROM counts) WHERE t.id = $1;

-- PostponeVerification lets the next check come when the task is due, at once if all reports of commitment have come meanwhile. It
-- follows the end of the lease in one transaction, which a report waits for.
-- name: PostponeVerification :exec
WITH due AS (
    SELECT CASE WHEN EXISTS (SELECT FROM commitments c WHERE c.task_id = t.id AND c.taken AND c.requested_at >= own.since)
                 AND NOT EXISTS (SELECT FROM commitments c WHERE c.task_id = t.id AND c.taken AND c.requested_at >= own.since AND c.reported_at IS NULL)
           THEN least(schedule_now(), t.not_before) ELSE t.not_before END AS at
    FROM tasks t
    JOIN verifications own ON own.task_id = t.id
    WHERE t.id = $1
), task AS (
    UPDATE tasks t SET not_before = due.at FROM due WHERE t.id = $1 AND t.status = 'pending'
)
UPDATE verifications v SET due_at = due.at FROM due WHERE v.task_id = $1 AND v.open;

-- name: GiveUpVerification :exec
UPDATE verifications SET open = false WHERE task_id = $1;

-- name: DeleteVerification :exec
DELETE FROM verifications WHERE task_id = $1;

-- ReopenVerifications makes the unverified tasks of a locked job pending again, to be verified only. Requests for commitment are made anew.
-- name: ReopenVerifications :execrows
WITH reopened AS (
    UPDATE verifications v SET open = true, since = schedule_now(), due_at = schedule_now()
    FROM tasks t
    WHERE t.id = v.task_id AND t.job_id = $1 AND t.status = 'warning' AND NOT v.open
    RETURNING v.task_id
)
UPDATE tasks t
SET status = 'pending', not_before = schedule_now(), waiting_reason = '', failures = 0, waits = 0, losses = 0, crashes = 0, alone = false, message = '', ended_at = NULL
FROM reopened
WHERE t.id = reopened.task_id;

-- HoldVerification takes a canceled task's verification out of the claims' way, HoldVerifications those of a job; ResumeVerifications lets
-- them come at once.
-- name: HoldVerification :exec
UPDATE verifications SET due_at = 'infinity' WHERE task_id = $1 AND open;

-- name: HoldVerifications :exec
UPDATE verifications v SET due_at = 'infinity' FROM tasks t WHERE t.id = v.task_id AND t.job_id = $1 AND v.open;

-- name: ResumeVerifications :exec
UPDATE verifications v SET due_at = schedule_now(), since = schedule_now() FROM tasks t WHERE t.id = v.task_id AND t.job_id = $1 AND v.open;

-- InsertCommitment keeps a request for storage commitment, before it is sent.
-- name: InsertCommitment :exec
INSERT INTO commitments (transaction_uid, task_id, server_id) VALUES ($1, $2, $3);

-- name: TakeCommitment :exec
UPDATE commitments SET taken = true WHERE transaction_uid = $1;

-- name: DropCommitment :exec
DELETE FROM commitments WHERE transaction_uid = $1 AND reported_at IS NULL;

-- CommitmentsOfTask returns how many requests were made since the verification began, and how many of them have no report yet.
-- name: CommitmentsOfTask :one
SELECT count(*) AS requested, count(*) FILTER (WHERE c.reported_at IS NULL) AS awaited
FROM commitments c
JOIN verifications v ON v.task_id = c.task_id
WHERE c.task_id = $1 AND c.taken AND c.requested_at >= v.since;

-- name: GetCommitment :one
SELECT * FROM commitments WHERE transaction_uid = $1;

-- LockTask makes the end of a task's run wait, and waits for it.
-- name: LockTask :one
SELECT status FROM tasks WHERE id = $1 FOR NO KEY UPDATE;

-- name: ReportCommitted :exec
UPDATE verification_instances SET verified = true, reason = ''
WHERE task_id = $1 AND sent_sop_uid = ANY(sqlc.arg(sent_sop_uids)::text[]);

-- name: ReportFailed :exec
UPDATE verification_instances i SET reason = f.reason, verified = false
FROM (SELECT unnest(sqlc.arg(sent_sop_uids)::text[]) AS uid, unnest(sqlc.arg(reasons)::text[]) AS reason) f
WHERE i.task_id = $1 AND i.sent_sop_uid = f.uid;

-- name: EndCommitment :exec
UPDATE commitments SET reported_at = schedule_now(), taken = true WHERE transaction_uid = $1;

-- HurryVerification lets a waiting task be checked at once.
-- name: HurryVerification :exec
WITH task AS (
    UPDATE tasks t SET not_before = schedule_now() WHERE t.id = $1 AND t.status = 'pending'
)
UPDATE verifications v SET due_at = schedule_now() WHERE v.task_id = $1 AND v.open AND v.due_at < 'infinity';
