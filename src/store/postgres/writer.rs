//! Recording logins: those that wait go together, in one statement that is one transaction.
//!
//! A locked row must not hold up the other companies of its batch. So a statement gives up after [`BATCH_LOCK_TIMEOUT`],
//! and its companies are sent again in halves that hardly wait, until the locked ones are found; those wait in
//! [`LockedRows`].
//!
//! A statement that changes anything also updates its writer's row, from which the list's version is made
//! ([`super::pages`]). Every task of every process has a row of its own, so that no writer waits for another.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

use super::database::Client;
use super::job_queue::{Call, Queue};
use super::statements::Writer;
use crate::domain::cvr::Cvr;
use crate::store::StoreError;
use crate::store::metrics::StoreMetrics;
use crate::store::record::{Record, merge_by_company};

pub(super) const CAPACITY: usize = 4096;
/// Maximum records in one statement: a few milliseconds of the server's time.
pub(super) const BATCH: usize = 2048;

/// Longer than the commits of other writers take, and short enough that the halves are through within a second.
const BATCH_LOCK_TIMEOUT: &str = "150ms";
/// For a half. A company that is only being written and is taken for locked loses nothing.
const HALF_LOCK_TIMEOUT: &str = "2ms";
/// For one company whose row is locked, before the next has its turn.
const COMPANY_LOCK_TIMEOUT: &str = "50ms";
/// Between two attempts of an import, for whose locks others may wait.
const IMPORT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct WriterTask {
    pub(super) writer: Writer,
    pub(super) database: Arc<Client>,
    pub(super) metrics: Arc<StoreMetrics>,
    pub(super) deadline: Duration,
}

impl WriterTask {
    pub(super) async fn run(self, queue: Arc<Queue<Record, ()>>, locked: Arc<LockedRows>) {
        loop {
            let writes = queue.take(BATCH).await;
            if writes.is_empty() {
                return;
            }
            self.metrics.batches.observe(writes.len() as f64);
            let until = Instant::now() + self.deadline;
            self.record_in_parts(locked.put_known_aside(writes), &locked, until).await;
        }
    }

    /// Records these writes in one statement, or in several when a row of theirs is locked.
    async fn record_in_parts(&self, writes: Vec<Write>, locked: &LockedRows, until: Instant) {
        let mut parts = vec![writes];
        let mut lock_timeout = BATCH_LOCK_TIMEOUT;
        while let Some(mut part) = parts.pop() {
            let records = awaited_records(&mut part);
            if records.is_empty() {
                continue;
            }
            match self.record_once(&records, lock_timeout, until).await {
                Ok(None) if records.len() > 1 => {
                    lock_timeout = HALF_LOCK_TIMEOUT;
                    let middle = records[records.len() / 2].cvr;
                    let (upper, lower) = part.into_iter().partition(|write| write.request.cvr >= middle);
                    parts.extend([upper, lower]);
                }
                Ok(None) => locked.put_aside(part),
                answer => answer_all(part, &answer),
            }
        }
    }

    /// Retries each company whose row is locked, one after another, until the row is free or no caller waits.
    pub(super) async fn run_locked(self, locked: Arc<LockedRows>, mut queue: mpsc::Receiver<Write>) {
        let mut waiting: Vec<Write> = Vec::new();
        loop {
            if waiting.is_empty() {
                locked.set_known(&[]);
                match queue.recv().await {
                    Some(write) => waiting.push(write),
                    None => return,
                }
            }
            while let Ok(write) = queue.try_recv() {
                waiting.push(write);
            }
            waiting.sort_unstable_by_key(|write| write.request.cvr);
            locked.set_known(&waiting);
            let mut still_locked = Vec::new();
            while let Some(cvr) = waiting.last().map(|write| write.request.cvr) {
                let first = waiting.partition_point(|write| write.request.cvr < cvr);
                let mut writes = waiting.split_off(first);
                let records = awaited_records(&mut writes);
                if records.is_empty() {
                    continue;
                }
                let until = Instant::now() + self.deadline;
                match self.record_once(&records, COMPANY_LOCK_TIMEOUT, until).await {
                    Ok(None) => still_locked.append(&mut writes),
                    answer => answer_all(writes, &answer),
                }
            }
            waiting = still_locked;
        }
    }

    /// Merges these records into the table, and returns how many companies changed. They must be ascending, one a company.
    /// Waits for locked rows until `until`, without holding the other rows meanwhile.
    pub(super) async fn record(&self, records: &[Record], until: Instant) -> Result<u64, StoreError> {
        loop {
            match self.record_once(records, BATCH_LOCK_TIMEOUT, until).await? {
                Some(changed) => return Ok(changed),
                None if Instant::now() < until => sleep(IMPORT_PAUSE).await,
                None => return Err(StoreError::Failing("a row is locked by another session".to_owned())),
            }
        }
    }

    /// As [`Self::record`], but `None` when a row stays locked for longer than the lock timeout.
    async fn record_once(
        &self,
        records: &[Record],
        lock_timeout: &str,
        until: Instant,
    ) -> Result<Option<u64>, StoreError> {
        let sent = Instant::now();
        let attempt = || async {
            let connection = self.database.connection().await?;
            let recorded = self.writer.record(&connection, records, lock_timeout).await;
            connection.finish(match recorded {
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(None),
                recorded => recorded.map(Some),
            })
        };
        let answer = self.database.retry_until(until, attempt).await;
        self.metrics.syncs.observe(sent.elapsed().as_secs_f64());
        Ok(answer?.transpose()?)
    }
}

/// Drops the writes whose callers have gone, and merges the others by company.
fn awaited_records(writes: &mut Vec<Write>) -> Vec<Record> {
    writes.retain(Call::is_awaited);
    let mut records = writes.iter().map(|write| write.request).collect();
    merge_by_company(&mut records);
    records
}

fn answer_all(writes: Vec<Write>, answer: &Result<Option<u64>, StoreError>) {
    for write in writes {
        write.answer(answer.clone().map(drop));
    }
}

type Write = Call<Record, ()>;

/// Writes whose row another session has locked. Further writes to a waiting company come here at once: in a batch each of
/// them would cost all others the time to find the locked row.
pub(super) struct LockedRows {
    /// The companies whose row was locked lately. A hint: a wrong one costs only time.
    companies: Mutex<HashSet<Cvr>>,
    writes: mpsc::Sender<Write>,
}

impl LockedRows {
    pub(super) fn new(capacity: usize) -> (Arc<Self>, mpsc::Receiver<Write>) {
        let (writes, waiting) = mpsc::channel(capacity);
        (Arc::new(Self { companies: Mutex::default(), writes }), waiting)
    }

    /// Lets these writes wait until their row is free.
    pub(super) fn put_aside(&self, writes: Vec<Write>) {
        self.companies().extend(writes.iter().map(|write| write.request.cvr));
        for write in writes {
            if let Err(error) = self.writes.try_send(write) {
                error.into_inner().answer(Err(StoreError::Full));
            }
        }
    }

    /// Puts those writes aside whose row is known to be locked, and returns the others.
    pub(super) fn put_known_aside(&self, writes: Vec<Write>) -> Vec<Write> {
        let known = self.companies().clone();
        let (locked, free) = writes.into_iter().partition(|write| known.contains(&write.request.cvr));
        self.put_aside(locked);
        free
    }

    /// Replaces the companies that are known to be locked by those of these writes.
    pub(super) fn set_known(&self, writes: &[Write]) {
        *self.companies() = writes.iter().map(|write| write.request.cvr).collect();
    }

    fn companies(&self) -> MutexGuard<'_, HashSet<Cvr>> {
        self.companies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
