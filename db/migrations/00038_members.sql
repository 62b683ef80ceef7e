-- A process of ADIT is a member of the cluster that all processes of one database are; "node" is said of DICOM nodes alone.

-- +goose Up
ALTER TABLE nodes RENAME TO members;
ALTER INDEX nodes_pkey RENAME TO members_pkey;
ALTER INDEX nodes_alive RENAME TO members_alive;
ALTER TABLE tasks RENAME COLUMN lease_node TO lease_member;
ALTER TABLE tasks RENAME COLUMN alone_node TO alone_member;
ALTER TABLE expectations RENAME COLUMN lease_node TO lease_member;
ALTER TABLE association_slots RENAME COLUMN node_id TO member_id;
ALTER TABLE worker_schedules RENAME COLUMN node_name TO member_name;
ALTER TABLE worker_schedules RENAME CONSTRAINT worker_schedules_node_name_check TO worker_schedules_member_name_check;

-- +goose Down
ALTER TABLE worker_schedules RENAME CONSTRAINT worker_schedules_member_name_check TO worker_schedules_node_name_check;
ALTER TABLE worker_schedules RENAME COLUMN member_name TO node_name;
ALTER TABLE association_slots RENAME COLUMN member_id TO node_id;
ALTER TABLE expectations RENAME COLUMN lease_member TO lease_node;
ALTER TABLE tasks RENAME COLUMN alone_member TO alone_node;
ALTER TABLE tasks RENAME COLUMN lease_member TO lease_node;
ALTER INDEX members_alive RENAME TO nodes_alive;
ALTER INDEX members_pkey RENAME TO nodes_pkey;
ALTER TABLE members RENAME TO nodes;
