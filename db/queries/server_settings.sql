-- LockServer is taken before a server's settings are read to be changed.
-- name: LockServer :one
SELECT * FROM servers WHERE id = $1 FOR UPDATE;

-- WidenNodeAccess lets a group use a node for what it could not be used for before; it takes nothing away. It gives the group's name.
-- name: WidenNodeAccess :one
INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination) VALUES ($1, $2, $3, $4)
ON CONFLICT (group_id, dicom_node_id) DO UPDATE SET
    is_source = node_access.is_source OR excluded.is_source, is_destination = node_access.is_destination OR excluded.is_destination
RETURNING (SELECT g.name FROM groups g WHERE g.id = node_access.group_id)::text AS group_name;

-- NextMoveMessageID gives a message ID for a C-MOVE that belongs to no task.
-- name: NextMoveMessageID :one
SELECT nextval('move_message_ids')::integer;
