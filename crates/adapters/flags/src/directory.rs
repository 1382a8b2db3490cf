//! [`Directory`]: reading the switch files, without believing that they are there, whole or sensible.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use onering_rollout::{SourceValues, Switch, SwitchError};

/// No value needs more. A larger file is something else put there by mistake.
const LARGEST_FILE_BYTES: u64 = 4096;

/// The link a kubelet swaps; plain directories have none.
const DATA_LINK: &str = "..data";

/// How often a reading that was overtaken by a swap is begun anew; the next change or poll follows anyway.
const READINGS: usize = 3;

/// Why a source of switches could not be read. The values before it stay in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadFailure {
    /// The directory itself.
    #[error("the flags directory {} cannot be read", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file of one switch.
    #[error("the file of {switch} cannot be used")]
    File {
        /// Which switch.
        switch: Switch,
        /// Why.
        #[source]
        source: Unreadable,
    },
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The system refused it, or it is a link to nothing.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is a directory, a pipe or the like.
    #[error("it is not a file")]
    Kind,
    /// It is too large to be a switch.
    #[error("it is larger than {LARGEST_FILE_BYTES} bytes")]
    Size,
    /// It is not UTF-8.
    #[error("it is not text")]
    Text,
    /// Its text is no value for the switch.
    #[error(transparent)]
    Value(SwitchError),
}

/// What one look at the directory found.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What the files say, with last good values where they could not be read.
    pub(crate) values: SourceValues,
    /// When the newest of the files that now say something else was written.
    pub(crate) changed_at: Option<DateTime<Utc>>,
    /// What could not be read.
    pub(crate) failures: Vec<ReloadFailure>,
}

/// A directory of switch files and what was last read from it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// The last good values.
    values: SourceValues,
    /// Switches that were read once, be it as absent: they have a last good value.
    known: Vec<Switch>,
}

/// For each switch what its file holds, `None` when it has none.
type FileContents = [(Switch, Result<Option<Content>, Unreadable>); Switch::ALL.len()];

/// What one file holds.
struct Content {
    text: String,
    written_at: Option<DateTime<Utc>>,
}

impl Directory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, values: SourceValues::default(), known: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at every file. Blocks on the file system.
    pub(crate) fn read(&mut self) -> Reading {
        let before = self.values.clone();
        let mut failures = Vec::new();
        let mut changed_at = None;
        match self.read_files() {
            Ok((directory_written_at, files)) => {
                for (switch, content) in files {
                    let written_at = match &content {
                        Ok(Some(content)) => content.written_at,
                        Ok(None) | Err(_) => directory_written_at,
                    };
                    if let Err(source) = self.take(switch, content) {
                        failures.push(ReloadFailure::File { switch, source });
                    }
                    if self.values.get(switch) != before.get(switch) {
                        changed_at = changed_at.max(written_at);
                    }
                }
            }
            Err(source) => {
                Switch::ALL.into_iter().for_each(|switch| self.close_if_unknown(switch));
                failures.push(ReloadFailure::Directory { path: self.path.clone(), source });
            }
        }
        Reading { values: self.values.clone(), changed_at, failures }
    }

    /// The content of every file, as of one moment: between two swaps of the kubelet.
    fn read_files(&self) -> io::Result<(Option<DateTime<Utc>>, FileContents)> {
        let mut reading = 1;
        loop {
            let target = fs::read_link(self.path.join(DATA_LINK)).ok();
            // Opening the directory tells a missing directory from one without files.
            let _listable = fs::read_dir(&self.path)?;
            let written_at = written_at(&fs::metadata(&self.path)?);
            let files = Switch::ALL.map(|switch| (switch, read_file(&self.path.join(switch.name()))));
            if reading == READINGS || fs::read_link(self.path.join(DATA_LINK)).ok() == target {
                return Ok((written_at, files));
            }
            reading += 1;
        }
    }

    fn take(&mut self, switch: Switch, content: Result<Option<Content>, Unreadable>) -> Result<(), Unreadable> {
        let taken = match content {
            Ok(Some(content)) => self.values.set(switch, &content.text).map_err(Unreadable::Value),
            Ok(None) => {
                self.values.unset(switch);
                Ok(())
            }
            Err(unreadable) => Err(unreadable),
        };
        match taken {
            Ok(()) if !self.known.contains(&switch) => self.known.push(switch),
            Ok(()) => {}
            Err(_) => self.close_if_unknown(switch),
        }
        taken
    }

    /// A switch whose file never could be read may have been meant to be closed: it is, until it can be read.
    fn close_if_unknown(&mut self, switch: Switch) {
        if self.known.contains(&switch) {
            return;
        }
        let narrowest = match switch {
            Switch::CanaryOnly => "1",
            // Another draw is no narrower one; the default will do.
            Switch::CohortSalt => return,
            _ => "0",
        };
        // The narrowest text is one of the switch's values.
        let _set = self.values.set(switch, narrowest);
    }
}

/// The text of a file; `None` when there is none.
fn read_file(path: &Path) -> Result<Option<Content>, Unreadable> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // A link that leads nowhere is there, and is not what anybody meant: a volume half mounted, or a swap that
        // has not removed it yet. Only a name that is gone has been removed.
        Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Before opening: opening a pipe would wait for a writer.
    if !metadata.is_file() {
        return Err(Unreadable::Kind);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE_BYTES {
        return Err(Unreadable::Size);
    }
    let text = String::from_utf8(bytes).map_err(|_| Unreadable::Text)?;
    Ok(Some(Content { text, written_at: written_at(&metadata) }))
}

/// When a file came to be as it is: written, or moved to its place.
fn written_at(metadata: &Metadata) -> Option<DateTime<Utc>> {
    let written = DateTime::from_timestamp(metadata.mtime(), u32::try_from(metadata.mtime_nsec()).ok()?);
    let moved = DateTime::from_timestamp(metadata.ctime(), u32::try_from(metadata.ctime_nsec()).ok()?);
    written.max(moved)
}

#[cfg(test)]
mod tests;
