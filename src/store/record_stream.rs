//! All durable records at one point in time, read from the first company to the last.
//!
//! The embedded store holds them in memory; a database sends them page by page while they are read.

use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use super::embedded::snapshot::Snapshot;
use super::error::StoreError;
use super::record::Record;
use super::version::{Place, Version};
use crate::domain::timestamp::Timestamp;

/// All companies at one point in time.
#[derive(Debug)]
pub enum RecordStream {
    /// Complete, in memory.
    InMemory(Snapshot),
    /// In the database, where a transaction keeps the snapshot until the stream is dropped.
    Paged(PagedRecords),
}

/// Why a stream was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reader stopped.
    #[error("{0}")]
    Reader(E),
}

impl RecordStream {
    /// The name of the whole list; its content is the same exactly for the same records, whichever instance made it.
    pub fn version(&self) -> Version {
        match self {
            Self::InMemory(snapshot) => snapshot.version(),
            Self::Paged(paged) => paged.version.clone(),
        }
    }

    /// The latest login of any company.
    pub fn latest(&self) -> Option<Timestamp> {
        match self {
            Self::InMemory(snapshot) => snapshot.latest(),
            Self::Paged(paged) => paged.latest,
        }
    }

    /// Number of companies, where it is known before they are read.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::InMemory(snapshot) => Some(snapshot.len()),
            Self::Paged(_) => None,
        }
    }

    /// The number of the last durable batch.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::InMemory(snapshot) => snapshot.sequence(),
            Self::Paged(paged) => paged.sequence,
        }
    }

    /// Passes all records, ascending by company, to `each`, some at a time. Blocks the calling thread.
    ///
    /// # Errors
    /// The first one of `each`, or that of a database that fails on the way.
    pub fn read<E>(self, mut each: impl FnMut(&[Record]) -> Result<(), E>) -> Result<(), ReadError<E>> {
        match self {
            Self::InMemory(snapshot) => {
                snapshot.blocks().try_for_each(|block| each(block.records())).map_err(ReadError::Reader)
            }
            Self::Paged(mut paged) => {
                paged.begin();
                while let Some(page) = page(paged.pages.blocking_recv()) {
                    each(&page?).map_err(ReadError::Reader)?;
                }
                Ok(())
            }
        }
    }
}

/// The next records, at least one; `None` at the end, without which the list is incomplete.
pub(super) type Message = Result<Option<Vec<Record>>, StoreError>;

/// A list that a database sends.
#[derive(Debug)]
pub struct PagedRecords {
    pub(super) version: Version,
    pub(super) latest: Option<Timestamp>,
    pub(super) sequence: u64,
    /// Asks for the first page, which a reader that knows this version never does.
    pub(super) wanted: Option<oneshot::Sender<Option<i32>>>,
    /// Leaves only the records that so many of the last transactions wrote.
    pub(super) restriction: Option<i32>,
    /// The number of the next transaction, where the database numbers them as PostgreSQL does.
    pub(super) next_transaction: u64,
    pub(super) pages: mpsc::Receiver<Message>,
}

impl PagedRecords {
    /// As [`super::Store::restrict_to_changes`].
    pub(super) fn restrict_to_changes(&mut self, since: &[Version]) -> bool {
        let Some(own) = self.version.place() else { return false };
        let places = since.iter().filter_map(Version::place);
        let known = places.filter(|place| place.history == own.history && place.position <= own.position);
        let Some(Place { position, .. }) = known.min_by_key(|place| place.position) else { return false };
        // The database compares 31 bits of the numbers.
        self.restriction = i32::try_from(self.next_transaction.saturating_sub(position)).ok();
        self.restriction.is_some()
    }

    fn begin(&mut self) {
        if let Some(wanted) = self.wanted.take() {
            let _ = wanted.send(self.restriction);
        }
    }

    /// The next records, at least one, ascending by company; `None` after the last. Nothing follows an error.
    pub fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Vec<Record>, StoreError>>> {
        self.begin();
        self.pages.poll_recv(context).map(page)
    }
}

fn page(received: Option<Message>) -> Option<Result<Vec<Record>, StoreError>> {
    let cut = || StoreError::Failing("the list ended before its last company".to_owned());
    received.unwrap_or_else(|| Err(cut())).transpose()
}
