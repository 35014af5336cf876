-- Sessions that have ended before their time, and logout tokens that were used: see
-- src/session/ended.rs. Times are microseconds since the Unix epoch.
CREATE TABLE ended_sessions (
    hash BYTEA NOT NULL PRIMARY KEY,
    ended_at_us BIGINT NOT NULL,
    forget_at_us BIGINT NOT NULL
);

CREATE INDEX ended_sessions_by_end ON ended_sessions (ended_at_us);
CREATE INDEX ended_sessions_by_forgetting ON ended_sessions (forget_at_us);
