DROP TABLE admin_audit_log, admin_keys, flag_receipts, flag_overrides;
DROP FUNCTION onering.refuse_change_of_audit_log();
DROP SEQUENCE flag_generation;
