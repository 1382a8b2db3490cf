//! [`Forwarder`]: the route table in force, and the file it follows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use onering_service_kit::{Tasks, error_chain};
use onering_telemetry::field;
use tokio_util::sync::CancellationToken;

use super::route_table::{RouteTable, RouteTableError};

/// How often the file is compared with the table in force. By its content, because a mounted ConfigMap changes without
/// any of its files being written.
const COMPARE_EVERY: Duration = Duration::from_millis(500);

/// Where calls are passed on to.
pub(crate) struct Forwarder {
    table: ArcSwap<Loaded>,
    is_outdated: AtomicBool,
}

/// Why there is no route table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The file cannot be read.
    #[error("the route table {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What is in it is wrong.
    #[error("the route table {} is not used", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: RouteTableError,
    },
}

/// A table and the content it was made of.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    text: String,
    /// The table.
    pub(crate) table: RouteTable,
}

impl Forwarder {
    /// A forwarder by the table in `file`, or one that passes nothing on.
    ///
    /// # Errors
    /// When the file cannot be read or is wrong: at the start there is no earlier table to go on with.
    pub(crate) async fn start(file: Option<&Path>, tasks: &Tasks) -> Result<Arc<Self>, LoadError> {
        let forwarder = Arc::new(Self { table: ArcSwap::default(), is_outdated: AtomicBool::new(false) });
        if let Some(path) = file {
            forwarder.take_over(load(path).await?);
            let (followed, path) = (Arc::clone(&forwarder), path.to_owned());
            tasks.spawn("route_table", move |stop| {
                let (forwarder, path) = (Arc::clone(&followed), path.clone());
                async move { forwarder.follow(&path, &stop).await }
            });
        }
        Ok(forwarder)
    }

    /// The table in force.
    pub(crate) fn in_force(&self) -> Arc<Loaded> {
        self.table.load_full()
    }

    /// Whether the file cannot be used at the moment, so that an earlier table is in force.
    pub(crate) fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Relaxed)
    }

    /// Takes over what the file says whenever it changes; what cannot be used leaves the table as it was.
    async fn follow(&self, path: &Path, stop: &CancellationToken) {
        let mut last_failure = None;
        while tokio::time::timeout(COMPARE_EVERY, stop.cancelled()).await.is_err() {
            let failure = match load(path).await {
                Ok(loaded) => {
                    self.take_over(loaded);
                    None
                }
                Err(error) => Some(error_chain(&error)),
            };
            self.is_outdated.store(failure.is_some(), Ordering::Relaxed);
            // Said once for each new failure, not at every look.
            if let Some(failure) = failure.as_ref().filter(|failure| last_failure.as_ref() != Some(*failure)) {
                tracing::error!({ field::ERROR } = failure, "the last good route table stays in force");
            }
            last_failure = failure;
        }
    }

    fn take_over(&self, loaded: Loaded) {
        if self.table.load().text != loaded.text {
            tracing::info!(routes = loaded.table.len(), "route table read");
            self.table.store(Arc::new(loaded));
        }
    }
}

async fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
    let table = RouteTable::parse(&text).map_err(|source| LoadError::Wrong { path: path.to_owned(), source })?;
    Ok(Loaded { text, table })
}
