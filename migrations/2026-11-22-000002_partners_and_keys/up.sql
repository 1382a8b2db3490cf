CREATE TABLE partners (
    owner_id    text PRIMARY KEY CHECK (owner_id ~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$'),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    canary      boolean NOT NULL DEFAULT false,
    metadata    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE partners IS 'Who uses the external API: the owner of keys and webhook subscriptions.';
COMMENT ON COLUMN partners.owner_id IS 'The operator''s own name for the partner; appears in every list and log.';
COMMENT ON COLUMN partners.name IS 'For people.';
COMMENT ON COLUMN partners.status IS 'active, or disabled: a disabled partner''s keys are refused (PARTNER_DISABLED) and its deliveries held.';
COMMENT ON COLUMN partners.canary IS 'Canary partners are inside every rollout cohort.';
COMMENT ON COLUMN partners.metadata IS 'The operator''s own notes, a JSON object; never interpreted.';
COMMENT ON COLUMN partners.created_at IS 'When the partner was first named.';
COMMENT ON COLUMN partners.updated_at IS 'When an operator last changed this row.';
INSERT INTO partners (owner_id, name) VALUES ('default', 'Default partner');

CREATE TABLE external_api_keys (
    key_id               uuid PRIMARY KEY,
    owner_user_id        text NOT NULL REFERENCES partners (owner_id),
    name                 text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    scopes               text[] NOT NULL,
    rate_limit_tier      text NOT NULL CHECK (rate_limit_tier IN ('free', 'pro', 'enterprise')),
    rate_limit_override  bigint CHECK (rate_limit_override > 0),
    burst_per_second     bigint CHECK (burst_per_second > 0),
    canary_enabled       boolean NOT NULL DEFAULT false,
    is_active            boolean NOT NULL DEFAULT true,
    ip_allowlist         text[] NOT NULL DEFAULT '{}',
    expires_at           timestamptz,
    revoked_at           timestamptz,
    last_used_at         timestamptz,
    rotated_at           timestamptz,
    metadata             jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_by           text NOT NULL,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX external_api_keys_owner ON external_api_keys (owner_user_id, key_id);
COMMENT ON TABLE external_api_keys IS 'One identity and one quota of a partner; its secrets are in external_api_key_secrets.';
COMMENT ON COLUMN external_api_keys.key_id IS 'UUIDv7; shown as the TypeID key_….';
COMMENT ON COLUMN external_api_keys.owner_user_id IS 'The partner that owns the key.';
COMMENT ON COLUMN external_api_keys.name IS 'For people.';
COMMENT ON COLUMN external_api_keys.scopes IS 'What the key may do, such as write:events.';
COMMENT ON COLUMN external_api_keys.rate_limit_tier IS 'free, pro or enterprise: the hourly limit unless overridden.';
COMMENT ON COLUMN external_api_keys.rate_limit_override IS 'Requests an hour for this key alone; null means the tier''s.';
COMMENT ON COLUMN external_api_keys.burst_per_second IS 'Requests a second at most, beside the hourly limit; null means no burst limit.';
COMMENT ON COLUMN external_api_keys.canary_enabled IS 'Canary keys pass canary-only mode and are limited to 10 an hour.';
COMMENT ON COLUMN external_api_keys.is_active IS 'False while an operator has disabled the key (KEY_DISABLED).';
COMMENT ON COLUMN external_api_keys.ip_allowlist IS 'CIDR blocks the key may be used from; empty means anywhere.';
COMMENT ON COLUMN external_api_keys.expires_at IS 'After this instant the key is refused (KEY_EXPIRED); null means never.';
COMMENT ON COLUMN external_api_keys.revoked_at IS 'Set once, for good: a revoked key is refused as unknown.';
COMMENT ON COLUMN external_api_keys.last_used_at IS 'The last admitted call, to within the gateways'' reporting interval.';
COMMENT ON COLUMN external_api_keys.rotated_at IS 'When the newest secret was made by a rotation.';
COMMENT ON COLUMN external_api_keys.metadata IS 'The operator''s own notes, a JSON object; never interpreted.';
COMMENT ON COLUMN external_api_keys.created_by IS 'The operator or command that made the key.';
COMMENT ON COLUMN external_api_keys.created_at IS 'When the key was made.';
COMMENT ON COLUMN external_api_keys.updated_at IS 'When an operator last changed the key.';

CREATE TABLE external_api_key_secrets (
    secret_id   uuid PRIMARY KEY,
    key_id      uuid NOT NULL REFERENCES external_api_keys (key_id) ON DELETE CASCADE,
    digest      bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    hint        text NOT NULL CHECK (length(hint) <= 12),
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX external_api_key_secrets_key ON external_api_key_secrets (key_id);
CREATE UNIQUE INDEX external_api_key_secrets_current ON external_api_key_secrets (key_id) WHERE expires_at IS NULL;
COMMENT ON TABLE external_api_key_secrets IS 'The live secrets of a key: the current one, and during a rotation''s grace the previous one.';
COMMENT ON COLUMN external_api_key_secrets.secret_id IS 'UUIDv7.';
COMMENT ON COLUMN external_api_key_secrets.key_id IS 'The key this secret opens.';
COMMENT ON COLUMN external_api_key_secrets.digest IS 'SHA-256 of the whole token; the token itself is never stored.';
COMMENT ON COLUMN external_api_key_secrets.hint IS 'The token''s first characters, so that people can tell secrets apart.';
COMMENT ON COLUMN external_api_key_secrets.expires_at IS 'End of the grace period; null for the current secret.';
COMMENT ON COLUMN external_api_key_secrets.created_at IS 'When the secret was made.';

CREATE TABLE external_api_blocklist (
    block_id    uuid PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('key', 'cidr')),
    key_id      uuid REFERENCES external_api_keys (key_id) ON DELETE CASCADE,
    cidr        text,
    reason      text NOT NULL DEFAULT '',
    expires_at  timestamptz,
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((kind = 'key') = (key_id IS NOT NULL)),
    CHECK ((kind = 'cidr') = (cidr IS NOT NULL))
);
CREATE INDEX external_api_blocklist_key ON external_api_blocklist (key_id) WHERE key_id IS NOT NULL;
COMMENT ON TABLE external_api_blocklist IS 'Keys and addresses refused at once, for a time or until removed.';
COMMENT ON COLUMN external_api_blocklist.block_id IS 'UUIDv7; shown as the TypeID blk_….';
COMMENT ON COLUMN external_api_blocklist.kind IS 'key or cidr.';
COMMENT ON COLUMN external_api_blocklist.key_id IS 'The blocked key, answered with KEY_DISABLED.';
COMMENT ON COLUMN external_api_blocklist.cidr IS 'The blocked addresses in CIDR notation, answered with ADDRESS_BLOCKED.';
COMMENT ON COLUMN external_api_blocklist.reason IS 'For people.';
COMMENT ON COLUMN external_api_blocklist.expires_at IS 'When the entry stops counting; null means until removed.';
COMMENT ON COLUMN external_api_blocklist.created_by IS 'The operator who added the entry.';
COMMENT ON COLUMN external_api_blocklist.created_at IS 'When the entry was added.';

CREATE TABLE external_api_usage (
    key_id    uuid NOT NULL,
    hour      timestamptz NOT NULL,
    admitted  bigint NOT NULL DEFAULT 0,
    refused   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (key_id, hour)
);
-- Old usage is removed.
CREATE INDEX external_api_usage_age ON external_api_usage (hour);
COMMENT ON TABLE external_api_usage IS 'Calls per key and clock hour, added up by the gateways.';
COMMENT ON COLUMN external_api_usage.key_id IS 'The key; no foreign key, so that usage outlives a deleted key.';
COMMENT ON COLUMN external_api_usage.hour IS 'Start of the UTC hour.';
COMMENT ON COLUMN external_api_usage.admitted IS 'Units of quota taken.';
COMMENT ON COLUMN external_api_usage.refused IS 'Calls refused for the limit.';
