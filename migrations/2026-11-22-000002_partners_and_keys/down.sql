DROP TABLE external_api_usage, external_api_blocklist, external_api_key_secrets, external_api_keys, partners;
