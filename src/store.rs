//! Where the logins are kept: get, record, list, ready — durable or an error.
//!
//! [`Store::record`] answers `Ok` only when the login is on the disk; [`Store::get`] and [`Store::list`] show only
//! what is durable. Opening a store checks every record in it: one that lost something is an [`OpenError`], never
//! served. Nothing here knows of callers, HTTP or configuration, or asks for the time: a login brings its own, which
//! must lie within the clock limits of [`Options`].

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::domain::clock::Clock;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;

mod embedded;
mod error;
mod metrics;
mod options;
mod postgres;
mod record;
mod record_stream;
mod report;

pub(crate) use embedded::block::Block;
pub(crate) use embedded::snapshot::Snapshot;
pub use error::{OpenError, StoreError};
pub use options::{Backend, Database, Options};
pub use postgres::Address;
pub(crate) use postgres::{AddressError, TlsFiles};
pub use record::Record;
pub(crate) use record::merge_by_company;
pub use record_stream::RecordStream;
pub(crate) use record_stream::{PagedRecords, ReadError};
pub use report::Imported;
pub(crate) use report::{ClockReport, Status, StoreState};

/// The logins of all companies.
#[derive(Debug)]
pub enum Store {
    /// In a directory of this machine, on sled.
    Embedded(embedded::Embedded),
    /// In a database that speaks PostgreSQL's protocol.
    Postgres(postgres::Postgres),
}

impl Store {
    /// Opens the store, and creates an empty one where there is none and `options` allow it.
    ///
    /// In a directory every record is checked. A database that cannot be reached is no error: the store opens, is
    /// unavailable ([`Store::unavailable`]), and connects when the database is back.
    ///
    /// # Errors
    /// When the store is not ours, damaged, or cannot be used with these options.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Self::open_or_create(options, true).map_err(|error| match error {
            OpenError::Missing(path) => OpenError::NotCreated(path),
            error => error,
        })
    }

    /// As [`Store::open`], but never creates a store.
    ///
    /// # Errors
    /// As there, and when there is no store.
    pub fn open_existing(options: &Options) -> Result<Self, OpenError> {
        Self::open_or_create(options, false)
    }

    fn open_or_create(options: &Options, create: bool) -> Result<Self, OpenError> {
        match &options.backend {
            Backend::Directory(path) => {
                embedded::Embedded::open(path, options, create && options.create).map(Self::Embedded)
            }
            Backend::Database(database) => {
                postgres::Postgres::open(database, options, create).map(Self::Postgres)
            }
        }
    }

    /// Whether there is no store in the directory. Changes nothing. Always `false` for a database.
    ///
    /// # Errors
    /// When something else is in the directory, or there is no store and `options` do not allow to create one.
    pub fn is_absent(options: &Options) -> Result<bool, OpenError> {
        let Backend::Directory(path) = &options.backend else { return Ok(false) };
        let path = std::path::absolute(path).map_err(OpenError::io(path, "finding the directory"))?;
        match embedded::is_absent(&path)? {
            true if !options.create => Err(OpenError::NotCreated(path)),
            absent => Ok(absent),
        }
    }

    /// Why the store cannot be used now, when it is a database that cannot be reached.
    pub fn unavailable(&self) -> Option<OpenError> {
        match self {
            Self::Embedded(_) => None,
            Self::Postgres(store) => store.unavailable(),
        }
    }

    /// The state of the database. Changes nothing.
    ///
    /// # Errors
    /// As [`Store::open`], and when the database cannot be reached.
    pub fn inspect_database(database: &Database, deadline: Duration) -> Result<StoreState, OpenError> {
        postgres::inspect(database, deadline)
    }

    /// The state of the directory, as far as it shows without reading the records. Changes nothing, also while a
    /// service has the store open.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn inspect(path: &Path) -> Result<StoreState, OpenError> {
        embedded::inspect(path)
    }

    /// The logins of one company, from memory or from the database.
    pub async fn get(&self, cvr: Cvr) -> Result<Option<LoginSpan>, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.get(cvr)),
            Self::Postgres(store) => store.get(cvr).await,
        }
    }

    /// Records that the company logged in at this time. `Ok` means that it is on the disk. On a database the
    /// statement that writes also compares the time with the clock there.
    ///
    /// After an error it may be recorded or not; [`LoginSpan::merge`] makes the repetition harmless.
    pub async fn record(&self, cvr: Cvr, at: Timestamp) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.record(cvr, at).await,
            Self::Postgres(store) => store.record(cvr, at).await,
        }
    }

    /// All durable records as one consistent snapshot.
    pub async fn list(&self) -> Result<RecordStream, StoreError> {
        match self {
            Self::Embedded(store) => Ok(RecordStream::InMemory(store.list())),
            Self::Postgres(store) => store.list().await.map(RecordStream::Paged),
        }
    }

    /// As [`Store::list`], for a thread outside of any runtime, which it blocks.
    pub fn list_blocking(&self) -> Result<RecordStream, StoreError> {
        match self {
            Self::Embedded(store) => Ok(RecordStream::InMemory(store.list())),
            Self::Postgres(store) => store.list_blocking().map(RecordStream::Paged),
        }
    }

    /// Whether a write would be durable now: one is made, synced and read back.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.ready().await,
            Self::Postgres(store) => store.ready().await,
        }
    }

    /// Whether this clock is plausible, and the latest login; `None` while a database is needed and does not answer.
    pub async fn check_clock(&self, clock: &dyn Clock) -> Option<ClockReport> {
        match self {
            Self::Embedded(store) => Some(store.check_clock(clock)),
            Self::Postgres(store) => store.check_clock(clock).await,
        }
    }

    /// The store's numbers for metrics. Never waits for the disk.
    pub fn status(&self) -> Status {
        match self {
            Self::Embedded(store) => store.status(),
            Self::Postgres(store) => store.status(),
        }
    }

    /// Bytes of the store on the disk of this machine; `None` for a database. Reads the metadata of every file, and
    /// blocks as long as the disk does.
    pub fn disk_bytes(&self) -> io::Result<Option<u64>> {
        match self {
            Self::Embedded(store) => store.disk_bytes().map(Some),
            Self::Postgres(_) => Ok(None),
        }
    }

    /// Merges records into the store, batch by batch, each durable before the next. Blocks the calling thread.
    ///
    /// `progress` gets the number of records merged so far. An interrupted import may be repeated. Ascending records
    /// are fastest.
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

    /// Finishes what is in the queue, makes the last sync and releases the directory or the database. Later writes
    /// fail; reads of the embedded store go on. Bounded in time: `false` when the disk or the database did not
    /// answer.
    pub fn close(&self) -> bool {
        match self {
            Self::Embedded(store) => store.close(),
            Self::Postgres(store) => store.close(),
        }
    }
}
