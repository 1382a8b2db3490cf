DROP INDEX webhook_deliveries_repeats;
DROP TABLE replay_jobs;
