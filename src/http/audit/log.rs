//! Where audit lines go: a file or standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::links::refuse_dangling_link;
use crate::regular_file;

/// Where audit lines go. Shared by all workers.
#[derive(Debug)]
pub struct AuditLog {
    path: Option<PathBuf>,
    sink: Mutex<Sink>,
}

#[derive(Debug)]
struct Sink {
    file: File,
    /// The last write stopped inside a line; the next one begins with a newline.
    torn: bool,
}

/// A newly opened audit file that is not in use yet.
#[derive(Debug)]
pub struct Reopened(Sink);

impl AuditLog {
    /// An audit log on standard output. Not by way of `std::io::stdout`, which keeps what it could not write and takes
    /// a closed descriptor for one that takes everything.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn to_stdout() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { path: None, sink: Mutex::new(Sink { file, torn: false }) })
    }

    /// An audit log at the end of this file, which is made (0600) when absent.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        Ok(Self { path: Some(path.to_owned()), sink: Mutex::new(open(path)?) })
    }

    /// Opens the file anew, as after a rotation, without using it yet. Nothing to do for standard output.
    pub fn reopen(&self) -> io::Result<Option<Reopened>> {
        self.path.as_deref().map(open).transpose().map(|sink| sink.map(Reopened))
    }

    /// Writes to the newly opened file from now on.
    pub fn switch_to(&self, reopened: Reopened) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = reopened.0;
    }

    /// Writes one line at once, for whoever cannot wait.
    ///
    /// # Errors
    /// When the line is not wholly written.
    pub(in crate::http) fn write_alone(&self, line: &[u8]) -> io::Result<()> {
        self.write(line).1.map_or(Ok(()), Err)
    }

    /// Writes whole lines, line feeds included: how many bytes got out, and why not all of them. A part of a line that
    /// did get out is closed off before the next one.
    pub(super) fn write(&self, lines: &[u8]) -> (usize, Option<io::Error>) {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).write(lines)
    }
}

impl Sink {
    fn write(&mut self, lines: &[u8]) -> (usize, Option<io::Error>) {
        if self.torn {
            if let Err(error) = self.file.write_all(b"\n") {
                return (0, Some(error));
            }
            self.torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            match self.file.write(&lines[written..]) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(more) => {
                    written += more;
                    self.torn = lines[written - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }
}

fn open(path: &Path) -> io::Result<Sink> {
    refuse_dangling_link(path)?;
    // Not waiting for the reader of a pipe, at the start or on SIGHUP: without one it is an error (ENXIO).
    let flags = regular_file::flags(OFlags::NONBLOCK);
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    // A slow reader is waited for, as a slow disk is.
    fcntl_setfl(&file, fcntl_getfl(&file)? & !OFlags::NONBLOCK)?;
    Ok(Sink { file, torn: false })
}
