//! The audit file itself: opened, ended, narrowed, and compared with what is at its path. Does not write lines: `sink` does.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstatvfs};
use rustix::process::geteuid;

use crate::files;
use crate::line_writer::LineWriter;

/// The widest mode that an audit file may have.
pub(crate) const WIDEST_MODE: u32 = 0o640;

/// Opens the file for appending, and makes it (0600) when absent.
pub(super) fn open(path: &Path) -> io::Result<File> {
    files::reject_dangling_link(path)?;
    // Not waiting for the reader of a pipe, at the start or on SIGHUP: without one it is an error (ENXIO).
    let flags = files::flags(OFlags::NONBLOCK);
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    // A slow reader is waited for, as a slow disk is.
    fcntl_setfl(&file, fcntl_getfl(&file)? & !OFlags::NONBLOCK)?;
    Ok(file)
}

/// As [`open`], while the service runs: nothing that waits, as a pipe does for its reader.
pub(super) fn open_again(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("is no regular file; put one there, or send SIGHUP to use it as it is"));
    }
    open(path)
}

/// Lines at the end of the file, which is readable under this path. A file that cannot be read may end inside a line.
pub(super) fn lines_of(file: File, path: &Path) -> LineWriter<File> {
    let torn = match file.metadata() {
        Ok(found) if found.is_file() && found.len() > 0 => {
            let mut last = [0];
            let read = File::open(path).and_then(|file| file.read_exact_at(&mut last, found.len() - 1));
            read.is_err() || last != *b"\n"
        }
        _ => false,
    };
    LineWriter::new(file, torn)
}

/// Whether this is a regular file without a name: what is written to it is lost.
pub(super) fn is_deleted(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.nlink() == 0)
}

/// Whether the path is that of the open file. Only regular files are compared: a pipe without a name has its reader still.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let Ok(open) = file.metadata() else { return true };
    let is_same = |found: fs::Metadata| (found.dev(), found.ino()) == (open.dev(), open.ino());
    !open.is_file() || fs::metadata(path).is_ok_and(is_same)
}

/// The file's mode, when that is wider than [`WIDEST_MODE`].
pub(crate) fn wide_mode(file: &fs::Metadata) -> Option<u32> {
    let mode = file.permissions().mode() & 0o7777;
    (file.is_file() && mode & !WIDEST_MODE != 0).then_some(mode)
}

/// Removes what a file's mode gives beyond [`WIDEST_MODE`]. The warning, when it gave any.
pub(super) fn narrow(file: &File, path: &Path) -> Option<String> {
    let mode = wide_mode(&file.metadata().ok()?)?;
    let narrow = mode & WIDEST_MODE;
    let was = format!("{} was open to others (mode {mode:04o})", path.display());
    Some(match file.set_permissions(Permissions::from_mode(narrow)) {
        Ok(()) => format!("{was} and is now {narrow:04o}"),
        Err(error) => format!("{was} and stays so: {error}; make it {narrow:04o}"),
    })
}

/// Whether the file system of this regular file has no room for another block. Those that report no sizes have room.
pub(super) fn is_full(file: &File) -> bool {
    let is_file = file.metadata().is_ok_and(|found| found.is_file());
    is_file
        && fstatvfs(file).is_ok_and(|found| {
            let free = if geteuid().is_root() { found.f_bfree } else { found.f_bavail };
            found.f_blocks > 0 && free == 0
        })
}
