CREATE TABLE request_stats (
    minute   timestamptz NOT NULL,
    process  text NOT NULL,
    code     text NOT NULL,
    tier     text NOT NULL,
    canary   boolean NOT NULL,
    count    bigint NOT NULL DEFAULT 0 CHECK (count >= 0),
    PRIMARY KEY (minute, process, code, tier, canary)
);
COMMENT ON TABLE request_stats IS 'Gateway answers per minute, added up by each gateway.';
COMMENT ON COLUMN request_stats.minute IS 'Start of the minute.';
COMMENT ON COLUMN request_stats.process IS 'Which gateway.';
COMMENT ON COLUMN request_stats.code IS 'OK, or the code of the refusal.';
COMMENT ON COLUMN request_stats.tier IS 'Tier of the key; none when no key was recognised.';
COMMENT ON COLUMN request_stats.canary IS 'Whether it was a canary key.';
COMMENT ON COLUMN request_stats.count IS 'How many.';

CREATE TABLE request_latency_stats (
    minute   timestamptz NOT NULL,
    process  text NOT NULL,
    bucket   bigint NOT NULL,
    count    bigint NOT NULL DEFAULT 0 CHECK (count >= 0),
    PRIMARY KEY (minute, process, bucket)
);
COMMENT ON TABLE request_latency_stats IS 'HDR histogram of gateway latency, one row a bucket, so that processes and minutes add up exactly.';
COMMENT ON COLUMN request_latency_stats.minute IS 'Start of the minute.';
COMMENT ON COLUMN request_latency_stats.process IS 'Which gateway.';
COMMENT ON COLUMN request_latency_stats.bucket IS 'Microseconds: the bucket''s lowest value at three significant digits.';
COMMENT ON COLUMN request_latency_stats.count IS 'Requests in the bucket.';

CREATE TABLE delivery_stats (
    minute      timestamptz NOT NULL,
    process     text NOT NULL,
    webhook_id  uuid NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('DELIVERED', 'RETRY', 'DEAD', 'GONE', 'REPLAY_EXPIRED', 'CANCELLED')),
    count       bigint NOT NULL DEFAULT 0 CHECK (count >= 0),
    attempts    bigint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    PRIMARY KEY (minute, process, webhook_id, outcome)
);
-- The health of one subscription.
CREATE INDEX delivery_stats_webhook ON delivery_stats (webhook_id, minute);
COMMENT ON TABLE delivery_stats IS 'Settled results per minute, written by the statement that settles them, so that they always agree.';
COMMENT ON COLUMN delivery_stats.minute IS 'Start of the minute.';
COMMENT ON COLUMN delivery_stats.process IS 'Which worker.';
COMMENT ON COLUMN delivery_stats.webhook_id IS 'The subscription.';
COMMENT ON COLUMN delivery_stats.outcome IS 'What the attempt led to.';
COMMENT ON COLUMN delivery_stats.count IS 'How many results.';
COMMENT ON COLUMN delivery_stats.attempts IS 'Sum of the attempt numbers of those results; over final ones, count and attempts give the mean retries.';

CREATE TABLE delivery_latency_stats (
    minute   timestamptz NOT NULL,
    process  text NOT NULL,
    bucket   bigint NOT NULL,
    count    bigint NOT NULL DEFAULT 0 CHECK (count >= 0),
    PRIMARY KEY (minute, process, bucket)
);
COMMENT ON TABLE delivery_latency_stats IS 'HDR histogram of the time from acceptance to the 2xx answer, one row a bucket.';
COMMENT ON COLUMN delivery_latency_stats.minute IS 'Start of the minute.';
COMMENT ON COLUMN delivery_latency_stats.process IS 'Which worker.';
COMMENT ON COLUMN delivery_latency_stats.bucket IS 'Milliseconds: the bucket''s lowest value at two significant digits.';
COMMENT ON COLUMN delivery_latency_stats.count IS 'Deliveries in the bucket.';
