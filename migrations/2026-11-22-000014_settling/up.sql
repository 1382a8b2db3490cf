-- What a batch of attempts led to, and leases that are prolonged. The statements are those that the worker sent until now; as
-- functions they are planned under settings of their own.
--
-- Deliveries are found by their keys, one by one, whatever the statistics of the day's table say. Left to its estimates Postgres
-- takes a young table for a small one and reads all that lies between the first and the last id of the batch: in a backlog
-- 20,000 rows for a hundred. It does not reckon, either, that of all days' tables only those are looked into that a key
-- can be in. So joins that read more than they need are off, and a bound that is not known when it plans lets it expect a single row:
-- for one, no plan is cheaper than the key.
--
-- The bounds on the ids tell beforehand what days are concerned; without them each day's index is opened for every batch. They are
-- not written as one range: of a range Postgres supposes that it is so narrow that reading all of it for each single row is as
-- cheap as the key.
CREATE FUNCTION onering.settle_deliveries(
    delivery_ids uuid[], attempts_before smallint[], untils timestamptz[], attempts_after smallint[], statuses text[],
    queued_untils timestamptz[], held_reasons text[], settled_ats timestamptz[], latencies_ms integer[], buckets bigint[],
    outcomes text[], log_outcomes text[], status_codes smallint[], errors text[], response_bodies text[],
    started_ats timestamptz[], durations_ms integer[], first_id uuid, last_id uuid, process text)
RETURNS TABLE (delivery_id uuid, webhook_id uuid, disabled text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH result AS (
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
            AS t (delivery_id, attempts_before, until, attempts_after, status, queued_until, held_reason, settled_at, latency_ms,
                  bucket, outcome, log_outcome, status_code, error, response_body, started_at, duration_ms)
        LIMIT (SELECT 1000000)
    ), settled AS (
        UPDATE webhook_deliveries AS d SET
            status = coalesce(r.status, d.status),
            attempt_count = r.attempts_after,
            -- A retry is due when it is queued again; a deferral (no new status) keeps what the row says.
            next_attempt_at = CASE WHEN r.status = 'RETRYING' THEN r.queued_until WHEN r.status IS NULL THEN d.next_attempt_at END,
            queued_until = r.queued_until,
            held_reason = r.held_reason,
            last_status_code = CASE WHEN r.log_outcome IS NULL THEN d.last_status_code ELSE r.status_code END,
            last_error = CASE WHEN r.log_outcome IS NULL THEN d.last_error ELSE r.error END,
            delivered_at = CASE WHEN r.status = 'DELIVERED' THEN r.settled_at END,
            delivery_latency_ms = r.latency_ms,
            settled_at = r.settled_at
        FROM result AS r
        WHERE d.delivery_id = r.delivery_id AND d.delivery_id >= $18 AND d.delivery_id <= ANY (ARRAY[$19])
            -- The fence. A final row has no queued_until, so it never passes. IS NOT DISTINCT FROM fits no index, which leaves the
            -- key: the index of what is due can be large.
            AND d.attempt_count = r.attempts_before AND d.queued_until IS NOT DISTINCT FROM r.until
        RETURNING d.delivery_id, d.webhook_id, d.attempt_count, r.bucket, r.outcome, r.log_outcome, r.status_code, r.error,
                  r.response_body, r.started_at, r.duration_ms
    ), logged AS (
        INSERT INTO external_delivery_logs
            (delivery_id, attempt, webhook_id, outcome, status_code, error, response_body, started_at, duration_ms, worker)
        SELECT s.delivery_id, s.attempt_count, s.webhook_id, s.log_outcome, s.status_code, s.error, s.response_body, s.started_at,
               s.duration_ms, $20
        FROM settled AS s WHERE s.log_outcome IS NOT NULL
    ), counted AS (
        INSERT INTO delivery_stats AS c (minute, process, webhook_id, outcome, count, attempts)
        SELECT date_trunc('minute', now()), $20, s.webhook_id, s.outcome, count(*), sum(s.attempt_count)
        FROM settled AS s WHERE s.outcome IS NOT NULL GROUP BY s.webhook_id, s.outcome ORDER BY s.webhook_id, s.outcome
        ON CONFLICT (minute, process, webhook_id, outcome)
            DO UPDATE SET count = c.count + excluded.count, attempts = c.attempts + excluded.attempts
    ), timed AS (
        INSERT INTO delivery_latency_stats AS c (minute, process, bucket, count)
        SELECT date_trunc('minute', now()), $20, s.bucket, count(*)
        FROM settled AS s WHERE s.bucket IS NOT NULL GROUP BY s.bucket ORDER BY s.bucket
        ON CONFLICT (minute, process, bucket) DO UPDATE SET count = c.count + excluded.count
    ), health AS (
        SELECT s.webhook_id, bool_or(s.log_outcome = 'DELIVERED') AS delivered, bool_or(s.log_outcome = 'GONE') AS gone,
               min(s.started_at) AS since
        FROM settled AS s WHERE s.log_outcome IN ('DELIVERED', 'RETRY', 'DEAD', 'GONE') GROUP BY s.webhook_id
    ), touched AS (
        -- Only what really changes is written: a healthy subscription's row is never touched by its successes.
        SELECT w.webhook_id, h.delivered, h.gone AND w.status <> 'disabled' AS disabled, h.since, w.status AS was
        FROM external_webhooks AS w JOIN health AS h ON h.webhook_id = w.webhook_id
        WHERE (w.failing_since IS NULL) <> h.delivered OR (h.gone AND w.status <> 'disabled')
        ORDER BY w.webhook_id FOR UPDATE OF w
    ), noted AS (
        UPDATE external_webhooks AS w SET
            failing_since = CASE WHEN t.delivered THEN NULL ELSE coalesce(w.failing_since, t.since) END,
            status = CASE WHEN t.disabled THEN 'disabled' ELSE w.status END,
            disabled_by = CASE WHEN t.disabled THEN 'platform' ELSE w.disabled_by END,
            disabled_reason = CASE WHEN t.disabled THEN 'the receiver answered 410 Gone' ELSE w.disabled_reason END,
            disabled_at = CASE WHEN t.disabled THEN now() ELSE w.disabled_at END,
            updated_at = CASE WHEN t.disabled THEN now() ELSE w.updated_at END
        FROM touched AS t WHERE w.webhook_id = t.webhook_id
        RETURNING w.webhook_id, CASE WHEN t.disabled THEN t.was END AS disabled
    )
    SELECT s.delivery_id, s.webhook_id, n.disabled
    FROM settled AS s LEFT JOIN noted AS n ON n.webhook_id = s.webhook_id;
END
$$;
COMMENT ON FUNCTION onering.settle_deliveries IS
    'Writes what attempts led to: deliveries, attempt log, statistics, and what they say about their subscriptions. Arrays are parallel, '
    'one element a delivery; a row whose lease is another writes nothing. Answers the deliveries that were written, and the status a '
    'subscription had before it was disabled for good.';

CREATE FUNCTION onering.renew_leases(
    delivery_ids uuid[], attempts_made smallint[], untils timestamptz[], lengths_us bigint[], first_id uuid, last_id uuid,
    latest timestamptz)
RETURNS TABLE (delivery_id uuid, attempt_count smallint, queued_until timestamptz)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    -- The fence on queued_until is written so that no index fits it, which leaves the key: the index of what is due can be large.
    UPDATE webhook_deliveries AS d SET queued_until = now() + held.length_us * interval '1 microsecond'
    FROM (SELECT * FROM unnest($1, $2, $3, $4) AS h (delivery_id, attempt_count, queued_until, length_us) LIMIT (SELECT 1000000))
        AS held
    WHERE d.delivery_id = held.delivery_id AND d.attempt_count = held.attempt_count
        AND d.queued_until IS NOT DISTINCT FROM held.queued_until AND d.delivery_id >= $5 AND d.delivery_id <= ANY (ARRAY[$6])
        AND (now() > $7) IS NOT TRUE
    RETURNING d.delivery_id, d.attempt_count, d.queued_until;
END
$$;
COMMENT ON FUNCTION onering.renew_leases IS
    'Prolongs leases that are still the caller''s, and answers the new ones. Arrays are parallel; nothing is written later than latest.';
