CREATE TABLE webhook_events (
    event_id          uuid NOT NULL,
    owner_id          text NOT NULL,
    event_type        text NOT NULL,
    body              bytea NOT NULL,
    matched           integer NOT NULL CHECK (matched >= 0),
    publisher_key_id  uuid,
    occurred_at       timestamptz NOT NULL,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (event_id)
) PARTITION BY RANGE (event_id);
COMMENT ON TABLE webhook_events IS 'Every accepted event, one row, partitioned by day on its UUIDv7 id. Rows never change.';
COMMENT ON COLUMN webhook_events.event_id IS 'UUIDv7; shown as the TypeID evt_….';
COMMENT ON COLUMN webhook_events.owner_id IS 'The partner it is for, or * for all.';
COMMENT ON COLUMN webhook_events.event_type IS 'What happened.';
COMMENT ON COLUMN webhook_events.body IS 'The request body of every delivery, byte for byte.';
COMMENT ON COLUMN webhook_events.matched IS 'How many subscriptions it matched when accepted: the ledger''s left side.';
COMMENT ON COLUMN webhook_events.publisher_key_id IS 'The key that published it; null when published inside the product''s own transaction.';
COMMENT ON COLUMN webhook_events.occurred_at IS 'When it happened, as the publisher says.';
COMMENT ON COLUMN webhook_events.created_at IS 'When it was accepted.';

CREATE TABLE webhook_deliveries (
    delivery_id           uuid NOT NULL,
    event_id              uuid NOT NULL,
    webhook_id            uuid NOT NULL,
    owner_id              text NOT NULL,
    event_type            text NOT NULL,
    status                text NOT NULL DEFAULT 'PENDING'
        CHECK (status IN ('PENDING', 'RETRYING', 'DELIVERED', 'DEAD', 'REPLAY_EXPIRED', 'CANCELLED')),
    attempt_count         smallint NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
    next_attempt_at       timestamptz,
    queued_until          timestamptz,
    held_reason           text CHECK (held_reason IN ('DELIVERY_OFF', 'OUTSIDE_COHORT', 'SUBSCRIPTION_PAUSED',
                                                      'SUBSCRIPTION_DISABLED', 'PARTNER_DISABLED', 'BREAKER_OPEN')),
    last_status_code      smallint,
    last_error            text,
    delivered_at          timestamptz,
    delivery_latency_ms   integer,
    settled_at            timestamptz,
    original_delivery_id  uuid,
    created_at            timestamptz NOT NULL,
    PRIMARY KEY (delivery_id),
    CONSTRAINT delivered_is_timed CHECK ((status = 'DELIVERED') = (delivered_at IS NOT NULL)),
    CONSTRAINT terminal_is_settled CHECK ((status IN ('PENDING', 'RETRYING')) = (settled_at IS NULL)),
    CONSTRAINT retrying_is_scheduled CHECK ((status = 'RETRYING') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT retrying_has_failed CHECK (status <> 'RETRYING' OR attempt_count > 0),
    CONSTRAINT only_pending_is_held CHECK (held_reason IS NULL OR status = 'PENDING'),
    CONSTRAINT waiting_is_due_or_held CHECK (
        (status IN ('PENDING', 'RETRYING')) = (queued_until IS NOT NULL OR held_reason IS NOT NULL)),
    CONSTRAINT held_is_not_due CHECK (queued_until IS NULL OR held_reason IS NULL)
) PARTITION BY RANGE (delivery_id);
-- The sweep: rows whose lease or waiting time has passed. Settled and held rows are not in it.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (queued_until) WHERE queued_until IS NOT NULL;
-- What is held: released oldest first, when the reason goes for all or subscription by subscription.
CREATE INDEX webhook_deliveries_held ON webhook_deliveries (held_reason, delivery_id) WHERE held_reason IS NOT NULL;
CREATE INDEX webhook_deliveries_held_webhook ON webhook_deliveries (held_reason, webhook_id, delivery_id)
    WHERE held_reason IS NOT NULL;
-- What one subscription is to get again: written for failures only.
CREATE INDEX webhook_deliveries_retrying ON webhook_deliveries (webhook_id, delivery_id) WHERE status = 'RETRYING';
-- What failed for good is rare and looked for often.
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (delivery_id) WHERE status IN ('DEAD', 'REPLAY_EXPIRED', 'CANCELLED');
-- A partner's list, newest first.
CREATE INDEX webhook_deliveries_owner ON webhook_deliveries (owner_id, delivery_id);
COMMENT ON TABLE webhook_deliveries IS
    'One event for one subscription, partitioned by day on its UUIDv7 id (the event''s millisecond). No foreign keys: '
    'the ingest statement writes event and deliveries together, and a check per row would cost more than the row.';
COMMENT ON COLUMN webhook_deliveries.delivery_id IS 'UUIDv7; shown as the TypeID dlv_….';
COMMENT ON COLUMN webhook_deliveries.event_id IS 'The event.';
COMMENT ON COLUMN webhook_deliveries.webhook_id IS 'The subscription.';
COMMENT ON COLUMN webhook_deliveries.owner_id IS 'The subscription''s owner.';
COMMENT ON COLUMN webhook_deliveries.event_type IS 'The event''s type, here for lists without a join.';
COMMENT ON COLUMN webhook_deliveries.status IS 'PENDING and RETRYING wait; DELIVERED, DEAD, REPLAY_EXPIRED and CANCELLED are final.';
COMMENT ON COLUMN webhook_deliveries.attempt_count IS 'Attempts made; the fence: a result for another count writes nothing.';
COMMENT ON COLUMN webhook_deliveries.next_attempt_at IS 'When a RETRYING delivery is due.';
COMMENT ON COLUMN webhook_deliveries.queued_until IS
    'The lease, by this server''s clock: until then the Redis stream (or its worker) has this delivery; after it the sweep may queue it again.';
COMMENT ON COLUMN webhook_deliveries.held_reason IS 'Why a PENDING delivery is not sent for now; null when it is queued.';
COMMENT ON COLUMN webhook_deliveries.last_status_code IS 'HTTP status of the last attempt; null when there was no answer.';
COMMENT ON COLUMN webhook_deliveries.last_error IS 'What went wrong last, for people; null after a success.';
COMMENT ON COLUMN webhook_deliveries.delivered_at IS 'When a 2xx answer arrived.';
COMMENT ON COLUMN webhook_deliveries.delivery_latency_ms IS 'From acceptance to the 2xx answer.';
COMMENT ON COLUMN webhook_deliveries.settled_at IS 'When the delivery became final.';
COMMENT ON COLUMN webhook_deliveries.original_delivery_id IS 'The delivery this one repeats (resend or replay).';
COMMENT ON COLUMN webhook_deliveries.created_at IS 'When the event was accepted, or the repeat asked for.';

CREATE TABLE external_delivery_logs (
    delivery_id    uuid NOT NULL,
    attempt        smallint NOT NULL CHECK (attempt > 0),
    webhook_id     uuid NOT NULL,
    outcome        text NOT NULL CHECK (outcome IN ('DELIVERED', 'RETRY', 'DEAD', 'GONE', 'REPLAY_EXPIRED')),
    status_code    smallint,
    error          text,
    response_body  text CHECK (octet_length(response_body) <= 2048),
    started_at     timestamptz NOT NULL,
    duration_ms    integer NOT NULL CHECK (duration_ms >= 0),
    worker         text NOT NULL,
    PRIMARY KEY (delivery_id, attempt)
) PARTITION BY RANGE (delivery_id);
COMMENT ON TABLE external_delivery_logs IS 'One row an attempt, appended only, in the partition of its delivery''s day.';
COMMENT ON COLUMN external_delivery_logs.delivery_id IS 'The delivery.';
COMMENT ON COLUMN external_delivery_logs.attempt IS '1 for the first attempt.';
COMMENT ON COLUMN external_delivery_logs.webhook_id IS 'The subscription.';
COMMENT ON COLUMN external_delivery_logs.outcome IS 'What the answer meant.';
COMMENT ON COLUMN external_delivery_logs.status_code IS 'HTTP status; null when there was no answer.';
COMMENT ON COLUMN external_delivery_logs.error IS 'Class of the failure and its cause; null after a success.';
COMMENT ON COLUMN external_delivery_logs.response_body IS 'The first 2 KiB of the answer, as text.';
COMMENT ON COLUMN external_delivery_logs.started_at IS 'When the request was sent: the time it was stamped with.';
COMMENT ON COLUMN external_delivery_logs.duration_ms IS 'How long the attempt took.';
COMMENT ON COLUMN external_delivery_logs.worker IS 'Which process made it.';

CREATE TABLE idempotency_keys (
    owner_id         text NOT NULL,
    idempotency_key  text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    body_digest      bytea NOT NULL CHECK (length(body_digest) = 32),
    event_id         uuid NOT NULL,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (owner_id, idempotency_key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
COMMENT ON TABLE idempotency_keys IS 'Remembers for a day which event a publisher''s Idempotency-Key made.';
COMMENT ON COLUMN idempotency_keys.owner_id IS
    'Whose key it is: the publishing partner, or * followed by the recipient for onering.publish_event. Keys of different ones never meet.';
COMMENT ON COLUMN idempotency_keys.idempotency_key IS 'As the publisher sent it.';
COMMENT ON COLUMN idempotency_keys.body_digest IS 'SHA-256 of the request''s canonical content: another content under the same key is a mistake.';
COMMENT ON COLUMN idempotency_keys.event_id IS 'The event it made.';
COMMENT ON COLUMN idempotency_keys.created_at IS 'When it was first seen.';

-- A final delivery never changes again (DESIGN, section 3). WHEN keeps the cost to one comparison a row.
CREATE FUNCTION onering.refuse_change_of_final_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'delivery % is % and final', OLD.delivery_id, OLD.status USING ERRCODE = 'check_violation';
END
$$;
COMMENT ON FUNCTION onering.refuse_change_of_final_delivery() IS 'Guards the state machine: final deliveries never change.';
CREATE TRIGGER final_deliveries_stay BEFORE UPDATE ON webhook_deliveries FOR EACH ROW
    WHEN (OLD.settled_at IS NOT NULL) EXECUTE FUNCTION onering.refuse_change_of_final_delivery();

-- Attached, because CREATE TABLE … PARTITION OF locks out everybody who reads or writes the parent.
CREATE FUNCTION onering.ensure_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    partition_name text;
    made integer := 0;
BEGIN
    FOR day IN 0..(last_day - first_day) LOOP
        FOREACH parent IN ARRAY ARRAY['webhook_events', 'webhook_deliveries', 'external_delivery_logs'] LOOP
            partition_name := parent || '_' || to_char(first_day + day, 'YYYYMMDD');
            CONTINUE WHEN to_regclass('public.' || partition_name) IS NOT NULL;
            -- One changes partitions at a time. Who comes second leaves it to the first, and finds everything there next time.
            IF NOT pg_try_advisory_xact_lock(hashtext('onering.partitions')) THEN
                RETURN made;
            END IF;
            -- The first may have been here between the look and the lock.
            CONTINUE WHEN to_regclass('public.' || partition_name) IS NOT NULL;
            EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL EXCLUDING INDEXES EXCLUDING COMMENTS) WITH (%s)',
                partition_name, parent, CASE parent WHEN 'webhook_deliveries' THEN 'fillfactor = 70' ELSE 'fillfactor = 100' END);
            -- Makes the indexes and triggers of the parent, and waits for nobody who reads or writes it.
            EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                parent, partition_name,
                onering.uuid_floor((first_day + day)::timestamp AT TIME ZONE 'UTC'),
                onering.uuid_floor((first_day + day + 1)::timestamp AT TIME ZONE 'UTC'));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION onering.ensure_partitions(date, date) IS
    'Makes the day partitions of events, deliveries and attempts that are missing in the range (UTC days); answers how many it made. '
    'Leaves the rest to whoever changes partitions at the same moment.';
SELECT onering.ensure_partitions((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 14);
