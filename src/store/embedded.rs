//! The embedded store: sled as the durable home, a register in memory as what is read.
//!
//! Promises: a write is answered `Ok` when it is on the disk; a read never waits for the disk and shows only what is on it; a
//! store that lost anything is not opened. Not promised: protection from somebody who changes the files on
//! purpose, and more than one process at a time.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::metrics::{Operation, StoreMetrics};
use super::{ClockReport, Imported, OpenError, Options, Record, Status, StoreError};
use crate::domain::clock::{Clock, ClockLimits};
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use batch_record::StoreId;
use committer::{Committer, open_guarded};
use flush_waker::Watchdog;
use high_water_mark::HighWaterMark;
use layout::Layout;
use live_view::{LiveView, Snapshot};
use queue::{BATCH, ImportBatch, Linger, Queue, Write};
use tree::{KernelCache, Loaded};

mod batch_record;
mod committer;
mod damage;
mod flush_waker;
mod high_water_mark;
mod index;
mod isolate;
mod layout;
pub(super) mod live_view;
mod queue;
mod record_bytes;
#[cfg(test)]
mod tests;
mod tree;
mod wal;

pub(super) use layout::{inspect, is_absent};

/// How much longer than the deadline closing may take: sled's farewell and the last sync.
const CLOSING: Duration = Duration::from_secs(6);
/// How many records a second are put into a new database by the slowest disk.
const SLOWEST_RECORDS: u64 = 5_000;
/// How long one batch of an import may take: nobody waits at the other end.
const IMPORT_DEADLINE: Duration = Duration::from_secs(60);

/// An open embedded store.
#[derive(Debug)]
pub struct Embedded {
    register: Arc<LiveView>,
    queue: Arc<Queue>,
    meters: Arc<StoreMetrics>,
    root: PathBuf,
    deadline: Duration,
    clock: ClockLimits,
    /// Told when the committer has let go of the directory; `None` once that has been heard.
    done: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Embedded {
    /// Opens the directory and checks everything in it; makes an empty store there when `create` allows it.
    pub(super) fn open(path: &Path, options: &Options, create: bool) -> Result<Self, OpenError> {
        let Options { deadline, clock, progress, essential, .. } = options;
        let began = Instant::now();
        let (mut layout, store) =
            Layout::open(path, create, |sled, store| make_database(path, sled, store, Snapshot::default()))?;
        let root = layout.root().to_owned();
        let (mut witness, mark) = HighWaterMark::open(&layout.witness(), &store)
            .map_err(OpenError::io(&root, "reading the witness"))?
            .map_err(|found| {
                OpenError::damaged(&root, found, "the witness of the last acknowledged write")
            })?;
        let opened = |layout: &Layout| open_guarded(layout, &store, KernelCache::Trusted, progress);
        let Loaded { mut tree, snapshot, mut backlog } = opened(&layout)?;
        high_water_mark::check(&mark, &snapshot.mark()).map_err(|found| {
            OpenError::damaged(&root, found, format!("at least {mark}, which was acknowledged"))
        })?;
        if layout.is_outdated() {
            log::info!("upgrading the store at {}: its database is written anew", root.display());
            drop(tree);
            let content = snapshot.clone();
            layout.upgrade(&store, |sled| make_database(&root, sled, &store, content))?;
            Loaded { tree, backlog, .. } = opened(&layout)?;
        }
        // Both slots are good again from here on, and neither is behind what is served.
        witness
            .write(&snapshot.mark())
            .and_then(|()| witness.sync())
            .map_err(OpenError::io(&root, "writing the witness"))?;
        log::info!(
            "opened the store at {}: {} checked in {:.3} s",
            root.display(),
            snapshot.mark(),
            began.elapsed().as_secs_f64()
        );
        let register = Arc::new(LiveView::new(snapshot));
        let (queue, meters) = (Arc::new(Queue::default()), Arc::new(StoreMetrics::default()));
        let no_thread = || OpenError::io(&root, "starting a thread");
        let committer = Committer {
            layout,
            store,
            tree: Some(tree),
            backlog,
            witness,
            register: Arc::clone(&register),
            queue: Arc::clone(&queue),
            meters: Arc::clone(&meters),
            watchdog: Watchdog::start(essential.guard("the thread that wakes stuck flushes"))
                .map_err(no_thread())?,
            gather: Linger::default(),
            probes: u64::from_be_bytes(record_bytes::split(uuid::Uuid::new_v4().as_bytes()).0),
        };
        let (ended, done) = mpsc::sync_channel(1);
        let part = (EndOfQueue(Arc::clone(&queue)), essential.guard("the thread that writes to the store"));
        thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || {
                let _part = part;
                committer.run();
                let _ = ended.send(());
            })
            .map_err(no_thread())?;
        let done = Mutex::new(Some(done));
        Ok(Self { register, queue, meters, root, deadline: *deadline, clock: *clock, done })
    }

    pub(super) fn get(&self, cvr: Cvr) -> Option<LoginSpan> {
        self.register.get(cvr)
    }

    pub(super) fn list(&self) -> Snapshot {
        self.register.snapshot()
    }

    pub(super) async fn record(&self, cvr: Cvr, at: Timestamp) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let login = Record { cvr, login: LoginSpan::at(at) };
        let queued = match self.clock.check(at) {
            Ok(()) => self.queue.write(Write { login, answer }),
            Err(wrong) => Err(wrong.into()),
        };
        let done = match queued {
            Ok(()) => self.wait(answered).await,
            Err(error) => Err(error),
        };
        self.meters.answered(Operation::Record, &done);
        done
    }

    pub(super) fn check_clock(&self, clock: &dyn Clock) -> ClockReport {
        let verdict = self.clock.check(clock.now());
        ClockReport { verdict, latest_login: self.register.snapshot().latest() }
    }

    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let done = match self.queue.probe(answer) {
            Ok(()) => self.wait(answered).await,
            Err(error) => Err(error),
        };
        self.meters.answered(Operation::Probe, &done);
        done
    }

    pub(super) fn status(&self) -> Status {
        let snapshot = self.register.snapshot();
        Status {
            records: Some(snapshot.len()),
            sequence: Some(snapshot.sequence()),
            waiting: self.queue.waiting() as u64,
            capacity: queue::CAPACITY as u64,
            takes_writes: self.queue.takes_writes(),
            batches: self.meters.batches.clone(),
            syncs: Some(self.meters.syncs.clone()),
            errors: self.meters.errors(),
            database: None,
        }
    }

    pub(super) fn disk_bytes(&self) -> io::Result<u64> {
        bytes_below(&self.root)
    }

    async fn wait(&self, answered: oneshot::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
        match tokio::time::timeout(self.deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::Failing("the committer has ended".to_owned())),
            Err(_) => Err(StoreError::Deadline),
        }
    }

    pub(super) fn import(
        &self,
        records: impl IntoIterator<Item = Record>,
        mut progress: impl FnMut(u64),
    ) -> Result<Imported, StoreError> {
        let mut records = records.into_iter();
        let mut imported = Imported::default();
        loop {
            let batch: Vec<_> = records.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(imported);
            }
            imported.read += batch.len() as u64;
            let (answer, answered) = mpsc::sync_channel(1);
            self.queue.bulk(ImportBatch { records: batch, answer })?;
            imported.changed += match answered.recv_timeout(IMPORT_DEADLINE) {
                Ok(result) => result?,
                Err(mpsc::RecvTimeoutError::Timeout) => return Err(StoreError::Deadline),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(StoreError::Failing("the committer has ended".to_owned()));
                }
            };
            progress(imported.read);
        }
    }

    pub(super) fn close(&self) -> bool {
        self.queue.close();
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = match done.as_ref() {
            None => true,
            Some(ended) => {
                !matches!(ended.recv_timeout(self.deadline + CLOSING), Err(mpsc::RecvTimeoutError::Timeout))
            }
        };
        if ended {
            *done = None;
        } else {
            log::error!("the store could not be closed in time: the disk does not answer");
        }
        ended
    }
}

/// Makes a database with these records in a thread of its own.
fn make_database(root: &Path, sled: &Path, store: &StoreId, content: Snapshot) -> Result<(), OpenError> {
    let (path, sled, store) = (root.to_owned(), sled.to_owned(), *store);
    let patience = Duration::from_secs(60 + content.len() / SLOWEST_RECORDS);
    isolate::run(patience, &Arc::default(), move |_| tree::create(&path, &sled, &store, &content))
        .unwrap_or_else(|lost| Err(damage::not_returned(root, lost)))
}

/// Closes the queue when the committer has ended, however it did: no caller waits for a thread that is gone.
struct EndOfQueue(Arc<Queue>);

impl Drop for EndOfQueue {
    fn drop(&mut self) {
        self.0.close();
        self.0.refuse(&StoreError::Failing("the committer has ended".to_owned()));
    }
}

/// What the files below a directory take on the disk. One that goes away meanwhile, as sled's snapshots do, counts
/// for nothing.
fn bytes_below(directory: &Path) -> io::Result<u64> {
    /// The unit of `st_blocks`, whatever the file system's own (POSIX, `sys/stat.h` on Linux).
    const BLOCK: u64 = 512;
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let Ok(entry) = entry else { continue };
        bytes += match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()).unwrap_or(0),
            Ok(found) => found.blocks() * BLOCK,
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}
