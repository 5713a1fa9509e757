//! Where a store is and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::postgres::address::Address;
use crate::critical_tasks::CriticalTasks;
use crate::domain::clock::ClockLimits;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the logins are kept.
    pub backend: Backend,
    /// Whether a missing store in a directory is created; for a database see [`Database::create_schema`].
    pub create: bool,
    /// The longest wait of a call for the disk or the database.
    pub deadline: Duration,
    /// Logins at times outside of these limits are rejected. An import brings times of its own and is exempt.
    pub clock: ClockLimits,
    /// How far the check of the records at opening has come.
    pub progress: Arc<Progress>,
    /// Where the threads and tasks are registered that the store cannot work without.
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
    /// The connection string.
    pub address: Address,
    /// Whether missing tables are created.
    pub create_schema: bool,
    /// Maximum number of connections of this instance.
    pub connections: usize,
    /// Whether statements are prepared once on each connection, which is faster but impossible behind a pool that
    /// shares connections by transaction.
    pub prepared_statements: bool,
}

impl Options {
    /// The store in this directory, created when it is missing.
    pub fn new(path: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self::at(Backend::Directory(path.into()), deadline)
    }

    /// The store of this backend, created when it is missing.
    pub fn at(backend: Backend, deadline: Duration) -> Self {
        Self {
            backend,
            create: true,
            deadline,
            clock: ClockLimits::NONE,
            progress: Arc::default(),
            essential: CriticalTasks::default(),
        }
    }
}

/// How far the check at opening has come, for a progress bar.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records checked so far.
    pub done: AtomicU64,
    /// Records according to the checkpoint; 0 until it has been read.
    pub total: AtomicU64,
}
