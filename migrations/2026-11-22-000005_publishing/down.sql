DROP FUNCTION onering.publish_event(text, text, jsonb, text);
DROP FUNCTION onering.ingest_events(uuid[], text[], text[], bytea[], timestamptz[], uuid[], text[], text[], bytea[], interval, text);
DROP FUNCTION onering.event_data(bytea);
DROP FUNCTION onering.filter_matches(jsonb, jsonb);
DROP FUNCTION onering.filter_condition_holds(jsonb, jsonb);
DROP FUNCTION onering.event_patterns(text);
