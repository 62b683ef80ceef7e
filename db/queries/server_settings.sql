-- name: UpdateServer :exec
UPDATE servers SET
    ae_title = $2, host = $3, port = $4, calling_ae_title = $5, patient_root_find = $6, patient_root_get = $7, patient_root_move = $8,
    study_root_find = $9, study_root_get = $10, study_root_move = $11, store_scp = $12, result_limit = $13, idle_timeout_s = $14,
    batch_cap = $15, interactive_cap = $16, associations_per_task = $17, retrieve_methods = $18, move_destination = $19,
    move_destination_plain = $20, move_originator = $21, move_patience_s = $22, other_ae_titles = $23, address_ranges = $24, find_images = $25,
    issuer_of_patient_id = $26
WHERE id = $1;

-- name: UpdateServerTLS :exec
UPDATE servers SET
    tls = $2, tls_profile = $3, tls_verify = $4, tls_authorities = $5, tls_certificate = $6, tls_sealed_key = $7, tls_server_name = $8
WHERE id = $1;

-- LockServer is taken before a server's settings are read to be changed.
-- name: LockServer :one
SELECT * FROM servers WHERE id = $1 FOR UPDATE;

-- WidenNodeAccess lets a group use a node for what it could not be used for before; it takes nothing away.
-- name: WidenNodeAccess :exec
INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination) VALUES ($1, $2, $3, $4)
ON CONFLICT (group_id, dicom_node_id) DO UPDATE SET
    is_source = node_access.is_source OR excluded.is_source, is_destination = node_access.is_destination OR excluded.is_destination;

-- NextMoveMessageID gives a message ID for a C-MOVE that belongs to no task.
-- name: NextMoveMessageID :one
SELECT nextval('move_message_ids')::integer;
