-- What a commit costs where there are thousands of partners: whether a subscription's partner is disabled is looked up by its key.
-- Else the function is that of 000012. With 10,000 partners they were all read and hashed, 1.4 of 1.5 ms.
CREATE OR REPLACE FUNCTION onering.ingest_events(
    event_ids uuid[], owner_ids text[], event_types text[], bodies bytea[], occurred_ats timestamptz[],
    publisher_key_ids uuid[], idempotency_owners text[], idempotency_keys text[], idempotency_digests bytea[],
    lease interval, hold text, surplus uuid[] DEFAULT '{}')
RETURNS TABLE (event_id uuid, matched integer, delivery_id uuid, webhook_id uuid, queued_until timestamptz, created_at timestamptz)
-- PL/pgSQL, because it keeps the plan of its statement for the session; a function in SQL plans it at every call. The generic plan
-- is kept from the start, because plans for one batch's arrays look cheaper than they are worth and cost more than the batch.
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    -- The events that are the first with their idempotency keys.
    firsts uuid[];
BEGIN
    IF array_remove(idempotency_keys, NULL) <> '{}' THEN
        WITH claimed AS (
            INSERT INTO public.idempotency_keys AS k (owner_id, idempotency_key, body_digest, event_id, created_at)
            SELECT i.idem_owner, i.idem_key, i.idem_digest, i.event_id, now()
            FROM unnest(idempotency_owners, idempotency_keys, idempotency_digests, event_ids)
                AS i (idem_owner, idem_key, idem_digest, event_id)
            WHERE i.idem_key IS NOT NULL
            -- In one order everywhere: two batches with the same keys wait for each other and never deadlock.
            ORDER BY i.idem_owner, i.idem_key, i.event_id
            ON CONFLICT DO NOTHING
            RETURNING k.event_id
        )
        SELECT coalesce(array_agg(c.event_id), '{}') INTO firsts FROM claimed AS c;
    END IF;
    RETURN QUERY
    WITH accepted AS MATERIALIZED (
        SELECT i.event_id, i.owner_id, i.event_type, i.body, i.occurred_at, i.publisher_key_id
        FROM unnest(event_ids, owner_ids, event_types, bodies, occurred_ats, publisher_key_ids, idempotency_keys)
            AS i (event_id, owner_id, event_type, body, occurred_at, publisher_key_id, idem_key)
        WHERE i.idem_key IS NULL OR i.event_id = ANY (firsts)
    ), kinds AS MATERIALIZED (
        -- Events of one recipient and type go to the same subscriptions: these are looked up once for all of them.
        SELECT t.recipient, t.event_type, onering.event_patterns(t.event_type) AS patterns
        FROM (SELECT DISTINCT a.owner_id AS recipient, a.event_type FROM accepted AS a) AS t
    ), subscribed AS MATERIALIZED (
        SELECT t.recipient, t.event_type, w.webhook_id, w.owner_id, w.filter,
               CASE WHEN w.status = 'paused' THEN 'SUBSCRIPTION_PAUSED' WHEN w.status = 'disabled' THEN 'SUBSCRIPTION_DISABLED'
                    -- Not a join: for that all partners were read in every commit once there were thousands.
                    WHEN (SELECT r.status FROM public.partners AS r WHERE r.owner_id = w.owner_id) = 'disabled' THEN 'PARTNER_DISABLED'
                    ELSE hold END AS held,
               CASE WHEN w.webhook_id = ANY (surplus) THEN now() ELSE now() + lease END AS due
        FROM kinds AS t
        JOIN LATERAL (
            SELECT s.webhook_id, s.owner_id, s.status, s.events, s.filter FROM public.external_webhooks AS s
            WHERE t.recipient <> '*' AND s.owner_id = t.recipient AND s.deleted_at IS NULL
            UNION ALL
            SELECT s.webhook_id, s.owner_id, s.status, s.events, s.filter FROM public.external_webhooks AS s
            WHERE t.recipient = '*' AND s.deleted_at IS NULL
        ) AS w ON w.events && t.patterns
    ), pairs AS MATERIALIZED (
        SELECT onering.first_delivery_id(a.event_id, w.webhook_id) AS delivery_id, a.event_id, a.event_type, w.webhook_id, w.owner_id,
               w.held, CASE WHEN w.held IS NULL THEN w.due END AS queued_until
        FROM accepted AS a
        JOIN subscribed AS w ON w.recipient = a.owner_id AND w.event_type = a.event_type
        WHERE (w.filter IS NULL OR onering.filter_matches(w.filter, onering.event_data(a.body)))
          -- A subscription is not sent the news of its own failure: its receiver is the one that does not answer.
          AND (a.event_type NOT IN ('webhook.failing', 'webhook.disabled')
               OR onering.event_data(a.body) ->> 'webhook_id' IS DISTINCT FROM onering.typeid('wh', w.webhook_id))
    ), counted AS MATERIALIZED (
        SELECT a.event_id, coalesce(c.matched, 0) AS matched
        FROM accepted AS a
        LEFT JOIN (SELECT q.event_id, count(*)::integer AS matched FROM pairs AS q GROUP BY q.event_id) AS c ON c.event_id = a.event_id
    ), events AS (
        INSERT INTO public.webhook_events (event_id, owner_id, event_type, body, matched, publisher_key_id, occurred_at, created_at)
        SELECT a.event_id, a.owner_id, a.event_type, a.body, c.matched, a.publisher_key_id, a.occurred_at, now()
        FROM accepted AS a JOIN counted AS c ON c.event_id = a.event_id
    ), deliveries AS (
        INSERT INTO public.webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason, queued_until, created_at)
        SELECT q.delivery_id, q.event_id, q.webhook_id, q.owner_id, q.event_type, q.held, q.queued_until, now() FROM pairs AS q
    )
    SELECT c.event_id, c.matched, q.delivery_id, q.webhook_id, q.queued_until, now()
    FROM counted AS c LEFT JOIN pairs AS q ON q.event_id = c.event_id;
END
$$;
