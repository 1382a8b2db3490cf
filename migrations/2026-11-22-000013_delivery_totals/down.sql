DROP TABLE delivery_totals_until, delivery_latency_totals, delivery_totals;
