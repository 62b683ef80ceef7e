-- A task that was running at three crashes of its process runs alone: if the process crashes then, too, the task is at fault.

-- +goose Up
ALTER TABLE tasks
    ADD COLUMN alone       boolean     NOT NULL DEFAULT false, -- it runs only on a node that runs nothing else; true until the end of that run
    ADD COLUMN alone_node  uuid,                               -- that stops what it runs to make room for it
    ADD COLUMN alone_until timestamptz;                        -- how long other nodes leave it to that node
CREATE INDEX tasks_alone ON tasks (id) WHERE alone AND status = 'pending';

-- +goose Down
ALTER TABLE tasks DROP COLUMN alone, DROP COLUMN alone_node, DROP COLUMN alone_until;
