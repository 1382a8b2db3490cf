DROP INDEX external_api_usage_age;
DROP INDEX admin_audit_log_actor;
DROP TRIGGER audit_log_is_not_emptied ON admin_audit_log;
CREATE OR REPLACE FUNCTION onering.ensure_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    partition_name text;
    made integer := 0;
BEGIN
    -- One maker at a time; a second one waits and then finds everything there.
    PERFORM pg_advisory_xact_lock(hashtext('onering.ensure_partitions'));
    FOR day IN 0..(last_day - first_day) LOOP
        FOREACH parent IN ARRAY ARRAY['webhook_events', 'webhook_deliveries', 'external_delivery_logs'] LOOP
            partition_name := parent || '_' || to_char(first_day + day, 'YYYYMMDD');
            IF to_regclass('public.' || partition_name) IS NULL THEN
                EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L) WITH (%s)',
                    partition_name, parent,
                    onering.uuid_floor((first_day + day)::timestamp AT TIME ZONE 'UTC'),
                    onering.uuid_floor((first_day + day + 1)::timestamp AT TIME ZONE 'UTC'),
                    CASE parent WHEN 'webhook_deliveries' THEN 'fillfactor = 70' ELSE 'fillfactor = 100' END);
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION onering.ensure_partitions(date, date) IS
    'Makes the day partitions of events, deliveries and attempts that are missing in the range (UTC days); answers how many it made.';
-- Where a partner has the same key, its own stays.
DELETE FROM idempotency_keys AS k USING idempotency_keys AS p
WHERE k.owner_id = '*' || p.owner_id AND p.idempotency_key = k.idempotency_key;
UPDATE idempotency_keys SET owner_id = substr(owner_id, 2) WHERE owner_id LIKE '*%';
COMMENT ON COLUMN idempotency_keys.owner_id IS 'The publishing partner: keys of different partners never meet.';
CREATE OR REPLACE FUNCTION onering.publish_event(owner text, type text, data jsonb, idempotency_key text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
DECLARE
    new_id uuid := onering.uuid_v7();
    happened timestamptz := clock_timestamp();
    known record;
    digest bytea;
BEGIN
    IF owner IS NULL OR (owner <> '*' AND owner !~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$') THEN
        RAISE EXCEPTION 'owner must be a partner''s id or *, not %', coalesce(quote_literal(owner), 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF type IS NULL OR type !~ '^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*$' OR length(type) > 128 THEN
        RAISE EXCEPTION 'type must look like ring.forged, not %', coalesce(quote_literal(type), 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF data IS NULL THEN
        RAISE EXCEPTION 'data must not be null; use ''null''::jsonb for a JSON null' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(data::text) > 1048576 THEN
        RAISE EXCEPTION 'data must not be larger than 1 MiB, and is %; send a reference instead', pg_size_pretty(octet_length(data::text)::bigint)
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    digest := sha256(convert_to(jsonb_build_array(owner, type, data)::text, 'UTF8'));
    PERFORM i.event_id FROM onering.ingest_events(
        ARRAY[new_id], ARRAY[owner], ARRAY[type],
        ARRAY[convert_to(format('{"event_id":%s,"event_type":%s,"timestamp":%s,"data":%s}',
            to_json(onering.typeid('evt', new_id)), to_json(type),
            to_json(to_char(happened AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), data), 'UTF8')],
        ARRAY[happened], ARRAY[NULL::uuid], ARRAY[owner], ARRAY[idempotency_key], ARRAY[digest],
        -- Due at once: the NOTIFY below wakes a worker's sweep when the caller commits.
        interval '0', NULL) AS i;
    IF NOT FOUND THEN
        SELECT k.event_id, k.body_digest INTO known FROM idempotency_keys AS k
        WHERE k.owner_id = owner AND k.idempotency_key = publish_event.idempotency_key;
        IF known.body_digest IS DISTINCT FROM digest THEN
            RAISE EXCEPTION 'idempotency key % was used before with other content', quote_literal(idempotency_key)
                USING ERRCODE = 'unique_violation';
        END IF;
        RETURN known.event_id;
    END IF;
    PERFORM pg_notify('onering_deliveries', '');
    RETURN new_id;
END
$$;
GRANT EXECUTE ON FUNCTION onering.publish_event(text, text, jsonb, text) TO PUBLIC;
COMMENT ON FUNCTION onering.publish_event(text, text, jsonb, text) IS
    'Publishes an event inside the caller''s own transaction: it is delivered if and only if that commits. owner: a partner, or * for all. '
    'data: at most 1 MiB. The same idempotency key and content again answers the first event''s id.';
