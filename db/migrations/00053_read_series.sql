-- Series that somebody reads by DICOMweb, and the disk on which the member that fetches or has fetched them keeps them: others take them
-- from there, so that a server is asked once.

-- +goose Up
CREATE TABLE read_series (
    server_id  bigint      NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    study_uid  text        NOT NULL,
    series_uid text        NOT NULL,
    store      uuid        NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (server_id, study_uid, series_uid)
);

-- +goose Down
DROP TABLE read_series;
