-- Single-use addresses: see src/ticket.rs. Times are microseconds since the Unix epoch.
-- `data` is encrypted with a key that only the ticket has; it is NULL once the ticket was used or has
-- expired.
CREATE TABLE tickets (
    hash BLOB NOT NULL PRIMARY KEY,
    entrance TEXT NOT NULL,
    data BLOB,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    used_at_us INTEGER
) STRICT;

CREATE INDEX tickets_by_expiry ON tickets (expires_at_us);
