//! Where audit lines go: a file or standard output; and whether it takes them.
//!
//! A file that loses its name while it is written to (deleted, or replaced by another) is opened again before the line's
//! call is answered, so no answered call is without its line. One that was only renamed, as for a rotation, takes lines until
//! SIGHUP, or until the second check finds it renamed still. A thread checks the sink every second; after a write that failed
//! it tries a line feed, so that the sink is known to work again without a call that would be answered 503.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::file;
use crate::critical_tasks::CriticalTasks;
use crate::line_writer::LineWriter;

/// Between two checks.
const EVERY: Duration = Duration::from_secs(1);
/// A check that takes longer than this is held up by a write that does not end.
const STUCK: Duration = Duration::from_secs(5);
/// The standard output of this process, to be read.
const STDOUT: &str = "/proc/self/fd/1";

/// Where audit lines go. Shared by all workers.
#[derive(Debug)]
pub struct AuditLog {
    path: Option<PathBuf>,
    sink: Mutex<Sink>,
    health: Mutex<Health>,
}

#[derive(Debug)]
struct Sink {
    lines: LineWriter<File>,
    /// The last write failed.
    failed: bool,
    /// The last check found the file renamed.
    renamed: bool,
    /// The last warning, not to be repeated each second.
    warned: Option<String>,
}

/// What is known without waiting for the sink.
#[derive(Debug, Default)]
struct Health {
    /// Why no line can be written.
    error: Option<String>,
    /// When the last check ended.
    checked: Option<Instant>,
}

impl AuditLog {
    /// An audit log on standard output. Not by way of `std::io::stdout`, which keeps what it could not write and takes
    /// a closed descriptor for one that takes everything.
    pub fn to_stdout() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { path: None, sink: Mutex::new(Sink::new(file, STDOUT.as_ref())), health: Mutex::default() })
    }

    /// An audit log at the end of this file, which is made (0600) when absent.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let mut sink = Sink::new(file::open(path)?, path);
        sink.narrow(path);
        Ok(Self { path: Some(path.to_owned()), sink: Mutex::new(sink), health: Mutex::default() })
    }

    /// Opens the file again, as after a rotation, without using it yet. Nothing to do for standard output.
    pub(crate) fn reopen(&self) -> io::Result<Option<File>> {
        self.path.as_deref().map(file::open).transpose()
    }

    /// Writes to the newly opened file from now on.
    pub(crate) fn switch_to(&self, reopened: File) {
        if let Some(path) = &self.path {
            // Locked first: until then the file may be written to, and torn, under its old descriptor.
            let mut sink = self.sink();
            *sink = Sink::new(reopened, path);
            sink.narrow(path);
            self.note(None);
        }
    }

    /// Writes lines at once, for a caller that cannot wait; an error when they are not wholly written.
    pub(crate) fn write_alone(&self, lines: &[u8]) -> io::Result<()> {
        self.write(lines).1.map_or(Ok(()), Err)
    }

    /// Makes the lines durable that were written, where they go to a file.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let sink = self.sink();
        let file = sink.lines.output();
        if file.metadata()?.is_file() { file.sync_data() } else { Ok(()) }
    }

    /// Writes whole lines, line feeds included: how many bytes got out, and why not all of them. A part of a line that
    /// did get out is closed off before the next one.
    pub(super) fn write(&self, lines: &[u8]) -> (usize, Option<io::Error>) {
        let mut sink = self.sink();
        let (mut written, mut error) = sink.lines.write(lines);
        if let Some(path) = &self.path
            && file::is_deleted(sink.lines.output())
        {
            (written, error) = match sink.open_again(path) {
                Ok(()) => sink.lines.write(lines),
                Err(error) => (0, Some(error)),
            };
        }
        if error.is_some() || sink.failed {
            sink.failed = error.is_some();
            self.note(error.as_ref().map(ToString::to_string));
        }
        (written, error)
    }

    /// Whether lines can be written, as far as is known, or why not.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let health = self.health();
        match (&health.error, health.checked) {
            (Some(error), _) => Err(format!("audit lines cannot be written: {error}")),
            (None, Some(checked)) if checked.elapsed() > STUCK => {
                Err(format!("audit lines cannot be written: a write has not ended for {STUCK:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Starts the thread that checks the sink, a critical one. It ends when this log is dropped.
    pub(crate) fn watch(self: &Arc<Self>, essential: &CriticalTasks) -> io::Result<()> {
        let guard = essential.guard("the thread that watches the audit file");
        let watched = Arc::downgrade(self);
        thread::Builder::new().name("audit".to_owned()).spawn(move || {
            let _guard = guard;
            while let Some(log) = watched.upgrade() {
                log.check();
                drop(log);
                thread::sleep(EVERY);
            }
        })?;
        Ok(())
    }

    fn check(&self) {
        let mut sink = self.sink();
        let mut error = self.path.as_deref().and_then(|path| sink.follow(path).err());
        if sink.failed && error.is_none() {
            error = sink.lines.end_line().err();
        }
        sink.failed = error.is_some();
        let is_full = self.path.is_some() && file::is_full(sink.lines.output());
        let full = || is_full.then(|| "its file system is full".to_owned());
        self.note(error.map(|error| error.to_string()).or_else(full));
        self.health().checked = Some(Instant::now());
    }

    /// Keeps why no line can be written, and logs a change of that.
    fn note(&self, error: Option<String>) {
        let mut health = self.health();
        match (&health.error, &error) {
            (None, Some(error)) => log::error!("audit lines cannot be written: {error}"),
            (Some(_), None) => log::info!("audit lines can be written again"),
            _ => {}
        }
        health.error = error;
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn new(file: File, path: &Path) -> Self {
        Self { lines: file::lines_of(file, path), failed: false, renamed: false, warned: None }
    }

    /// Sees that the file at the path is the one that is written to, and that it is not open to others. An error when it was
    /// deleted and cannot be made again; one that was only renamed still takes lines.
    fn follow(&mut self, path: &Path) -> io::Result<()> {
        let (is_at_path, is_deleted) =
            (file::is_at(self.lines.output(), path), file::is_deleted(self.lines.output()));
        let was_renamed = std::mem::replace(&mut self.renamed, !is_at_path);
        if !is_at_path && (was_renamed || is_deleted) {
            match self.open_again(path) {
                Err(error) if !is_deleted => {
                    self.warn(Some(format!(
                        "{} cannot be opened again after it was renamed, and its lines go on where it is: {error}",
                        path.display()
                    )));
                    return Ok(());
                }
                opened => opened?,
            }
        }
        self.narrow(path);
        Ok(())
    }

    fn open_again(&mut self, path: &Path) -> io::Result<()> {
        *self = Self::new(file::open_again(path)?, path);
        log::warn!(
            "audit.file: the file at {} was renamed, deleted or replaced; it is opened again",
            path.display()
        );
        Ok(())
    }

    fn narrow(&mut self, path: &Path) {
        let warning = file::narrow(self.lines.output(), path);
        self.warn(warning);
    }

    fn warn(&mut self, warning: Option<String>) {
        if let Some(warning) = &warning
            && self.warned.as_ref() != Some(warning)
        {
            log::warn!("audit.file: {warning}");
        }
        self.warned = warning;
    }
}
