//! What can go wrong with a store: while it is opened, and while it serves.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::clock::WrongClock;

/// Why a call was not answered. Its kind, for the metrics, is the variant's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum StoreError {
    /// The queue is full.
    #[error("too many calls are waiting for the store")]
    #[strum(serialize = "queue_full")]
    Full,
    /// The disk did not answer in time.
    #[error("the disk did not answer before the deadline")]
    Deadline,
    /// No room (or no quota) is left.
    #[error("the disk is full")]
    DiskFull,
    /// The database cannot be reached, or did not answer in time.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Any other error of the disk or the database.
    #[error("the store cannot write: {0}")]
    Failing(String),
    /// The store is being closed.
    #[error("the store is closing")]
    Closing,
    /// The time of the login is plainly wrong.
    #[error(transparent)]
    WrongClock(#[from] WrongClock),
}

impl StoreError {
    /// The kind of this error in the metrics.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    pub(super) fn from_io(doing: &str, error: &io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::DiskFull
        } else {
            Self::Failing(format!("{doing}: {error}"))
        }
    }
}

/// Why an erasure stopped; what was erased by then stays so.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit lines could not be written.
    #[error(transparent)]
    Audit(#[from] io::Error),
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the variants and fields are")]
pub enum OpenError {
    #[error("no store at {}", .0.display())]
    Missing(PathBuf),
    #[error(
        "no store at {}, and none is made while store.create = false; mount its volume, or make an empty one with \
         VIRKSOMHEDSLOGIN__STORE__CREATE=true and `virksomhedslogin import` or the first start",
        .0.display()
    )]
    NotCreated(PathBuf),
    #[error(
        "the store at {} is in use by another process{}",
        path.display(),
        if holder.is_empty() { String::new() } else { format!(" (process {holder})") }
    )]
    InUse { path: PathBuf, holder: String },
    #[error("the database at {address} cannot be reached: {reason}")]
    Unavailable { address: String, reason: String },
    #[error(
        "the database at {address} refuses: {reason}; check user, password and database name of the connection string, \
         and the server's certificate"
    )]
    Refused { address: String, reason: String },
    /// The role may log in, but lacks a right; the reason says what to do.
    #[error("the database at {address} does not allow what is needed: {reason}")]
    Forbidden { address: String, reason: String },
    #[error(
        "the database at {0} has no tables of virksomhedslogin; create them as docs/POSTGRES.md shows, or set \
         store.create_schema = true and give the role the right to"
    )]
    NoTables(String),
    #[error(
        "the tables at {address} are not those of this version of virksomhedslogin and are left untouched: found \
         {found}, expected {expected}; use another database or schema, or the version that made them"
    )]
    ForeignTables { address: String, found: String, expected: String },
    #[error("the store at {} cannot be opened: {doing}: {source}", path.display())]
    Io { path: PathBuf, doing: String, source: io::Error },
    /// sled does not start with such a clock.
    #[error(
        "the store at {} cannot be opened while this machine's clock shows a time before 1970; set the clock and start \
         again",
        .0.display()
    )]
    Clock(PathBuf),
    #[error(
        "{} is not a store of virksomhedslogin and is left untouched: found {found}, expected a missing or an empty \
         directory, or one with our own `format` file; set store.path to another directory",
        path.display()
    )]
    Foreign { path: PathBuf, found: String },
    #[error(
        "the store at {} has format version {found}, expected version {expected}; start the version of \
         virksomhedslogin that wrote it, or export with that one and import into an empty directory with this one",
        path.display()
    )]
    UnknownFormat { path: PathBuf, found: String, expected: u32 },
    #[error(
        "the store at {} is damaged: found {found}, expected {expected}; it is not served. Keep the directory, and \
         restore the latest export into an empty directory with `virksomhedslogin import`",
        path.display()
    )]
    Damaged { path: PathBuf, found: String, expected: String },
}

impl OpenError {
    /// The process's exit code: 3 when the store is damaged or not ours, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Foreign { .. }
            | Self::UnknownFormat { .. }
            | Self::Damaged { .. }
            | Self::ForeignTables { .. } => 3,
            _ => 1,
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

/// For a store that has been open and is being opened again.
impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io { doing, source, .. } => Self::from_io(&doing, &source),
            error => Self::Failing(error.to_string()),
        }
    }
}
