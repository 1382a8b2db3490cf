DROP TABLE delivery_latency_stats, delivery_stats, request_latency_stats, request_stats;
