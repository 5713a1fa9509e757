//! Everything that is durable at one moment, to be read from its first company to its last.
//!
//! The embedded store holds it in memory; a database sends it page by page while it is being read.

use std::fmt;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use super::{Record, Snapshot, StoreError};
use crate::domain::timestamp::Timestamp;

/// All companies at one moment.
#[derive(Debug)]
pub enum RecordStream {
    /// In memory, whole.
    InMemory(Snapshot),
    /// Still in the database, where a transaction keeps this moment until the listing is dropped.
    Fetched(Fetched),
}

/// Why a listing was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// The store could not go on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reader did not want to.
    #[error("{0}")]
    Reader(E),
}

impl RecordStream {
    /// A text that two listings share exactly when they hold the same records, whichever instance made them.
    pub fn version(&self) -> String {
        match self {
            Self::InMemory(snapshot) => snapshot.version().to_string(),
            Self::Fetched(fetched) => fetched.version.clone(),
        }
    }

    /// The latest login of any company.
    pub fn latest(&self) -> Option<Timestamp> {
        match self {
            Self::InMemory(snapshot) => snapshot.latest(),
            Self::Fetched(fetched) => fetched.latest,
        }
    }

    /// How many companies there are, where that is known before they are read.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::InMemory(snapshot) => Some(snapshot.len()),
            Self::Fetched(_) => None,
        }
    }

    /// The number of the last durable batch of changes.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::InMemory(snapshot) => snapshot.sequence(),
            Self::Fetched(fetched) => fetched.sequence,
        }
    }

    /// Hands all records, ascending by company, to `each`, some at a time. Blocks the calling thread.
    ///
    /// # Errors
    /// The first that `each` gives, or that of a database that stops in the middle.
    pub fn read<E>(self, mut each: impl FnMut(&[Record]) -> Result<(), E>) -> Result<(), ReadError<E>> {
        match self {
            Self::InMemory(snapshot) => {
                snapshot.blocks().try_for_each(|block| each(block.records())).map_err(ReadError::Reader)
            }
            Self::Fetched(mut fetched) => {
                fetched.begin();
                loop {
                    let sent = fetched.pages.blocking_recv();
                    let Some(page) = fetched.page(sent) else { return Ok(()) };
                    each(&page?).map_err(ReadError::Reader)?;
                }
            }
        }
    }
}

/// A listing that a database sends.
pub struct Fetched {
    pub(super) version: String,
    pub(super) latest: Option<Timestamp>,
    pub(super) sequence: u64,
    /// Told when the first page is wanted: many a reader learns from the version that it needs none.
    pub(super) wanted: Option<oneshot::Sender<()>>,
    pub(super) pages: mpsc::Receiver<Result<Page, StoreError>>,
}

/// What is sent of a listing.
#[derive(Debug)]
pub(super) enum Page {
    /// The next records; never none.
    Records(Vec<Record>),
    /// There are no more. Without this a listing is not whole, however it ended.
    End,
}

impl Fetched {
    fn begin(&mut self) {
        if let Some(wanted) = self.wanted.take() {
            let _ = wanted.send(());
        }
    }

    /// The next records, ascending by company and never none; nothing after the last. After an error comes nothing.
    pub fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Vec<Record>, StoreError>>> {
        self.begin();
        self.pages.poll_recv(context).map(|sent| self.page(sent))
    }

    fn page(&mut self, sent: Option<Result<Page, StoreError>>) -> Option<Result<Vec<Record>, StoreError>> {
        match sent {
            Some(Ok(Page::Records(records))) => Some(Ok(records)),
            Some(Ok(Page::End)) => None,
            Some(Err(error)) => Some(Err(error)),
            None => Some(Err(StoreError::Failing("the list ended before its last company".to_owned()))),
        }
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fetched(version {}, sequence {})", self.version, self.sequence)
    }
}
