//! Databases that are prepared once and copied for each test.

use std::fmt::Display;
use std::future::Future;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio_postgres::Client;
use url::Url;

use crate::shared_postgres::{connect, maintenance_url};

/// Names a prepared database by what it is made from: when that changes, another one is made.
#[derive(Debug, Clone)]
pub struct Template {
    database: String,
}

impl Template {
    /// A template keyed by the names and contents of all files under `folder`, as a folder of migrations.
    ///
    /// # Panics
    /// When the folder cannot be read.
    #[must_use]
    pub fn of_folder(name: &str, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        let mut files = files_under(folder);
        files.sort();
        assert!(!files.is_empty(), "{} holds no file to make a template from", folder.display());
        let mut hash = Sha256::new();
        for file in files {
            let content =
                std::fs::read(&file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
            let name = file.strip_prefix(folder).unwrap_or(&file).as_os_str().as_encoded_bytes();
            for part in [name, content.as_slice()] {
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
        }
        Self::keyed(name, &hex::encode(&hash.finalize()[..10]))
    }

    /// A template keyed by a text, as the SQL it is made with.
    #[must_use]
    pub fn of_text(name: &str, text: &str) -> Self {
        Self::keyed(name, &hex::encode(&Sha256::digest(text)[..10]))
    }

    fn keyed(name: &str, key: &str) -> Self {
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(24).collect();
        Self { database: format!("template_{}_{key}", name.to_lowercase()) }
    }

    /// The prepared database's name; `prepare` is called with its URL if it does not exist yet. Exactly one test
    /// process of all prepares, and one that is cut short leaves nothing that counts.
    pub(crate) async fn ensure<F, R, E>(&self, prepare: F) -> &str
    where
        F: FnOnce(String) -> R + Send + 'static,
        R: Future<Output = Result<(), E>>,
        E: Display,
    {
        let client = connect(maintenance_url().await).await.expect("the test Postgres answers");
        if self.exists(&client).await {
            return &self.database;
        }
        // Held by this session until it ends.
        client
            .execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", &[&self.database])
            .await
            .expect("waits for the lock");
        if !self.exists(&client).await {
            self.make(&client, prepare).await;
        }
        &self.database
    }

    async fn exists(&self, client: &Client) -> bool {
        let found = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&self.database]).await;
        found.expect("reads pg_database").is_some()
    }

    async fn make<F, R, E>(&self, client: &Client, prepare: F)
    where
        F: FnOnce(String) -> R + Send + 'static,
        R: Future<Output = Result<(), E>>,
        E: Display,
    {
        let draft = format!("{}_draft", self.database);
        client
            .batch_execute(&format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)"))
            .await
            .expect("drops an old draft");
        client.batch_execute(&format!("CREATE DATABASE {draft} TEMPLATE template0")).await.expect("creates the draft");
        let url = database_url(maintenance_url().await, &draft);
        let prepared = tokio::task::spawn_blocking(move || run_apart(prepare, url)).await;
        if let Err(text) = prepared.unwrap_or_else(|error| Err(error.to_string())) {
            panic!("preparing the template database {} failed: {text}", self.database);
        }
        // A database can only be copied while nobody is connected to it; nobody will be.
        let finish = [
            format!("ALTER DATABASE {draft} WITH ALLOW_CONNECTIONS false"),
            format!(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{draft}' AND pid <> pg_backend_pid()"
            ),
            format!("ALTER DATABASE {draft} RENAME TO {}", self.database),
        ];
        for statement in finish {
            client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
}

/// Runs `prepare` on a multi-threaded runtime of its own: migration harnesses call `block_in_place`, which a test's
/// single-threaded runtime forbids.
fn run_apart<F, R, E>(prepare: F, url: String) -> Result<(), String>
where
    F: FnOnce(String) -> R,
    R: Future<Output = Result<(), E>>,
    E: Display,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(prepare(url)).map_err(|error| error.to_string())
}

/// `server` with another database in it.
pub(crate) fn database_url(server: &str, database: &str) -> String {
    let mut url = Url::parse(server).unwrap_or_else(|error| panic!("the server's URL is no URL: {error}"));
    url.set_path(database);
    url.into()
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    entries
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { files_under(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_names_and_contents() {
        let dir = crate::scratch_dir("template-key");
        let key = || Template::of_folder("x", dir.path()).database;
        std::fs::create_dir(dir.path().join("one")).unwrap();
        std::fs::write(dir.path().join("one/up.sql"), "a").unwrap();
        let first = key();
        assert_eq!(first, key());
        std::fs::write(dir.path().join("one/up.sql"), "b").unwrap();
        let second = key();
        assert_ne!(first, second);
        std::fs::rename(dir.path().join("one"), dir.path().join("two")).unwrap();
        assert_ne!(second, key());
    }

    #[test]
    fn names_stay_within_what_postgres_takes() {
        let name = Template::of_text("A long name; with \"quotes\" and more than it should have", "x").database;
        assert!(
            name.len() + "_draft".len() < 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{name}"
        );
    }
}
