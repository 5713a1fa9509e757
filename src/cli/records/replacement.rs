//! A file that appears whole or not at all.
//!
//! It is written beside the place where it shall stand, synced, and renamed; whoever opens the path sees the old file or the
//! whole new one, also after a power cut. Given up, it leaves nothing behind; only a killed process does.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file on its way to its place. Readable to its owner alone (0600).
pub(super) struct Replacement {
    temporary: NamedTempFile,
    folder: PathBuf,
    path: PathBuf,
}

impl Replacement {
    /// Begins the file that shall stand at the path. A symbolic link is followed, so that it stays one.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let path = match path.symlink_metadata() {
            Ok(found) if found.is_symlink() => path.canonicalize()?,
            Ok(_) => path.to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        if path.exists() && !path.is_file() {
            return Err(io::Error::other("is not a regular file and is not replaced by one"));
        }
        let name = path.file_name().ok_or_else(|| io::Error::other("names no file"))?;
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{}.", name.to_string_lossy()))
            .suffix(".partial")
            .tempfile_in(&folder)?;
        Ok(Self { temporary, folder, path })
    }

    /// Puts the file in its place, durably.
    pub(super) fn finish(self) -> io::Result<()> {
        self.temporary.as_file().sync_all()?;
        self.temporary.persist(&self.path).map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn folder_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn the_old_file_stands_until_the_new_one_is_finished() {
        let (folder, path) = folder_with("old");
        let mut replacement = Replacement::begin(&path).unwrap();
        replacement.write_all(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        replacement.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn given_up_it_leaves_nothing_behind() {
        let (folder, path) = folder_with("old");
        let mut replacement = Replacement::begin(&path).unwrap();
        replacement.write_all(b"new").unwrap();
        drop(replacement);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let (folder, path) = folder_with("old");
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        let mut replacement = Replacement::begin(&link).unwrap();
        replacement.write_all(b"new").unwrap();
        replacement.finish().unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_folder_or_device_is_not_replaced() {
        let (folder, _) = folder_with("old");
        assert!(Replacement::begin(folder.path()).is_err());
        assert!(Replacement::begin(Path::new("/dev/null")).is_err());
        assert!(Replacement::begin(&folder.path().join("no/such/folder")).is_err());
    }
}
