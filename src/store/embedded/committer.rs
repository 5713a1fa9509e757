//! One thread writes: collect → write → flush + fdatasync → high-water mark → publish → answer.
//!
//! What waits is committed together and shares the disk's delay. No write is answered `Ok` before its batch is
//! durable and published. After any error the batch is answered with it, and the thread turns to repair: writes are
//! rejected at once, reads go on from the live view, and about once a second the database is closed, opened and
//! checked again until it can write. An error of sled stays until it is opened again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::change_log::ChangeLog;
use super::high_water_mark::HighWaterMark;
use super::isolate::{self, FlushWaker};
use super::layout::Layout;
use super::queue::{Batch, Linger, Queue};
use super::recovery::{self, Loaded};
use super::snapshot::{LiveView, Snapshot};
use super::tree::Tree;
use super::wal::{self, WalIndex, WalRow};
use crate::domain::cvr::Cvr;
use crate::store::error::StoreError;
use crate::store::metrics::StoreMetrics;
use crate::store::record::Record;

/// Interval of the check by an idle committer that the database still exists.
const IDLE: Duration = Duration::from_secs(1);
/// The time without a write before a step of the WAL is applied.
const QUIET: Duration = Duration::from_millis(5);
/// The pause before another try of a repair when there is no room, …
const PAUSE: Duration = Duration::from_secs(1);
/// … and at most after another error: checking all records costs something.
const LONG_PAUSE: Duration = Duration::from_secs(8);
/// Bytes that must be free before the database is opened again: sled panics or loses its state on a full disk.
const ROOM: usize = 2 << 20;
const LONGEST_LINGER: Duration = Duration::from_millis(1);
/// The longest time that sled may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Committer {
    pub(super) layout: Layout,
    /// `None` during a repair.
    pub(super) tree: Option<Tree>,
    /// What the table of records does not hold yet.
    pub(super) wal: WalIndex,
    pub(super) high_water_mark: HighWaterMark,
    pub(super) live_view: Arc<LiveView>,
    pub(super) changes: Arc<Mutex<ChangeLog>>,
    pub(super) queue: Arc<Queue>,
    pub(super) metrics: Arc<StoreMetrics>,
    pub(super) flush_waker: Arc<FlushWaker>,
    /// The value of the last probe; random at first, so that an old one is not taken for it.
    pub(super) probe: u64,
    pub(super) linger: Linger,
}

/// What the last batch teaches about the next. The crowd is those who were just answered, who are likely to come back
/// at once, and those who came meanwhile: one sync for most of them costs less than two for halves. One client never
/// waits; a crowd waits at most half of what a batch takes, and only until most of it has come.
fn linger(crowd: usize, took: Duration) -> Linger {
    Linger { enough: (crowd * 3 / 4).max(1), at_most: (took / 2).min(LONGEST_LINGER) }
}

impl Committer {
    /// Commits until the queue is closed and empty; then closes the database and releases the lock.
    pub(super) fn run(mut self) {
        loop {
            let longest = if self.wal.is_empty() { IDLE } else { QUIET };
            let wait = self.high_water_mark.due_in().map_or(longest, |due| due.min(longest));
            let Some(batch) = self.queue.take(wait, self.linger) else { break };
            let done = if batch.is_empty() {
                self.idle()
            } else {
                let (began, writes) = (Instant::now(), batch.writes.len());
                let done = self.commit(batch);
                self.linger = linger(writes + self.queue.waiting(), began.elapsed());
                done
            };
            if let Err(error) = done.and_then(|()| self.sync_high_water_mark_when_due()) {
                self.repair(error);
            }
        }
        if let Err(error) = self.high_water_mark.sync() {
            log::error!("the high-water mark could not be synced at closing: {error}");
        }
        let is_healthy = self.tree.is_some();
        self.close();
        if is_healthy {
            self.save_changes();
        }
    }

    /// Lets readers ask after the next start, too, what changed since they asked last.
    fn save_changes(&self) {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let checkpoint = self.live_view.load().checkpoint();
        if let Err(error) = changes.save(&self.layout.change_log(), self.layout.store(), &checkpoint) {
            log::warn!(
                "the latest changes could not be saved: {error}; after the next start readers get the whole list once"
            );
        }
    }

    /// Commits the batch and answers its callers, also with the error that it returns.
    fn commit(&mut self, mut batch: Batch) -> Result<(), StoreError> {
        if !batch.writes.is_empty() {
            self.metrics.batches.observe(batch.writes.len() as f64);
        }
        let mut logins: Vec<_> = batch.writes.iter().map(|(login, _)| *login).collect();
        if let Some((records, _)) = &mut batch.import {
            logins.append(records);
        }
        let mut next = self.live_view.load().as_ref().clone();
        let diff = next.diff(logins);
        // An empty diff is on the disk already, since the live view holds nothing else.
        let mut result = Ok(diff.len() as u64);
        if !diff.is_empty() || !batch.probes.is_empty() {
            let (is_import, is_probe) = (batch.import.is_some(), !batch.probes.is_empty());
            let row = if is_import { diff.len().max(1) } else { wal::ROW_LOGINS };
            let mut rows = Vec::new();
            for changes in diff.chunks(row) {
                let sequence = next.sequence() + 1;
                next = next.with(changes).numbered(sequence);
                rows.push(WalRow { checkpoint: next.checkpoint(), changes });
            }
            let written = self.with_flush_waker(|this| this.write(&rows, is_import, is_probe));
            result = written.map(|()| diff.len() as u64);
        }
        if let Ok(1..) = &result {
            self.publish(next, &diff);
        }
        if let (Ok(_), Some((companies, _))) = (&result, &batch.erasure) {
            result = self.erase(companies).map(|()| 0);
        }
        if let Err(error) = &result {
            // Before the answers: no write may slip in between this batch and the repair.
            self.queue.reject(error);
        }
        batch.answer(&result);
        result.map(drop)
    }

    /// Shows readers this snapshot, which differs from the one before by these records.
    fn publish(&self, snapshot: Snapshot, diff: &[Record]) {
        let sequence = snapshot.sequence();
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.add(sequence, diff.iter().map(|record| record.cvr));
        let state = changes.state(sequence);
        drop(changes);
        self.live_view.store(Arc::new(snapshot.of(state)));
    }

    /// Replaces the database by one without these companies, in one step, so that their data leaves the disk too.
    fn erase(&mut self, companies: &[Cvr]) -> Result<(), StoreError> {
        let view = self.live_view.load();
        let sequence = view.sequence() + 1;
        let content = view.without(companies).numbered(sequence);
        drop(view);
        if !self.close() {
            return Err(StoreError::Failing("the database could not be closed".to_owned()));
        }
        let (root, rest) = (self.layout.root().to_owned(), content.clone());
        self.layout.replace_database(|sled, store| recovery::create(&root, sled, store, rest))?;
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        // A feed cannot name what is gone, so readers that know an earlier state get the whole list.
        *changes = ChangeLog::new(sequence);
        let state = changes.state(sequence);
        drop(changes);
        self.live_view.store(Arc::new(content.of(state)));
        self.reopen()
    }

    /// Does work on the database while the flush waker watches, and takes a panic of sled for an error.
    fn with_flush_waker(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(tree) = &self.tree {
            self.flush_waker.arm(tree.db.clone());
        }
        let done = isolate::catch(|| work(self));
        self.flush_waker.disarm();
        done.unwrap_or_else(|panic| Err(StoreError::Failing(format!("sled panicked: {panic}"))))
    }

    /// Writes the one row of an import, or the rows of the WAL, and makes them durable.
    fn write(&mut self, rows: &[WalRow<'_>], is_import: bool, is_probe: bool) -> Result<(), StoreError> {
        if let Some(last) = rows.last() {
            // An import is written straight into the table, for which the WAL must be empty.
            while self.wal.is_full(rows.len()) || is_import && !self.wal.is_empty() {
                self.apply(usize::MAX)?;
                self.sync()?;
            }
            if is_import {
                open(&self.tree)?.write(last)?;
                self.wal.skip_to(last.checkpoint);
            } else {
                let logins = rows.iter().map(|row| row.changes.len()).sum();
                let share = self.wal.share(logins, rows.len());
                if share > 0 {
                    self.apply(share)?;
                }
                for row in rows {
                    open(&self.tree)?.append(row)?;
                    self.wal.add(row);
                }
            }
        }
        let tree = open(&self.tree)?;
        if is_probe {
            self.probe = self.probe.wrapping_add(1);
            tree.write_probe(self.probe)?;
        }
        self.sync()?;
        if is_probe {
            tree.read_probe(self.probe)?;
        }
        if let Some(last) = rows.last() {
            let written = self.high_water_mark.write(&last.checkpoint);
            written.map_err(|error| StoreError::from_io("writing the high-water mark", &error))?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let tree = open(&self.tree)?;
        let began = Instant::now();
        let done = tree.sync();
        self.metrics.syncs.observe(began.elapsed().as_secs_f64());
        done
    }

    /// Applies a step of the WAL; durable with the next sync.
    fn apply(&mut self, at_most: usize) -> Result<(), StoreError> {
        let step = self.wal.step(at_most);
        open(&self.tree)?.apply(&step)?;
        let records = step.records.len();
        self.wal.stepped(records);
        Ok(())
    }

    fn idle(&mut self) -> Result<(), StoreError> {
        open(&self.tree)?.check_file()?;
        if self.wal.is_empty() {
            return Ok(());
        }
        self.with_flush_waker(|this| {
            this.apply(wal::QUIET_STEP)?;
            this.sync()
        })
    }

    fn sync_high_water_mark_when_due(&mut self) -> Result<(), StoreError> {
        if self.high_water_mark.due_in() == Some(Duration::ZERO) {
            let synced = self.high_water_mark.sync();
            synced.map_err(|error| StoreError::from_io("syncing the high-water mark", &error))?;
        }
        Ok(())
    }

    /// Rejects writes and tries to open the database again until that succeeds or the store is closed.
    fn repair(&mut self, mut error: StoreError) {
        log::error!("writes are rejected: {error}; reads go on, and repair is tried until it succeeds");
        self.queue.reject(&error);
        self.close();
        let mut pause = PAUSE;
        while !self.queue.pause(pause) {
            let Err(next) = self.reopen() else {
                log::warn!("the store can write again");
                self.queue.accept();
                return;
            };
            self.close();
            pause = if next == StoreError::DiskFull { PAUSE } else { (pause * 2).min(LONG_PAUSE) };
            if next != error {
                log::error!("writes are still rejected: {next}");
                self.queue.reject(&next);
                error = next;
            }
        }
    }

    /// Opens the database again, and publishes what is in it, provided that everything acknowledged is.
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.layout.check_still_there()?;
        self.layout.probe_space(ROOM).map_err(|error| StoreError::from_io("writing a probe", &error))?;
        recovery::drop_kernel_cache(&self.layout.sled())
            .map_err(|error| StoreError::from_io("reading the disk again", &error))?;
        let (Loaded { tree, snapshot: found, wal }, high_water_mark) =
            recovery::open(&self.layout, &Arc::default())?;
        (self.tree, self.wal, self.high_water_mark) = (Some(tree), wal, high_water_mark);
        let acknowledged = self.live_view.load_full();
        let lost = found.diff(acknowledged.records().collect()).len();
        if lost > 0 || found.sequence() < acknowledged.sequence() {
            return Err(StoreError::Failing(format!(
                "the reopened database has lost {lost} acknowledged records (found {}, expected {})",
                found.checkpoint(),
                acknowledged.checkpoint()
            )));
        }
        let written = self.high_water_mark.write(&found.checkpoint());
        let synced = written.and_then(|()| self.high_water_mark.sync());
        synced.map_err(|error| StoreError::from_io("writing the high-water mark", &error))?;
        // A batch that was answered with an error may be in it all the same.
        let diff = acknowledged.diff(found.records().collect());
        self.publish(found, &diff);
        Ok(())
    }

    /// Closes the database; sled writes on doing so, and may be stuck. Returns whether it is closed.
    fn close(&mut self) -> bool {
        let Some(tree) = self.tree.take() else { return true };
        let closed = isolate::run(CLOSE_TIMEOUT, &Arc::default(), move |_| drop(tree));
        if let Err(failure) = &closed {
            log::error!("the database could not be closed: {failure:?}");
        }
        closed.is_ok()
    }
}

fn open(tree: &Option<Tree>) -> Result<&Tree, StoreError> {
    tree.as_ref().ok_or_else(|| StoreError::Failing("the database is closed".to_owned()))
}
