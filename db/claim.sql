-- The claim: the next task for member $1, with its slots, in one statement (actors.md: Claim); $2 is the longest pause of a trial in seconds. It runs behind
-- pg_advisory_xact_lock in the same transaction, as a statement of its own, so that its snapshot shows every slot
-- that earlier claims took. The head of each job is found by one index probe; jobs are tried in their order of rank
-- until one has a task that is due. The caps are those of this hour, kept in server_state; from caps_until on they are none. A server that
-- has refused takes no more than its allowance, and once its probe_at has come one task beyond that, which is the trial. At a server that refused
-- last, a study that was refused comes after all others.
-- An archive has one writer: a job that makes one has one running task, and none while a member gives the archive its name.
-- A dry run needs nothing of its destination. A folder that the member doesn't see takes nothing from it.
-- A task that moves no study, but asks its source for something, takes one association there and no study by a rate. Where the source is to be moved from, its side takes two slots: the second one is for the association over which the objects come back. At
-- a cap of 1 there can be no second one, and the task begins without.
-- A lonely task (tasks.alone) runs on a member that runs nothing else. If it is its turn and the member is busy, the member claims nothing, and the
-- task is left to it for ten minutes, together with room at its servers: the member stops what it runs meanwhile, and then claims this task
-- before any other. If the task can't start for another reason than its servers' rates, it is left to nobody any more.
-- It always returns one row. Without a task, it says after how many seconds it may be worth looking again. A task without a token is the
-- lonely one for which this member has to make room.
WITH self AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM tasks t WHERE t.lease_member = m.id AND t.status = 'in_progress') AS busy
    FROM members m
    WHERE m.id = $1 AND m.fenced_at IS NULL
      AND NOT EXISTS (SELECT FROM tasks t WHERE t.lease_member = m.id AND t.status = 'in_progress' AND t.alone)
), lonely AS MATERIALIZED (
    SELECT t.id, t.job_id,
           t.not_before <= schedule_now() AND NOT EXISTS (SELECT FROM verifications v WHERE v.task_id = t.id AND v.open) AS due, -- to be sent
           coalesce(t.alone_until > now() AND t.alone_member = $1, false) AS own,
           coalesce(t.alone_until > now(), false) AND EXISTS (SELECT FROM members m WHERE m.id = t.alone_member AND m.id <> $1 AND m.fenced_at IS NULL) AS others
    FROM tasks t
    WHERE t.alone AND t.status = 'pending'
), unseen AS MATERIALIZED (
    SELECT f.id FROM folders f JOIN members m ON m.id = $1 AND f.id <> ALL(m.folders)
), used AS MATERIALIZED (
    SELECT server_id, count(*) AS n
    FROM (
        SELECT server_id FROM association_slots WHERE use = 'batch'
        UNION ALL
        SELECT side.server_id
        FROM lonely l
        JOIN jobs j ON j.id = l.job_id
        CROSS JOIN LATERAL (VALUES (j.source_id), (j.source_id), (j.destination_id)) AS side (server_id) -- the source may be moved from
        WHERE l.others
    ) taken
    GROUP BY server_id
), room AS MATERIALIZED (
    SELECT st.server_id AS id, least(st.batch_cap, st.allowance) AS batch_cap, least(st.outside_cap, st.allowance) AS outside_cap,
           least(st.batch_cap - taken.n, taken.allowed) AS free, least(st.outside_cap - taken.n, taken.allowed) AS outside,
           coalesce(st.next_start_at, '-infinity') <= schedule_now() AS ready,
           st.refused_task IS NOT NULL OR st.allowance IS NOT NULL AND st.probe_at <= schedule_now() AS wary
    FROM server_state st
    LEFT JOIN used u ON u.server_id = st.server_id
    CROSS JOIN LATERAL (
        SELECT coalesce(u.n, 0) AS n,
               CASE WHEN st.probe_at <= schedule_now() THEN greatest(st.allowance - coalesce(u.n, 0), CASE WHEN st.allowance IS NOT NULL THEN 2 END)
                    ELSE st.allowance - coalesce(u.n, 0) END AS allowed
    ) taken
    WHERE coalesce(st.caps_until > schedule_now(), true)
      AND NOT st.paused
      AND (st.breaker = 'closed' OR NOT st.echo AND st.probe_at <= schedule_now())
), owners AS MATERIALIZED (
    SELECT owner_id, sum(n_running) AS running, max(last_claim_at) AS last_claim
    FROM jobs
    WHERE active
    GROUP BY owner_id
), verify AS MATERIALIZED (
    -- A task that is only to be verified needs its destination alone, and is over soon: it comes first. Each job is probed once, if
    -- anything is due at all; however many wait for a server that is closed, they are not walked over.
    SELECT j.id AS job_id, j.kind, j.destination_id, due.task_id, due.alone
    FROM jobs j
    JOIN room ON room.id = j.destination_id AND room.ready AND CASE WHEN j.outside_windows THEN room.outside ELSE room.free END >= 1
    CROSS JOIN LATERAL (
        SELECT v.task_id, v.due_at, t.alone
        FROM verifications v
        JOIN tasks t ON t.id = v.task_id AND t.status = 'pending'
        WHERE v.job_id = j.id AND v.open AND v.due_at <= schedule_now()
          AND NOT EXISTS (SELECT FROM lonely l WHERE CASE WHEN l.id = t.id THEN l.others ELSE l.own END)
        ORDER BY v.due_at
        LIMIT 1
    ) due
    WHERE j.active AND j.n_pending > 0 AND j.verified AND NOT j.paused AND NOT j.canceled
      AND EXISTS (SELECT FROM verifications v WHERE v.open AND v.due_at <= schedule_now())
      AND EXISTS (SELECT FROM self)
    ORDER BY due.due_at
    LIMIT 1
), pick AS MATERIALIZED (
    SELECT p.*, p.ready AND NOT (p.alone AND self.busy) AS starts
    FROM self
    CROSS JOIN (
        SELECT job_id, kind, NULL::bigint AS source_id, destination_id, task_id, alone, 0 AS need, true AS ready FROM verify
        UNION ALL
        SELECT ranked.id AS job_id, ranked.kind, ranked.source_id, ranked.destination_id, head.id AS task_id, head.alone, ranked.need, ranked.ready
        FROM (
            SELECT j.id, j.kind, j.source_id, j.destination_id, side.need, coalesce(src_room.ready, true) AND coalesce(dst_room.ready, true) AS ready,
                   src_room.wary OR dst_room.wary AS wary, turn.refused
            FROM jobs j
            JOIN owners o ON o.owner_id = j.owner_id
            LEFT JOIN servers src ON src.id = j.source_id
            LEFT JOIN servers dst ON dst.id = j.destination_id AND NOT dry_run(j)
            LEFT JOIN room src_room ON src_room.id = j.source_id
            LEFT JOIN room dst_room ON dst_room.id = dst.id
            LEFT JOIN direct_moves direct ON direct.source_id = j.source_id AND direct.destination_id = j.destination_id
            LEFT JOIN lonely own ON own.job_id = j.id AND own.own AND own.due
            CROSS JOIN LATERAL (SELECT CASE
                WHEN j.kind <> 'batch_query' AND (src.moves_first OR direct.source_id IS NOT NULL)
                THEN least(2, greatest(1, CASE WHEN j.outside_windows THEN src_room.outside_cap ELSE src_room.batch_cap END))
                ELSE 1 END AS need) side
            JOIN (VALUES (false), (true)) AS turn (refused) ON src_room.wary OR dst_room.wary OR NOT turn.refused
            WHERE EXISTS (SELECT FROM self)
              AND NOT EXISTS (SELECT FROM verify)
              AND j.active AND j.n_pending > 0 AND j.verified AND NOT j.paused AND NOT j.canceled
              AND NOT EXISTS (SELECT FROM unseen WHERE unseen.id = j.destination_id AND NOT dry_run(j))
              AND NOT (j.archive AND (j.n_running > 0 OR EXISTS (SELECT FROM members m WHERE m.id = j.archive_member AND m.fenced_at IS NULL)))
              AND (src.id IS NULL OR CASE WHEN j.outside_windows THEN src_room.outside ELSE src_room.free END >= side.need)
              AND (dst.id IS NULL OR CASE WHEN j.outside_windows THEN dst_room.outside ELSE dst_room.free END >= 1)
              AND (own.id IS NOT NULL OR coalesce(src_room.ready, true) AND coalesce(dst_room.ready, true))
            ORDER BY own.id IS NULL, turn.refused, j.urgent DESC, j.priority DESC, o.running, o.last_claim NULLS FIRST, j.id
            OFFSET 0                               -- keeps the order: the outer join walks it and stops at the first hit
        ) ranked
        CROSS JOIN LATERAL (
            SELECT h.id, h.alone
            FROM (
                SELECT l.id, true AS alone, 0 AS turn FROM lonely l WHERE l.job_id = ranked.id AND l.own AND l.due
                UNION ALL
                (SELECT t.id, t.alone, 1
                 FROM tasks t
                 WHERE t.job_id = ranked.id AND t.status = 'pending' AND t.not_before <= schedule_now() AND ranked.ready
                   AND (ranked.wary IS NOT TRUE OR (t.refused > 0) = ranked.refused)
                   AND NOT EXISTS (SELECT FROM verifications v WHERE v.task_id = t.id AND v.open)
                   AND NOT EXISTS (SELECT FROM lonely l WHERE l.id = t.id AND l.others)
                 ORDER BY t.not_before, t.seq
                 LIMIT 1)
            ) h
            ORDER BY h.turn
            LIMIT 1
        ) head
        LIMIT 1
    ) p
), locked AS MATERIALIZED (
    SELECT j.id
    FROM jobs j
    JOIN pick ON pick.job_id = j.id
    FOR NO KEY UPDATE OF j
), task AS (
    UPDATE tasks t
    SET status = 'in_progress', lease_member = $1, lease_token = nextval('lease_tokens'),
        started_at = coalesce(t.started_at, now()), ended_at = NULL, waiting_reason = '', cancel_requested = false, alone_member = NULL, alone_until = NULL
    FROM pick
    JOIN locked ON locked.id = pick.job_id
    WHERE t.id = pick.task_id AND pick.starts AND t.status = 'pending'
    RETURNING t.id, t.job_id, pick.kind, t.lease_token, pick.source_id, t.study_instance_uid <> '' AS moves,
              CASE WHEN t.study_instance_uid <> '' THEN pick.destination_id END AS destination_id,
              CASE WHEN t.study_instance_uid <> '' THEN pick.need ELSE 1 END AS need, t.expected, t.received, t.delivered, t.bytes
), left_to AS (
    -- of a lonely task: to this member, if it can start when the member runs nothing else
    UPDATE tasks t
    SET alone_member = CASE WHEN t.id = pick.task_id THEN $1::uuid END, alone_until = CASE WHEN t.id = pick.task_id THEN now() + interval '10 minutes' END
    FROM lonely l
    LEFT JOIN pick ON pick.task_id = l.id
    WHERE t.id = l.id AND t.status = 'pending' AND CASE WHEN pick.task_id IS NULL THEN l.own ELSE NOT pick.starts AND NOT l.own END
), job AS (
    UPDATE jobs j
    SET n_pending = n_pending - 1, n_running = n_running + 1, started = true,
        started_at = coalesce(j.started_at, now()), ended_at = NULL, last_claim_at = clock_timestamp(), version = version + 1,
        sum_expected = sum_expected - task.expected, sum_received = sum_received - task.received,
        sum_delivered = sum_delivered - task.delivered, sum_bytes = sum_bytes - task.bytes
    FROM task
    WHERE j.id = task.job_id
), slots AS (
    INSERT INTO association_slots (server_id, use, member_id, task_id, token)
    SELECT s.id, 'batch', $1, task.id, task.lease_token
    FROM task
    CROSS JOIN LATERAL (VALUES (task.source_id), (task.destination_id), (CASE WHEN task.need = 2 THEN task.source_id END)) AS side (server_id)
    JOIN servers s ON s.id = side.server_id
), paced AS (
    -- A start that comes up to half a second late is made up for. n + 1 starts lie at least n * 61.5/n - 0.5 = 61 seconds apart: no 60 seconds
    -- at the server have more than n, though a claim is seen there some time later, now less and now more. Of a trial the end says when the next
    -- one is; if it doesn't come, there is one all the same.
    UPDATE server_state st
    SET next_start_at = CASE WHEN start.counts
            THEN greatest(st.next_start_at, schedule_now() - interval '0.5 seconds') + make_interval(secs => 61.5 / st.studies_per_minute)
            ELSE st.next_start_at END,
        trial_task = CASE WHEN start.trial THEN task.id ELSE st.trial_task END,
        probe_at = CASE WHEN start.trial THEN schedule_now() + make_interval(secs => $2::float8) ELSE st.probe_at END
    FROM task
    CROSS JOIN LATERAL (VALUES (task.source_id, task.need), (task.destination_id, 1)) AS side (server_id, need)
    LEFT JOIN used u ON u.server_id = side.server_id
    JOIN server_state was ON was.server_id = side.server_id
    CROSS JOIN LATERAL (
        SELECT was.studies_per_minute > 0 AND task.moves AND NOT EXISTS (SELECT FROM verify) AS counts,
               coalesce(coalesce(u.n, 0) + side.need > was.allowance, false) AS trial
    ) start
    WHERE st.server_id = side.server_id AND (start.counts OR start.trial)
)
SELECT coalesce(pick.task_id, 0), coalesce(pick.job_id, 0), coalesce(pick.kind, ''), coalesce(task.moves, true), coalesce(task.lease_token, 0),
       coalesce((SELECT extract(epoch FROM min(next.at) - schedule_now())
                 FROM server_state st CROSS JOIN LATERAL (VALUES (st.next_start_at), (st.caps_until), (CASE WHEN st.allowance IS NOT NULL THEN st.probe_at END)) AS next (at)
                 WHERE next.at > schedule_now()), 0)::float8,
       EXISTS (SELECT FROM server_state st WHERE st.caps_until <= schedule_now())
FROM (VALUES (1)) AS one
LEFT JOIN task ON true
LEFT JOIN pick ON task.id IS NOT NULL OR NOT pick.starts
