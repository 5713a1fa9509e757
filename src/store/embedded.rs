//! The embedded store: sled as the durable home, a live view in memory as what is read.
//!
//! Promises: a write is answered `Ok` when it is on the disk; a read never waits for the disk and shows only what is
//! on it; a store that lost anything is not opened. Not promised: protection from somebody who changes the files on
//! purpose, and more than one process at a time.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::IMPORT_DEADLINE;
use super::error::{OpenError, StoreError};
use super::metrics::StoreMetrics;
use super::options::Options;
use super::record::Record;
use super::report::Status;
use super::version::Version;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use change_log::{ChangeLog, State};
use committer::Committer;
use isolate::FlushWaker;
use layout::Layout;
use queue::{Answer, Linger, Queue, Request};
use recovery::Loaded;
use snapshot::{LiveView, Snapshot};

mod batch_record;
mod change_log;
mod committer;
mod damage;
mod files;
mod high_water_mark;
pub(super) mod index;
mod isolate;
mod layout;
mod queue;
mod recovery;
pub(super) mod snapshot;
#[cfg(test)]
mod tests;
mod tree;
mod wal;

pub(super) use files::is_absent;
pub(super) use layout::inspect;

/// The time beyond the deadline that closing may take: for sled to close, and for the last sync.
const CLOSING: Duration = Duration::from_secs(6);

/// An open embedded store.
#[derive(Debug)]
pub(super) struct Embedded {
    live_view: Arc<LiveView>,
    changes: Arc<Mutex<ChangeLog>>,
    queue: Arc<Queue>,
    root: PathBuf,
    deadline: Duration,
    /// Disconnected when the committer has released the directory.
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Embedded {
    /// Opens the directory and checks everything in it; makes an empty store there when `create` allows it.
    pub(super) fn open(
        path: &Path,
        options: &Options,
        create: bool,
        metrics: Arc<StoreMetrics>,
    ) -> Result<Self, OpenError> {
        let began = Instant::now();
        let mut layout = Layout::open(path, create, |sled, store| {
            recovery::create(path, sled, store, Snapshot::default())
        })?;
        let root = layout.root().to_owned();
        let (mut loaded, mut high_water_mark) = recovery::open(&layout, &options.progress)?;
        if layout.is_outdated() {
            log::info!("upgrading the store at {}: its database is rewritten", root.display());
            drop(loaded.tree);
            layout.upgrade(|sled, store| recovery::create(&root, sled, store, loaded.snapshot))?;
            (loaded, high_water_mark) = recovery::open(&layout, &options.progress)?;
        }
        let Loaded { tree, snapshot, wal } = loaded;
        // Repairs a torn slot, and keeps both from being behind what is served.
        high_water_mark
            .write(&snapshot.checkpoint())
            .and_then(|()| high_water_mark.sync())
            .map_err(OpenError::io(&root, "writing the high-water mark"))?;
        log::info!(
            "opened the store at {}: {} checked in {:.3} s",
            root.display(),
            snapshot.checkpoint(),
            began.elapsed().as_secs_f64()
        );
        let no_thread = || OpenError::io(&root, "starting a thread");
        let flush_waker = FlushWaker::start(options.essential.guard("the thread that wakes stuck flushes"));
        let changes = ChangeLog::load(&layout.change_log(), layout.store(), &snapshot.checkpoint());
        let state = changes.state(snapshot.sequence());
        let changes = Arc::new(Mutex::new(changes));
        let live_view = Arc::new(LiveView::from_pointee(snapshot.of(state)));
        let queue = Arc::new(Queue::default());
        let committer = Committer {
            layout,
            tree: Some(tree),
            wal,
            high_water_mark,
            live_view: Arc::clone(&live_view),
            changes: Arc::clone(&changes),
            queue: Arc::clone(&queue),
            metrics,
            flush_waker: flush_waker.map_err(no_thread())?,
            probe: uuid::Uuid::new_v4().as_u64_pair().0,
            linger: Linger::default(),
        };
        let (end, ended) = mpsc::channel();
        let guard = options.essential.guard("the thread that writes to the store");
        let committed = Arc::clone(&queue);
        thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || {
                let _held = (guard, end);
                until_it_ends(&committed, || committer.run());
            })
            .map_err(no_thread())?;
        Ok(Self { live_view, changes, queue, root, deadline: options.deadline, ended: Mutex::new(ended) })
    }

    pub(super) fn get(&self, cvr: Cvr) -> Option<LoginSpan> {
        self.live_view.load().get(cvr)
    }

    pub(super) fn list(&self) -> Snapshot {
        self.live_view.load().as_ref().clone()
    }

    /// What changed since the earliest of these states that is known, as this snapshot shows it.
    pub(super) fn changes_since(&self, snapshot: &Snapshot, known: &[Version]) -> Option<Snapshot> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let states = known.iter().filter_map(Version::place).map(State::from);
        let known = states.filter(|state| changes.knows(*state));
        let companies = changes.since(known.min_by_key(|state| state.sequence)?);
        drop(changes);
        Some(snapshot.only(&companies))
    }

    pub(super) async fn record(&self, login: Record) -> Result<(), StoreError> {
        self.request(|answer| Request::Write(login, answer)).await
    }

    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        self.request(Request::Probe).await
    }

    /// Sends a request to the committer and waits for its answer.
    async fn request(&self, request: impl FnOnce(Answer) -> Request) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.enqueue(request(answer))?;
        match tokio::time::timeout(self.deadline, answered).await {
            Ok(answered) => answered.unwrap_or_else(|_| Err(committer_ended())),
            Err(_) => Err(StoreError::Deadline),
        }
    }

    pub(super) fn status(&self, metrics: &StoreMetrics) -> Status {
        let snapshot = self.live_view.load();
        Status {
            records: Some(snapshot.len()),
            sequence: Some(snapshot.sequence()),
            waiting: self.queue.waiting() as u64,
            capacity: queue::CAPACITY as u64,
            takes_writes: self.queue.takes_writes(),
            batches: metrics.batches.clone(),
            syncs: Some(metrics.syncs.clone()),
            errors: metrics.errors(),
            database: None,
        }
    }

    pub(super) fn disk_bytes(&self) -> io::Result<u64> {
        /// The unit of `st_blocks`, whatever the file system's own (POSIX, `sys/stat.h` on Linux).
        const BLOCK: u64 = 512;
        let mut bytes = 0;
        files::walk(&self.root, &mut |path, is_directory| {
            // A file that disappears meanwhile, as sled's snapshots do, counts as none.
            if let (false, Ok(found)) = (is_directory, fs::symlink_metadata(path)) {
                bytes += found.blocks() * BLOCK;
            }
            Ok(())
        })?;
        Ok(bytes)
    }

    pub(super) fn import(&self, records: Vec<Record>) -> Result<u64, StoreError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.queue.enqueue(Request::Import(records, answer))?;
        answered.recv_timeout(IMPORT_DEADLINE).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => StoreError::Deadline,
            mpsc::RecvTimeoutError::Disconnected => committer_ended(),
        })?
    }

    /// Takes these companies out, all in one step; returns how many were given. Waits as long as it takes to write the
    /// others, which is more than a deadline.
    pub(super) fn erase(&self, companies: Vec<Cvr>) -> Result<u64, StoreError> {
        let erased = companies.len() as u64;
        let (answer, answered) = mpsc::sync_channel(1);
        self.queue.enqueue(Request::Erase(companies, answer))?;
        answered.recv().unwrap_or_else(|_| Err(committer_ended())).map(|_| erased)
    }

    pub(super) fn close(&self) -> bool {
        self.queue.close();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = ended.recv_timeout(self.deadline + CLOSING) == Err(mpsc::RecvTimeoutError::Timeout);
        if stuck {
            log::error!("the store could not be closed in time: the disk does not answer");
        }
        !stuck
    }
}

fn committer_ended() -> StoreError {
    StoreError::Failing("the committer has ended".to_owned())
}

/// Runs the committer, and closes the queue when it has ended, also by a panic, so that no caller waits for it.
fn until_it_ends(queue: &Queue, committer: impl FnOnce()) {
    let _ = isolate::catch(committer);
    queue.close();
    queue.reject(&committer_ended());
}
