ALTER TABLE external_webhook_secrets
    ADD COLUMN kind text NOT NULL DEFAULT 'hmac' CHECK (kind IN ('hmac', 'ed25519')),
    ADD COLUMN public_key bytea CHECK (length(public_key) = 32),
    ADD CONSTRAINT external_webhook_secrets_public CHECK ((kind = 'ed25519') = (public_key IS NOT NULL));
DROP INDEX external_webhook_secrets_current;
CREATE UNIQUE INDEX external_webhook_secrets_current ON external_webhook_secrets (webhook_id, kind) WHERE expires_at IS NULL;
COMMENT ON TABLE external_webhook_secrets IS 'What signs, sealed: the current secret and, once standard-webhooks-v1a was chosen, the current key pair; during a rotation''s overlap the previous ones as well.';
COMMENT ON COLUMN external_webhook_secrets.kind IS 'hmac: a secret whsec_…; ed25519: a key pair whsk_….';
COMMENT ON COLUMN external_webhook_secrets.public_key IS 'The half of a key pair that receivers may know.';
COMMENT ON COLUMN external_webhooks.signature_schemes IS 'Which signatures a request carries: x-webhook, standard-webhooks, standard-webhooks-v1a, timestamp-body.';

CREATE TABLE external_webhook_rotations (
    webhook_id                      uuid PRIMARY KEY REFERENCES external_webhooks (webhook_id),
    secret_id                       uuid NOT NULL,
    started_at                      timestamptz NOT NULL DEFAULT now(),
    previous_expires_at             timestamptz NOT NULL,
    sent_with_both                  bigint NOT NULL DEFAULT 0 CHECK (sent_with_both >= 0),
    verified_with_current           bigint NOT NULL DEFAULT 0 CHECK (verified_with_current >= 0),
    verified_with_previous          bigint NOT NULL DEFAULT 0 CHECK (verified_with_previous >= 0),
    last_verified_with_current_at   timestamptz,
    last_verified_with_previous_at  timestamptz,
    confirmed_at                    timestamptz
);
COMMENT ON TABLE external_webhook_rotations IS 'A subscription''s last rotation with an overlap: which of the two secrets its receiver is known to use.';
COMMENT ON COLUMN external_webhook_rotations.webhook_id IS 'The subscription.';
COMMENT ON COLUMN external_webhook_rotations.secret_id IS 'The secret the rotation made. Counts name it, so that late ones of an earlier rotation count nothing.';
COMMENT ON COLUMN external_webhook_rotations.started_at IS 'When the secret was rotated.';
COMMENT ON COLUMN external_webhook_rotations.previous_expires_at IS 'End of the overlap.';
COMMENT ON COLUMN external_webhook_rotations.sent_with_both IS 'Requests signed with both secrets.';
COMMENT ON COLUMN external_webhook_rotations.verified_with_current IS '2xx answers that named the current secret in X-Webhook-Verified-With.';
COMMENT ON COLUMN external_webhook_rotations.verified_with_previous IS '2xx answers that named the previous one.';
COMMENT ON COLUMN external_webhook_rotations.last_verified_with_current_at IS 'When an answer last named the current secret.';
COMMENT ON COLUMN external_webhook_rotations.last_verified_with_previous_at IS 'When an answer last named the previous one.';
COMMENT ON COLUMN external_webhook_rotations.confirmed_at IS 'When the receiver first showed that it takes the current secret: by such an answer, or by a 2xx to a test signed with it alone.';
