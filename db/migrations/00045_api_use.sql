-- Who uses the API how much, for staff: by user, token, day and operation. It holds no address and nothing of a request.

-- +goose Up
CREATE TABLE api_use (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day           date        NOT NULL,             -- in UTC
    user_id       bigint      NOT NULL REFERENCES users ON DELETE CASCADE,
    token_id      bigint      NOT NULL,             -- it may be gone; 0: sessions
    token         text        NOT NULL,             -- its description
    operation     text        NOT NULL,             -- as the document of the API calls it; empty: of all that were too many
    requests      bigint      NOT NULL,
    client_errors bigint      NOT NULL,             -- of them, answers of 400 to 499
    server_errors bigint      NOT NULL,             -- and of 500 and above
    bytes         bigint      NOT NULL,             -- of the answers
    last_at       timestamptz NOT NULL,
    UNIQUE (user_id, day, token_id, operation)
);
CREATE INDEX api_use_user ON api_use (user_id, id);
CREATE INDEX api_use_day ON api_use (day);

-- +goose Down
DROP TABLE api_use;
