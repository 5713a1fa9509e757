//! What a store reports about itself.

use super::metrics::Operation;
use crate::domain::clock::WrongClock;
use crate::domain::timestamp::Timestamp;
use crate::telemetry::metrics::Histogram;

/// The state of a store, found without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreState {
    /// There is no store yet; opening creates an empty one.
    Absent,
    /// A store that no process has open.
    Closed,
    /// A store that the process with this id has open; empty when it is unknown.
    InUse(String),
}

/// How a clock compares with what the store knows of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReport {
    /// Whether logins are recorded at the time that the clock shows.
    pub verdict: Result<(), WrongClock>,
    /// The latest login of any company, as far as it is known.
    pub latest_login: Option<Timestamp>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Records that were merged into the store.
    pub read: u64,
    /// Records that changed something in the store.
    pub changed: u64,
}

/// The store's numbers for metrics.
#[derive(Debug, Clone)]
pub struct Status {
    /// Number of companies; `None` where that would have to be counted.
    pub records: Option<u64>,
    /// Number of the last durable batch; `None` where that would have to be queried.
    pub sequence: Option<u64>,
    pub waiting: u64,
    pub capacity: u64,
    /// Whether writes are accepted: neither during a repair nor while the store is closing.
    pub takes_writes: bool,
    pub batches: Histogram,
    /// Seconds of a sync of this machine's disk; `None` on a database.
    pub syncs: Option<Histogram>,
    /// Failed calls: operation, [`super::StoreError::kind`], number.
    pub errors: Vec<(Operation, &'static str, u64)>,
    pub database: Option<DatabaseStatus>,
}

#[derive(Debug, Clone)]
pub struct DatabaseStatus {
    pub open: u64,
    pub idle: u64,
    pub limit: u64,
    /// Statements that were sent again, after a conflict with another transaction or a lost connection.
    pub retries: u64,
    /// How often the database became unavailable, however short.
    pub outages: u64,
    /// Seconds of a write, from sending to commit.
    pub writes: Histogram,
}
