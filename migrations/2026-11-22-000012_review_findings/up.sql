-- What a review found in the database. Each part stands for itself.

-- 1. Publishing inside the product's own transaction: for a role without rights on the tables, and with keys of its own.
CREATE OR REPLACE FUNCTION onering.publish_event(owner text, type text, data jsonb, idempotency_key text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    new_id uuid := onering.uuid_v7();
    happened timestamptz := clock_timestamp();
    -- No partner's id begins with an asterisk: its keys over HTTP and the product's never meet.
    key_owner constant text := '*' || owner;
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
        ARRAY[happened], ARRAY[NULL::uuid], ARRAY[key_owner], ARRAY[idempotency_key], ARRAY[digest],
        -- Due at once: the NOTIFY below wakes a worker's sweep when the caller commits.
        interval '0', NULL) AS i;
    IF NOT FOUND THEN
        SELECT k.event_id, k.body_digest INTO known FROM idempotency_keys AS k
        WHERE k.owner_id = key_owner AND k.idempotency_key = publish_event.idempotency_key;
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
REVOKE ALL ON FUNCTION onering.publish_event(text, text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION onering.publish_event(text, text, jsonb, text) IS
    'Publishes an event inside the caller''s own transaction: it is delivered if and only if that commits. owner: a partner, or * for all. '
    'data: at most 1 MiB. The same idempotency key and content again answers the first event''s id; keys count per owner and apart from '
    'those that partners send. Runs with its owner''s rights: a role needs USAGE on the schema onering and EXECUTE on this function, no more.';
COMMENT ON COLUMN idempotency_keys.owner_id IS
    'Whose key it is: the publishing partner, or * followed by the recipient for onering.publish_event. Keys of different ones never meet.';
-- The keys of the last day go along, so that a repetition stays one.
UPDATE idempotency_keys AS k SET owner_id = '*' || k.owner_id
FROM webhook_events AS e WHERE e.event_id = k.event_id AND e.publisher_key_id IS NULL;

-- 2. Partitions are attached, because CREATE TABLE … PARTITION OF locks out everybody who reads or writes the parent.
CREATE OR REPLACE FUNCTION onering.ensure_partitions(first_day date, last_day date) RETURNS integer
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

-- 3. The audit log could still be emptied as a whole. Its list by actor gets an index.
CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON admin_audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION onering.refuse_change_of_audit_log();
CREATE INDEX admin_audit_log_actor ON admin_audit_log (actor, audit_id);

-- 4. Old usage is removed.
CREATE INDEX external_api_usage_age ON external_api_usage (hour);
