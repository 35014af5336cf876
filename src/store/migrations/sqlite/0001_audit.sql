-- The audit: see src/audit and docs/architecture.md. Times are microseconds since the Unix epoch.

-- A process that writes events, and the head of its chain.
CREATE TABLE audit_writers (
    writer BLOB NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    version INTEGER NOT NULL,
    chain_key_id TEXT NOT NULL,
    started_at_us INTEGER NOT NULL,
    head_seq INTEGER NOT NULL,
    head_hash BLOB NOT NULL,
    head_mac BLOB NOT NULL,
    -- a later writer's first event holds the head up to here
    witnessed_seq INTEGER NOT NULL
) STRICT;

-- An event. `subject`, `peer` and `user_agent` are personal: `hash` covers them by a commitment
-- with `salt`, so that they can be erased.
CREATE TABLE audit_events (
    writer BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    request_id BLOB,
    entrance TEXT,
    environment TEXT,
    account TEXT,
    reason TEXT,
    detail TEXT,
    jti BLOB,
    identity_kind TEXT,
    issuer TEXT,
    key_id TEXT,
    fetch_dest TEXT,
    embed_violation TEXT,
    link TEXT,
    took_us INTEGER,
    data TEXT,
    subject TEXT,
    peer TEXT,
    user_agent TEXT,
    salt BLOB,
    hash BLOB NOT NULL,
    erased_commitment BLOB,
    erased_key_id TEXT,
    erased_mac BLOB,
    PRIMARY KEY (writer, seq)
) STRICT;

CREATE INDEX audit_events_by_time ON audit_events (at_us, writer, seq);
CREATE INDEX audit_events_by_subject ON audit_events (subject, at_us) WHERE subject IS NOT NULL;
CREATE INDEX audit_events_by_reason ON audit_events (reason, at_us) WHERE reason IS NOT NULL;
CREATE INDEX audit_events_by_request ON audit_events (request_id) WHERE request_id IS NOT NULL;

-- The hash at which a chain continues whose earlier events were purged.
CREATE TABLE audit_anchors (
    writer BLOB NOT NULL PRIMARY KEY,
    through_seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    chain_key_id TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;
