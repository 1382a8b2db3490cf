//! A directory of switches as the kubelet keeps a mounted ConfigMap: files in a timestamped directory, a link `..data` to
//! it, and links to `..data/<name>` beside that. An update writes another directory and swaps the one link.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use onering_clock::Clock;

/// A mounted ConfigMap.
#[derive(Debug)]
pub struct ConfigMapVolume {
    directory: PathBuf,
    files: Vec<(String, String)>,
    versions: u32,
}

impl ConfigMapVolume {
    /// Turns a directory of plain files into a volume with the same content.
    ///
    /// # Panics
    /// When the directory cannot be read or written.
    #[must_use]
    pub fn over(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names = names.filter(|name| !name.starts_with('.'));
        let files: Vec<(String, String)> =
            names.map(|name| (name.clone(), fs::read_to_string(directory.join(&name)).unwrap())).collect();
        let mut volume = Self { directory, files, versions: 0 };
        volume.swap();
        for (name, _) in &volume.files {
            // Each file becomes a link in one step, so that no reader ever finds it missing.
            let link = volume.directory.join(format!("..{name}.link"));
            symlink(Path::new("..data").join(name), &link).unwrap();
            fs::rename(&link, volume.directory.join(name)).unwrap();
        }
        volume
    }

    /// The ConfigMap was changed: this file holds this now.
    ///
    /// # Panics
    /// When it has no such file, or the directory cannot be written.
    pub fn update(&mut self, name: &str, value: &str) {
        let file = self.files.iter_mut().find(|(found, _)| found == name);
        value.clone_into(&mut file.unwrap_or_else(|| panic!("the volume has no {name}")).1);
        self.swap();
    }

    /// Writes another directory, moves `..data` to it in one step, removes the one before.
    fn swap(&mut self) {
        let data = self.directory.join("..data");
        let before = fs::read_link(&data).ok().map(|target| self.directory.join(target));
        self.versions += 1;
        let stamp = Clock::system().now().format("%Y_%m_%d_%H_%M_%S");
        let payload = format!("..{stamp}.{:09}", self.versions);
        fs::create_dir(self.directory.join(&payload)).unwrap();
        for (name, value) in &self.files {
            fs::write(self.directory.join(&payload).join(name), value).unwrap();
        }
        let fresh = self.directory.join("..data_tmp");
        symlink(&payload, &fresh).unwrap();
        fs::rename(&fresh, &data).unwrap();
        if let Some(before) = before {
            fs::remove_dir_all(before).unwrap();
        }
    }
}
