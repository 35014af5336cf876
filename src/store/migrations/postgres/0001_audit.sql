-- The audit: see src/audit and docs/architecture.md. Times are microseconds since the Unix epoch.

-- A process that writes events, and the head of its chain.
CREATE TABLE audit_writers (
    writer UUID NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    version BIGINT NOT NULL,
    chain_key_id TEXT NOT NULL,
    started_at_us BIGINT NOT NULL,
    head_seq BIGINT NOT NULL,
    head_hash BYTEA NOT NULL,
    head_mac BYTEA NOT NULL,
    -- a later writer's first event holds the head up to here
    witnessed_seq BIGINT NOT NULL
) WITH (fillfactor = 50);

-- An event. `subject`, `peer` and `user_agent` are personal: `hash` covers them by a commitment
-- with `salt`, so that they can be erased.
CREATE TABLE audit_events (
    writer UUID NOT NULL,
    seq BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    request_id UUID,
    entrance TEXT,
    environment TEXT,
    account TEXT,
    reason TEXT,
    detail TEXT,
    jti UUID,
    identity_kind TEXT,
    issuer TEXT,
    key_id TEXT,
    fetch_dest TEXT,
    embed_violation TEXT,
    link TEXT,
    took_us BIGINT,
    data TEXT,
    subject TEXT,
    peer TEXT,
    user_agent TEXT,
    salt BYTEA,
    hash BYTEA NOT NULL,
    erased_commitment BYTEA,
    erased_key_id TEXT,
    erased_mac BYTEA,
    PRIMARY KEY (writer, seq)
);

CREATE INDEX audit_events_by_time ON audit_events (at_us, writer, seq);
CREATE INDEX audit_events_by_subject ON audit_events (subject, at_us) WHERE subject IS NOT NULL;
CREATE INDEX audit_events_by_reason ON audit_events (reason, at_us) WHERE reason IS NOT NULL;
CREATE INDEX audit_events_by_request ON audit_events (request_id) WHERE request_id IS NOT NULL;

-- The hash at which a chain continues whose earlier events were purged.
CREATE TABLE audit_anchors (
    writer UUID NOT NULL PRIMARY KEY,
    through_seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    chain_key_id TEXT NOT NULL,
    mac BYTEA NOT NULL
);
