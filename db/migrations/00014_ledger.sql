-- The ledger is written for each image, and the check of a foreign key took as long as all the rest of it; nothing that a foreign key points
-- at is to be locked by a claim anyway. The rows go with their tasks all the same.

-- +goose Up
ALTER TABLE delivered DROP CONSTRAINT delivered_task_id_fkey;

-- +goose StatementBegin
CREATE FUNCTION forget_delivered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM delivered d USING gone WHERE d.task_id = gone.id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER tasks_deleted AFTER DELETE ON tasks REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_delivered();

-- +goose Down
DROP TRIGGER tasks_deleted ON tasks;
DROP FUNCTION forget_delivered();
DELETE FROM delivered d WHERE NOT EXISTS (SELECT FROM tasks t WHERE t.id = d.task_id);
ALTER TABLE delivered ADD CONSTRAINT delivered_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks ON DELETE CASCADE;
