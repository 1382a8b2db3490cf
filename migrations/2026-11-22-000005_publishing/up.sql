CREATE FUNCTION onering.event_patterns(event_type text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ARRAY['*', event_type] || ARRAY(
        SELECT array_to_string(parts[1:n], '.') || '.*'
        FROM (SELECT string_to_array(event_type, '.') AS parts) AS split,
             generate_series(1, cardinality(parts) - 1) AS n)
$$;
COMMENT ON FUNCTION onering.event_patterns(text) IS
    'Every subscription pattern that matches this event type: *, the type itself, and each dotted prefix followed by .*.';

CREATE FUNCTION onering.filter_condition_holds(condition jsonb, actual jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    bounds jsonb;
    bound numeric;
    number numeric;
BEGIN
    IF jsonb_typeof(condition) <> 'object' THEN
        RETURN actual IS NOT NULL AND actual = condition;
    ELSIF condition ? 'exists' THEN
        RETURN (actual IS NOT NULL) = (condition -> 'exists')::boolean;
    ELSIF condition ? 'prefix' THEN
        RETURN jsonb_typeof(actual) = 'string' AND starts_with(actual #>> '{}', condition ->> 'prefix');
    ELSIF condition ? 'anything-but' THEN
        RETURN actual IS NOT NULL AND NOT (condition -> 'anything-but') @> jsonb_build_array(actual);
    ELSIF condition ? 'numeric' THEN
        IF jsonb_typeof(actual) IS DISTINCT FROM 'number' THEN
            RETURN false;
        END IF;
        number := (actual #>> '{}')::numeric;
        bounds := condition -> 'numeric';
        FOR i IN 0..jsonb_array_length(bounds) / 2 - 1 LOOP
            bound := (bounds ->> (2 * i + 1))::numeric;
            IF NOT (CASE bounds ->> (2 * i)
                        WHEN '<' THEN number < bound WHEN '<=' THEN number <= bound WHEN '=' THEN number = bound
                        WHEN '>=' THEN number >= bound WHEN '>' THEN number > bound END) THEN
                RETURN false;
            END IF;
        END LOOP;
        RETURN true;
    END IF;
    RETURN false;
END
$$;
COMMENT ON FUNCTION onering.filter_condition_holds(jsonb, jsonb) IS
    'One condition of a subscription filter against one value (null: absent). The language is that of crates/domain/webhooks, filter.rs.';

CREATE FUNCTION onering.filter_matches(filter jsonb, data jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (
        SELECT FROM jsonb_each(filter) AS field (path, conditions)
        WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements(field.conditions) AS condition
            WHERE onering.filter_condition_holds(condition, data #> string_to_array(field.path, '.'))))
$$;
COMMENT ON FUNCTION onering.filter_matches(jsonb, jsonb) IS
    'Whether an event''s data passes a subscription''s filter: every field must, and a field does when any of its conditions holds.';

CREATE FUNCTION onering.event_data(body bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN convert_from(body, 'UTF8')::jsonb -> 'data';
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    -- JSON knows texts and numbers that jsonb does not (\u0000, lone surrogates, 1e999999). Such an event must not fail the
    -- whole batch it came in: to filters it has no fields.
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION onering.event_data(bytea) IS
    'The data of an event''s body, for filters; null where it is valid JSON that this server cannot hold.';

CREATE FUNCTION onering.ingest_events(
    event_ids uuid[], owner_ids text[], event_types text[], bodies bytea[], occurred_ats timestamptz[],
    publisher_key_ids uuid[], idempotency_owners text[], idempotency_keys text[], idempotency_digests bytea[],
    lease interval, hold text)
RETURNS TABLE (event_id uuid, matched integer, delivery_id uuid, webhook_id uuid, queued_until timestamptz, created_at timestamptz)
-- PL/pgSQL, because it keeps the plan of its statement for the session; a function in SQL plans it at every call.
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH input AS (
        SELECT * FROM unnest(event_ids, owner_ids, event_types, bodies, occurred_ats, publisher_key_ids,
                             idempotency_owners, idempotency_keys, idempotency_digests)
            AS t (event_id, owner_id, event_type, body, occurred_at, publisher_key_id, idem_owner, idem_key, idem_digest)
    ), claimed AS (
        INSERT INTO public.idempotency_keys AS k (owner_id, idempotency_key, body_digest, event_id, created_at)
        SELECT i.idem_owner, i.idem_key, i.idem_digest, i.event_id, now() FROM input AS i WHERE i.idem_key IS NOT NULL
        -- In one order everywhere: two batches with the same keys wait for each other and never deadlock.
        ORDER BY i.idem_owner, i.idem_key, i.event_id
        ON CONFLICT DO NOTHING
        RETURNING k.event_id
    ), accepted AS MATERIALIZED (
        SELECT i.* FROM input AS i
        WHERE i.idem_key IS NULL OR i.event_id IN (SELECT c.event_id FROM claimed AS c)
    ), patterns AS MATERIALIZED (
        SELECT t.event_type, onering.event_patterns(t.event_type) AS patterns
        FROM (SELECT DISTINCT a.event_type FROM accepted AS a) AS t
    ), pairs AS MATERIALIZED (
        SELECT a.event_id, a.event_type, w.webhook_id, w.owner_id,
               CASE WHEN w.status = 'paused' THEN 'SUBSCRIPTION_PAUSED' WHEN w.status = 'disabled' THEN 'SUBSCRIPTION_DISABLED'
                    WHEN r.status = 'disabled' THEN 'PARTNER_DISABLED' ELSE hold END AS held
        FROM accepted AS a
        JOIN patterns AS p ON p.event_type = a.event_type
        JOIN LATERAL (
            SELECT s.webhook_id, s.owner_id, s.status, s.events, s.filter FROM public.external_webhooks AS s
            WHERE a.owner_id <> '*' AND s.owner_id = a.owner_id AND s.deleted_at IS NULL
            UNION ALL
            SELECT s.webhook_id, s.owner_id, s.status, s.events, s.filter FROM public.external_webhooks AS s
            WHERE a.owner_id = '*' AND s.deleted_at IS NULL
        ) AS w ON w.events && p.patterns
        JOIN public.partners AS r ON r.owner_id = w.owner_id
        WHERE (w.filter IS NULL OR onering.filter_matches(w.filter, onering.event_data(a.body)))
          -- A subscription is not sent the news of its own failure: its receiver is the one that does not answer.
          AND (a.event_type NOT IN ('webhook.failing', 'webhook.disabled')
               OR onering.event_data(a.body) ->> 'webhook_id' IS DISTINCT FROM onering.typeid('wh', w.webhook_id))
    ), counts AS (
        SELECT q.event_id, count(*)::integer AS matched FROM pairs AS q GROUP BY q.event_id
    ), events AS (
        INSERT INTO public.webhook_events AS e (event_id, owner_id, event_type, body, matched, publisher_key_id, occurred_at, created_at)
        SELECT a.event_id, a.owner_id, a.event_type, a.body, coalesce(c.matched, 0), a.publisher_key_id, a.occurred_at, now()
        FROM accepted AS a LEFT JOIN counts AS c ON c.event_id = a.event_id
        RETURNING e.event_id, e.matched
    ), deliveries AS (
        INSERT INTO public.webhook_deliveries AS d (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason, queued_until, created_at)
        SELECT onering.sibling_id(q.event_id), q.event_id, q.webhook_id, q.owner_id, q.event_type, q.held,
               CASE WHEN q.held IS NULL THEN now() + lease END, now()
        FROM pairs AS q
        RETURNING d.delivery_id, d.event_id, d.webhook_id, d.queued_until
    )
    SELECT e.event_id, e.matched, d.delivery_id, d.webhook_id, d.queued_until, now()
    FROM events AS e LEFT JOIN deliveries AS d ON d.event_id = e.event_id;
END
$$;
COMMENT ON FUNCTION onering.ingest_events(uuid[], text[], text[], bytea[], timestamptz[], uuid[], text[], text[], bytea[], interval, text) IS
    'Accepts a batch of events: writes them, and their deliveries to the subscriptions that match, in one statement. Answers one row a '
    'delivery (or one row with nulls for an event that matched nothing). An event whose idempotency key was taken before is left out. '
    'lease: how long the caller has to queue the deliveries before the sweep does. hold: a held_reason for all of them, or null.';

CREATE FUNCTION onering.publish_event(owner text, type text, data jsonb, idempotency_key text DEFAULT NULL) RETURNS uuid
-- It runs with its owner's rights, so it reaches nothing that somebody else may have put into a schema: public is not searched,
-- and its tables are named with it.
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
        SELECT k.event_id, k.body_digest INTO known FROM public.idempotency_keys AS k
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
