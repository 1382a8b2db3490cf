CREATE TABLE circuit_events (
    webhook_id  uuid NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('OPENED', 'PROBED', 'CLOSED', 'REOPENED')),
    owner_id    text NOT NULL,
    failures    integer NOT NULL CHECK (failures >= 0),
    open_until  timestamptz,
    worker      text NOT NULL,
    PRIMARY KEY (webhook_id, at, kind),
    CONSTRAINT only_an_open_circuit_has_an_end CHECK ((kind IN ('OPENED', 'REOPENED')) = (open_until IS NOT NULL))
);
-- The last 24 hours, and retention.
CREATE INDEX circuit_events_age ON circuit_events (at);
-- Those that are open now are few, and have their end in the future.
CREATE INDEX circuit_events_open ON circuit_events (open_until) WHERE open_until IS NOT NULL;
COMMENT ON TABLE circuit_events IS
    'What became of subscriptions'' circuit breakers: written by the worker whose call changed one. For people and '
    'metrics, and for the test call, which refuses where it would wait; whether a delivery is sent is decided by the breakers in Redis.';
COMMENT ON COLUMN circuit_events.webhook_id IS 'The subscription.';
COMMENT ON COLUMN circuit_events.at IS 'When, by this server''s clock.';
COMMENT ON COLUMN circuit_events.kind IS
    'OPENED by failures; PROBED: one delivery was sent to see whether anybody is there; CLOSED: it arrived; REOPENED: it failed too.';
COMMENT ON COLUMN circuit_events.owner_id IS 'The subscription''s owner.';
COMMENT ON COLUMN circuit_events.failures IS 'Failures in a row until then; 0 when it closed.';
COMMENT ON COLUMN circuit_events.open_until IS 'Until when nothing is sent; null unless it opened.';
COMMENT ON COLUMN circuit_events.worker IS 'Which process.';
