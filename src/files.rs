//! Opening files that an operator named: regular files only, and nothing through a dangling symbolic link.
//!
//! A pipe without a writer would block the start or a reload for ever, a device has no end, and `check` and SIGHUP read each
//! file again, which a pipe does not survive. A file or directory created through a dangling link would be in the wrong place
//! (on an unmounted volume, say).

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading, without blocking.
///
/// # Errors
/// The system's, also for a directory; or that it is a pipe, a device or a socket.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = flags(OFlags::NONBLOCK | OFlags::NOCTTY);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_dir() {
        Err(rustix::io::Errno::ISDIR.into())
    } else {
        Err(io::Error::other("it is a pipe or a device, and no regular file"))
    }
}

/// The content of a regular file, opened as [`open`] does.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As [`OpenOptionsExt::custom_flags`] takes them.
pub(crate) fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// The directory of a path; the working directory for a bare name.
pub(crate) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Rejects a path that is a dangling symbolic link, or lies below one.
pub(crate) fn reject_dangling_link(path: &Path) -> io::Result<()> {
    let dangling = |path: &&Path| path.is_symlink() && matches!(path.try_exists(), Ok(false));
    let Some(link) = path.ancestors().find(dangling) else { return Ok(()) };
    let (shown, target) = (link.display(), link.read_link()?);
    let reason = format!("{shown} is a symbolic link to {}, which is not there", target.display());
    Err(io::Error::new(io::ErrorKind::NotFound, format!("{reason}; mount its volume, or remove the link")))
}
