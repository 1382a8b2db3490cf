COMMENT ON COLUMN request_latency_stats.bucket IS 'Microseconds: the bucket''s lowest value at three significant digits.';

DROP TRIGGER final_deliveries_stay ON webhook_deliveries;
CREATE TRIGGER final_deliveries_stay BEFORE UPDATE ON webhook_deliveries FOR EACH ROW
    WHEN (OLD.settled_at IS NOT NULL) EXECUTE FUNCTION onering.refuse_change_of_final_delivery();

DROP FUNCTION onering.ingest_events(uuid[], text[], text[], bytea[], timestamptz[], uuid[], text[], text[], bytea[], interval, text, uuid[]);
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

DROP FUNCTION onering.first_delivery_id(uuid, uuid);

CREATE OR REPLACE FUNCTION onering.event_patterns(event_type text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ARRAY['*', event_type] || ARRAY(
        SELECT array_to_string(parts[1:n], '.') || '.*'
        FROM (SELECT string_to_array(event_type, '.') AS parts) AS split,
             generate_series(1, cardinality(parts) - 1) AS n)
$$;
