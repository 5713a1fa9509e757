//! Where audit lines go: a file or standard output; and whether it takes them.
//!
//! A file that loses its name while it is written to (deleted, or replaced by another) is opened again before the line's
//! call is answered, so no answered call is without its line. One that was only renamed, as for a rotation, keeps its
//! lines and takes more until SIGHUP, or until a second look, seconds later, finds it renamed still.
//!
//! A thread looks at the sink every second ([`AuditLog::watch`]). After a write that failed it tries a line feed until that
//! gets out, so that the sink is known to be well again without any call that would be refused.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::file;
use super::file::AtPath;
use crate::critical_tasks::CriticalTasks;
use crate::line_writer::LineWriter;

/// Between two looks at the sink.
const EVERY: Duration = Duration::from_secs(1);
/// A look that takes longer than this is held up by a write that does not end.
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
    /// The last look found the file renamed.
    renamed: bool,
    /// What was warned of last, not to be repeated each second.
    warned: Option<String>,
}

/// What is known without waiting for the sink.
#[derive(Debug, Default)]
struct Health {
    /// Why no line can be written.
    fault: Option<String>,
    /// When the sink was looked at last, once it is.
    looked: Option<Instant>,
}

/// A newly opened audit file that is not in use yet.
#[derive(Debug)]
pub struct Reopened(File);

impl AuditLog {
    /// An audit log on standard output. Not by way of `std::io::stdout`, which keeps what it could not write and takes
    /// a closed descriptor for one that takes everything.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn to_stdout() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { path: None, sink: Mutex::new(Sink::new(file, STDOUT.as_ref())), health: Mutex::default() })
    }

    /// An audit log at the end of this file, which is made (0600) when absent.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let sink = Mutex::new(Sink::new(file::open(path)?, path));
        let log = Self { path: Some(path.to_owned()), sink, health: Mutex::default() };
        log.sink().narrow(path);
        Ok(log)
    }

    /// Opens the file again, as after a rotation, without using it yet. Nothing to do for standard output.
    pub fn reopen(&self) -> io::Result<Option<Reopened>> {
        self.path.as_deref().map(file::open).transpose().map(|file| file.map(Reopened))
    }

    /// Writes to the newly opened file from now on.
    pub fn switch_to(&self, reopened: Reopened) {
        if let Some(path) = &self.path {
            // Locked first: until then the file may be written to, and torn, under its old descriptor.
            let mut sink = self.sink();
            *sink = Sink::new(reopened.0, path);
            sink.narrow(path);
            self.note(None);
        }
    }

    /// Writes one line at once, for a caller that cannot wait.
    ///
    /// # Errors
    /// When the line is not wholly written.
    pub fn write_alone(&self, line: &[u8]) -> io::Result<()> {
        self.write(line).1.map_or(Ok(()), Err)
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
        let failed = error.is_some();
        if failed || sink.failed {
            sink.failed = failed;
            self.note(error.as_ref().map(ToString::to_string));
        }
        (written, error)
    }

    /// Whether lines can be written, as far as is known.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), String> {
        let health = self.health();
        match (&health.fault, health.looked) {
            (Some(fault), _) => Err(format!("audit lines cannot be written: {fault}")),
            (None, Some(looked)) if looked.elapsed() > STUCK => {
                Err(format!("audit lines cannot be written: a write has not ended for {STUCK:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Starts the thread that looks at the sink, an essential part. It ends when this log is dropped.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub fn watch(self: &Arc<Self>, essential: &CriticalTasks) -> io::Result<()> {
        let guard = essential.guard("the thread that watches the audit file");
        let watched = Arc::downgrade(self);
        thread::Builder::new().name("audit".to_owned()).spawn(move || {
            let _guard = guard;
            while let Some(log) = watched.upgrade() {
                log.look();
                drop(log);
                thread::sleep(EVERY);
            }
        })?;
        Ok(())
    }

    fn look(&self) {
        let mut sink = self.sink();
        let mut fault = self.path.as_deref().and_then(|path| sink.follow(path).err());
        if sink.failed && fault.is_none() {
            fault = sink.lines.end_line().err();
        }
        sink.failed = fault.is_some();
        let mut fault = fault.map(|error| error.to_string());
        if fault.is_none() && self.path.is_some() && file::is_full(sink.lines.output()) {
            fault = Some("its file system is full".to_owned());
        }
        self.note(fault);
        self.health().looked = Some(Instant::now());
    }

    /// Keeps why no line can be written. Logged when that changes, and not each time.
    fn note(&self, fault: Option<String>) {
        let mut health = self.health();
        match (&health.fault, &fault) {
            (None, Some(fault)) => log::error!("audit lines cannot be written: {fault}"),
            (Some(_), None) => log::info!("audit lines can be written again"),
            _ => {}
        }
        health.fault = fault;
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

    /// Sees that the file at the path is the one that is written to, and that it is not open to others.
    ///
    /// # Errors
    /// When it was deleted and cannot be made again. One that was only renamed still takes lines.
    fn follow(&mut self, path: &Path) -> io::Result<()> {
        let found = file::at_path(self.lines.output(), path);
        let was_renamed = std::mem::replace(&mut self.renamed, found == AtPath::Renamed);
        match found {
            AtPath::Deleted => self.open_again(path)?,
            AtPath::Renamed if was_renamed => {
                if let Err(error) = self.open_again(path) {
                    self.warn(Some(format!(
                        "{} cannot be opened again after it was renamed, and its lines go on where it is: {error}",
                        path.display()
                    )));
                }
                return Ok(());
            }
            AtPath::Renamed | AtPath::Itself => {}
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
