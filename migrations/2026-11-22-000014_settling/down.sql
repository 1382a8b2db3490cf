DROP FUNCTION onering.renew_leases;
DROP FUNCTION onering.settle_deliveries;
