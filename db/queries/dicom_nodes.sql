-- name: InsertDicomNode :one
INSERT INTO dicom_nodes (name, kind) VALUES ($1, $2) RETURNING id;

-- name: InsertServerState :exec
INSERT INTO server_state (server_id) VALUES ($1);

-- name: InsertFolder :one
INSERT INTO folders (id, path) VALUES ($1, $2) RETURNING *;

-- ListDicomNodes is a page of servers and folders in an order, as ListJobs: all of them, or those that a user may use as a source, as a destination.
-- name: ListDicomNodes :many
SELECT n.id, n.name, n.kind, n.created_at FROM dicom_nodes n
WHERE (sqlc.arg(kind)::text = '' OR n.kind = sqlc.arg(kind))
  AND (sqlc.narg(source)::boolean IS NULL OR sqlc.narg(source) = EXISTS (
      SELECT FROM node_access a JOIN group_members m ON m.group_id = a.group_id
      WHERE m.user_id = sqlc.arg(user_id) AND a.dicom_node_id = n.id AND a.is_source))
  AND (sqlc.narg(destination)::boolean IS NULL OR sqlc.narg(destination) = EXISTS (
      SELECT FROM node_access a JOIN group_members m ON m.group_id = a.group_id
      WHERE m.user_id = sqlc.arg(user_id) AND a.dicom_node_id = n.id AND a.is_destination))
  AND CASE
      WHEN sqlc.arg(after)::bigint = 0 THEN true
      WHEN sqlc.arg(sort)::text = 'name' AND sqlc.arg(down)::boolean THEN (lower(n.name), n.id) < (lower(sqlc.arg(value)::text), sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text = 'name' THEN (lower(n.name), n.id) > (lower(sqlc.arg(value)::text), sqlc.arg(after)::bigint)
      WHEN sqlc.arg(down)::boolean THEN n.id < sqlc.arg(after)::bigint
      ELSE n.id > sqlc.arg(after)::bigint
  END
ORDER BY CASE WHEN sqlc.arg(sort)::text = 'name' AND sqlc.arg(down)::boolean THEN lower(n.name) END DESC,
         CASE WHEN sqlc.arg(sort)::text = 'name' AND NOT sqlc.arg(down)::boolean THEN lower(n.name) END,
         CASE WHEN sqlc.arg(down)::boolean THEN n.id END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN n.id END
LIMIT sqlc.arg(max);

-- name: GetDicomNode :one
SELECT id, name, kind, created_at FROM dicom_nodes WHERE id = $1;

-- name: GetDicomNodeByName :one
SELECT id, name, kind, created_at FROM dicom_nodes WHERE lower(name) = lower(sqlc.arg(name));

-- name: ServerByAETitle :one
SELECT id FROM servers WHERE ae_title = sqlc.arg(ae_title);

-- ServersByID gives servers with all that a task needs to know of them. The array comes from a subquery, as in Lacking.
-- name: ServersByID :many
SELECT n.name, n.created_at, sqlc.embed(s), sqlc.embed(st), coalesce(v.method, '')::text AS verify_method, coalesce(v.patience_s, 0)::integer AS verify_patience_s,
       ARRAY(SELECT d.name FROM direct_moves m JOIN dicom_nodes d ON d.id = m.destination_id WHERE m.source_id = s.id ORDER BY d.name)::text[] AS direct_names,
       ARRAY(SELECT m.ae_title FROM direct_moves m JOIN dicom_nodes d ON d.id = m.destination_id WHERE m.source_id = s.id ORDER BY d.name)::text[] AS direct_titles
FROM servers s
JOIN dicom_nodes n ON n.id = s.id
JOIN server_state st ON st.server_id = s.id
LEFT JOIN server_verification v ON v.server_id = s.id
WHERE s.id = ANY((SELECT sqlc.arg(ids)::bigint[])::bigint[]);

-- ServerAt finds the server at a host and port, or at the root of DICOMweb services. What is empty is nowhere.
-- name: ServerAt :one
SELECT id FROM servers
WHERE (host <> '' AND lower(host) = lower(sqlc.arg(host)) AND port = sqlc.arg(port))
   OR (web_root_url <> '' AND lower(web_root_url) = lower(sqlc.arg(root_url)))
ORDER BY id LIMIT 1;

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
