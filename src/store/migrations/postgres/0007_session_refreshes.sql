-- Refreshes of sessions, each done by one replica: see src/session/refreshed.rs. Times are microseconds
-- since the Unix epoch. `session` is encrypted, and NULL until the refresh has ended.
CREATE TABLE session_refreshes (
    hash BYTEA NOT NULL PRIMARY KEY,
    session BYTEA,
    expires_at_us BIGINT NOT NULL
);

CREATE INDEX session_refreshes_by_expiry ON session_refreshes (expires_at_us);
