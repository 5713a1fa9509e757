//! Where audit lines go: a file or standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where audit lines go. Shared by all workers.
#[derive(Debug)]
pub struct AuditLog {
    path: Option<PathBuf>,
    sink: Mutex<Sink>,
}

#[derive(Debug)]
enum Sink {
    Stdout,
    File {
        file: File,
        /// The last write stopped inside a line; the next one begins with a newline.
        torn: bool,
    },
}

/// A newly opened audit file that is not in use yet.
#[derive(Debug)]
pub struct Reopened(Sink);

impl AuditLog {
    /// An audit log on standard output.
    pub fn to_stdout() -> Self {
        Self { path: None, sink: Mutex::new(Sink::Stdout) }
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

    /// Writes whole lines, line feeds included: how many bytes got out, and why not all of them. A part of a line that
    /// did get out is closed off before the next one.
    pub(super) fn write(&self, lines: &[u8]) -> (usize, Option<io::Error>) {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).write(lines)
    }
}

impl Sink {
    fn write(&mut self, lines: &[u8]) -> (usize, Option<io::Error>) {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                match stdout.write_all(lines).and_then(|()| stdout.flush()) {
                    Ok(()) => (lines.len(), None),
                    Err(error) => (0, Some(error)),
                }
            }
            Self::File { file, torn } => {
                if *torn {
                    if let Err(error) = file.write_all(b"\n") {
                        return (0, Some(error));
                    }
                    *torn = false;
                }
                let mut written = 0;
                while written < lines.len() {
                    match file.write(&lines[written..]) {
                        Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                        Ok(more) => {
                            written += more;
                            *torn = lines[written - 1] != b'\n';
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return (written, Some(error)),
                    }
                }
                (written, None)
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Sink> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok(Sink::File { file, torn: false })
}
