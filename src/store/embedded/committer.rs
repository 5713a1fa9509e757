//! One thread writes: collect → write → seal → flush + fdatasync → witness → publish → answer all.
//!
//! Whatever waits is committed together, so that the disk's delay is shared. Nobody is answered `Ok` before the batch is
//! durable and published. After any fault the batch is answered with it, never `Ok`, and the thread turns to repair:
//! writes are refused at once, reads go on from the register, and about once a second the database is closed, opened
//! and checked anew until it can write again. What sled calls an error stays one until it is opened anew.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::batch_record::StoreId;
use super::damage;
use super::flush_waker::Watchdog;
use super::high_water_mark;
use super::high_water_mark::HighWaterMark;
use super::isolate;
use super::layout::Layout;
use super::live_view::{LiveView, Snapshot};
use super::queue::{Batch, Linger, Next, Queue};
use super::tree;
use super::tree::{KernelCache, Loaded, Tree};
use super::wal;
use super::wal::{WalIndex, WalRow};
use crate::store::metrics::StoreMetrics;
use crate::store::{OpenError, Progress, StoreError};

/// How often an idle committer looks whether the database is still there.
const IDLE: Duration = Duration::from_secs(1);
/// How long nobody must have come before a step is settled.
const QUIET: Duration = Duration::from_millis(5);
/// How long repair waits before it tries again when there is no room, …
const PAUSE: Duration = Duration::from_secs(1);
/// … and at most when opening failed for another reason: checking all records costs something.
const LONG_PAUSE: Duration = Duration::from_secs(8);
/// What must be free before the database is opened anew; sled panics or loses its way on a full disk.
const ROOM: usize = 2 << 20;
/// The longest wait for a batch to fill.
const LONGEST_GATHERING: Duration = Duration::from_millis(1);
/// How long sled may take to let go of a database.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an earlier handle of the database may keep its lock, and how often that is looked at.
const LETTING_GO: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The only writer.
pub(super) struct Committer {
    pub(super) layout: Layout,
    pub(super) store: StoreId,
    /// `None` while it is being repaired.
    pub(super) tree: Option<Tree>,
    /// What the table of records does not hold yet.
    pub(super) backlog: WalIndex,
    pub(super) witness: HighWaterMark,
    pub(super) register: Arc<LiveView>,
    pub(super) queue: Arc<Queue>,
    pub(super) meters: Arc<StoreMetrics>,
    pub(super) watchdog: Arc<Watchdog>,
    pub(super) probes: u64,
    /// How long to wait for company before the next batch.
    pub(super) gather: Linger,
}

/// What the last batch teaches about the next. The crowd is those who were just answered, who are likely to come back at
/// once, and those who came meanwhile: one sync for most of them costs less than two for halves. One client never
/// waits; a crowd waits at most half of what a batch takes, and only until most of it is there.
fn gather(crowd: usize, took: Duration) -> Linger {
    Linger { enough: (crowd * 3 / 4).max(1), at_most: (took / 2).min(LONGEST_GATHERING) }
}

impl Committer {
    /// Commits until the queue is closed and empty; then lets go of the database and the lock.
    pub(super) fn run(mut self) {
        loop {
            let longest = if self.backlog.is_empty() { IDLE } else { QUIET };
            let wait = self.witness.due_in().map_or(longest, |due| due.min(longest));
            let done = match self.queue.take(wait, self.gather) {
                Next::Commit(taken) => {
                    let (began, writes) = (Instant::now(), taken.writes.len());
                    let done = self.commit(taken);
                    self.gather = gather(writes + self.queue.waiting(), began.elapsed());
                    done
                }
                Next::Idle => self.check_file().and_then(|()| self.settle_while_quiet()),
                Next::Close => break,
            };
            if let Err(error) = done.and_then(|()| self.sync_witness_when_due()) {
                self.repair(error);
            }
        }
        if let Err(error) = self.witness.sync() {
            log::error!("the witness could not be synced at closing: {error}");
        }
        self.close();
    }

    /// Commits all of it and answers everybody. An error has been answered to all of them, too.
    fn commit(&mut self, mut taken: Batch) -> Result<(), StoreError> {
        if !taken.writes.is_empty() {
            self.meters.batches.observe(taken.writes.len() as f64);
        }
        let mut logins: Vec<_> = taken.writes.iter().map(|write| write.login).collect();
        logins.append(
            &mut taken.bulk.as_mut().map(|bulk| std::mem::take(&mut bulk.records)).unwrap_or_default(),
        );
        logins.sort_unstable_by_key(|login| login.cvr);
        let bulk = taken.bulk.is_some();
        let known = self.register.snapshot();
        let diff = known.diff(&logins);
        let result = if diff.is_empty() && taken.probes.is_empty() {
            Ok(0) // All of it is on the disk already: the register holds nothing else.
        } else {
            let mut next = known;
            let row = if bulk { diff.len().max(1) } else { wal::ROW_LOGINS };
            let rows = diff.chunks(row).map(|changes| {
                next = next.with(changes).numbered(next.sequence() + 1);
                WalRow { mark: next.mark(), changes }
            });
            let batch = Commit { rows: rows.collect(), bulk, probe: !taken.probes.is_empty() };
            self.watched(|this| this.write(&batch)).map(|()| {
                if !diff.is_empty() {
                    self.register.publish(next);
                }
                diff.len() as u64
            })
        };
        let done = result.clone().map(drop);
        if let Err(error) = &done {
            // Refuse first: nobody may slip in between this batch and the repair.
            self.queue.refuse(error);
        }
        taken.answer(&result);
        done
    }

    /// Does work on the database under the eyes of the watchdog, and takes a panic of sled for an error.
    fn watched(&mut self, work: impl FnOnce(&mut Self) -> Result<(), StoreError>) -> Result<(), StoreError> {
        if let Some(tree) = &self.tree {
            self.watchdog.watch(tree.handle());
        }
        let done = isolate::catch(|| work(self));
        self.watchdog.disarm();
        done.unwrap_or_else(|panic| Err(StoreError::Failing(format!("sled panicked: {panic}"))))
    }

    fn write(&mut self, batch: &Commit<'_>) -> Result<(), StoreError> {
        let rows = &batch.rows;
        if let Some(last) = rows.last() {
            // An import is written straight into the table, and the ring must be empty for that.
            while self.backlog.is_full(rows.len()) || batch.bulk && !self.backlog.is_empty() {
                self.apply_wal(usize::MAX)?;
                self.sync()?;
            }
            if batch.bulk {
                open(&self.tree)?.write(&self.store, last)?;
                self.backlog.skip_to(last.mark);
            } else {
                let logins = rows.iter().map(|row| row.changes.len()).sum();
                let share = self.backlog.share(logins, rows.len());
                if share > 0 {
                    self.apply_wal(share)?;
                }
                for row in rows {
                    open(&self.tree)?.append(&self.store, row)?;
                    self.backlog.add(row.mark, row.changes);
                }
            }
        }
        let tree = open(&self.tree)?;
        if batch.probe {
            self.probes = self.probes.wrapping_add(1);
            tree.write_probe(self.probes)?;
        }
        self.sync()?;
        if batch.probe {
            tree.read_probe(self.probes)?;
        }
        if let Some(last) = rows.last() {
            self.witness
                .write(&last.mark)
                .map_err(|error| StoreError::from_io("writing the witness", &error))?;
        }
        Ok(())
    }

    /// Makes everything written so far durable, and notes how long the disk took.
    fn sync(&self) -> Result<(), StoreError> {
        let tree = open(&self.tree)?;
        let began = Instant::now();
        let done = tree.sync();
        self.meters.syncs.observe(began.elapsed().as_secs_f64());
        done
    }

    /// Writes a step of what is to be settled; durable with the next sync.
    fn apply_wal(&mut self, at_most: usize) -> Result<(), StoreError> {
        let step = self.backlog.step(at_most);
        open(&self.tree)?.apply_wal(&self.store, &step)?;
        let records = step.records.len();
        self.backlog.stepped(records);
        Ok(())
    }

    fn settle_while_quiet(&mut self) -> Result<(), StoreError> {
        if self.backlog.is_empty() {
            return Ok(());
        }
        self.watched(|this| {
            this.apply_wal(wal::QUIET_STEP)?;
            this.sync()
        })
    }

    fn check_file(&self) -> Result<(), StoreError> {
        self.tree.as_ref().map_or(Ok(()), Tree::check_file)
    }

    fn sync_witness_when_due(&mut self) -> Result<(), StoreError> {
        if self.witness.due_in() == Some(Duration::ZERO) {
            self.watchdog.disarm();
            self.witness.sync().map_err(|error| StoreError::from_io("syncing the witness", &error))?;
        }
        Ok(())
    }

    /// Refuses writes and tries to open the database anew until that succeeds or the store is closed.
    fn repair(&mut self, error: StoreError) {
        log::error!("writes are refused: {error}; reads go on, and repair is tried until it succeeds");
        self.queue.refuse(&error);
        self.close();
        let mut told = error;
        let mut pause = PAUSE;
        while !self.queue.pause(pause) {
            match self.reopen() {
                Ok(()) => {
                    log::warn!("the store can write again");
                    self.queue.accept();
                    return;
                }
                Err(error) => {
                    pause = if error == StoreError::DiskFull { PAUSE } else { (pause * 2).min(LONG_PAUSE) };
                    if error != told {
                        log::error!("writes are still refused: {error}");
                        self.queue.refuse(&error);
                        told = error;
                    }
                }
            }
        }
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        let failing = |error: OpenError| match error {
            OpenError::Io { doing, source, .. } => StoreError::from_io(&doing, &source),
            error => StoreError::Failing(error.to_string()),
        };
        self.layout.check_still_there(&self.store).map_err(failing)?;
        self.layout.probe_space(ROOM).map_err(|error| StoreError::from_io("writing a probe", &error))?;
        let Loaded { tree, snapshot, backlog } =
            open_guarded(&self.layout, &self.store, KernelCache::Distrusted, &Arc::default())
                .map_err(failing)?;
        self.tree = Some(tree);
        self.backlog = backlog;
        let adopted = self.adopt(snapshot);
        if adopted.is_err() {
            self.close();
        }
        adopted
    }

    /// Publishes what was found on the disk, provided that everything acknowledged is in it.
    fn adopt(&mut self, found: Snapshot) -> Result<(), StoreError> {
        let acknowledged = self.register.snapshot();
        let lost = acknowledged
            .records()
            .filter(|record| {
                found.get(record.cvr).map(|login| login.merge(record.login)) != found.get(record.cvr)
            })
            .count();
        if lost > 0 || found.sequence() < acknowledged.sequence() {
            return Err(StoreError::Failing(format!(
                "the database opened anew has lost {lost} acknowledged records (found {}, expected {})",
                found.mark(),
                acknowledged.mark()
            )));
        }
        let failed = |error| StoreError::from_io("writing the witness", &error);
        let opened = HighWaterMark::open(&self.layout.witness(), &self.store).map_err(failed)?;
        let (mut witness, mark) = opened.map_err(StoreError::Failing)?;
        high_water_mark::check(&mark, &found.mark()).map_err(StoreError::Failing)?;
        witness.write(&found.mark()).and_then(|()| witness.sync()).map_err(failed)?;
        self.witness = witness;
        self.register.publish(found);
        Ok(())
    }

    /// Closes the database; sled writes on doing so, and may be stuck.
    fn close(&mut self) {
        self.watchdog.disarm();
        if let Some(tree) = self.tree.take()
            && let Err(lost) = isolate::run(CLOSE_TIMEOUT, &Arc::default(), move |_| drop(tree))
        {
            log::error!("the database could not be closed: {lost:?}");
        }
    }
}

/// A batch on its way to the disk.
struct Commit<'a> {
    /// The row of an import, or the rows of the WAL, in their order; none when nothing changes.
    rows: Vec<WalRow<'a>>,
    /// It is part of an import.
    bulk: bool,
    /// Somebody asks whether a write goes through.
    probe: bool,
}

fn open(tree: &Option<Tree>) -> Result<&Tree, StoreError> {
    tree.as_ref().ok_or_else(|| StoreError::Failing("the database is closed".to_owned()))
}

/// Opens and checks the database in a thread of its own.
///
/// Our own lock on the directory is held by then. So when sled finds its file locked, it is by a handle of this process
/// (the one that made the database, say) that one of sled's threads is about to let go of: that is waited for.
pub(super) fn open_guarded(
    layout: &Layout,
    store: &StoreId,
    cache: KernelCache,
    progress: &Arc<Progress>,
) -> Result<Loaded, OpenError> {
    let patience = patience(&layout.sled());
    let until = Instant::now() + LETTING_GO;
    loop {
        let (root, sled, store) = (layout.root().to_owned(), layout.sled(), *store);
        let opened = isolate::run(patience, progress, move |progress| {
            tree::open(&root, &sled, &store, cache, progress)
        })
        .unwrap_or_else(|lost| Err(damage::not_returned(layout.root(), lost)));
        match opened {
            Err(OpenError::InUse { .. }) if Instant::now() < until => thread::sleep(LOOK_AGAIN),
            opened => return opened,
        }
    }
}

/// How long sled may stand still: it reads the whole log before the first record.
fn patience(sled: &std::path::Path) -> Duration {
    const SLOWEST_DISK: u64 = 4 << 20;
    let base = if cfg!(test) { 10 } else { 60 };
    let size = std::fs::metadata(sled.join("db")).map_or(0, |db| db.len());
    Duration::from_secs(base + size / SLOWEST_DISK)
}
