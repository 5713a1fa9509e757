//! Where the logins are kept: get, record, list, ready — durable or an error.
//!
//! [`Store::record`] answers only when the login is on the disk; [`Store::get`] and [`Store::list`] show only what is.
//! Opening a store checks every record in it: one that lost something is refused ([`OpenError`]), never served.
//! Nothing here knows of callers, HTTP or configuration, and nothing here asks for the time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::domain::cvr::Cvr;
use crate::domain::login::Login;
use crate::domain::timestamp::Timestamp;

mod embedded;
mod fault;
mod meters;
pub mod ndjson;

pub use embedded::register::{Block, Record, Snapshot, Version};
pub use fault::{OpenError, StoreError};
pub use meters::{Operation, Status};

/// How the embedded store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of the store.
    pub path: PathBuf,
    /// How long a write or a readiness probe may wait for the disk.
    pub deadline: Duration,
    /// Told how far the check of the records has come while the store is being opened.
    pub progress: Arc<Progress>,
}

impl Options {
    /// The store in this directory, whose callers wait no longer than the deadline.
    pub fn new(path: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self { path: path.into(), deadline, progress: Arc::default() }
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
}

/// How a store's directory stands, as [`Store::inspect`] sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is no store yet; opening makes an empty one.
    Absent,
    /// A store that nobody has open.
    Closed,
    /// A store that this process has open; empty when it did not say which it is.
    InUse(String),
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
    /// Opens the store and checks every record in it; makes an empty one where the directory is missing or empty.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        embedded::Embedded::open(options, true).map(Self::Embedded)
    }

    /// Opens and checks a store that must be there already; creates nothing.
    pub fn open_existing(options: &Options) -> Result<Self, OpenError> {
        embedded::Embedded::open(options, false).map(Self::Embedded)
    }

    /// How the directory stands, or why opening it would fail, as far as that can be told without opening it: the
    /// records are not read. Changes nothing, and may be asked while a service has the store open.
    pub fn inspect(path: &Path) -> Result<Standing, OpenError> {
        embedded::inspect(path)
    }

    /// What is known of one company. Never waits for the disk.
    pub fn get(&self, cvr: Cvr) -> Result<Option<Login>, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.get(cvr)),
        }
    }

    /// The company logged in at this moment. `Ok` means that it is on the disk.
    ///
    /// An error leaves open whether it was recorded, which the law of [`Login::merge`] forgives.
    pub async fn record(&self, cvr: Cvr, at: Timestamp) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.record(cvr, at).await,
        }
    }

    /// Everything that is durable now, as one consistent view that later writes do not change.
    pub fn list(&self) -> Result<Snapshot, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.list()),
        }
    }

    /// Whether a write would be durable now: one is really made, synced and read back.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.ready().await,
        }
    }

    /// What the store tells of itself, for metrics. Never waits for the disk.
    pub fn status(&self) -> Status {
        match self {
            Self::Embedded(store) => store.status(),
        }
    }

    /// How many bytes the store takes on the disk. Looks at every file in its directory: blocks while the disk does.
    ///
    /// # Errors
    /// When the directory cannot be looked at.
    pub fn disk_bytes(&self) -> io::Result<u64> {
        match self {
            Self::Embedded(store) => store.disk_bytes(),
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
        }
    }

    /// Finishes what is waiting, makes the last sync and lets go of the directory. Later writes are refused; reads
    /// go on. Bounded in time even when the disk is stuck: `false` says that it was.
    pub fn close(&self) -> bool {
        match self {
            Self::Embedded(store) => store.close(),
        }
    }
}
