//! The bounded queue to the committer. It rejects at once while the store cannot write.

use std::mem;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::cvr::Cvr;
use crate::store::error::StoreError;
use crate::store::record::Record;

/// Maximum number of queued writes, and of queued probes.
pub(super) const CAPACITY: usize = 4096;
/// Maximum number of writes in a batch.
const BATCH: usize = 2048;

/// Where a caller waits for the result.
pub(super) type Answer = oneshot::Sender<Result<(), StoreError>>;
/// The same for a thread that blocks: the number of records that an import changed.
type BlockingAnswer = SyncSender<Result<u64, StoreError>>;

pub(super) enum Request {
    Write(Record, Answer),
    /// Whether a write would be durable; however many wait, one write answers them all.
    Probe(Answer),
    Import(Vec<Record>, BlockingAnswer),
    Erase(Vec<Cvr>, BlockingAnswer),
}

#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) writes: Vec<(Record, Answer)>,
    pub(super) probes: Vec<Answer>,
    pub(super) import: Option<(Vec<Record>, BlockingAnswer)>,
    /// Comes after the rest of the batch.
    pub(super) erasure: Option<(Vec<Cvr>, BlockingAnswer)>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && !self.has_other()
    }

    /// Whether anything but a write is in it.
    fn has_other(&self) -> bool {
        !self.probes.is_empty() || self.import.is_some() || self.erasure.is_some()
    }

    /// Sends all callers the same answer; those that have gone are skipped.
    pub(super) fn answer(self, result: &Result<u64, StoreError>) {
        for answer in self.writes.into_iter().map(|(_, answer)| answer).chain(self.probes) {
            let _ = answer.send(result.clone().map(drop));
        }
        let blocking = [self.import.map(|(_, answer)| answer), self.erasure.map(|(_, answer)| answer)];
        for answer in blocking.into_iter().flatten() {
            let _ = answer.try_send(result.clone());
        }
    }
}

/// How long the committer waits for other writes once the first has come, so that more of them share one sync.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Linger {
    pub(super) enough: usize,
    pub(super) at_most: Duration,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    rejecting: Option<StoreError>,
    closing: bool,
    /// The committer sleeps until so many writes wait, or anything else comes; `None` while it works and needs no
    /// waking.
    asleep_until: Option<usize>,
}

impl State {
    /// Whether the committer sleeps and should not.
    fn wakes(&self) -> bool {
        let waiting = &self.waiting;
        self.asleep_until.is_some_and(|enough| waiting.has_other() || waiting.writes.len() >= enough)
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enqueue(&self, request: Request) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closing {
            return Err(StoreError::Closing);
        }
        if let Some(error) = &state.rejecting {
            return Err(error.clone());
        }
        let waiting = &mut state.waiting;
        waiting.probes.retain(|probe| !probe.is_closed());
        match request {
            Request::Write(login, answer) if waiting.writes.len() < CAPACITY => {
                waiting.writes.push((login, answer));
            }
            Request::Probe(answer) if waiting.probes.len() < CAPACITY => waiting.probes.push(answer),
            Request::Import(records, answer) if waiting.import.is_none() => {
                waiting.import = Some((records, answer));
            }
            Request::Erase(companies, answer) if waiting.erasure.is_none() => {
                waiting.erasure = Some((companies, answer));
            }
            _ => return Err(StoreError::Full),
        }
        if state.wakes() {
            state.asleep_until = None;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.writes.len()
    }

    /// Whether a write would be accepted, if there is room for it.
    pub(super) fn takes_writes(&self) -> bool {
        let state = self.state();
        state.rejecting.is_none() && !state.closing
    }

    /// Takes at most a batch of what waits: waits so long for something to come, and then lingers. Empty when nothing
    /// came, `None` when the queue is closed and empty.
    pub(super) fn take(&self, wait: Duration, linger: Linger) -> Option<Batch> {
        let mut state = self.sleep(self.state(), 1, wait);
        if !state.waiting.is_empty() {
            state = self.sleep(state, linger.enough.min(BATCH), linger.at_most);
        }
        if state.waiting.is_empty() && state.closing {
            return None;
        }
        let first = state.waiting.writes.len().min(BATCH);
        let writes = state.waiting.writes.split_off(first);
        Some(mem::replace(&mut state.waiting, Batch { writes, ..Batch::default() }))
    }

    /// Sleeps until so many writes wait, anything else does, the store is closing or the time is over.
    fn sleep<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        enough: usize,
        at_most: Duration,
    ) -> MutexGuard<'a, State> {
        let slept = self.wake.wait_timeout_while(state, at_most, |state| {
            state.asleep_until = Some(enough);
            !state.wakes() && !state.closing
        });
        let (mut state, _) = slept.unwrap_or_else(PoisonError::into_inner);
        state.asleep_until = None;
        state
    }

    /// Answers everything that waits, and everything that comes, with this error.
    pub(super) fn reject(&self, error: &StoreError) {
        let mut state = self.state();
        state.rejecting = Some(error.clone());
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.answer(&Err(error.clone()));
    }

    pub(super) fn accept(&self) {
        self.state().rejecting = None;
    }

    /// Accepts nothing more; what waits is still committed.
    pub(super) fn close(&self) {
        self.state().closing = true;
        self.wake.notify_all();
    }

    /// Waits while everything is rejected, but not beyond the closing; returns whether the store is closing.
    pub(super) fn pause(&self, wait: Duration) -> bool {
        self.sleep(self.state(), usize::MAX, wait).closing
    }
}
