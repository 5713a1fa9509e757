//! What the store counts of itself, for metrics.

use super::error::StoreError;
use crate::telemetry::metrics::{Counter, Histogram, latency};

/// Logins that share one sync, doubling up to a whole batch.
const BATCH: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0];

/// What was asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// To record a login.
    Record,
    /// Whether it could.
    Probe,
    /// What is known of one company; from memory it cannot fail.
    Get,
    /// The list; from memory it cannot fail.
    List,
}

impl Operation {
    /// Every operation that may fail while the store serves.
    pub const ALL: [Self; 4] = [Self::Record, Self::Probe, Self::Get, Self::List];

    /// The name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Probe => "probe",
            Self::Get => "get",
            Self::List => "list",
        }
    }
}

/// The running numbers; shared by the callers and the committer.
#[derive(Debug)]
pub(super) struct StoreMetrics {
    /// Logins in a batch.
    pub(super) batches: Histogram,
    /// How long a flush with its fdatasync took, whether or not it went well.
    pub(super) syncs: Histogram,
    errors: [[Counter; StoreError::KINDS.len()]; Operation::ALL.len()],
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self { batches: Histogram::new(BATCH), syncs: latency(), errors: Default::default() }
    }
}

impl StoreMetrics {
    /// Counts the answer when it is an error.
    pub(super) fn answered<T>(&self, operation: Operation, answer: &Result<T, StoreError>) {
        if let Err(error) = answer {
            self.errors[operation as usize][error.index()].inc();
        }
    }

    pub(super) fn errors(&self) -> Vec<(Operation, &'static str, u64)> {
        Operation::ALL
            .into_iter()
            .zip(&self.errors)
            .flat_map(|(operation, row)| {
                StoreError::KINDS
                    .into_iter()
                    .zip(row)
                    .map(move |(kind, counter)| (operation, kind, counter.get()))
            })
            .collect()
    }
}

/// What a store tells of itself at one moment. Asking costs no disk access.
#[derive(Debug, Clone)]
pub struct Status {
    /// How many companies are known; `None` where that would have to be counted.
    pub records: Option<u64>,
    /// The number of the last durable batch of changes; `None` where that would have to be asked for.
    pub sequence: Option<u64>,
    /// How many writes wait to be committed.
    pub waiting: u64,
    /// How many may wait; more are refused.
    pub capacity: u64,
    /// Whether writes are taken: not while the store repairs itself, and not once it is closing.
    pub takes_writes: bool,
    /// Logins in a batch.
    pub batches: Histogram,
    /// Seconds that a sync of this machine's disk took; `None` where there is none.
    pub syncs: Option<Histogram>,
    /// Calls that failed: what was asked, the kind of error ([`StoreError::kind`]), how often.
    pub errors: Vec<(Operation, &'static str, u64)>,
    /// What there is to tell of a database.
    pub database: Option<DatabaseStatus>,
}

/// What the store on a database tells of it.
#[derive(Debug, Clone)]
pub struct DatabaseStatus {
    /// Connections that are open now.
    pub open: u64,
    /// Those of them that nobody uses now.
    pub idle: u64,
    /// How many may be open.
    pub limit: u64,
    /// Statements that were sent again, after a conflict with another transaction or a lost connection.
    pub retries: u64,
    /// Seconds that a write took, from being sent to being committed.
    pub writes: Histogram,
}
