-- How long the series in hand may go on when a server's window closes or its cap falls.

-- +goose Up
ALTER TABLE servers ADD COLUMN park_grace_s integer CHECK (park_grace_s BETWEEN 0 AND 86400); -- null: as by default, 5 minutes

-- +goose Down
ALTER TABLE servers DROP COLUMN park_grace_s;
