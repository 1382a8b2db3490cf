//! The stack's own secrets.

use std::fs;
use std::io::ErrorKind;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onering_clock::Clock;
use serde::{Deserialize, Serialize};

use super::folder::RunFolder;

/// Made at the first start and kept, so that sealed rows stay readable.
#[derive(Serialize, Deserialize)]
pub(crate) struct StackSecrets {
    /// Value of ONERING_SECRETS_KEYS.
    pub(crate) secrets_keys: String,
}

impl StackSecrets {
    /// Those of an earlier start, or new ones.
    pub(crate) fn load_or_make(folder: &RunFolder, clock: &Clock) -> anyhow::Result<Self> {
        let path = folder.secrets();
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged; restore it, or remove .run/ to start anew", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = Self { secrets_keys: format!("dev1:{}", STANDARD.encode(clock.entropy32())) };
                RunFolder::write_private(&path, &serde_json::to_string(&made)?)?;
                Ok(made)
            }
            // Never made anew because of a passing trouble: what is sealed with the old ones would be lost.
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_at(directory.path().join(".run")).unwrap();
        let clock = Clock::system();
        let first = StackSecrets::load_or_make(&folder, &clock).unwrap();
        assert_eq!(StackSecrets::load_or_make(&folder, &clock).unwrap().secrets_keys, first.secrets_keys);
        fs::write(folder.secrets(), "{").unwrap();
        let error = StackSecrets::load_or_make(&folder, &clock).err().unwrap().to_string();
        assert!(error.contains("secrets.json is damaged"), "{error}");
    }
}
