-- Extension instances of mittwald: see src/store/instances. Times are microseconds since the Unix
-- epoch. The columns `…_order_us` have the time of the webhook that wrote the part: an older one
-- changes nothing. A removed instance keeps its row for some days, so that a late webhook does not
-- bring it back. `secret` is encrypted.
CREATE TABLE mittwald_instances (
    id UUID NOT NULL PRIMARY KEY,
    extension_id UUID NOT NULL,
    contributor_id UUID NOT NULL,
    context_id UUID NOT NULL,
    context_kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    variant TEXT,
    secret BYTEA,
    secret_key_id BYTEA,
    state_order_us BIGINT NOT NULL,
    secret_order_us BIGINT NOT NULL,
    added_order_us BIGINT NOT NULL,
    removed_order_us BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT NOT NULL
);

-- Received webhooks, so that one that is replayed is recognized.
CREATE TABLE mittwald_requests (
    id UUID NOT NULL PRIMARY KEY,
    received_at_us BIGINT NOT NULL
);

CREATE INDEX mittwald_requests_by_time ON mittwald_requests (received_at_us);
