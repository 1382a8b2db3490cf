-- The schema for functions, and the identifiers every table is keyed by.
CREATE SCHEMA onering;
COMMENT ON SCHEMA onering IS 'Functions of the OneRing partner platform; its tables live in public.';

CREATE FUNCTION onering.uuid_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
COMMENT ON FUNCTION onering.uuid_floor(timestamptz) IS
    'The smallest UUID whose 48 time bits are this instant: a lower bound for UUIDv7 ids (RFC 9562, section 5.7).';

CREATE FUNCTION onering.uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT overlay(overlay(gen_random_uuid()::text
        placing regexp_replace(lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0'),
                               '^(.{8})(.{4})$', '\1-\2') from 1)
        placing '7' from 15)::uuid
$$;
COMMENT ON FUNCTION onering.uuid_v7() IS 'A fresh UUIDv7 (RFC 9562, section 5.7); PostgreSQL 15 has none of its own.';

CREATE FUNCTION onering.sibling_id(id uuid) RETURNS uuid
LANGUAGE sql VOLATILE STRICT PARALLEL SAFE AS $$
    SELECT overlay(gen_random_uuid()::text placing left(id::text, 18) from 1)::uuid
$$;
COMMENT ON FUNCTION onering.sibling_id(uuid) IS
    'A fresh UUIDv7 of the same millisecond and place within it (RFC 9562, section 6.2, method 1) as the given one: an event and its '
    'deliveries share a partition, and deliveries sort as their events do.';

CREATE FUNCTION onering.typeid(prefix text, id uuid) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    alphabet constant text := '0123456789abcdefghjkmnpqrstvwxyz';
    bits bit varying := B'00' || ('x' || replace(id::text, '-', ''))::bit(128);
    encoded text := '';
BEGIN
    FOR i IN 0..25 LOOP
        encoded := encoded || substr(alphabet, (substring(bits FROM i * 5 + 1 FOR 5)::bit(5))::integer + 1, 1);
    END LOOP;
    RETURN prefix || '_' || encoded;
END
$$;
COMMENT ON FUNCTION onering.typeid(text, uuid) IS 'The TypeID text of an id (TypeID specification 0.3): prefix, underscore, 26 base32 characters.';
