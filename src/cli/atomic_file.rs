//! A file that appears whole or not at all, also after a power cut.
//!
//! It has no name (O_TMPFILE) before it is synced, so that an end by any signal leaves nothing. Where the file system has no
//! unnamed files (NFS, FUSE), the next run removes what a killed process left. A symbolic link is followed only to a file of
//! the same directory, because another user who may write there could have planted it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, linkat};
use tempfile::{NamedTempFile, TempPath};

use crate::files::{directory, flags};

const SUFFIX: &str = ".partial";

/// An unfinished file, readable to its owner alone (0600).
pub(super) struct Replacement {
    pub file: File,
    /// Where the file system has no unnamed files.
    temporary: Option<TempPath>,
    path: PathBuf,
}

impl Replacement {
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        Self::begin_with(path, unnamed)
    }

    fn begin_with(path: &Path, unnamed: impl FnOnce(&Path) -> Option<File>) -> io::Result<Self> {
        let path = followed(path)?;
        if path.exists() && !path.is_file() {
            return Err(io::Error::other(
                "is not a regular file and is not replaced by one; - is standard output",
            ));
        }
        remove_leftovers(&path)?;
        let (file, temporary) = match unnamed(directory(&path)) {
            Some(file) => (file, None),
            None => {
                let named = temporarily_named(&path, |temporary| {
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)
                })?;
                let (file, temporary) = named.into_parts();
                (file, Some(temporary))
            }
        };
        // Shows other processes that a temporary name is no leftover.
        file.try_lock()?;
        Ok(Self { file, temporary, path })
    }

    /// Puts the file in its place, durably.
    pub(super) fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        let temporary = match self.temporary {
            Some(temporary) => temporary,
            None => temporarily_named(&self.path, |temporary| {
                Ok(linkat(CWD, descriptor(&self.file), CWD, temporary, AtFlags::SYMLINK_FOLLOW)?)
            })?
            .into_temp_path(),
        };
        temporary.persist(&self.path).map_err(|error| error.error)?;
        File::open(directory(&self.path))?.sync_all()
    }
}

/// The path itself, or the file of the same directory that it links to.
fn followed(path: &Path) -> io::Result<PathBuf> {
    if !path.is_symlink() {
        return Ok(path.to_owned());
    }
    match path.canonicalize() {
        Ok(file) if directory(&file) == directory(path).canonicalize()? => Ok(file),
        _ => Err(io::Error::other(format!(
            "is a symbolic link to {}, which is no file of the same directory, and is not followed: name the file itself; \
             - is standard output",
            path.read_link()?.display()
        ))),
    }
}

/// The beginning of a temporary name for this file.
fn prefix(path: &Path) -> io::Result<String> {
    let name = path.file_name().ok_or_else(|| io::Error::other("names no file"))?;
    Ok(format!(".{}.", name.display()))
}

/// A file under a temporary name for this one, made by `make`.
fn temporarily_named<T>(
    path: &Path,
    make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<NamedTempFile<T>> {
    tempfile::Builder::new().prefix(&prefix(path)?).suffix(SUFFIX).make_in(directory(path), make)
}

/// A file without a name; `None` where the file system has none, or could not name it later.
fn unnamed(directory: &Path) -> Option<File> {
    let tmpfile = flags(OFlags::TMPFILE);
    let file = OpenOptions::new().write(true).mode(0o600).custom_flags(tmpfile).open(directory).ok()?;
    descriptor(&file).exists().then_some(file)
}

/// The path by which an open file can be given a name (open(2)).
fn descriptor(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Removes the temporary files for this name that no process has locked.
fn remove_leftovers(path: &Path) -> io::Result<()> {
    let prefix = prefix(path)?;
    for entry in directory(path).read_dir()? {
        let entry = entry?;
        let found = entry.file_name();
        let is_ours =
            found.to_string_lossy().strip_prefix(&prefix).is_some_and(|rest| rest.ends_with(SUFFIX));
        if is_ours
            && entry.file_type()?.is_file()
            && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn directory_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, text).unwrap();
        (directory, path)
    }

    #[test]
    fn the_old_file_stands_until_the_new_one_is_finished() {
        let (directory, path) = directory_with("old");
        let mut replacement = Replacement::begin(&path).unwrap();
        replacement.file.write_all(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        replacement.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn given_up_it_leaves_nothing_behind() {
        let (directory, path) = directory_with("old");
        let mut replacement = Replacement::begin(&path).unwrap();
        replacement.file.write_all(b"new").unwrap();
        drop(replacement);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn file_system_without_unnamed_files_gets_a_temporary_name() {
        let (directory, path) = directory_with("old");
        let begin = || Replacement::begin_with(&path, |_| None).unwrap();
        let mut replacement = begin();
        replacement.file.write_all(b"new").unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 2);
        // Another run leaves it alone while it is written.
        drop(begin());
        assert_eq!(directory.path().read_dir().unwrap().count(), 2);
        replacement.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        // What a killed process left is removed by the next run, whatever else has a name like it is not.
        for name in [".file.x1.partial", ".file.partial", ".other.x1.partial"] {
            std::fs::write(directory.path().join(name), "half").unwrap();
        }
        symlink(&path, directory.path().join(".file.x2.partial")).unwrap();
        drop(begin());
        assert!(!directory.path().join(".file.x1.partial").exists());
        assert_eq!(directory.path().read_dir().unwrap().count(), 4);
    }

    #[test]
    fn a_link_stays_a_link() {
        let (directory, path) = directory_with("old");
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        let mut replacement = Replacement::begin(&link).unwrap();
        replacement.file.write_all(b"new").unwrap();
        replacement.finish().unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_directory_or_device_is_not_replaced() {
        let (directory, _) = directory_with("old");
        assert!(Replacement::begin(directory.path()).is_err());
        assert!(Replacement::begin(Path::new("/dev/null")).is_err());
        assert!(Replacement::begin(&directory.path().join("no/such/directory")).is_err());
    }
}
