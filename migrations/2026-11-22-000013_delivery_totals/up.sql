-- What monitoring adds up over 24 hours, added up in advance: a day of delivery_stats has a row a minute, subscription and outcome.

CREATE TABLE delivery_totals (
    slot      timestamptz NOT NULL CHECK (slot = date_bin('10 minutes', slot, 'epoch')),
    outcome   text NOT NULL CHECK (outcome IN ('DELIVERED', 'RETRY', 'DEAD', 'GONE', 'REPLAY_EXPIRED', 'CANCELLED')),
    count     bigint NOT NULL CHECK (count >= 0),
    attempts  bigint NOT NULL CHECK (attempts >= 0),
    PRIMARY KEY (slot, outcome)
);
COMMENT ON TABLE delivery_totals IS
    'Sums of delivery_stats over ten minutes, all processes and subscriptions. They hold for the slots before delivery_totals_until.';
COMMENT ON COLUMN delivery_totals.slot IS 'Start of the ten minutes, on the clock.';
COMMENT ON COLUMN delivery_totals.outcome IS 'What the attempts led to.';
COMMENT ON COLUMN delivery_totals.count IS 'How many results.';
COMMENT ON COLUMN delivery_totals.attempts IS 'Sum of the attempt numbers of those results.';

CREATE TABLE delivery_latency_totals (
    slot    timestamptz NOT NULL CHECK (slot = date_bin('10 minutes', slot, 'epoch')),
    bucket  bigint NOT NULL,
    count   bigint NOT NULL CHECK (count >= 0),
    PRIMARY KEY (slot, bucket)
);
COMMENT ON TABLE delivery_latency_totals IS
    'Sums of delivery_latency_stats over ten minutes and all processes. They hold for the slots before delivery_totals_until.';
COMMENT ON COLUMN delivery_latency_totals.slot IS 'Start of the ten minutes, on the clock.';
COMMENT ON COLUMN delivery_latency_totals.bucket IS 'Milliseconds: the bucket''s lowest value at two significant digits.';
COMMENT ON COLUMN delivery_latency_totals.count IS 'Deliveries in the bucket.';

CREATE TABLE delivery_totals_until (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    slot     timestamptz CHECK (slot = date_bin('10 minutes', slot, 'epoch'))
);
INSERT INTO delivery_totals_until DEFAULT VALUES;
COMMENT ON TABLE delivery_totals_until IS 'Up to where the totals go: one row, which whoever writes totals has locked.';
COMMENT ON COLUMN delivery_totals_until.is_only IS 'True: there is one row.';
COMMENT ON COLUMN delivery_totals_until.slot IS
    'The first slot that is not added up. All before it are, those without a row in the totals to nothing. Null: none is.';
