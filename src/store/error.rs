//! What can go wrong with a store: while it is opened, and while it serves.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::clock::WrongClock;

/// Why a write or a probe was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// As many writes wait as may wait.
    #[error("too many calls are waiting for the store")]
    Full,
    /// The disk did not answer in time.
    #[error("the disk did not answer before the deadline")]
    Deadline,
    /// There is no room (or no quota) left.
    #[error("the disk is full")]
    DiskFull,
    /// The database cannot be reached, or did not answer in time.
    #[error("the database is away: {0}")]
    Away(String),
    /// The disk or the database refuses for another reason.
    #[error("the store cannot write: {0}")]
    Failing(String),
    /// The store is being closed.
    #[error("the store is closing")]
    Closing,
    /// The moment of the login is plainly wrong.
    #[error(transparent)]
    WrongClock(#[from] WrongClock),
}

impl StoreError {
    /// The kinds of errors, as the metrics call them.
    pub const KINDS: [&'static str; 7] =
        ["queue_full", "deadline", "disk_full", "failing", "closing", "unavailable", "wrong_clock"];

    /// The kind of this error: one of [`StoreError::KINDS`].
    pub const fn kind(&self) -> &'static str {
        Self::KINDS[self.index()]
    }

    /// Where the kind stands in [`StoreError::KINDS`].
    pub(super) const fn index(&self) -> usize {
        match self {
            Self::Full => 0,
            Self::Deadline => 1,
            Self::DiskFull => 2,
            Self::Failing(_) => 3,
            Self::Closing => 4,
            Self::Away(_) => 5,
            Self::WrongClock(_) => 6,
        }
    }

    /// A full disk is told as such, everything else with its text.
    pub(super) fn from_io(doing: &str, error: &io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::DiskFull
        } else {
            Self::Failing(format!("{doing}: {error}"))
        }
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store where one was asked for.
    #[error("no store at {}", .0.display())]
    Missing(PathBuf),
    /// There is no store, and none may be made.
    #[error(
        "no store at {}, and none is made while store.create = false; mount its volume, or make an empty one with \
         VIRKSOMHEDSLOGIN__STORE__CREATE=true and `virksomhedslogin import` or the first start",
        .0.display()
    )]
    NotCreated(PathBuf),
    /// Another process has the store open.
    #[error("the store at {} is in use by another process{}", path.display(), pid_words(holder))]
    InUse {
        /// The store's directory.
        path: PathBuf,
        /// What the other process wrote into the lock file: its process id.
        holder: String,
    },
    /// The database cannot be reached.
    #[error("the database at {address} cannot be reached: {reason}")]
    Away {
        /// Where it should be, without its password.
        address: String,
        /// What was said.
        reason: String,
    },
    /// The database does not let us in.
    #[error(
        "the database at {address} refuses: {reason}; check user, password and database name of the connection string, \
         and the server's certificate"
    )]
    Refused {
        /// Where it is, without its password.
        address: String,
        /// What it said.
        reason: String,
    },
    /// The database lets us in, but not do what we must.
    #[error("the database at {address} does not allow what is needed: {reason}")]
    Forbidden {
        /// Where it is, without its password.
        address: String,
        /// What is not allowed, and what to do about it.
        reason: String,
    },
    /// The database has no tables of ours.
    #[error(
        "the database at {0} has no tables of virksomhedslogin; create them as docs/POSTGRES.md shows, or set \
         store.create_schema = true and give the role the right to"
    )]
    NoTables(String),
    /// The database holds tables of our names that are not ours, or of another version.
    #[error(
        "the tables at {address} are not those of this version of virksomhedslogin and are left untouched: found \
         {found}, expected {expected}; use another database or schema, or the version that made them"
    )]
    ForeignTables {
        /// Where the database is, without its password.
        address: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// The machine refused: no permission, disk full, read error.
    #[error("the store at {} cannot be opened: {doing}: {source}", path.display())]
    Io {
        /// The store's directory.
        path: PathBuf,
        /// What was tried.
        doing: String,
        /// What the machine said.
        source: io::Error,
    },
    /// The machine's clock stands before 1970, where sled does not start.
    #[error(
        "the store at {} cannot be opened while this machine's clock shows a time before 1970; set the clock and start \
         again",
        .0.display()
    )]
    Clock(PathBuf),
    /// The directory holds something that this program did not make.
    #[error(
        "{} is not a store of virksomhedslogin and is left untouched: found {found}, expected a missing or an empty \
         directory, or one with our own `format` file; set store.path to another directory",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What stands there.
        found: String,
    },
    /// The store was written by another version of this program, in a form that this one does not know.
    #[error(
        "the store at {} has format version {found}, expected version {expected}; start the version of \
         virksomhedslogin that wrote it, or export with that one and import into an empty directory with this one",
        path.display()
    )]
    UnknownFormat {
        /// The store's directory.
        path: PathBuf,
        /// The version that the store names.
        found: String,
        /// The version that this program knows.
        expected: u32,
    },
    /// The store is not whole.
    #[error(
        "the store at {} is damaged: found {found}, expected {expected}; it is not served. Keep the directory, and \
         restore the latest export into an empty directory with `virksomhedslogin import`",
        path.display()
    )]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What should have been there.
        expected: String,
    },
}

fn pid_words(holder: &str) -> String {
    if holder.is_empty() { String::new() } else { format!(" (process {holder})") }
}

impl OpenError {
    /// The process's exit code: 3 when the store is damaged or not ours, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Missing(_)
            | Self::NotCreated(_)
            | Self::InUse { .. }
            | Self::Io { .. }
            | Self::Clock(_)
            | Self::Away { .. }
            | Self::Refused { .. }
            | Self::Forbidden { .. }
            | Self::NoTables(_) => 1,
            Self::Foreign { .. }
            | Self::UnknownFormat { .. }
            | Self::Damaged { .. }
            | Self::ForeignTables { .. } => 3,
        }
    }

    pub(super) fn io(path: &Path, doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let (path, doing) = (path.to_owned(), doing.into());
        move |source| Self::Io { path, doing, source }
    }

    pub(super) fn damaged(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), found: found.into(), expected: expected.into() }
    }
}
