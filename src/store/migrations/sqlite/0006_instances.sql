-- Extension instances of mittwald: see src/store/instances. Times are microseconds since the Unix
-- epoch. The columns `…_order_us` have the time of the webhook that wrote the part: an older one
-- changes nothing. A removed instance keeps its row for some days, so that a late webhook does not
-- bring it back. `secret` is encrypted.
CREATE TABLE mittwald_instances (
    id BLOB NOT NULL PRIMARY KEY,
    extension_id BLOB NOT NULL,
    contributor_id BLOB NOT NULL,
    context_id BLOB NOT NULL,
    context_kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    variant TEXT,
    secret BLOB,
    secret_key_id BLOB,
    state_order_us INTEGER NOT NULL,
    secret_order_us INTEGER NOT NULL,
    added_order_us INTEGER NOT NULL,
    removed_order_us INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
) STRICT;

-- Received webhooks, so that one that is replayed is recognized.
CREATE TABLE mittwald_requests (
    id BLOB NOT NULL PRIMARY KEY,
    received_at_us INTEGER NOT NULL
) STRICT;

CREATE INDEX mittwald_requests_by_time ON mittwald_requests (received_at_us);
