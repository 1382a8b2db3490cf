//! A ConfigMap volume as the kubelet keeps it (`pkg/volume/util/atomic_writer.go`), for the tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A mounted ConfigMap.
pub(crate) struct Volume {
    dir: TempDir,
    payloads: usize,
}

impl Volume {
    /// A volume holding these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let mut volume = Self { dir: tempfile::tempdir().unwrap(), payloads: 0 };
        volume.publish(files);
        volume
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The ConfigMap changed: exactly these files, in a new directory, to which `..data` is swapped.
    pub(crate) fn publish(&mut self, files: &[(&str, &str)]) {
        let old = self.write_and_swap(files);
        self.remove_stale_links(files);
        if let Some(old) = old {
            fs::remove_dir_all(old).unwrap();
        }
    }

    /// The steps up to the swap and the new links; answers the payload that is out of use.
    pub(crate) fn write_and_swap(&mut self, files: &[(&str, &str)]) -> Option<PathBuf> {
        let old = fs::read_link(self.path().join("..data")).ok().map(|target| self.path().join(target));
        self.payloads += 1;
        let payload = format!("..2026_11_22_10_00_{:02}.{}", self.payloads, 1_000_000 + self.payloads);
        fs::create_dir(self.path().join(&payload)).unwrap();
        for (name, text) in files {
            fs::write(self.path().join(&payload).join(name), text).unwrap();
        }
        symlink(&payload, self.path().join("..data_tmp")).unwrap();
        fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
        for (name, _) in files {
            let link = self.path().join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).unwrap();
            }
        }
        old
    }

    /// Links to files the ConfigMap no longer has go after the swap, so for a moment they lead nowhere.
    pub(crate) fn remove_stale_links(&self, files: &[(&str, &str)]) {
        for entry in fs::read_dir(self.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.starts_with("..") && files.iter().all(|(kept, _)| *kept != name) {
                fs::remove_file(self.path().join(name)).unwrap();
            }
        }
    }
}
