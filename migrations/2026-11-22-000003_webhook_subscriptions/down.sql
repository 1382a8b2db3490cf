DROP TABLE event_types, external_webhook_secrets, external_webhooks;
