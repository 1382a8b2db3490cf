-- Failing subscriptions: their partners are warned, and in the end they are disabled, each step told once.
ALTER TABLE external_webhooks ADD COLUMN failure_warnings smallint NOT NULL DEFAULT 0 CHECK (failure_warnings >= 0),
    ADD COLUMN failure_warned_at timestamptz;
COMMENT ON COLUMN external_webhooks.failure_warnings IS
    'How many times its partner was warned of the failure that began at failing_since; 0 while it succeeds.';
COMMENT ON COLUMN external_webhooks.failure_warned_at IS 'When its partner was last warned of it; null while it succeeds.';
COMMENT ON COLUMN external_webhooks.disabled_by IS
    'Who disabled it: platform (the receiver answered 410, or failed for too long), which its owner may undo, or operator, which '
    'only operators may.';
COMMENT ON TABLE admin_audit_log IS
    'Every change an operator made, or the platform by itself (actor platform): appended only, never with a secret in it.';

-- A failure that is over takes its warnings with it, whoever ends it: a worker of any version, an owner, a hand in the database.
CREATE FUNCTION onering.forget_failure_warnings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.failure_warnings := 0;
    NEW.failure_warned_at := NULL;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION onering.forget_failure_warnings() IS 'Keeps failure_warnings at 0 and failure_warned_at null while a subscription does not fail.';
CREATE TRIGGER warnings_end_with_the_failure BEFORE UPDATE OF failing_since ON external_webhooks FOR EACH ROW
    WHEN (NEW.failing_since IS NULL AND NEW.failure_warnings <> 0) EXECUTE FUNCTION onering.forget_failure_warnings();

-- The few that fail, and those disabled not long ago: looked for every few seconds.
CREATE INDEX external_webhooks_failing ON external_webhooks (failing_since) WHERE failing_since IS NOT NULL;
CREATE INDEX external_webhooks_disabled ON external_webhooks (disabled_at) WHERE disabled_at IS NOT NULL;

INSERT INTO event_types (name, description, schema) VALUES
    ('webhook.failing', 'A subscription has failed for days and will be disabled if it goes on failing. Not sent to itself.',
     '{"type":"object","required":["webhook_id","host","failing_since","days","waiting"],"properties":{"webhook_id":{"type":"string"},'
     '"host":{"type":"string"},"failing_since":{"type":"string","format":"date-time"},"days":{"type":"integer"},'
     '"waiting":{"type":"integer"}}}'),
    ('webhook.disabled', 'The platform disabled a subscription; what it misses is held. Not sent to itself.',
     '{"type":"object","required":["webhook_id","host","failing_since","days","waiting","reason"],"properties":{'
     '"webhook_id":{"type":"string"},"host":{"type":"string"},"failing_since":{"type":"string","format":"date-time"},'
     '"days":{"type":"integer"},"waiting":{"type":"integer"},"reason":{"type":"string"}}}')
ON CONFLICT (name) DO NOTHING;
