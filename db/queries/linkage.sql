-- ListLinkage is a page of a project's linkage table, behind the trial and pseudonym given, of one pseudonym or patient if one is given.
-- name: ListLinkage :many
SELECT trial, pseudonym, identity, patient_id, issuer, created_at FROM linkage
WHERE project_id = sqlc.arg(project_id) AND (trial, pseudonym) > (sqlc.arg(after_trial)::text, sqlc.arg(after_pseudonym)::text)
  AND (sqlc.arg(pseudonym)::text = '' OR pseudonym = sqlc.arg(pseudonym))
  AND (sqlc.arg(patient_id)::text = '' OR patient_id = sqlc.arg(patient_id))
ORDER BY trial, pseudonym
LIMIT sqlc.arg(max);

-- LinkedAlready finds what is there already of pseudonyms and patients that are to be tied.
-- name: LinkedAlready :many
SELECT l.trial, l.pseudonym, l.identity FROM linkage l
WHERE l.project_id = sqlc.arg(project_id) AND (
    (l.trial, l.pseudonym) IN (SELECT unnest(sqlc.arg(trials)::text[]), unnest(sqlc.arg(pseudonyms)::text[]))
 OR (l.trial, l.identity) IN (SELECT unnest(sqlc.arg(trials)::text[]), unnest(sqlc.arg(identities)::text[])));

-- name: LinkAll :execrows
INSERT INTO linkage (project_id, trial, pseudonym, identity, patient_id, issuer)
SELECT sqlc.arg(project_id), t.trial, t.pseudonym, t.identity, t.patient_id, t.issuer
FROM (SELECT unnest(sqlc.arg(trials)::text[]) AS trial, unnest(sqlc.arg(pseudonyms)::text[]) AS pseudonym, unnest(sqlc.arg(identities)::text[]) AS identity,
             unnest(sqlc.arg(patient_ids)::text[]) AS patient_id, unnest(sqlc.arg(issuers)::text[]) AS issuer) t
ON CONFLICT DO NOTHING;
