-- C-MOVE: how a server is moved from, under which names it stores to our receiver, and the message IDs of moves (dicom.md: Receiver).

-- +goose Up
ALTER TABLE servers
    ADD COLUMN retrieve_methods       text[]  NOT NULL DEFAULT '{}',    -- in order of preference; empty: C-GET, then C-MOVE
    ADD COLUMN move_destination       text    NOT NULL DEFAULT '' CHECK (length(move_destination) <= 16),       -- our name there; '' = the receiver's own
    ADD COLUMN move_destination_plain text    NOT NULL DEFAULT '' CHECK (length(move_destination_plain) <= 16), -- that of the one that takes nothing compressed
    ADD COLUMN move_originator        boolean NOT NULL DEFAULT false,   -- its C-STOREs are known to carry the Move Originator fields
    ADD COLUMN move_patience_s        integer NOT NULL DEFAULT 10 CHECK (move_patience_s BETWEEN 1 AND 3600),   -- for objects later than the final response
    ADD COLUMN other_ae_titles        text[]  NOT NULL DEFAULT '{}',    -- under which it stores, besides ae_title
    ADD COLUMN address_ranges         text[]  NOT NULL DEFAULT '{}';    -- from which it may call; empty: any

-- A message ID is not used again while a move under it runs, nor for an hour after that.
CREATE SEQUENCE move_message_ids AS integer MINVALUE 1 MAXVALUE 65535 CYCLE;
ALTER TABLE expectations
    ADD COLUMN alone boolean NOT NULL DEFAULT false, -- its source is not known to send the Move Originator fields
    ADD CONSTRAINT expectations_message_id UNIQUE (message_id);
-- Of such a source no two moves of one study run at once.
CREATE UNIQUE INDEX expectations_alone ON expectations (source_id, study_uid) WHERE alone AND ended_at IS NULL;
CREATE INDEX expectations_running ON expectations (task_id) WHERE ended_at IS NULL;

-- +goose Down
DROP INDEX expectations_running, expectations_alone;
ALTER TABLE expectations DROP CONSTRAINT expectations_message_id, DROP COLUMN alone;
DROP SEQUENCE move_message_ids;
ALTER TABLE servers
    DROP COLUMN retrieve_methods, DROP COLUMN move_destination, DROP COLUMN move_destination_plain, DROP COLUMN move_originator,
    DROP COLUMN move_patience_s, DROP COLUMN other_ae_titles, DROP COLUMN address_ranges;
