DELETE FROM event_types WHERE name IN ('webhook.failing', 'webhook.disabled');
DROP INDEX external_webhooks_failing, external_webhooks_disabled;
DROP TRIGGER warnings_end_with_the_failure ON external_webhooks;
DROP FUNCTION onering.forget_failure_warnings();
ALTER TABLE external_webhooks DROP COLUMN failure_warnings, DROP COLUMN failure_warned_at;
COMMENT ON TABLE admin_audit_log IS 'Every change an operator made: appended only, never with a secret in it.';
COMMENT ON COLUMN external_webhooks.disabled_by IS 'Who disabled it: platform (the receiver answered 410), which its owner may undo, or operator, which only operators may.';
