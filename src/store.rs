//! Where the logins are kept: get, record, list, ready — durable or an error.
//!
//! [`Store::record`] answers only when the login is on the disk; [`Store::get`] and [`Store::list`] show only what is.
//! Opening a store checks every record in it: one that lost something is refused ([`OpenError`]), never served.
//! Nothing here knows of callers, HTTP or configuration, and nothing here asks for the time: a login brings its moment,
//! which is refused outside of the [`ClockLimits`] that the store was opened with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::critical_tasks::CriticalTasks;
use crate::domain::clock::{Clock, ClockLimits, WrongClock};
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;

mod embedded;
mod error;
mod metrics;
mod postgres;
mod record;
mod record_stream;

pub(crate) use embedded::live_view::{Block, Snapshot};
pub use error::{OpenError, StoreError};
pub(crate) use metrics::Status;
pub use postgres::Address;
pub(crate) use postgres::{AddressError, TlsFiles};
pub use record::Record;
pub use record_stream::RecordStream;
pub(crate) use record_stream::{Fetched, ReadError};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the logins are kept.
    pub place: Backend,
    /// Whether a directory's store that is not there is made; for a database see [`Database::create_schema`].
    pub create: bool,
    /// How long a call may wait for the disk or the database.
    pub deadline: Duration,
    /// Which moments of logins are refused. An import brings moments of its own and is not held to it.
    pub clock: ClockLimits,
    /// Told how far the check of the records has come while the store is being opened.
    pub progress: Arc<Progress>,
    /// Notes when a thread or a task starts or ends that the store cannot work without.
    pub essential: CriticalTasks,
}

/// Where the logins are kept.
#[derive(Debug, Clone)]
pub enum Backend {
    /// In a directory of this machine, on sled.
    Directory(PathBuf),
    /// In a database that speaks PostgreSQL's protocol, which other instances may use at the same time.
    Database(Box<Database>),
}

/// A shared database, and how it is used.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where it is.
    pub address: Address,
    /// Whether missing tables are created, or only looked for.
    pub create_schema: bool,
    /// How many connections this instance opens at most.
    pub connections: usize,
    /// Whether statements are prepared once on each connection, and not each time that they are sent. Faster; not to be had
    /// where connections are shared by transaction.
    pub prepared_statements: bool,
}

impl Options {
    /// The store in this directory, whose callers wait no longer than the deadline.
    pub fn new(path: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self::at(Backend::Directory(path.into()), deadline)
    }

    /// The store at this place, whose callers wait no longer than the deadline.
    pub fn at(place: Backend, deadline: Duration) -> Self {
        Self {
            place,
            create: true,
            deadline,
            clock: ClockLimits::NONE,
            progress: Arc::default(),
            essential: CriticalTasks::default(),
        }
    }
}

/// How far the check at opening has come; for a progress bar.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records checked so far.
    pub done: AtomicU64,
    /// Records that the seal promises; 0 until it has been read.
    pub total: AtomicU64,
}

/// The logins of all companies.
#[derive(Debug)]
pub enum Store {
    /// In a directory of this machine, on sled.
    Embedded(embedded::Embedded),
    /// In a database that speaks PostgreSQL's protocol.
    Postgres(postgres::Postgres),
}

/// How a store's directory stands, as [`Store::inspect`] sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreState {
    /// There is no store yet; opening makes an empty one.
    Absent,
    /// A store that nobody has open.
    Closed,
    /// A store that this process has open; empty when it did not say which it is.
    InUse(String),
}

/// How a clock compares with what the store knows of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReport {
    /// Whether logins are recorded at the moment that it shows.
    pub verdict: Result<(), WrongClock>,
    /// The latest login of any company, as far as it is known.
    pub latest_login: Option<Timestamp>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Records that were merged into the store.
    pub read: u64,
    /// Records that were new or told the store something new.
    pub changed: u64,
}

impl Store {
    /// Opens the store and makes an empty one where there is none and `options` allow it.
    ///
    /// In a directory every record is checked. A database that cannot be reached is no error: the store opens, answers
    /// that it is away ([`Store::away`]), and looks for it again until it is there.
    ///
    /// # Errors
    /// When the store is not ours, not whole, or cannot be had with these options.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Self::open_or_make(options, true).map_err(|error| match error {
            OpenError::Missing(path) => OpenError::NotCreated(path),
            error => error,
        })
    }

    /// Whether there is no store in the directory. Changes nothing. Of a database only opening can tell: `false`.
    ///
    /// # Errors
    /// When something else is there; and where there is no store and `options` do not allow to make one.
    pub fn is_absent(options: &Options) -> Result<bool, OpenError> {
        let Backend::Directory(path) = &options.place else { return Ok(false) };
        let path = std::path::absolute(path).map_err(OpenError::io(path, "finding the directory"))?;
        match embedded::is_absent(&path)? {
            true if !options.create => Err(OpenError::NotCreated(path)),
            absent => Ok(absent),
        }
    }

    /// As [`Store::open`], for a store that must be there already; creates nothing.
    ///
    /// # Errors
    /// As there, and when there is no store.
    pub fn open_existing(options: &Options) -> Result<Self, OpenError> {
        Self::open_or_make(options, false)
    }

    fn open_or_make(options: &Options, make: bool) -> Result<Self, OpenError> {
        match &options.place {
            Backend::Directory(path) => {
                embedded::Embedded::open(path, options, make && options.create).map(Self::Embedded)
            }
            Backend::Database(database) => {
                postgres::Postgres::open(database, options, make).map(Self::Postgres)
            }
        }
    }

    /// Why the store cannot be used now, when it is a database that cannot be reached.
    pub fn away(&self) -> Option<OpenError> {
        match self {
            Self::Embedded(_) => None,
            Self::Postgres(store) => store.away(),
        }
    }

    /// How the database stands, or why opening it would fail. Changes nothing.
    ///
    /// # Errors
    /// As [`Store::open`], and when the database cannot be reached.
    pub fn inspect_database(database: &Database, deadline: Duration) -> Result<StoreState, OpenError> {
        postgres::inspect(database, deadline)
    }

    /// How the directory stands, or why opening it would fail, as far as that can be told without opening it: the
    /// records are not read. Changes nothing, and may be asked while a service has the store open.
    pub fn inspect(path: &Path) -> Result<StoreState, OpenError> {
        embedded::inspect(path)
    }

    /// What is known of one company. Never waits for a disk of this machine; a database is asked each time.
    pub async fn get(&self, cvr: Cvr) -> Result<Option<LoginSpan>, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.get(cvr)),
            Self::Postgres(store) => store.get(cvr).await,
        }
    }

    /// The company logged in at this moment. `Ok` means that it is on the disk. A moment outside of [`Options::clock`] is
    /// refused; on a database the statement that writes compares it with the clock there.
    ///
    /// An error leaves open whether it was recorded, which the law of [`LoginSpan::merge`] forgives.
    pub async fn record(&self, cvr: Cvr, at: Timestamp) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.record(cvr, at).await,
            Self::Postgres(store) => store.record(cvr, at).await,
        }
    }

    /// Everything that is durable now, as one consistent view that later writes do not change.
    pub async fn list(&self) -> Result<RecordStream, StoreError> {
        match self {
            Self::Embedded(store) => Ok(RecordStream::InMemory(store.list())),
            Self::Postgres(store) => store.list().await.map(RecordStream::Fetched),
        }
    }

    /// As [`Store::list`], for a thread that runs no tasks: blocks it.
    pub fn list_blocking(&self) -> Result<RecordStream, StoreError> {
        match self {
            Self::Embedded(store) => Ok(RecordStream::InMemory(store.list())),
            Self::Postgres(store) => store.list_blocking().map(RecordStream::Fetched),
        }
    }

    /// Whether a write would be durable now: one is really made, synced and read back.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.ready().await,
            Self::Postgres(store) => store.ready().await,
        }
    }

    /// Whether this clock may be believed, and how far the logins have come; `None` while a database that would have to be
    /// asked does not answer.
    pub async fn check_clock(&self, clock: &dyn Clock) -> Option<ClockReport> {
        match self {
            Self::Embedded(store) => Some(store.check_clock(clock)),
            Self::Postgres(store) => store.check_clock(clock).await,
        }
    }

    /// What the store tells of itself, for metrics. Never waits for the disk.
    pub fn status(&self) -> Status {
        match self {
            Self::Embedded(store) => store.status(),
            Self::Postgres(store) => store.status(),
        }
    }

    /// How many bytes the store takes on the disk of this machine; `None` when it is elsewhere. Looks at every file in
    /// its directory: blocks while the disk does.
    ///
    /// # Errors
    /// When the directory cannot be looked at.
    pub fn disk_bytes(&self) -> io::Result<Option<u64>> {
        match self {
            Self::Embedded(store) => store.disk_bytes().map(Some),
            Self::Postgres(_) => Ok(None),
        }
    }

    /// Merges records into the store, batch by batch, each durable before the next. Blocks the calling thread.
    ///
    /// `progress` is told how many records have been merged so far. Interrupted at any point, the same import may
    /// be run again. Records in ascending order go in fastest.
    pub fn import(
        &self,
        records: impl IntoIterator<Item = Record>,
        progress: impl FnMut(u64),
    ) -> Result<Imported, StoreError> {
        match self {
            Self::Embedded(store) => store.import(records, progress),
            Self::Postgres(store) => store.import(records, progress),
        }
    }

    /// Finishes what is waiting, makes the last sync and lets go of the directory or the database. Later writes are
    /// refused; reads go on. Bounded in time even when the disk is stuck: `false` says that it was.
    pub fn close(&self) -> bool {
        match self {
            Self::Embedded(store) => store.close(),
            Self::Postgres(store) => store.close(),
        }
    }
}
