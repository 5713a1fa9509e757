//! Creating and opening the database: every record is checked against the checkpoint, and what a crash cut off is
//! restored.
//!
//! sled panics on some damage and may lose a thread that it waits for, so all of this runs isolated, with a limit on
//! the time without progress.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::batch_record::{self, BATCH, BatchRecord, StoreId};
use super::damage::{not_returned, sled_error};
use super::files::{sync_directory, walk};
use super::high_water_mark::{self, HighWaterMark};
use super::isolate;
use super::layout::Layout;
use super::snapshot::Snapshot;
use super::tree::{ABOUT, CHECKPOINT, RECORDS, Tree, insert};
use super::wal::{self, WalIndex};
use crate::domain::cvr::Cvr;
use crate::store::error::OpenError;
use crate::store::options::Progress;
use crate::store::record::Record;

/// The WAL's table, named after its number of slots; a WAL of another number is applied and dropped at opening.
const WAL: &str = "wal-";
/// The WAL of a store of format version 1. It is never written: a page of several of its rows is too large for sled's
/// log and would go to a file that sled does not sync.
const WAL_OF_VERSION_1: &str = "journal";
/// What sled may keep of its pages in memory, which by its count are a fifth of what they take. Reads are served from the
/// live view, and a round of writes goes through the pages in their order, so it only has to hold the way to the next one.
const CACHE_BYTES: u64 = 256 << 10;
/// Records that are added to a snapshot together.
const CHUNK: usize = 4_096;
/// Threads that read the table, at most: each takes some 8 MB.
const READERS: usize = 2;
/// Parts of the table, which the threads take in turn: many, because the numbers of companies are not spread evenly.
pub(super) const PARTS: u32 = 128;
/// Records that the slowest disk puts into a new database in a second.
const SLOWEST_RECORDS: u64 = 5_000;
/// Bytes that the slowest disk reads in a second: sled reads the whole log before the first record.
const SLOWEST_BYTES: u64 = 4 << 20;
/// The shortest limit on the time without progress, in seconds.
const BASE_LIMIT: u64 = if cfg!(test) { 10 } else { 60 };
/// How long an earlier handle of the database may keep its lock, and how often it is tried.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
const RELEASE_INTERVAL: Duration = Duration::from_millis(10);

/// A database that has been checked, and what is in it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) tree: Tree,
    pub(super) snapshot: Snapshot,
    pub(super) wal: WalIndex,
}

/// Creates a database that holds these records. Durable once the directory has been synced.
pub(super) fn create(root: &Path, sled: &Path, store: &StoreId, content: Snapshot) -> Result<(), OpenError> {
    let (path, sled, store) = (root.to_owned(), sled.to_owned(), *store);
    let limit = Duration::from_secs(BASE_LIMIT + content.len() / SLOWEST_RECORDS);
    isolate::run(limit, &Arc::default(), move |_| {
        fill(&sled, &store, &content).map_err(|error| sled_error(&path, "making the database", error))
    })
    .unwrap_or_else(|failure| Err(not_returned(root, failure)))
}

fn fill(sled: &Path, store: &StoreId, content: &Snapshot) -> sled::Result<()> {
    let db = config(sled).open()?;
    let records = db.open_tree(RECORDS)?;
    content.records().try_for_each(|record| insert(&records, &record))?;
    let row = batch_record::encode(BATCH, store, &content.checkpoint(), &[]);
    db.open_tree(ABOUT)?.insert(CHECKPOINT, row)?;
    db.flush().map(drop)
}

fn config(sled: &Path) -> sled::Config {
    // No background flush: it would only log its errors, and the committer flushes each batch.
    sled::Config::new().path(sled).cache_capacity(CACHE_BYTES).flush_every_ms(None)
}

/// Opens and checks the database, and compares it with the high-water mark.
///
/// Our own lock on the directory is held by then. So when sled finds its file locked, it is by a handle of this
/// process (the one that created the database, say) that one of sled's threads is about to drop.
pub(super) fn open(layout: &Layout, progress: &Arc<Progress>) -> Result<(Loaded, HighWaterMark), OpenError> {
    let (high_water_mark, acknowledged) = HighWaterMark::open(layout.root(), layout.store(), true)?;
    let size = fs::metadata(layout.sled().join("db")).map_or(0, |db| db.len());
    let limit = Duration::from_secs(BASE_LIMIT + size / SLOWEST_BYTES);
    let until = Instant::now() + RELEASE_TIMEOUT;
    let loaded = loop {
        let (root, sled, store) = (layout.root().to_owned(), layout.sled(), *layout.store());
        let opened = isolate::run(limit, progress, move |progress| load(&root, &sled, store, progress))
            .unwrap_or_else(|failure| Err(not_returned(layout.root(), failure)));
        match opened {
            Err(OpenError::InUse { .. }) if Instant::now() < until => thread::sleep(RELEASE_INTERVAL),
            opened => break opened?,
        }
    };
    high_water_mark::check(layout.root(), &acknowledged, &loaded.snapshot.checkpoint())?;
    Ok((loaded, high_water_mark))
}

fn load(root: &Path, sled: &Path, store: StoreId, progress: &Progress) -> Result<Loaded, OpenError> {
    let failed = |error: sled::Error| sled_error(root, "opening the database", error);
    let tree = open_tree(root, sled, store)?;
    let row = tree.about.get(CHECKPOINT).map_err(failed)?;
    let row = row.ok_or_else(|| OpenError::damaged(root, "no checkpoint", "the record of the last batch"))?;
    let main = batch_record::decode(BATCH, &store, &row)
        .map_err(|found| OpenError::damaged(root, found, "the record of the last batch"))?;
    progress.total.store(main.checkpoint.count, Ordering::Relaxed);
    let recovery = Recovery { root, tree };
    let found = recovery.read_records(progress)?;
    let (snapshot, mut wal) = recovery.roll_forward(found, &main)?;
    recovery.drop_other_wals(&mut wal).map_err(failed)?;
    recovery.tree.write_out().map_err(failed)?;
    Ok(Loaded { tree: recovery.tree, snapshot, wal })
}

/// Has the database read from the disk again: after a failed sync the kernel shows data that never reached it.
pub(super) fn drop_kernel_cache(sled: &Path) -> io::Result<()> {
    let file = File::open(sled.join("db"))?;
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).map_err(io::Error::from)
}

fn open_tree(root: &Path, sled: &Path, store: StoreId) -> Result<Tree, OpenError> {
    let disk = |doing: &'static str| OpenError::io(root, doing);
    let failed = |error: sled::Error| sled_error(root, "opening the database", error);
    remove_unfinished_snapshots(sled).map_err(disk("removing an unfinished snapshot"))?;
    let file = File::open(sled.join("db")).map_err(disk("opening the database file"))?;
    // sled builds on what it reads, which after a crash of the process may not have reached the disk yet.
    file.sync_all().map_err(disk("syncing the database file"))?;
    // sled takes an unreadable part of its log for the log's end and cuts off the rest, which would then really be
    // lost. `io::copy` to the device is a sendfile(2), which reads without copying: a tenth of the time.
    let null = File::options().write(true).open("/dev/null");
    walk(sled, &mut |path, is_directory| {
        if is_directory {
            return Ok(());
        }
        let mut file = File::open(path)?;
        let read = match &null {
            Ok(null) => io::copy(&mut file, &mut &*null),
            Err(_) => io::copy(&mut file, &mut io::sink()), // A file system without devices, as that of an image.
        };
        read.map(drop)
    })
    .map_err(disk("reading the database"))?;
    sync_blobs(&sled.join("blobs")).map_err(disk("syncing the files beside the database"))?;
    let db = config(sled).open().map_err(failed)?;
    let names = db.tree_names();
    if ![RECORDS, ABOUT].iter().all(|name| names.iter().any(|tree| tree == name.as_bytes())) {
        return Err(OpenError::damaged(root, "a database without our tables", "records and a checkpoint"));
    }
    let tree = Tree {
        store,
        records: db.open_tree(RECORDS).map_err(failed)?,
        about: db.open_tree(ABOUT).map_err(failed)?,
        wal: db.open_tree(wal_name()).map_err(failed)?,
        db,
        file,
        path: sled.join("db"),
        unsynced: Cell::new(0),
    };
    // sled has replaced its snapshot file and uses segments again on the strength of the new one, without which the
    // log can no longer be read. So it must be durable before more is written.
    tree.write_out().map_err(failed)?;
    sync_directory(sled).map_err(disk("syncing the database's directory"))?;
    Ok(tree)
}

/// Removes sled's new snapshot that a crash left half written, which sled takes for damage. The one before is removed
/// only after the new one has its name.
fn remove_unfinished_snapshots(sled: &Path) -> io::Result<()> {
    for entry in fs::read_dir(sled)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
            log::info!("removed {name}, left by a crash during an earlier start");
        }
    }
    Ok(())
}

/// Makes the pages durable that sled wrote into files of their own, which it does not sync. There should be none.
fn sync_blobs(directory: &Path) -> io::Result<()> {
    let mut blobs = 0;
    for entry in fs::read_dir(directory)? {
        File::open(entry?.path())?.sync_all()?;
        blobs += 1;
    }
    if blobs > 0 {
        log::error!(
            "{blobs} pages of the database are too large for its log and lie in {}; they are synced now, but a power cut \
             before this start could have cost the store. Stores of format version 1 have such pages; please report them \
             from any other",
            directory.display()
        );
    }
    sync_directory(directory)
}

fn wal_name() -> String {
    format!("{WAL}{}", wal::SLOTS)
}

/// The first CVR number of a part of the table.
pub(super) fn first_of(part: u32) -> u32 {
    part * (Cvr::MAX.number() / PARTS)
}

/// The rows of one part of the table, which is a range of keys: together the parts have every key, whatever its length.
fn read_part(
    root: &Path,
    records: &sled::Tree,
    part: u32,
    progress: &Progress,
) -> Result<Snapshot, OpenError> {
    let damaged = |found: &str, expected: &str| OpenError::damaged(root, found, expected);
    let from = if part == 0 { Bound::Unbounded } else { Bound::Included(first_of(part).to_be_bytes()) };
    let to =
        if part + 1 == PARTS { Bound::Unbounded } else { Bound::Excluded(first_of(part + 1).to_be_bytes()) };
    let mut snapshot = Snapshot::default();
    let (mut chunk, mut last) = (Vec::with_capacity(CHUNK), None);
    for row in records.range((from, to)) {
        let (key, value) = row.map_err(|error| sled_error(root, "reading the records", error))?;
        let record = batch_record::read(&key, &value)
            .ok_or_else(|| damaged("a row that is no record", "a company and its logins"))?;
        if last.replace(record.cvr) >= Some(record.cvr) || record.cvr.number() < first_of(part) {
            return Err(damaged("records out of order", "ascending records"));
        }
        chunk.push(record);
        if chunk.len() == CHUNK {
            snapshot = snapshot.with(&chunk);
            chunk.clear();
        }
        progress.done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(snapshot.with(&chunk))
}

/// An opened database that is being checked.
struct Recovery<'a> {
    root: &'a Path,
    tree: Tree,
}

impl Recovery<'_> {
    fn damaged(&self, found: impl Into<String>, expected: impl Into<String>) -> OpenError {
        OpenError::damaged(self.root, found, expected)
    }

    /// All rows, on several cores: sled takes a microsecond for each.
    fn read_records(&self, progress: &Progress) -> Result<Snapshot, OpenError> {
        let (root, records, next) = (self.root, &self.tree.records, AtomicU32::new(0));
        let reader = || {
            let parts = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            let parts = parts.take_while(|part| *part < PARTS);
            parts
                .map(|part| Ok((part, read_part(root, records, part, progress)?)))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut parts = thread::scope(|scope| {
            let readers = thread::available_parallelism().map_or(1, |cores| cores.get().min(READERS));
            let readers: Vec<_> = (0..readers).map(|_| scope.spawn(reader)).collect();
            let parts =
                readers.into_iter().map(|reader| reader.join().unwrap_or_else(|panic| resume_unwind(panic)));
            parts.collect::<Result<Vec<_>, _>>().map(|parts| parts.into_iter().flatten().collect::<Vec<_>>())
        })?;
        parts.sort_unstable_by_key(|(part, _)| *part);
        let mut snapshot = Snapshot::default();
        parts.into_iter().for_each(|(_, part)| snapshot.append(part));
        Ok(snapshot)
    }

    /// Adds what the WAL holds beyond the main checkpoint, compares with the newest checkpoint, and finishes what the
    /// batch of the main checkpoint should have written.
    ///
    /// The table may hold some of the WAL's changes already, and lack some of the main checkpoint's: in any case
    /// merging all of them must give exactly what the newest checkpoint counts and hashes.
    fn roll_forward(&self, found: Snapshot, main: &BatchRecord) -> Result<(Snapshot, WalIndex), OpenError> {
        let missing = found.diff(main.changes.clone());
        let batches = self.later_batches(main.checkpoint.sequence)?;
        let newest = batches.last().map_or(main.checkpoint, |batch| batch.checkpoint);
        let waiting: Vec<Record> = batches.into_iter().flat_map(|batch| batch.changes).collect();
        let snapshot = found.with(&missing);
        let diff = snapshot.diff(waiting.clone());
        let snapshot = snapshot.with(&diff).numbered(newest.sequence);
        if snapshot.checkpoint() != newest {
            return Err(self.damaged(snapshot.checkpoint().to_string(), newest.to_string()));
        }
        if !missing.is_empty() {
            log::info!(
                "finished the last batch of writes: {} records were cut off by a crash",
                missing.len()
            );
            let inserted = self.tree.insert_records(&missing);
            inserted.map_err(|error| sled_error(self.root, "finishing the last batch", error))?;
        }
        Ok((snapshot, WalIndex::new(main.checkpoint, newest, waiting)))
    }

    /// The rows of all WALs after this batch, in their order, none left out.
    fn later_batches(&self, main: u64) -> Result<Vec<BatchRecord>, OpenError> {
        let failed = |error| sled_error(self.root, "reading the WAL", error);
        let mut batches = Vec::new();
        let others = self.other_wals().map_err(failed)?;
        for row in others.iter().map(|(_, wal)| wal).chain([&self.tree.wal]).flat_map(sled::Tree::iter) {
            let batch = batch_record::decode(BATCH, &self.tree.store, &row.map_err(failed)?.1)
                .map_err(|found| self.damaged(found, "the record of a batch in the WAL"))?;
            if batch.checkpoint.sequence > main {
                batches.push(batch);
            }
        }
        batches.sort_unstable_by_key(|batch| batch.checkpoint.sequence);
        for (batch, expected) in batches.iter().zip(main + 1..) {
            let found = batch.checkpoint.sequence;
            if found != expected {
                let found = format!("batch {found} in the WAL after batch {}", expected - 1);
                return Err(self.damaged(found, format!("batch {expected}")));
            }
        }
        Ok(batches)
    }

    /// The WALs that other versions wrote, with their names.
    fn other_wals(&self) -> sled::Result<Vec<(sled::IVec, sled::Tree)>> {
        let mut names = self.tree.db.tree_names();
        names.retain(|name| {
            name == WAL_OF_VERSION_1.as_bytes()
                || name.starts_with(WAL.as_bytes()) && name != wal_name().as_bytes()
        });
        names.into_iter().map(|name| Ok((name.clone(), self.tree.db.open_tree(&name)?))).collect()
    }

    /// Applies everything and drops the WALs with another number of slots, if there are any. The one of format
    /// version 1 stays: the whole database is replaced next.
    fn drop_other_wals(&self, wal: &mut WalIndex) -> sled::Result<()> {
        let mut others = self.other_wals()?;
        others.retain(|(name, _)| name != WAL_OF_VERSION_1.as_bytes());
        if others.is_empty() {
            return Ok(());
        }
        while !wal.is_empty() {
            let step = wal.step(usize::MAX);
            self.tree.apply(&step)?;
            let records = step.records.len();
            wal.stepped(records);
        }
        self.tree.write_out()?;
        for (name, other) in others {
            drop(other);
            self.tree.db.drop_tree(&name)?;
            self.tree.write_out()?;
            log::info!("applied and dropped the WAL {:?} of another version", String::from_utf8_lossy(&name));
        }
        Ok(())
    }
}
