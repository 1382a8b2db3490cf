DROP FUNCTION onering.ensure_partitions(date, date);
DROP TABLE idempotency_keys, external_delivery_logs, webhook_deliveries, webhook_events;
DROP FUNCTION onering.refuse_change_of_final_delivery();
