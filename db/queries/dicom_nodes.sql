-- name: InsertDicomNode :one
INSERT INTO dicom_nodes (name, kind) VALUES ($1, $2) RETURNING id;

-- name: InsertServer :one
INSERT INTO servers (id, ae_title, host, port, calling_ae_title, patient_root_find, patient_root_get, patient_root_move,
                     study_root_find, study_root_get, study_root_move, store_scp, result_limit, idle_timeout_s, batch_cap,
                     interactive_cap, associations_per_task, retrieve_methods, move_destination, move_destination_plain, move_originator,
                     move_patience_s, other_ae_titles, address_ranges, issuer_of_patient_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
RETURNING *;

-- name: InsertServerState :exec
INSERT INTO server_state (server_id) VALUES ($1);

-- name: InsertFolder :one
INSERT INTO folders (id, path) VALUES ($1, $2) RETURNING *;

-- name: GrantNodeAccess :exec
INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination) VALUES ($1, $2, $3, $4)
ON CONFLICT (group_id, dicom_node_id) DO UPDATE SET is_source = excluded.is_source, is_destination = excluded.is_destination;

-- name: ListDicomNodes :many
SELECT n.id, n.name, n.kind, n.created_at FROM dicom_nodes n WHERE n.id > sqlc.arg(above) ORDER BY n.id LIMIT sqlc.arg(max);

-- name: GetDicomNode :one
SELECT id, name, kind, created_at FROM dicom_nodes WHERE id = $1;

-- name: GetDicomNodeByName :one
SELECT id, name, kind, created_at FROM dicom_nodes WHERE lower(name) = lower(sqlc.arg(name));

-- ServersByID gives servers with all that a task needs to know of them.
-- name: ServersByID :many
SELECT n.name, n.created_at, sqlc.embed(s), sqlc.embed(st), coalesce(v.method, '')::text AS verify_method, coalesce(v.patience_s, 0)::integer AS verify_patience_s,
       ARRAY(SELECT d.name FROM direct_moves m JOIN dicom_nodes d ON d.id = m.destination_id WHERE m.source_id = s.id ORDER BY d.name)::text[] AS direct_names,
       ARRAY(SELECT m.ae_title FROM direct_moves m JOIN dicom_nodes d ON d.id = m.destination_id WHERE m.source_id = s.id ORDER BY d.name)::text[] AS direct_titles
FROM servers s
JOIN dicom_nodes n ON n.id = s.id
JOIN server_state st ON st.server_id = s.id
LEFT JOIN server_verification v ON v.server_id = s.id
WHERE s.id = ANY(sqlc.arg(ids)::bigint[]);

-- name: FoldersByID :many
SELECT n.name, n.created_at, sqlc.embed(f), sqlc.embed(u)
FROM folders f
JOIN dicom_nodes n ON n.id = f.id
JOIN folder_usage u ON u.folder_id = f.id
WHERE f.id = ANY(sqlc.arg(ids)::bigint[]);

-- name: GetServerState :one
SELECT * FROM server_state WHERE server_id = $1;

-- name: DeleteDicomNode :execrows
DELETE FROM dicom_nodes WHERE id = $1;

-- name: NodeAccessOf :many
SELECT a.dicom_node_id, bool_or(a.is_source)::boolean AS is_source, bool_or(a.is_destination)::boolean AS is_destination
FROM node_access a JOIN group_members m ON m.group_id = a.group_id WHERE m.user_id = sqlc.arg(user_id) GROUP BY a.dicom_node_id;
