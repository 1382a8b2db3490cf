use onering_testkit::postgres;

use super::*;

async fn tables(config: &PoolConfig) -> i64 {
    let mut connection = connect(config).await.unwrap();
    diesel::dsl::sql::<diesel::sql_types::BigInt>(
        "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'S') AND relnamespace = 'public'::regnamespace \
         AND relname <> '__diesel_schema_migrations'",
    )
    .get_result(&mut connection)
    .await
    .unwrap()
}

/// On a current-thread runtime, where Diesel's harness alone would panic.
#[tokio::test]
async fn up_down_up() {
    let database = postgres().await;
    let config = PoolConfig::new(database.url()).unwrap();
    let mut connection = connect(&config).await.unwrap();
    let before = migration_status(&mut connection).await.unwrap();
    assert!(before.applied.is_empty() && !before.is_current());

    assert_eq!(migrate(&config).await.unwrap(), before.pending);
    let first = tables(&config).await;
    assert!(first > 20, "{first} tables");
    let after = migration_status(&mut connection).await.unwrap();
    assert_eq!((after.applied.len(), after.is_current()), (before.pending.len(), true));
    assert!(migrate(&config).await.unwrap().is_empty(), "the second time there is nothing to do");

    revert_all(&config).await.unwrap();
    assert_eq!(tables(&config).await, 0, "the way down leaves nothing");
    let schemas =
        diesel::dsl::sql::<diesel::sql_types::BigInt>("SELECT count(*) FROM pg_namespace WHERE nspname = 'onering'");
    assert_eq!(schemas.get_result::<i64>(&mut connection).await.unwrap(), 0);

    migrate(&config).await.unwrap();
    assert_eq!(tables(&config).await, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_at_once_one_works() {
    let database = postgres().await;
    let config = PoolConfig::new(database.url()).unwrap();
    let (one, other, third) = tokio::join!(migrate(&config), migrate(&config), migrate(&config));
    let mut applied: Vec<usize> = [one, other, third].into_iter().map(|names| names.unwrap().len()).collect();
    applied.sort_unstable();
    assert_eq!(applied[..2], [0, 0]);
    assert!(applied[2] > 0);
}

/// A role named like the schema has that schema first on its default search path.
#[tokio::test]
async fn tables_are_in_public_whatever_the_role_is_called() {
    let database = postgres().await;
    let admin = database.connect().await;
    admin.batch_execute("DO $$ BEGIN CREATE ROLE onering LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$").await.unwrap();
    let (_, rest) = database.url().split_once('@').expect("a user in the address");
    let as_onering = PoolConfig::new(&format!("postgres://onering@{rest}")).unwrap();
    migrate(&as_onering).await.unwrap();
    let outside = admin
        .query_one(
            "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'onering'::regnamespace",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(outside.get::<_, i64>(0), 0);
    assert!(tables(&as_onering).await > 20);
}

/// The partner of `src/schema.rs`: every table and column, in order, with its type and whether it may be null.
#[tokio::test]
async fn the_schema_in_rust_is_that_of_the_database() {
    let database = crate::testing::database().await;
    let client = database.connect().await;
    let rows = client
        .query(
            "SELECT c.table_name::text, c.column_name::text, c.udt_name::text, c.is_nullable = 'YES', \
                 (SELECT string_agg(a.attname, ', ' ORDER BY array_position(i.indkey::int2[], a.attnum)) \
                  FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey::int2[]) \
                  WHERE i.indrelid = r.oid AND i.indisprimary) \
             FROM information_schema.columns AS c JOIN pg_class AS r ON r.relname = c.table_name AND r.relnamespace = 'public'::regnamespace \
             WHERE c.table_schema = 'public' AND NOT r.relispartition AND c.table_name <> '__diesel_schema_migrations' \
             ORDER BY c.table_name, c.ordinal_position",
            &[],
        )
        .await
        .unwrap();
    let mut expected = String::new();
    let mut table = String::new();
    for row in &rows {
        let (name, column, kind, nullable): (String, String, String, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        if name != table {
            expected.push_str(&format!("{name} ({})\n", row.get::<_, String>(4)));
            table = name;
        }
        let kind = match kind.as_str() {
            "text" => "Text",
            "_text" => "Array<Text>",
            "bytea" => "Binary",
            "uuid" => "Uuid",
            "timestamptz" => "Timestamptz",
            "jsonb" => "Jsonb",
            "int2" => "SmallInt",
            "int4" => "Integer",
            "int8" => "BigInt",
            "bool" => "Bool",
            other => other,
        };
        let kind = if nullable { format!("Nullable<{kind}>") } else { kind.to_owned() };
        expected.push_str(&format!("{column} -> {kind},\n"));
    }
    let written: String = include_str!("../schema.rs")
        .lines()
        .map(str::trim)
        .filter(|line| line.contains(" -> ") || (line.ends_with(") {") && !line.starts_with("diesel")))
        .map(|line| format!("{}\n", line.trim_end_matches(" {")))
        .collect();
    assert_eq!(written, expected, "src/schema.rs and the migrations differ");
}

#[tokio::test]
async fn every_table_and_column_is_explained() {
    let database = crate::testing::database().await;
    let silent = database
        .connect()
        .await
        .query(
            "SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class AS c \
             LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
                 AND c.relname <> '__diesel_schema_migrations' \
                 AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)",
            &[],
        )
        .await
        .unwrap();
    let silent: Vec<String> = silent.iter().map(|row| row.get(0)).collect();
    assert!(silent.is_empty(), "no COMMENT ON {silent:?}");
}
