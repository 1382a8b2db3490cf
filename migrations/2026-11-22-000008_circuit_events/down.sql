DROP TABLE circuit_events;
