DROP TABLE external_webhook_rotations;
DELETE FROM external_webhook_secrets WHERE kind = 'ed25519';
DROP INDEX external_webhook_secrets_current;
ALTER TABLE external_webhook_secrets DROP COLUMN public_key, DROP COLUMN kind;
CREATE UNIQUE INDEX external_webhook_secrets_current ON external_webhook_secrets (webhook_id) WHERE expires_at IS NULL;
COMMENT ON TABLE external_webhook_secrets IS 'Signing secrets, sealed: the current one, and during a rotation''s overlap the previous one.';
COMMENT ON COLUMN external_webhooks.signature_schemes IS 'Which signature headers a request carries: x-webhook, standard-webhooks, timestamp-body.';
