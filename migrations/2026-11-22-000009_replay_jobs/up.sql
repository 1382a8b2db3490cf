CREATE TABLE replay_jobs (
    replay_id                     uuid PRIMARY KEY,
    state                         text NOT NULL DEFAULT 'RUNNING' CHECK (state IN ('RUNNING', 'DONE', 'CANCELLED', 'FAILED')),
    range_from                    timestamptz NOT NULL,
    range_to                      timestamptz NOT NULL,
    statuses                      text[] NOT NULL
        CHECK (cardinality(statuses) > 0 AND statuses <@ ARRAY['DELIVERED', 'DEAD', 'REPLAY_EXPIRED', 'CANCELLED']),
    webhook_id                    uuid REFERENCES external_webhooks,
    event_type                    text,
    owner_id                      text REFERENCES partners,
    rate_per_second               integer NOT NULL CHECK (rate_per_second BETWEEN 1 AND 10000),
    matched                       bigint NOT NULL CHECK (matched >= 0),
    replayed                      bigint NOT NULL DEFAULT 0 CHECK (replayed >= 0),
    skipped_subscription_deleted  bigint NOT NULL DEFAULT 0 CHECK (skipped_subscription_deleted >= 0),
    skipped_event_gone            bigint NOT NULL DEFAULT 0 CHECK (skipped_event_gone >= 0),
    skipped_still_waiting         bigint NOT NULL DEFAULT 0 CHECK (skipped_still_waiting >= 0),
    skipped_already_delivered     bigint NOT NULL DEFAULT 0 CHECK (skipped_already_delivered >= 0),
    cursor_delivery_id            uuid NOT NULL,
    rate_used_until               timestamptz NOT NULL DEFAULT now(),
    worker                        text,
    leased_until                  timestamptz,
    failure                       text,
    created_by                    text NOT NULL,
    created_at                    timestamptz NOT NULL DEFAULT now(),
    started_at                    timestamptz,
    finished_at                   timestamptz,
    CONSTRAINT range_is_not_empty CHECK (range_from < range_to),
    CONSTRAINT over_is_finished CHECK ((state = 'RUNNING') = (finished_at IS NULL)),
    CONSTRAINT only_running_is_leased CHECK (leased_until IS NULL OR state = 'RUNNING'),
    CONSTRAINT leased_by_somebody CHECK ((leased_until IS NULL) = (worker IS NULL)),
    CONSTRAINT leased_has_started CHECK (leased_until IS NULL OR started_at IS NOT NULL),
    CONSTRAINT failed_says_why CHECK ((state = 'FAILED') = (failure IS NOT NULL))
);
CREATE INDEX replay_jobs_running ON replay_jobs (replay_id) WHERE state = 'RUNNING';
COMMENT ON TABLE replay_jobs IS 'Jobs that send the deliveries of a range of time again, as new deliveries that point at their originals.';
COMMENT ON COLUMN replay_jobs.replay_id IS 'UUIDv7; shown as the TypeID rpl_….';
COMMENT ON COLUMN replay_jobs.state IS 'RUNNING until it is DONE, CANCELLED by an operator, or FAILED.';
COMMENT ON COLUMN replay_jobs.range_from IS 'Originals made at this instant or later, by the time in their ids.';
COMMENT ON COLUMN replay_jobs.range_to IS 'Originals made before this instant.';
COMMENT ON COLUMN replay_jobs.statuses IS 'Originals in these final statuses; one counts as DELIVERED once it or a repeat of it was.';
COMMENT ON COLUMN replay_jobs.webhook_id IS 'Only of this subscription; null for any.';
COMMENT ON COLUMN replay_jobs.event_type IS 'Only of this event type; null for any.';
COMMENT ON COLUMN replay_jobs.owner_id IS 'Only of this partner; null for any.';
COMMENT ON COLUMN replay_jobs.rate_per_second IS 'New deliveries a second, at most.';
COMMENT ON COLUMN replay_jobs.matched IS 'Originals it was to go over, counted when it was made.';
COMMENT ON COLUMN replay_jobs.replayed IS 'New deliveries made so far.';
COMMENT ON COLUMN replay_jobs.skipped_subscription_deleted IS 'Originals not repeated because their subscription was deleted.';
COMMENT ON COLUMN replay_jobs.skipped_event_gone IS 'Originals not repeated because their event is not stored any more.';
COMMENT ON COLUMN replay_jobs.skipped_still_waiting IS 'Originals not repeated because a repeat of them waits already.';
COMMENT ON COLUMN replay_jobs.skipped_already_delivered IS 'Originals not repeated because a repeat of them was delivered since the job was made.';
COMMENT ON COLUMN replay_jobs.cursor_delivery_id IS
    'How far it is: the last original it came to, or the bound of its range. Moves in the transaction that makes the new deliveries.';
COMMENT ON COLUMN replay_jobs.rate_used_until IS 'The token bucket: up to this instant, by this server''s clock, the rate is used up.';
COMMENT ON COLUMN replay_jobs.worker IS 'The process that works on it.';
COMMENT ON COLUMN replay_jobs.leased_until IS 'Until then, by this server''s clock, no other worker takes it.';
COMMENT ON COLUMN replay_jobs.failure IS 'Why it FAILED.';
COMMENT ON COLUMN replay_jobs.created_by IS 'The operator who made it.';
COMMENT ON COLUMN replay_jobs.created_at IS 'When it was made. What became final later is not replayed.';
COMMENT ON COLUMN replay_jobs.started_at IS 'When a worker first took it.';
COMMENT ON COLUMN replay_jobs.finished_at IS 'When it was over.';

-- The repeats of one event for one subscription, however many there are and whichever they repeat: a replay asks whether one
-- waits or was delivered. Only repeats are in it, so ingest pays nothing for it. Made in the transaction of the migration, since
-- no release has run with days of rows that would make others wait for it.
CREATE INDEX webhook_deliveries_repeats ON webhook_deliveries (event_id, webhook_id) WHERE original_delivery_id IS NOT NULL;
