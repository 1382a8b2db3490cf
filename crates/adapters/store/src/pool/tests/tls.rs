//! Against a server with a certificate for `localhost` from a root of its own.

use onering_testkit::{PrivatePostgres, eventually, private_postgres};

use super::*;

const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tls");
const CERTIFICATE: &str = include_str!("../../../testdata/tls/server.pem");
const KEY: &str = include_str!("../../../testdata/tls/server.key");

/// Has the server itself write the files, so that they are its own and nobody else can read the key.
async fn server_with_tls() -> PrivatePostgres {
    let server = private_postgres().await;
    let mut admin = connect(&PoolConfig::new(&server.url("postgres")).unwrap()).await.unwrap();
    for (name, content) in [("server.crt", CERTIFICATE), ("server.key", KEY)] {
        let write =
            format!("COPY (SELECT unnest(string_to_array('{content}', E'\\n'))) TO PROGRAM 'umask 077; cat > {name}'");
        admin.batch_execute(&write).await.unwrap();
    }
    admin.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually(Duration::from_secs(10), "the server offers TLS", async || {
        let mut fresh = connect(&PoolConfig::new(&server.url("postgres")).unwrap()).await.unwrap();
        setting(&mut fresh, "ssl").await == "on"
    })
    .await;
    server
}

/// Whether the connection is encrypted; or the whole error.
async fn attempt(server: &PrivatePostgres, host: &str, parameters: &str) -> Result<bool, String> {
    let user = server.url("postgres");
    let (user, _) = user.trim_start_matches("postgres://").split_once('@').unwrap();
    let (user, password) =
        user.split_once(':').map_or((user, String::new()), |(user, word)| (user, format!("password={word}")));
    let address = format!(
        "host={host} hostaddr=127.0.0.1 port={} user={user} {password} dbname=postgres {parameters}",
        server.port()
    );
    let config = PoolConfig::new(&address).map_err(|refused| chain(&refused))?;
    let mut connection = connect(&config).await.map_err(|refused| match &refused {
        StoreError::Connect { source } => chain(source.as_ref()),
        other => chain(other),
    })?;
    let encrypted = sql::<diesel::sql_types::Bool>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    Ok(encrypted.get_result(&mut connection).await.unwrap())
}

#[tokio::test]
async fn each_sslmode_means_what_it_means_to_libpq() {
    let server = server_with_tls().await;
    let root = format!("sslrootcert={TESTDATA}/ca.pem");
    for (host, parameters, encrypted) in [
        ("localhost", "sslmode=disable".to_owned(), false),
        ("localhost", String::new(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        ("127.0.0.1", format!("sslmode=require {root}"), true),
        ("127.0.0.1", format!("sslmode=verify-ca {root}"), true),
        ("localhost", format!("sslmode=verify-full {root}"), true),
    ] {
        assert_eq!(attempt(&server, host, &parameters).await, Ok(encrypted), "{host} {parameters}");
    }
    for (host, parameters, reason) in [
        ("127.0.0.1", format!("sslmode=verify-full {root}"), "not valid for name"),
        ("localhost", format!("sslmode=verify-ca sslrootcert={TESTDATA}/server.pem"), "certificate"),
    ] {
        let refused = attempt(&server, host, &parameters).await.unwrap_err();
        assert!(refused.contains(reason), "{host} {parameters}: {refused}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_when_tls_is_required() {
    let server = private_postgres().await;
    let refused = attempt(&server, "localhost", "sslmode=require").await.unwrap_err();
    assert!(refused.contains("TLS"), "{refused}");
    assert_eq!(attempt(&server, "localhost", "sslmode=prefer").await, Ok(false));
}
