-- LockProject reads what a project de-identifies with, and keeps it so until the transaction ends.
-- name: LockProject :one
SELECT p.id, p.is_default, p.sealed_key, p.profile, p.profile_sha256, p.uid_generation, p.scan, p.manifest, coalesce(d.text, '')::text AS profile_text
FROM projects p LEFT JOIN deid_profiles d ON d.id = p.profile_id
WHERE p.id = $1
FOR NO KEY UPDATE OF p;

-- name: GetProjectKey :one
SELECT is_default, sealed_key, sealed_salt FROM projects WHERE id = $1;

-- BeginGeneration starts a new generation of UIDs, made with another profile.
-- name: BeginGeneration :one
UPDATE projects SET profile_sha256 = $2, uid_generation = uid_generation + 1 WHERE id = $1 RETURNING uid_generation;

-- name: PinProfile :exec
UPDATE projects SET profile_sha256 = $2 WHERE id = $1;

-- name: ProfileBySHA256 :one
SELECT text FROM deid_profiles WHERE sha256 = $1;

-- name: PseudonymOf :one
SELECT pseudonym FROM linkage WHERE project_id = $1 AND trial = $2 AND identity = $3;

-- Link ties a pseudonym to a patient; no row if either is tied already.
-- name: Link :one
INSERT INTO linkage (project_id, trial, pseudonym, identity, patient_id, issuer) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
RETURNING pseudonym;

-- NotePseudonyms notes that patients of a server have pseudonyms; no row if the issuer of its Patient IDs is another one by now.
-- name: NotePseudonyms :execrows
UPDATE servers SET pseudonyms_since = coalesce(pseudonyms_since, now()) WHERE id = $1 AND issuer_of_patient_id = $2;

-- name: ForgetPseudonyms :exec
UPDATE servers SET pseudonyms_since = NULL WHERE id = $1;

-- name: GetTaskDeid :one
SELECT * FROM task_deid WHERE task_id = $1;

-- ListTaskDeid is a page of what was done to the studies of a job, in the order of its tasks.
-- name: ListTaskDeid :many
SELECT sqlc.embed(t), sqlc.embed(d) FROM tasks t JOIN task_deid d ON d.task_id = t.id
WHERE t.job_id = sqlc.arg(job_id) AND t.seq > sqlc.arg(above)
ORDER BY t.seq
LIMIT sqlc.arg(max);

-- SumTaskDeid sums up what was done to the studies of a job. A study that is meant to get a pseudonym is never counted among those that were delivered
-- with their identity: what was delivered of it is in its report, or will be in a moment.
-- name: SumTaskDeid :one
WITH studies AS MATERIALIZED (
    SELECT t.seq, t.delivered, j.pseudonymize OR t.pseudonym <> '' AS meant, coalesce(d.instances, 0) AS instances,
           coalesce(nullif(d.pseudonym, ''), t.pseudonym) AS pseudonym, d.counts, d.codes, coalesce(d.to_utf8, 0) AS to_utf8, d.assumed_charsets, d.left_out,
           d.omitted
    FROM tasks t
    JOIN jobs j ON j.id = t.job_id
    LEFT JOIN task_deid d ON d.task_id = t.id
    WHERE t.job_id = sqlc.arg(job_id)
), held AS (
    SELECT o.value ->> 'reason' AS reason, o.value -> 'unsafe' IS NOT NULL AS unsafe, count(*) AS instances, count(DISTINCT s.seq) AS studies,
           min(s.seq) AS first
    FROM studies s CROSS JOIN LATERAL jsonb_array_elements(s.left_out) o
    GROUP BY 1, 2
)
SELECT count(*) AS studies,
       count(*) FILTER (WHERE s.meant) AS meant,
       count(*) FILTER (WHERE s.instances > 0) AS pseudonymized,
       count(*) FILTER (WHERE s.delivered > 0 AND s.instances = 0 AND NOT s.meant) AS identified,
       count(DISTINCT s.pseudonym) FILTER (WHERE s.instances > 0 AND s.pseudonym <> '') AS patients,
       coalesce(sum(s.instances), 0)::bigint AS instances,
       coalesce(sum(s.delivered) FILTER (WHERE s.instances = 0 AND NOT s.meant), 0)::bigint AS identified_instances,
       coalesce(sum(s.to_utf8), 0)::bigint AS to_utf8,
       coalesce(bool_or(jsonb_array_length(s.left_out) >= sqlc.arg(most)::integer), false)::boolean AS truncated,
       (SELECT coalesce(jsonb_object_agg(a.key, a.n), '{}') FROM (
           SELECT e.key, sum(e.value::bigint) AS n FROM studies c CROSS JOIN LATERAL jsonb_each_text(c.counts) e GROUP BY e.key
       ) a)::jsonb AS counts,
       (SELECT coalesce(jsonb_object_agg(a.code, a.n), '{}') FROM (
           SELECT u.code, count(*) AS n FROM studies c CROSS JOIN LATERAL unnest(c.codes) AS u(code) GROUP BY u.code
       ) a)::jsonb AS codes,
       (SELECT coalesce(jsonb_object_agg(a.key, a.n), '{}') FROM (
           SELECT e.key, sum(e.value::bigint) AS n FROM studies c CROSS JOIN LATERAL jsonb_each_text(c.assumed_charsets) e GROUP BY e.key
       ) a)::jsonb AS assumed_charsets,
       (SELECT coalesce(jsonb_object_agg(a.key, a.n), '{}') FROM (
           SELECT e.key, sum(e.value::bigint) AS n FROM studies c CROSS JOIN LATERAL jsonb_each_text(c.omitted) e GROUP BY e.key
       ) a)::jsonb AS omitted,
       (SELECT coalesce(jsonb_agg(to_jsonb(h) ORDER BY h.instances DESC, h.first), '[]') FROM held h)::jsonb AS held_back
FROM studies s;

-- name: PutTaskDeid :exec
INSERT INTO task_deid (task_id, study_uid, instances, counts, codes, to_utf8, assumed_charsets) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (task_id) DO UPDATE
SET instances = excluded.instances, counts = excluded.counts, codes = excluded.codes, to_utf8 = excluded.to_utf8,
    assumed_charsets = excluded.assumed_charsets;

-- name: PutTaskDeidLeftOut :exec
INSERT INTO task_deid (task_id, study_uid, pseudonym, left_out, omitted) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (task_id) DO UPDATE SET pseudonym = excluded.pseudonym, left_out = excluded.left_out, omitted = excluded.omitted;

-- name: PutDeidActions :exec
INSERT INTO deid_actions (sha256, done) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- PutDeidObjects writes down what was delivered. What is delivered again is the same.
-- name: PutDeidObjects :exec
INSERT INTO deid_objects (task_id, sop_uid, object, actions)
SELECT sqlc.arg(task_id), unnest(sqlc.arg(sop_uids)::text[]), unnest(sqlc.arg(objects)::text[])::json, unnest(sqlc.arg(actions)::bytea[])
ON CONFLICT (task_id, sop_uid) DO UPDATE SET object = excluded.object, actions = excluded.actions;

-- ListDeidObjects is a page of what was delivered of a job, in the order of its tasks and UIDs.
-- name: ListDeidObjects :many
SELECT t.seq, o.sop_uid, o.object, o.actions, a.done
FROM tasks t JOIN deid_objects o ON o.task_id = t.id JOIN deid_actions a ON a.sha256 = o.actions
WHERE t.job_id = sqlc.arg(job_id) AND t.seq >= sqlc.arg(seq) AND (t.seq, o.sop_uid) > (sqlc.arg(seq)::integer, sqlc.arg(sop_uid)::text)
ORDER BY t.seq, o.sop_uid
LIMIT sqlc.arg(max);
