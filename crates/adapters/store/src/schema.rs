//! The tables as Diesel sees them, kept by hand beside the migrations.
//!
//! Only parents of partitioned tables are named here. A test beside `migrate.rs` compares every line with `information_schema`
//! of a migrated database, so a migration that forgets this file fails there and not in production.

#![allow(missing_docs, unreachable_pub, reason = "the migrations comment on every table and column")]

diesel::table! {
    admin_audit_log (audit_id) {
        audit_id -> Uuid,
        at -> Timestamptz,
        actor -> Text,
        role -> Text,
        action -> Text,
        target_type -> Text,
        target_id -> Text,
        before -> Nullable<Jsonb>,
        after -> Nullable<Jsonb>,
        ip -> Nullable<Text>,
        request_id -> Nullable<Text>,
    }
}

diesel::table! {
    admin_keys (admin_key_id) {
        admin_key_id -> Uuid,
        name -> Text,
        role -> Text,
        digest -> Binary,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        created_by -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    circuit_events (webhook_id, at, kind) {
        webhook_id -> Uuid,
        at -> Timestamptz,
        kind -> Text,
        owner_id -> Text,
        failures -> Integer,
        open_until -> Nullable<Timestamptz>,
        worker -> Text,
    }
}

diesel::table! {
    delivery_latency_stats (minute, process, bucket) {
        minute -> Timestamptz,
        process -> Text,
        bucket -> BigInt,
        count -> BigInt,
    }
}

diesel::table! {
    delivery_latency_totals (slot, bucket) {
        slot -> Timestamptz,
        bucket -> BigInt,
        count -> BigInt,
    }
}

diesel::table! {
    delivery_stats (minute, process, webhook_id, outcome) {
        minute -> Timestamptz,
        process -> Text,
        webhook_id -> Uuid,
        outcome -> Text,
        count -> BigInt,
        attempts -> BigInt,
    }
}

diesel::table! {
    delivery_totals (slot, outcome) {
        slot -> Timestamptz,
        outcome -> Text,
        count -> BigInt,
        attempts -> BigInt,
    }
}

diesel::table! {
    delivery_totals_until (is_only) {
        is_only -> Bool,
        slot -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    event_types (name) {
        name -> Text,
        description -> Text,
        schema -> Jsonb,
        deprecated -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    external_api_blocklist (block_id) {
        block_id -> Uuid,
        kind -> Text,
        key_id -> Nullable<Uuid>,
        cidr -> Nullable<Text>,
        reason -> Text,
        expires_at -> Nullable<Timestamptz>,
        created_by -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    external_api_key_secrets (secret_id) {
        secret_id -> Uuid,
        key_id -> Uuid,
        digest -> Binary,
        hint -> Text,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    external_api_keys (key_id) {
        key_id -> Uuid,
        owner_user_id -> Text,
        name -> Text,
        scopes -> Array<Text>,
        rate_limit_tier -> Text,
        rate_limit_override -> Nullable<BigInt>,
        burst_per_second -> Nullable<BigInt>,
        canary_enabled -> Bool,
        is_active -> Bool,
        ip_allowlist -> Array<Text>,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        rotated_at -> Nullable<Timestamptz>,
        metadata -> Jsonb,
        created_by -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    external_api_usage (key_id, hour) {
        key_id -> Uuid,
        hour -> Timestamptz,
        admitted -> BigInt,
        refused -> BigInt,
    }
}

diesel::table! {
    external_delivery_logs (delivery_id, attempt) {
        delivery_id -> Uuid,
        attempt -> SmallInt,
        webhook_id -> Uuid,
        outcome -> Text,
        status_code -> Nullable<SmallInt>,
        error -> Nullable<Text>,
        response_body -> Nullable<Text>,
        started_at -> Timestamptz,
        duration_ms -> Integer,
        worker -> Text,
    }
}

diesel::table! {
    external_webhook_rotations (webhook_id) {
        webhook_id -> Uuid,
        secret_id -> Uuid,
        started_at -> Timestamptz,
        previous_expires_at -> Timestamptz,
        sent_with_both -> BigInt,
        verified_with_current -> BigInt,
        verified_with_previous -> BigInt,
        last_verified_with_current_at -> Nullable<Timestamptz>,
        last_verified_with_previous_at -> Nullable<Timestamptz>,
        confirmed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    external_webhook_secrets (secret_id) {
        secret_id -> Uuid,
        webhook_id -> Uuid,
        sealed -> Binary,
        kid -> Text,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        kind -> Text,
        public_key -> Nullable<Binary>,
    }
}

diesel::table! {
    external_webhooks (webhook_id) {
        webhook_id -> Uuid,
        owner_id -> Text,
        url -> Text,
        events -> Array<Text>,
        description -> Text,
        headers -> Jsonb,
        timeout_seconds -> Integer,
        max_in_flight -> Integer,
        rate_limit_per_second -> Nullable<Integer>,
        max_event_age_seconds -> Nullable<Integer>,
        signature_schemes -> Array<Text>,
        retry_client_errors -> Bool,
        filter -> Nullable<Jsonb>,
        status -> Text,
        disabled_by -> Nullable<Text>,
        disabled_reason -> Nullable<Text>,
        disabled_at -> Nullable<Timestamptz>,
        failing_since -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        failure_warnings -> SmallInt,
        failure_warned_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    flag_overrides (name) {
        name -> Text,
        value -> Text,
        reason -> Text,
        set_by -> Text,
        set_at -> Timestamptz,
        generation -> BigInt,
    }
}

diesel::table! {
    flag_receipts (process) {
        process -> Text,
        service -> Text,
        generation -> BigInt,
        fingerprint -> Text,
        switches -> Jsonb,
        changed_at -> Nullable<Timestamptz>,
        applied_at -> Timestamptz,
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    idempotency_keys (owner_id, idempotency_key) {
        owner_id -> Text,
        idempotency_key -> Text,
        body_digest -> Binary,
        event_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    partners (owner_id) {
        owner_id -> Text,
        name -> Text,
        status -> Text,
        canary -> Bool,
        metadata -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    replay_jobs (replay_id) {
        replay_id -> Uuid,
        state -> Text,
        range_from -> Timestamptz,
        range_to -> Timestamptz,
        statuses -> Array<Text>,
        webhook_id -> Nullable<Uuid>,
        event_type -> Nullable<Text>,
        owner_id -> Nullable<Text>,
        rate_per_second -> Integer,
        matched -> BigInt,
        replayed -> BigInt,
        skipped_subscription_deleted -> BigInt,
        skipped_event_gone -> BigInt,
        skipped_still_waiting -> BigInt,
        skipped_already_delivered -> BigInt,
        cursor_delivery_id -> Uuid,
        rate_used_until -> Timestamptz,
        worker -> Nullable<Text>,
        leased_until -> Nullable<Timestamptz>,
        failure -> Nullable<Text>,
        created_by -> Text,
        created_at -> Timestamptz,
        started_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    request_latency_stats (minute, process, bucket) {
        minute -> Timestamptz,
        process -> Text,
        bucket -> BigInt,
        count -> BigInt,
    }
}

diesel::table! {
    request_stats (minute, process, code, tier, canary) {
        minute -> Timestamptz,
        process -> Text,
        code -> Text,
        tier -> Text,
        canary -> Bool,
        count -> BigInt,
    }
}

diesel::table! {
    webhook_deliveries (delivery_id) {
        delivery_id -> Uuid,
        event_id -> Uuid,
        webhook_id -> Uuid,
        owner_id -> Text,
        event_type -> Text,
        status -> Text,
        attempt_count -> SmallInt,
        next_attempt_at -> Nullable<Timestamptz>,
        queued_until -> Nullable<Timestamptz>,
        held_reason -> Nullable<Text>,
        last_status_code -> Nullable<SmallInt>,
        last_error -> Nullable<Text>,
        delivered_at -> Nullable<Timestamptz>,
        delivery_latency_ms -> Nullable<Integer>,
        settled_at -> Nullable<Timestamptz>,
        original_delivery_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    webhook_events (event_id) {
        event_id -> Uuid,
        owner_id -> Text,
        event_type -> Text,
        body -> Binary,
        matched -> Integer,
        publisher_key_id -> Nullable<Uuid>,
        occurred_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    admin_audit_log,
    admin_keys,
    circuit_events,
    delivery_latency_stats,
    delivery_latency_totals,
    delivery_stats,
    delivery_totals,
    delivery_totals_until,
    event_types,
    external_api_blocklist,
    external_api_key_secrets,
    external_api_keys,
    external_api_usage,
    external_delivery_logs,
    external_webhook_rotations,
    external_webhook_secrets,
    external_webhooks,
    flag_overrides,
    flag_receipts,
    idempotency_keys,
    partners,
    replay_jobs,
    request_latency_stats,
    request_stats,
    webhook_deliveries,
    webhook_events,
);
