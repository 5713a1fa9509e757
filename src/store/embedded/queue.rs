//! What waits for the committer: bounded, and refused at once while the store cannot write.

use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::store::{Record, StoreError};

/// How many writes may wait, and how many probes.
pub(super) const CAPACITY: usize = 4096;
/// How many writes are committed together at most, and how many records of an import: the seal of either, and of one of
/// each together, must fit into one message of sled's log (128 KiB).
pub(super) const BATCH: usize = 2048;

/// A login that waits to be recorded, and who is to be told.
pub(super) struct Write {
    pub(super) login: Record,
    pub(super) answer: oneshot::Sender<Result<(), StoreError>>,
}

/// Many records at once, and who is to be told how many of them were news.
pub(super) struct ImportBatch {
    pub(super) records: Vec<Record>,
    pub(super) answer: SyncSender<Result<u64, StoreError>>,
}

/// Who waits to hear whether a write would go through.
pub(super) type Probe = oneshot::Sender<Result<(), StoreError>>;

/// What the committer takes at once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    pub(super) probes: Vec<Probe>,
    pub(super) bulk: Option<ImportBatch>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.probes.is_empty() && self.bulk.is_none()
    }

    /// Tells everybody the same. Those who have gone meanwhile are not missed.
    pub(super) fn answer(self, result: &Result<u64, StoreError>) {
        for answer in self.writes.into_iter().map(|write| write.answer).chain(self.probes) {
            let _ = answer.send(result.clone().map(drop));
        }
        if let Some(bulk) = self.bulk {
            let _ = bulk.answer.try_send(result.clone());
        }
    }
}

/// What the committer wakes up for.
pub(super) enum Next {
    /// There is something to commit.
    Commit(Batch),
    /// Nothing came for a while.
    Idle,
    /// Nothing waits and nothing will come.
    Close,
}

#[derive(Default)]
struct State {
    waiting: Batch,
    refusing: Option<StoreError>,
    closing: bool,
    /// The committer sleeps until so many writes wait, or anything else comes. `None` while it works: nobody needs to
    /// wake it then.
    asleep_until: Option<usize>,
}

impl State {
    /// Whether the committer sleeps and should not.
    fn wakes(&self) -> bool {
        let waiting = &self.waiting;
        let other = !waiting.probes.is_empty() || waiting.bulk.is_some();
        self.asleep_until.is_some_and(|enough| other || waiting.writes.len() >= enough)
    }
}

/// How long the committer lets writes gather once the first has come, so that more of them share one sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Linger {
    /// So many are worth no more waiting.
    pub(super) enough: usize,
    /// The longest wait.
    pub(super) at_most: Duration,
}

/// The one way to the committer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, put: impl FnOnce(&mut Batch) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closing {
            return Err(StoreError::Closing);
        }
        if let Some(error) = &state.refusing {
            return Err(error.clone());
        }
        put(&mut state.waiting)?;
        let wakes = state.wakes();
        if wakes {
            state.asleep_until = None;
        }
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(super) fn write(&self, write: Write) -> Result<(), StoreError> {
        self.enqueue(|waiting| {
            if waiting.writes.len() >= CAPACITY {
                return Err(StoreError::Full);
            }
            waiting.writes.push(write);
            Ok(())
        })
    }

    /// How many writes wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.writes.len()
    }

    /// Whether a write would be taken in, if there is room for it.
    pub(super) fn takes_writes(&self) -> bool {
        let state = self.state();
        state.refusing.is_none() && !state.closing
    }

    /// However many probes wait, one write answers them all.
    pub(super) fn probe(&self, probe: Probe) -> Result<(), StoreError> {
        self.enqueue(|waiting| {
            waiting.probes.retain(|probe| !probe.is_closed());
            if waiting.probes.len() >= CAPACITY {
                return Err(StoreError::Full);
            }
            waiting.probes.push(probe);
            Ok(())
        })
    }

    pub(super) fn bulk(&self, bulk: ImportBatch) -> Result<(), StoreError> {
        self.enqueue(|waiting| {
            if waiting.bulk.is_some() {
                return Err(StoreError::Full);
            }
            waiting.bulk = Some(bulk);
            Ok(())
        })
    }

    /// Takes what waits, at most a batch of it; waits for something to come, but no longer than this, and then for
    /// more to gather.
    pub(super) fn take(&self, wait: Duration, gather: Linger) -> Next {
        let state = self.sleep(self.state(), 1, wait);
        let mut state = if state.waiting.is_empty() {
            state
        } else {
            self.sleep(state, gather.enough.min(BATCH), gather.at_most)
        };
        if state.waiting.is_empty() {
            return if state.closing { Next::Close } else { Next::Idle };
        }
        let rest = if state.waiting.writes.len() > BATCH {
            state.waiting.writes.split_off(BATCH)
        } else {
            Vec::new()
        };
        let taken = std::mem::take(&mut state.waiting);
        state.waiting.writes = rest;
        Next::Commit(taken)
    }

    /// Sleeps until so many writes wait, anything else does, the store is closing or the time is over.
    fn sleep<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        enough: usize,
        at_most: Duration,
    ) -> MutexGuard<'a, State> {
        let asleep = |state: &mut State| {
            state.asleep_until = Some(enough);
            !state.wakes() && !state.closing
        };
        let (mut state, _) =
            self.wake.wait_timeout_while(state, at_most, asleep).unwrap_or_else(PoisonError::into_inner);
        state.asleep_until = None;
        state
    }

    /// From now on everything is refused with this error; what waits is told so too.
    pub(super) fn refuse(&self, error: &StoreError) {
        let waiting = {
            let mut state = self.state();
            state.refusing = Some(error.clone());
            std::mem::take(&mut state.waiting)
        };
        waiting.answer(&Err(error.clone()));
    }

    /// Takes writes again.
    pub(super) fn accept(&self) {
        self.state().refusing = None;
    }

    /// Nothing more is taken in; what waits is still committed.
    pub(super) fn close(&self) {
        self.state().closing = true;
        self.wake.notify_all();
    }

    /// Waits, but not beyond the closing; whether the store is closing.
    pub(super) fn pause(&self, wait: Duration) -> bool {
        let state = self.state();
        let (state, _) = self
            .wake
            .wait_timeout_while(state, wait, |state| !state.closing)
            .unwrap_or_else(PoisonError::into_inner);
        state.closing
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Queue({} writes waiting)", self.state().waiting.writes.len())
    }
}
