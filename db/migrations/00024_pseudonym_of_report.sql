-- A pseudonym that nobody gave is the linkage table's: it stands beside what was sent, and no more beside whose study the task is.

-- +goose Up
ALTER TABLE task_deid ADD COLUMN pseudonym text NOT NULL DEFAULT '';
UPDATE task_deid d SET pseudonym = t.pseudonym FROM tasks t WHERE t.id = d.task_id;
UPDATE tasks t SET pseudonym = '' FROM jobs j, task_deid d WHERE j.id = t.job_id AND j.pseudonymize AND d.task_id = t.id;

-- +goose Down
UPDATE tasks t SET pseudonym = d.pseudonym FROM task_deid d WHERE d.task_id = t.id;
ALTER TABLE task_deid DROP COLUMN pseudonym;
