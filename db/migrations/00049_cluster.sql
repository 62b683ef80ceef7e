-- What members of a cluster know of each other: what each of them is for, what it alone can reach, and what people want of it.

-- +goose Up
ALTER TABLE members
    ADD COLUMN workers integer NOT NULL DEFAULT 0,   -- tasks that it runs at once, as it was started
    ADD COLUMN folders bigint[],                     -- folders that it sees; NULL: it takes tasks of any
    ADD COLUMN stores  uuid[]  NOT NULL DEFAULT '{}', -- of files on its own disk, such as the quarantine's
    ADD COLUMN ended   text    NOT NULL DEFAULT '' CHECK (ended IN ('', 'left', 'silent', 'replaced')); -- why it counts no longer

-- What people want of the members of a name, whenever they run.
CREATE TABLE member_settings (
    name     text    PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 255),
    draining boolean NOT NULL DEFAULT false,         -- it claims nothing, and its tasks go on elsewhere
    roles    text[]                                  -- of those that it was started with; NULL: all
);

-- Instances of a C-MOVE that arrived at a member which could not hand them to the one that waits for them.
ALTER TABLE expectations ADD COLUMN stranded integer NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE expectations DROP COLUMN stranded;
DROP TABLE member_settings;
ALTER TABLE members DROP COLUMN workers, DROP COLUMN folders, DROP COLUMN stores, DROP COLUMN ended;
