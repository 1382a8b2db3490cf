//! The database of a stack: one of the shared server, or a server of its own that the test may crash.

use onering_store::PoolConfig;
use onering_testkit::{PrivatePostgres, Template, TestDatabase, postgres_from, private_postgres};
use tokio_postgres::{Client, NoTls};

/// Where the migrations are.
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");

/// A migrated database.
#[derive(Debug)]
pub struct StackDatabase {
    place: Place,
    url: String,
}

#[derive(Debug)]
enum Place {
    /// Its end drops the database.
    Shared {
        _database: TestDatabase,
    },
    Private(Box<PrivatePostgres>),
}

impl StackDatabase {
    /// A database of the server that all tests share.
    pub(crate) async fn shared() -> Self {
        let template = Template::of_folder("onering", MIGRATIONS);
        let database = postgres_from(&template, |url| async move { migrate(&url).await }).await;
        Self { url: database.url().to_owned(), place: Place::Shared { _database: database } }
    }

    /// A database on a server of its own.
    pub(crate) async fn private() -> Self {
        let server = private_postgres().await;
        let url = server.url("postgres");
        migrate(&url).await.unwrap_or_else(|error| panic!("the migrations fail: {error}"));
        Self { place: Place::Private(Box::new(server)), url }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A plain connection, for looking at rows.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn connect(&self) -> Client {
        let connected = tokio_postgres::connect(&self.url, NoTls).await;
        let (client, connection) = connected.unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.url));
        // It ends with the client.
        tokio::spawn(async move { connection.await.ok() });
        client
    }

    /// The server, to be crashed and brought back on the same port.
    ///
    /// # Panics
    /// When the stack was not started with a Postgres of its own.
    pub fn server(&mut self) -> &mut PrivatePostgres {
        match &mut self.place {
            Place::Private(server) => server,
            Place::Shared { .. } => {
                panic!("the shared Postgres is not this test's to crash: set StackOptions::private_postgres")
            }
        }
    }
}

async fn migrate(url: &str) -> Result<(), onering_store::StoreError> {
    onering_store::migrate::migrate(&PoolConfig::new(url)?).await.map(|_| ())
}
