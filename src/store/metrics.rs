//! What a store counts of itself.

use strum::VariantArray;
use strum::VariantNames;

use super::error::StoreError;
use crate::telemetry::metrics::{Counter, Histogram, latency};

/// Upper bounds of the logins in a batch, which shares one sync.
const BATCH: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0];

/// An operation that may fail while the store serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Operation {
    Record,
    /// The check that a write would be durable.
    Probe,
    /// Looking up one company; from memory it cannot fail.
    Get,
    /// The list; from memory it cannot fail.
    List,
}

impl Operation {
    pub const fn name(self) -> &'static str {
        self.into_str()
    }
}

/// The running numbers, shared by the callers and the committer.
#[derive(Debug)]
pub(super) struct StoreMetrics {
    pub(super) batches: Histogram,
    /// Duration of a flush with its fdatasync, successful or not.
    pub(super) syncs: Histogram,
    errors: [[Counter; StoreError::VARIANTS.len()]; Operation::VARIANTS.len()],
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self { batches: Histogram::new(BATCH), syncs: latency(), errors: Default::default() }
    }
}

impl StoreMetrics {
    /// Counts the answer when it is an error, and returns it.
    pub(super) fn count_error<T>(
        &self,
        operation: Operation,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Err(error) = &answer
            && let Some(kind) = StoreError::VARIANTS.iter().position(|kind| *kind == error.kind())
        {
            self.errors[operation as usize][kind].inc();
        }
        answer
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
