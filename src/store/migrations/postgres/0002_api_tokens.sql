-- API tokens: see src/api_token.rs. Times are microseconds since the Unix epoch.

CREATE TABLE api_tokens (
    -- a part of the token that is not secret
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- SHA-256 of the token
    hash BYTEA NOT NULL,
    -- separated by spaces
    scopes TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    -- NULL: it does not expire
    expires_at_us BIGINT,
    revoked_at_us BIGINT,
    last_used_at_us BIGINT
);

-- a name can be used again once its token is revoked
CREATE UNIQUE INDEX api_tokens_by_name ON api_tokens (name) WHERE revoked_at_us IS NULL;
