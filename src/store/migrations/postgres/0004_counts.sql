-- Counting events by entrance and reason in a range of time, without reading the events. Two partial
-- indexes: an event is in at most one of them. `reason` is always null in the second; there it saves
-- SQLite from reading the event to see that.
CREATE INDEX audit_events_by_refusal ON audit_events (reason, entrance, at_us) WHERE reason IS NOT NULL;
CREATE INDEX audit_events_by_service ON audit_events (entrance, outcome, at_us, reason)
    WHERE reason IS NULL AND entrance IS NOT NULL;
