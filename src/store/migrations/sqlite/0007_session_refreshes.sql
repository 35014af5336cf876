-- Refreshes of sessions, each done by one replica: see src/session/refreshed.rs. Times are microseconds
-- since the Unix epoch. `session` is encrypted, and NULL until the refresh has ended.
CREATE TABLE session_refreshes (
    hash BLOB NOT NULL PRIMARY KEY,
    session BLOB,
    expires_at_us INTEGER NOT NULL
) STRICT;

CREATE INDEX session_refreshes_by_expiry ON session_refreshes (expires_at_us);
