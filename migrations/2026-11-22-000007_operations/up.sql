CREATE SEQUENCE flag_generation;
COMMENT ON SEQUENCE flag_generation IS 'Counts changes of the runtime overrides.';

CREATE TABLE flag_overrides (
    name        text PRIMARY KEY,
    value       text NOT NULL,
    reason      text NOT NULL DEFAULT '',
    set_by      text NOT NULL,
    set_at      timestamptz NOT NULL DEFAULT now(),
    generation  bigint NOT NULL DEFAULT nextval('flag_generation')
);
COMMENT ON TABLE flag_overrides IS 'Switches narrowed at run time by an operator or the rollout controller; a row can only narrow.';
COMMENT ON COLUMN flag_overrides.name IS 'The switch, such as ONERING_WEBHOOKS_DELIVERY_ENABLED.';
COMMENT ON COLUMN flag_overrides.value IS 'Its narrowing value: 0, 1 for canary-only, or a percentage for a cohort.';
COMMENT ON COLUMN flag_overrides.reason IS 'For people.';
COMMENT ON COLUMN flag_overrides.set_by IS 'Who set it.';
COMMENT ON COLUMN flag_overrides.set_at IS 'When.';
COMMENT ON COLUMN flag_overrides.generation IS 'Order of changes.';

CREATE TABLE flag_receipts (
    process      text PRIMARY KEY,
    service      text NOT NULL,
    generation   bigint NOT NULL,
    fingerprint  text NOT NULL,
    switches     jsonb NOT NULL,
    changed_at   timestamptz,
    applied_at   timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE flag_receipts IS 'What every process has applied, so that an operator sees a switch take effect.';
COMMENT ON COLUMN flag_receipts.process IS 'The process.';
COMMENT ON COLUMN flag_receipts.service IS 'Which of the four services it is.';
COMMENT ON COLUMN flag_receipts.generation IS 'How many changes of its switches it has applied since it started.';
COMMENT ON COLUMN flag_receipts.fingerprint IS 'Digest of the switches in force: equal texts, equal switches.';
COMMENT ON COLUMN flag_receipts.switches IS 'The switches in force.';
COMMENT ON COLUMN flag_receipts.changed_at IS 'When the source of the last change was written; null when nothing changed since start.';
COMMENT ON COLUMN flag_receipts.applied_at IS 'When the process applied it.';
COMMENT ON COLUMN flag_receipts.seen_at IS 'The process''s last sign of life.';

CREATE TABLE admin_keys (
    admin_key_id  uuid PRIMARY KEY,
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    role          text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    digest        bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    expires_at    timestamptz,
    revoked_at    timestamptz,
    last_used_at  timestamptz,
    created_by    text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE admin_keys IS 'Operators'' credentials for the admin and monitoring services.';
COMMENT ON COLUMN admin_keys.admin_key_id IS 'UUIDv7; shown as the TypeID adm_….';
COMMENT ON COLUMN admin_keys.name IS 'Whose it is; the actor in the audit log.';
COMMENT ON COLUMN admin_keys.role IS 'viewer reads, operator acts, admin also manages admin keys.';
COMMENT ON COLUMN admin_keys.digest IS 'SHA-256 of the token; the token itself is never stored.';
COMMENT ON COLUMN admin_keys.expires_at IS 'After this instant it is refused; null means never.';
COMMENT ON COLUMN admin_keys.revoked_at IS 'Set once, for good.';
COMMENT ON COLUMN admin_keys.last_used_at IS 'Last use, to within a minute.';
COMMENT ON COLUMN admin_keys.created_by IS 'Who made it.';
COMMENT ON COLUMN admin_keys.created_at IS 'When it was made.';

CREATE TABLE admin_audit_log (
    audit_id     uuid PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    role         text NOT NULL,
    action       text NOT NULL,
    target_type  text NOT NULL,
    target_id    text NOT NULL,
    before       jsonb,
    after        jsonb,
    ip           text,
    request_id   text
);
CREATE INDEX admin_audit_log_target ON admin_audit_log (target_type, target_id, audit_id);
CREATE INDEX admin_audit_log_actor ON admin_audit_log (actor, audit_id);
COMMENT ON TABLE admin_audit_log IS 'Every change an operator made: appended only, never with a secret in it.';
COMMENT ON COLUMN admin_audit_log.audit_id IS 'UUIDv7; shown as the TypeID aud_….';
COMMENT ON COLUMN admin_audit_log.at IS 'When.';
COMMENT ON COLUMN admin_audit_log.actor IS 'Which admin key or token subject.';
COMMENT ON COLUMN admin_audit_log.role IS 'The role it acted with.';
COMMENT ON COLUMN admin_audit_log.action IS 'What was done, such as key.rotate.';
COMMENT ON COLUMN admin_audit_log.target_type IS 'Kind of the thing changed.';
COMMENT ON COLUMN admin_audit_log.target_id IS 'Its id.';
COMMENT ON COLUMN admin_audit_log.before IS 'Its state before; null when it was made.';
COMMENT ON COLUMN admin_audit_log.after IS 'Its state after; null when it was removed.';
COMMENT ON COLUMN admin_audit_log.ip IS 'Address the call came from.';
COMMENT ON COLUMN admin_audit_log.request_id IS 'X-Request-Id of the call.';
CREATE FUNCTION onering.refuse_change_of_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is appended only' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION onering.refuse_change_of_audit_log() IS 'Keeps the audit log append-only.';
CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON admin_audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION onering.refuse_change_of_audit_log();
