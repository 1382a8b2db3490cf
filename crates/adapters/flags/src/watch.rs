//! Keeping up with the directory: a watch for speed, a poll for certainty.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::directory::Directory;
use crate::handle::Shared;

/// How the directory is followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How often its content is compared. With the time to read, this alone has to hold the promise of a second.
    pub(crate) poll: Duration,
    /// Whether it is watched as well.
    pub(crate) watch: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { poll: Duration::from_millis(500), watch: true }
    }
}

/// After each look nothing is looked at for so long: a busy directory must not keep a processor busy.
const REST: Duration = Duration::from_millis(20);

/// Takes a first reading, and goes on in a task of its own until the handle is gone.
pub(crate) async fn keep_up(directory: Directory, shared: &Arc<Shared>, pace: Pace) {
    let changed = Arc::new(Notify::new());
    let watch = pace.watch.then(|| DirectoryWatch::new(directory.path().to_owned(), Arc::clone(&changed)));
    let shared = Arc::downgrade(shared);
    // The watch stands before the first reading: no change falls between the two.
    let Some(mut follower) = (Follower { directory, watch }).look(&shared).await else { return };
    tokio::spawn(async move {
        loop {
            let _ = timeout(pace.poll, changed.notified()).await;
            match follower.look(&shared).await {
                Some(next) => follower = next,
                None => return,
            }
            sleep(REST).await;
        }
    });
}

struct Follower {
    directory: Directory,
    watch: Option<DirectoryWatch>,
}

impl Follower {
    /// One look, on a thread that may block. `None` when nobody wants to know any more.
    async fn look(mut self, shared: &Weak<Shared>) -> Option<Self> {
        let looked = spawn_blocking(move || {
            if let Some(watch) = &mut self.watch {
                watch.renew();
            }
            let reading = self.directory.read();
            (self, reading)
        });
        let (follower, reading) = looked.await.ok()?;
        shared.upgrade()?.take_reading(reading);
        Some(follower)
    }
}

/// A watch on a directory that may be removed and made again.
struct DirectoryWatch {
    path: PathBuf,
    changed: Arc<Notify>,
    /// The watch, and which directory it is on: a path may come to mean another one.
    watcher: Option<(RecommendedWatcher, Identity)>,
    /// Said once, not at every look.
    complained: bool,
}

type Identity = (u64, u64);

impl DirectoryWatch {
    fn new(path: PathBuf, changed: Arc<Notify>) -> Self {
        Self { path, changed, watcher: None, complained: false }
    }

    /// Watches the directory the path means now, unless it is being watched.
    fn renew(&mut self) {
        let identity = identity(&self.path);
        if identity.is_some() && self.watcher.as_ref().map(|(_, watched)| *watched) == identity {
            return;
        }
        self.watcher = None;
        let Some(identity) = identity else { return };
        match self.begin() {
            Ok(watcher) => self.watcher = Some((watcher, identity)),
            Err(error) if !self.complained => {
                self.complained = true;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the flags directory cannot be watched; it is polled");
            }
            Err(_) => {}
        }
    }

    fn begin(&self) -> notify::Result<RecommendedWatcher> {
        let changed = Arc::clone(&self.changed);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error may stand for events that were lost.
            if event.map_or(true, |event| is_change(event.kind)) {
                changed.notify_one();
            }
        })?;
        watcher.watch(&self.path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }
}

/// Whether an event can mean another content. Opening and reading cannot, and reading is what follows an event.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_watch_moves_to_the_directory_the_path_means_now() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("flags");
        let changed = Arc::new(Notify::new());
        let mut watch = DirectoryWatch::new(path.clone(), Arc::clone(&changed));
        watch.renew();
        assert!(watch.watcher.is_none(), "there is nothing to watch yet");
        for n in 0..3 {
            fs::create_dir(&path).unwrap();
            watch.renew();
            assert_eq!(watch.watcher.as_ref().map(|(_, watched)| *watched), identity(&path));
            fs::write(path.join("file"), "1").unwrap();
            timeout(Duration::from_secs(20), changed.notified()).await.unwrap();
            fs::rename(&path, parent.path().join(n.to_string())).unwrap();
        }
    }

    #[test]
    fn reading_is_no_change() {
        for access in [AccessKind::Read, AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)] {
            assert!(!is_change(EventKind::Access(access)), "{access:?}");
        }
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is_change(EventKind::Any));
    }
}
