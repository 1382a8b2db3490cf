CREATE TABLE external_webhooks (
    webhook_id             uuid PRIMARY KEY,
    owner_id               text NOT NULL REFERENCES partners (owner_id),
    url                    text NOT NULL CHECK (length(url) <= 2048),
    events                 text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 100),
    description            text NOT NULL DEFAULT '',
    headers                jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(headers) = 'object'),
    timeout_seconds        integer NOT NULL DEFAULT 10 CHECK (timeout_seconds BETWEEN 1 AND 30),
    max_in_flight          integer NOT NULL DEFAULT 64 CHECK (max_in_flight BETWEEN 1 AND 1024),
    rate_limit_per_second  integer CHECK (rate_limit_per_second > 0),
    max_event_age_seconds  integer CHECK (max_event_age_seconds > 0),
    signature_schemes      text[] NOT NULL DEFAULT '{x-webhook,standard-webhooks}' CHECK (cardinality(signature_schemes) > 0),
    retry_client_errors    boolean NOT NULL DEFAULT false,
    filter                 jsonb CHECK (jsonb_typeof(filter) = 'object'),
    status                 text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'disabled')),
    disabled_by            text CHECK (disabled_by IN ('platform', 'operator')),
    disabled_reason        text,
    disabled_at            timestamptz,
    failing_since          timestamptz,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now(),
    deleted_at             timestamptz,
    CHECK ((status = 'disabled') = (disabled_by IS NOT NULL)),
    CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL)),
    CHECK ((status = 'disabled') = (disabled_at IS NOT NULL))
);
CREATE INDEX external_webhooks_owner ON external_webhooks (owner_id, webhook_id) WHERE deleted_at IS NULL;
COMMENT ON TABLE external_webhooks IS 'A partner''s subscription: which events go to which address, and how.';
COMMENT ON COLUMN external_webhooks.webhook_id IS 'UUIDv7; shown as the TypeID wh_….';
COMMENT ON COLUMN external_webhooks.owner_id IS 'The partner whose events are delivered.';
COMMENT ON COLUMN external_webhooks.url IS 'Where deliveries are POSTed; checked by the address guard at creation and at every attempt.';
COMMENT ON COLUMN external_webhooks.events IS 'Patterns: an event type, a prefix such as ring.*, or *.';
COMMENT ON COLUMN external_webhooks.description IS 'For people.';
COMMENT ON COLUMN external_webhooks.headers IS 'Extra request headers, name to value.';
COMMENT ON COLUMN external_webhooks.timeout_seconds IS 'How long one attempt may take.';
COMMENT ON COLUMN external_webhooks.max_in_flight IS 'Attempts under way at once, at most, in each worker.';
COMMENT ON COLUMN external_webhooks.rate_limit_per_second IS 'Attempts started a second, at most, in each worker; null means no limit.';
COMMENT ON COLUMN external_webhooks.max_event_age_seconds IS 'Events older than this are not sent any more (REPLAY_EXPIRED); null means any age.';
COMMENT ON COLUMN external_webhooks.signature_schemes IS 'Which signature headers a request carries: x-webhook, standard-webhooks, timestamp-body.';
COMMENT ON COLUMN external_webhooks.retry_client_errors IS 'True retries 4xx answers that otherwise end a delivery.';
COMMENT ON COLUMN external_webhooks.filter IS 'Conditions on the event''s data; null delivers every matching event.';
COMMENT ON COLUMN external_webhooks.status IS 'active; paused by its owner; disabled by an operator or by the platform. Not active: deliveries are held.';
COMMENT ON COLUMN external_webhooks.disabled_by IS 'Who disabled it: platform (the receiver answered 410), which its owner may undo, or operator, which only operators may.';
COMMENT ON COLUMN external_webhooks.disabled_reason IS 'Why it is disabled, for people.';
COMMENT ON COLUMN external_webhooks.disabled_at IS 'Since when it is disabled.';
COMMENT ON COLUMN external_webhooks.failing_since IS 'First failure since the last success; null while it succeeds.';
COMMENT ON COLUMN external_webhooks.created_at IS 'When it was made.';
COMMENT ON COLUMN external_webhooks.updated_at IS 'When it was last changed.';
COMMENT ON COLUMN external_webhooks.deleted_at IS 'Set when deleted: it matches nothing, and the row stays for its deliveries'' sake.';

CREATE TABLE external_webhook_secrets (
    secret_id   uuid PRIMARY KEY,
    webhook_id  uuid NOT NULL REFERENCES external_webhooks (webhook_id),
    sealed      bytea NOT NULL,
    kid         text NOT NULL,
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX external_webhook_secrets_webhook ON external_webhook_secrets (webhook_id);
CREATE UNIQUE INDEX external_webhook_secrets_current ON external_webhook_secrets (webhook_id) WHERE expires_at IS NULL;
COMMENT ON TABLE external_webhook_secrets IS 'Signing secrets, sealed: the current one, and during a rotation''s overlap the previous one.';
COMMENT ON COLUMN external_webhook_secrets.secret_id IS 'UUIDv7; the associated data of the seal.';
COMMENT ON COLUMN external_webhook_secrets.webhook_id IS 'The subscription it signs for.';
COMMENT ON COLUMN external_webhook_secrets.sealed IS 'XChaCha20-Poly1305: nonce followed by ciphertext.';
COMMENT ON COLUMN external_webhook_secrets.kid IS 'Which key of ONERING_SECRETS_KEYS sealed it.';
COMMENT ON COLUMN external_webhook_secrets.expires_at IS 'End of the overlap; null for the current secret.';
COMMENT ON COLUMN external_webhook_secrets.created_at IS 'When the secret was made.';

CREATE TABLE event_types (
    name         text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*$' AND length(name) <= 128),
    description  text NOT NULL,
    schema       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(schema) = 'object'),
    deprecated   boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE event_types IS 'The catalogue partners read: which events exist and what their data looks like.';
COMMENT ON COLUMN event_types.name IS 'The event type.';
COMMENT ON COLUMN event_types.description IS 'What happened when it is sent.';
COMMENT ON COLUMN event_types.schema IS 'JSON Schema (2020-12) of data.';
COMMENT ON COLUMN event_types.deprecated IS 'True when partners should move away from it.';
COMMENT ON COLUMN event_types.created_at IS 'When it entered the catalogue.';
INSERT INTO event_types (name, description, schema) VALUES
    ('webhook.test', 'Sent by the test call of a subscription.',
     '{"type":"object","required":["message","webhook_id"],"properties":{"message":{"type":"string"},"webhook_id":{"type":"string"},"sign_with":{"const":"current"}}}'),
    ('ring.forged', 'A ring was made.',
     '{"type":"object","required":["ring_id"],"properties":{"ring_id":{"type":"string"},"bearer":{"type":"string"}}}'),
    ('draft.published', 'A draft was published.',
     '{"type":"object","required":["draft_id"],"properties":{"draft_id":{"type":"string"},"title":{"type":"string"}}}'),
    ('ledger.entry_recorded', 'An entry was written to the ledger.',
     '{"type":"object","required":["entry_id"],"properties":{"entry_id":{"type":"string"},"amount":{"type":"number"}}}'),
    ('enforcement.action_taken', 'An enforcement action was taken.',
     '{"type":"object","required":["action_id"],"properties":{"action_id":{"type":"string"},"kind":{"type":"string"}}}');
