//! Where the logins are kept: get, record, list, ready — durable or an error.
//!
//! [`Store::record`] answers `Ok` only when the login is on the disk; [`Store::get`] and [`Store::list`] show only
//! what is durable. Opening a store checks every record in it: one that lost something is an [`OpenError`], never
//! served. Nothing here knows of callers, HTTP or configuration, or asks for the time: a login brings its own, which
//! must lie within the clock limits of [`Options`].

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::{Clock, ClockLimits};
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
mod selection;
mod version;

pub(crate) use embedded::index::Block;
pub(crate) use embedded::snapshot::Snapshot;
pub use error::{EraseError, OpenError, StoreError};
use metrics::{Operation, StoreMetrics};
pub use options::{Backend, Database, Options};
pub use postgres::Address;
pub(crate) use postgres::{AddressError, TlsFiles};
pub use record::Record;
pub(crate) use record::merge_by_company;
pub use record_stream::RecordStream;
pub(crate) use record_stream::{PagedRecords, ReadError};
pub use report::Imported;
pub(crate) use report::{ClockReport, Status, StoreState};
pub use selection::Selection;
pub use version::Version;

/// Records that an import merges together: as one batch record they must fit into one message of sled's log (128 KiB).
const IMPORT_BATCH: usize = 2048;
/// Companies that an erasure reports, and a database takes out, together.
const ERASE_BATCH: usize = 1000;
/// The longest time for one batch of an import or an erasure, which no caller waits for.
const IMPORT_DEADLINE: Duration = Duration::from_secs(60);

/// The logins of all companies.
#[derive(Debug)]
pub struct Store {
    engine: Engine,
    clock: ClockLimits,
    metrics: Arc<StoreMetrics>,
}

/// What keeps the logins.
#[derive(Debug)]
enum Engine {
    Embedded(embedded::Embedded),
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

    /// As [`Store::open`], but never creates a store: a missing one is an error.
    pub fn open_existing(options: &Options) -> Result<Self, OpenError> {
        Self::open_or_create(options, false)
    }

    fn open_or_create(options: &Options, create: bool) -> Result<Self, OpenError> {
        let metrics = Arc::new(StoreMetrics::default());
        let counted = Arc::clone(&metrics);
        let engine = match &options.backend {
            Backend::Directory(path) => {
                let create = create && options.create;
                Engine::Embedded(embedded::Embedded::open(path, options, create, counted)?)
            }
            Backend::Database(database) => {
                Engine::Postgres(postgres::Postgres::open(database, options, create, counted)?)
            }
        };
        Ok(Self { engine, clock: options.clock, metrics })
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
        match &self.engine {
            Engine::Embedded(_) => None,
            Engine::Postgres(store) => store.unavailable(),
        }
    }

    /// The state of the store, or the error that opening it would meet, as far as it shows without reading the records.
    /// Changes nothing, also while a service has the store open.
    pub fn inspect(options: &Options) -> Result<StoreState, OpenError> {
        match &options.backend {
            Backend::Directory(path) => Self::is_absent(options).and_then(|_| embedded::inspect(path)),
            Backend::Database(database) => postgres::inspect(database, options.deadline),
        }
    }

    /// The logins of one company, from memory or from the database.
    pub async fn get(&self, cvr: Cvr) -> Result<Option<LoginSpan>, StoreError> {
        match &self.engine {
            Engine::Embedded(store) => Ok(store.get(cvr)),
            Engine::Postgres(store) => self.metrics.count_error(Operation::Get, store.get(cvr).await),
        }
    }

    /// Records that the company logged in at this time. `Ok` means that it is on the disk. On a database the
    /// statement that writes also compares the time with the clock there.
    ///
    /// After an error it may be recorded or not; [`LoginSpan::merge`] makes the repetition harmless.
    pub async fn record(&self, cvr: Cvr, at: Timestamp) -> Result<(), StoreError> {
        let login = Record { cvr, login: LoginSpan::at(at) };
        let done = match (self.clock.check(at), &self.engine) {
            (Err(wrong), _) => Err(wrong.into()),
            (Ok(()), Engine::Embedded(store)) => store.record(login).await,
            (Ok(()), Engine::Postgres(store)) => store.record(login).await,
        };
        self.metrics.count_error(Operation::Record, done)
    }

    /// All durable records as one consistent snapshot.
    pub async fn list(&self) -> Result<RecordStream, StoreError> {
        match &self.engine {
            Engine::Embedded(store) => Ok(RecordStream::InMemory(store.list())),
            Engine::Postgres(store) => {
                self.metrics.count_error(Operation::List, store.list().await).map(RecordStream::Paged)
            }
        }
    }

    /// As [`Store::list`], for a thread outside of any runtime, which it blocks.
    pub fn list_blocking(&self) -> Result<RecordStream, StoreError> {
        match &self.engine {
            Engine::Embedded(store) => Ok(RecordStream::InMemory(store.list())),
            Engine::Postgres(store) => store.list_blocking().map(RecordStream::Paged),
        }
    }

    /// Leaves of the list only what changed since the earliest of these versions that is known: replacing these
    /// companies in a copy of that version gives the list. `false`, and all of it, when none is known.
    pub fn restrict_to_changes(&self, list: &mut RecordStream, since: &[Version]) -> bool {
        match (&self.engine, list) {
            (Engine::Embedded(store), RecordStream::InMemory(snapshot)) => {
                let changes = store.changes_since(snapshot, since);
                changes.map(|changes| *snapshot = changes).is_some()
            }
            (_, RecordStream::Paged(paged)) => paged.restrict_to_changes(since),
            (Engine::Postgres(_), RecordStream::InMemory(_)) => false,
        }
    }

    /// Whether a write would be durable now: one is made, synced and read back.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let ready = match &self.engine {
            Engine::Embedded(store) => store.ready().await,
            Engine::Postgres(store) => store.ready().await,
        };
        self.metrics.count_error(Operation::Probe, ready)
    }

    /// Whether this clock is plausible, and the latest login; `None` while a database is needed and does not answer.
    pub async fn check_clock(&self, clock: &dyn Clock) -> Option<ClockReport> {
        match &self.engine {
            Engine::Embedded(store) => Some(ClockReport {
                verdict: self.clock.check(clock.now()),
                latest_login: store.list().latest(),
            }),
            Engine::Postgres(store) => store.check_clock(&self.clock, clock).await,
        }
    }

    /// The store's numbers for metrics. Never waits for the disk.
    pub fn status(&self) -> Status {
        match &self.engine {
            Engine::Embedded(store) => store.status(&self.metrics),
            Engine::Postgres(store) => store.status(&self.metrics),
        }
    }

    /// Bytes of the store on the disk of this machine; `None` for a database. Reads the metadata of every file, and
    /// blocks as long as the disk does.
    pub fn disk_bytes(&self) -> io::Result<Option<u64>> {
        match &self.engine {
            Engine::Embedded(store) => store.disk_bytes().map(Some),
            Engine::Postgres(_) => Ok(None),
        }
    }

    /// Merges records into the store, batch by batch, each durable before the next. Blocks the calling thread.
    ///
    /// `progress` gets the number of records merged so far. An interrupted import may be repeated. Ascending records
    /// are fastest.
    pub fn import(
        &self,
        records: impl IntoIterator<Item = Record>,
        mut progress: impl FnMut(u64),
    ) -> Result<Imported, StoreError> {
        let (mut records, mut imported) = (records.into_iter(), Imported::default());
        loop {
            let mut batch: Vec<_> = records.by_ref().take(IMPORT_BATCH).collect();
            if batch.is_empty() {
                return Ok(imported);
            }
            imported.read += batch.len() as u64;
            merge_by_company(&mut batch);
            imported.changed += match &self.engine {
                Engine::Embedded(store) => store.import(batch)?,
                Engine::Postgres(store) => store.import(batch)?,
            };
            progress(imported.read);
        }
    }

    /// The companies in the store that are selected, ascending. Blocks the calling thread.
    pub fn select(&self, which: &Selection) -> Result<Vec<Cvr>, StoreError> {
        let mut companies = Vec::new();
        let read = self.list_blocking()?.read(|records| {
            let selected = records.iter().filter(|record| which.covers(record));
            companies.extend(selected.map(|record| record.cvr));
            Ok::<_, Infallible>(())
        });
        match read {
            Ok(()) => Ok(companies),
            Err(ReadError::Store(error)) => Err(error),
            Err(ReadError::Reader(never)) => match never {},
        }
    }

    /// Takes these companies out, ascending, as [`Store::select`] returned them; returns how many. Each is gone from every
    /// read at once, and versions from before are unknown. Blocks the calling thread.
    ///
    /// `before` gets the companies, some at a time, and returns when their audit lines are durable: none is taken out
    /// earlier. An embedded store takes all out in one step and must not be written to meanwhile. A database takes out one
    /// part after the other, without those that no longer are as `which` says: they have logged in meanwhile.
    pub fn erase(
        &self,
        companies: &[Cvr],
        which: &Selection,
        mut before: impl FnMut(&[Cvr]) -> io::Result<()>,
    ) -> Result<u64, EraseError> {
        match &self.engine {
            _ if companies.is_empty() => Ok(0),
            Engine::Embedded(store) => {
                companies.chunks(ERASE_BATCH).try_for_each(before)?;
                Ok(store.erase(companies.to_vec())?)
            }
            Engine::Postgres(store) => {
                let mut parts = companies.chunks(ERASE_BATCH);
                parts.try_fold(0, |erased, part| Ok(erased + store.erase(part, which, &mut before)?))
            }
        }
    }

    /// Finishes what is in the queue, makes the last sync and releases the directory or the database. Later writes
    /// fail; reads of the embedded store go on. Bounded in time: `false` when the disk or the database did not
    /// answer.
    pub fn close(&self) -> bool {
        match &self.engine {
            Engine::Embedded(store) => store.close(),
            Engine::Postgres(store) => store.close(),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
