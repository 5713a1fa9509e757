//! What a store counts of itself.

use strum::VariantArray;
use strum::VariantNames;

use super::error::StoreError;
use crate::telemetry::metrics::{Buckets, Counter, Histogram};

/// Logins that share one sync, up to a whole batch.
static BATCH: Buckets = Buckets::numbers(&[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048]);
const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
/// From a cache that lies about being a disk to a disk that makes callers run into the deadline.
static SYNC: Buckets = Buckets::durations(&[
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    1_000 * MS,
    2_500 * MS,
    5_000 * MS,
]);

/// An operation that may fail while the store serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Operation {
    /// Recording a login.
    Record,
    /// The check that a write would be durable.
    Probe,
    /// Looking up one company; from memory it cannot fail.
    Get,
    /// The list; from memory it cannot fail.
    List,
}

impl Operation {
    /// The name in the metrics.
    pub const fn name(self) -> &'static str {
        self.into_str()
    }
}

/// The running numbers, shared by the callers and the committer.
#[derive(Debug)]
pub(super) struct StoreMetrics {
    /// Logins in a batch.
    pub(super) batches: Histogram,
    /// Duration of a flush with its fdatasync, successful or not.
    pub(super) syncs: Histogram,
    errors: [[Counter; StoreError::VARIANTS.len()]; Operation::VARIANTS.len()],
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self { batches: Histogram::new(&BATCH), syncs: Histogram::new(&SYNC), errors: Default::default() }
    }
}

impl StoreMetrics {
    /// Counts the answer when it is an error.
    pub(super) fn count_error<T>(&self, operation: Operation, answer: &Result<T, StoreError>) {
        if let Err(error) = answer
            && let Some(kind) = StoreError::VARIANTS.iter().position(|kind| *kind == error.kind())
        {
            self.errors[operation as usize][kind].increment();
        }
    }

    pub(super) fn errors(&self) -> Vec<(Operation, &'static str, u64)> {
        let rows = Operation::VARIANTS.iter().zip(&self.errors);
        rows.flat_map(|(operation, row)| {
            let kinds = StoreError::VARIANTS.iter().zip(row);
            kinds.map(|(kind, counter)| (*operation, *kind, counter.get()))
        })
        .collect()
    }
}
