//! Writes whose row somebody else has locked. They wait here, one company at a time, so that they delay nobody else.
//!
//! While a company waits here its further writes come here at once: in a batch each of them would cost all others the
//! time that it takes to find the locked row.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::database::Client;
use super::job_queue::Call;
use super::writer;
use super::writer::WriterTask;
use crate::domain::cvr::Cvr;
use crate::store::StoreError;
use crate::store::metrics::StoreMetrics;
use crate::store::record::{Record, merge_by_company};

/// How long one company waits for its row before the next one gets its turn.
const LOCK_TIMEOUT: &str = "50ms";

type Write = Call<Record, ()>;

/// The way to the writes that wait for a lock.
pub(super) struct LockedRows {
    /// The companies whose row was locked a moment ago. A hint: one too many or too few costs time only.
    companies: Mutex<HashSet<Cvr>>,
    writes: mpsc::Sender<Write>,
}

impl LockedRows {
    /// No row is known to be locked. What is put aside is received by [`run`].
    pub(super) fn new() -> (Arc<Self>, mpsc::Receiver<Write>) {
        let (writes, put_aside) = mpsc::channel(writer::CAPACITY);
        (Arc::new(Self { companies: Mutex::default(), writes }), put_aside)
    }

    /// Puts these writes of one company aside until its row is free.
    pub(super) fn put_aside(&self, writes: Vec<Write>) {
        self.lock().extend(writes.first().map(|write| write.asked.cvr));
        for write in writes {
            if let Err(error) = self.writes.try_send(write) {
                error.into_inner().tell(Err(StoreError::Full));
            }
        }
    }

    /// Puts those writes aside whose row is known to be locked; the others come back.
    pub(super) fn put_aside_known(&self, writes: impl Iterator<Item = Write>) -> Vec<Write> {
        let known = self.lock().clone();
        let (locked, free): (_, Vec<_>) = writes.partition(|write| known.contains(&write.asked.cvr));
        self.put_aside(locked);
        free
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Cvr>> {
        self.companies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries each company that waits again and again, until its row is free or nobody waits for it any more.
pub(super) async fn run(
    locked: Arc<LockedRows>,
    mut put_aside: mpsc::Receiver<Write>,
    lane: WriterTask,
    database: Arc<Client>,
    meters: Arc<StoreMetrics>,
    deadline: Duration,
) {
    let mut waiting: Vec<Write> = Vec::new();
    loop {
        if waiting.is_empty() {
            match put_aside.recv().await {
                Some(write) => waiting.push(write),
                None => return,
            }
        }
        while let Ok(write) = put_aside.try_recv() {
            waiting.push(write);
        }
        waiting.sort_unstable_by_key(|write| write.asked.cvr);
        *locked.lock() = waiting.iter().map(|write| write.asked.cvr).collect();
        let mut still_locked = Vec::new();
        while let Some(cvr) = waiting.last().map(|write| write.asked.cvr) {
            let of_company = waiting.partition_point(|write| write.asked.cvr < cvr);
            let mut writes = waiting.split_off(of_company);
            writes.retain(Call::is_awaited);
            let mut records: Vec<_> = writes.iter().map(|write| write.asked).collect();
            merge_by_company(&mut records);
            if records.is_empty() {
                continue;
            }
            let until = Instant::now() + deadline;
            match lane.record_once_free(&database, &meters, &records, LOCK_TIMEOUT, until).await {
                Ok(None) => still_locked.append(&mut writes),
                answer => writes.into_iter().for_each(|write| write.tell(answer.clone().map(drop))),
            }
        }
        waiting = still_locked;
        if waiting.is_empty() {
            locked.lock().clear();
        }
    }
}
