//! Reading a file that an operator named: regular files only.
//!
//! A pipe without a writer would hold the start or a reload up for ever, and a device has no end. Each of these files is read
//! more than once, by `check` and on SIGHUP, which a pipe does not survive either.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading, without waiting.
///
/// # Errors
/// The system's own, also for a directory; or that it is a pipe, a device or a socket.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY)).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_dir() {
        Err(rustix::io::Errno::ISDIR.into())
    } else {
        Err(io::Error::other("it is a pipe or a device, and no regular file"))
    }
}

/// The whole of a regular file.
///
/// # Errors
/// As [`open`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As [`OpenOptionsExt::custom_flags`] takes them.
pub(crate) fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}
