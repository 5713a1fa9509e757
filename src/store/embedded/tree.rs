//! sled, held at arm's length: opening, checking all records, and the few calls that are made while serving.
//!
//! `flush` of sled is no sync on Linux: [`Tree::sync`] adds a `fdatasync` on an own handle of its file. Opening happens
//! in a thread of its own with panics caught and an eye on its progress, because sled panics on some damage and may
//! lose a thread it waits for. Never used: `flush_async` (deadlocks), transactions, `apply_batch`, `watch_prefix`,
//! `checksum`, `export`, `import`.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::batch_record;
use super::batch_record::{BatchRecord, StoreId};
use super::damage::{read_all, sled_error};
use super::layout::sync_directory;
use super::live_view::{Builder, Snapshot};
use super::record_bytes;
use super::wal;
use super::wal::{Step, WalIndex, WalRow};
use crate::store::{OpenError, Progress, Record, StoreError};

const RECORDS: &str = "records";
/// The circular write-ahead log of what the records do not hold yet, see [`super::journal`]: slot → seal. Its name tells
/// its number of slots; one of another number is applied and dropped at opening.
const WAL: &str = "wal-";
/// The WAL of a store of format version 1. Nothing is ever written into it: a page of several of its rows is too large for
/// sled's log and would go to a file that sled does not sync.
const WAL_OF_VERSION_1: &str = "journal";
/// Rows about the store itself: [`SEAL`] and [`PROBE`]. Neither is counted nor hashed.
const ABOUT: &str = "about";
const SEAL: &[u8] = b"seal";
const PROBE: &[u8] = b"probe";
/// What sled may keep of its pages in memory. Reads are served from the register, so this only spares writes a
/// read of the page they change; the kernel's cache makes that cheap.
const CACHE_BYTES: u64 = 16 << 20;
/// Bytes that are written before the next sync is due. sled may use a segment again once its contents have been moved on,
/// one segment (512 KiB) later than that; the sync that makes the new place durable must come first. With this limit the
/// largest single write still stays below a segment.
const UNSYNCED_LIMIT: usize = 96 << 10;
/// Records that are written before the unsynced bytes are counted.
const COUNTED_TOGETHER: usize = 32;

/// An open database.
#[derive(Debug)]
pub(super) struct Tree {
    db: sled::Db,
    records: sled::Tree,
    about: sled::Tree,
    wal: sled::Tree,
    /// Our own handle of sled's file, for the sync that sled does not make.
    file: File,
    path: PathBuf,
    /// Bytes that sled has written since the last sync.
    unsynced: Cell<usize>,
}

/// A database that has been checked, and what is in it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) tree: Tree,
    pub(super) snapshot: Snapshot,
    pub(super) backlog: WalIndex,
}

/// Makes a database that holds these records. Durable once the directory has been synced.
pub(super) fn create(root: &Path, sled: &Path, store: &StoreId, content: &Snapshot) -> Result<(), OpenError> {
    let failed = |error: sled::Error| sled_error(root, "making the database", error);
    let db = config(sled).open().map_err(failed)?;
    let records = db.open_tree(RECORDS).map_err(failed)?;
    for record in content.records() {
        insert(&records, &record).map_err(failed)?;
    }
    let about = db.open_tree(ABOUT).map_err(failed)?;
    about.insert(SEAL, batch_record::encode(store, &content.mark(), &[])).map_err(failed)?;
    db.flush().map_err(failed)?;
    Ok(())
}

fn config(sled: &Path) -> sled::Config {
    // No background flush: it would only log its errors, and the committer flushes each batch.
    sled::Config::new().path(sled).cache_capacity(CACHE_BYTES).flush_every_ms(None)
}

/// Whether the kernel's copy of the database may be read in the place of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KernelCache {
    /// As usual.
    Trusted,
    /// A sync has failed: the kernel shows data that never reached the disk, so everything is read anew.
    Distrusted,
}

/// Opens the database, checks every record against the seal and brings back what a crash cut off the last batch.
pub(super) fn open(
    root: &Path,
    sled: &Path,
    store: &StoreId,
    cache: KernelCache,
    progress: &Progress,
) -> Result<Loaded, OpenError> {
    let disk = |doing: &'static str| OpenError::io(root, doing);
    remove_unfinished_snapshots(sled).map_err(disk("removing an unfinished snapshot"))?;
    let file = File::open(sled.join("db")).map_err(disk("opening the database file"))?;
    // sled builds on what it reads; after a crash of the process some of that may not have reached the disk yet.
    file.sync_all().map_err(disk("syncing the database file"))?;
    if cache == KernelCache::Distrusted {
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
            .map_err(|error| disk("reading the disk anew")(error.into()))?;
    }
    read_all(sled).map_err(disk("reading the database"))?;

    let failed = |error: sled::Error| sled_error(root, "opening the database", error);
    sync_blobs(&sled.join("blobs")).map_err(disk("syncing what lies beside the database"))?;
    let db = config(sled).open().map_err(failed)?;
    let has = |name: &str| db.tree_names().iter().any(|tree| tree == name.as_bytes());
    if !has(RECORDS) || !has(ABOUT) {
        return Err(OpenError::damaged(root, "a database without our tables", "records and their seal"));
    }
    let tree = Tree {
        records: db.open_tree(RECORDS).map_err(failed)?,
        about: db.open_tree(ABOUT).map_err(failed)?,
        wal: db.open_tree(wal_name()).map_err(failed)?,
        db,
        file,
        path: sled.join("db"),
        unsynced: Cell::new(0),
    };
    // sled has replaced its snapshot file and uses segments again on the strength of the new one. That must be durable
    // before more is written: the log without them cannot be read from the old one.
    tree.write_out().map_err(failed)?;
    sync_directory(sled).map_err(disk("syncing the database's directory"))?;
    let row = tree.about.get(SEAL).map_err(failed)?;
    let row = row.ok_or_else(|| OpenError::damaged(root, "no seal", "the seal of the last batch"))?;
    let seal = batch_record::decode(store, &row)
        .map_err(|found| OpenError::damaged(root, found, "the seal of the last batch"))?;
    progress.total.store(seal.mark.count, Ordering::Relaxed);
    let loaded = tree.load(root, progress)?;
    let (snapshot, mut backlog) = tree.roll_forward(root, loaded, store, &seal)?;
    tree.drop_other_wals(store, &mut backlog).map_err(failed)?;
    tree.write_out().map_err(failed)?;
    Ok(Loaded { tree, snapshot, backlog })
}

/// A crash while sled starts can leave its new snapshot half written, which the next start takes for damage. The one
/// before is removed only after the new one has its name, so the half-written one may always go.
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

impl Tree {
    fn load(&self, root: &Path, progress: &Progress) -> Result<Snapshot, OpenError> {
        let mut builder = Builder::default();
        for row in self.records.iter() {
            let (key, value) = row.map_err(|error| sled_error(root, "reading the records", error))?;
            let record = record_bytes::read(&key, &value).ok_or_else(|| {
                OpenError::damaged(root, "a row that is no record", "a company and its logins")
            })?;
            if !builder.push(record) {
                return Err(OpenError::damaged(root, "records out of order", "ascending records"));
            }
            progress.done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(builder.finish())
    }

    /// Adds what the ring holds beyond the main seal, compares with the newest seal, and finishes what the batch of the
    /// main seal should have written.
    ///
    /// The records may hold some of the ring's changes already, and lack some of the main seal's: whichever, merging
    /// all of them must give exactly what the newest seal counts and hashes.
    fn roll_forward(
        &self,
        root: &Path,
        loaded: Snapshot,
        store: &StoreId,
        seal: &BatchRecord,
    ) -> Result<(Snapshot, WalIndex), OpenError> {
        let missing = loaded.diff(&seal.changes);
        let batches = self.later_batches(root, store, seal)?;
        let newest = batches.last().map_or(seal.mark, |batch| batch.mark);
        let waiting: Vec<Record> = batches.into_iter().flat_map(|batch| batch.changes).collect();
        let mut sorted = waiting.clone();
        sorted.sort_unstable_by_key(|record| record.cvr);
        let snapshot = loaded.with(&missing);
        let snapshot = snapshot.with(&snapshot.diff(&sorted)).numbered(newest.sequence);
        if snapshot.mark() != newest {
            return Err(OpenError::damaged(root, snapshot.mark().to_string(), newest.to_string()));
        }
        if !missing.is_empty() {
            log::info!(
                "finished the last batch of writes: {} records were cut off by a crash",
                missing.len()
            );
            self.insert_records(&missing)
                .map_err(|error| sled_error(root, "finishing the last batch", error))?;
        }
        Ok((snapshot, WalIndex::new(seal.mark, newest, waiting)))
    }

    /// The rows of all WALs that the main seal does not cover, in their order, none left out.
    fn later_batches(
        &self,
        root: &Path,
        store: &StoreId,
        seal: &BatchRecord,
    ) -> Result<Vec<BatchRecord>, OpenError> {
        let mut batches = Vec::new();
        let others = self.other_wals().map_err(|error| sled_error(root, "opening the journal", error))?;
        for row in others.iter().map(|(_, wal)| wal).chain([&self.wal]).flat_map(sled::Tree::iter) {
            let (_, row) = row.map_err(|error| sled_error(root, "reading the journal", error))?;
            let batch = batch_record::decode(store, &row)
                .map_err(|found| OpenError::damaged(root, found, "the seal of a batch in the journal"))?;
            if batch.mark.sequence > seal.mark.sequence {
                batches.push(batch);
            }
        }
        batches.sort_unstable_by_key(|batch| batch.mark.sequence);
        for (batch, expected) in batches.iter().zip(seal.mark.sequence + 1..) {
            let found = batch.mark.sequence;
            if found != expected {
                let found = format!("batch {found} in the journal after batch {}", expected - 1);
                return Err(OpenError::damaged(root, found, format!("batch {expected}")));
            }
        }
        Ok(batches)
    }

    /// The WALs that other versions wrote, with their names.
    fn other_wals(&self) -> sled::Result<Vec<(sled::IVec, sled::Tree)>> {
        let mut names = self.db.tree_names();
        names.retain(|name| {
            name == WAL_OF_VERSION_1.as_bytes()
                || name.starts_with(WAL.as_bytes()) && name != wal_name().as_bytes()
        });
        names.into_iter().map(|name| Ok((name.clone(), self.db.open_tree(&name)?))).collect()
    }

    /// Applies all that waits, if a WAL with another number of slots holds some of it, and drops that WAL. The one of
    /// format version 1 stays: the whole database is replaced next.
    fn drop_other_wals(&self, store: &StoreId, backlog: &mut WalIndex) -> sled::Result<()> {
        let mut others = self.other_wals()?;
        others.retain(|(name, _)| name != WAL_OF_VERSION_1.as_bytes());
        if others.is_empty() {
            return Ok(());
        }
        while !backlog.is_empty() {
            let step = backlog.step(usize::MAX);
            self.write_step(store, &step)?;
            let records = step.records.len();
            backlog.stepped(records);
        }
        self.write_out()?;
        for (name, wal) in others {
            drop(wal);
            self.db.drop_tree(&name)?;
            self.write_out()?;
            log::info!("applied and dropped the WAL {:?} of another version", String::from_utf8_lossy(&name));
        }
        Ok(())
    }

    /// Writes a row of the WAL. Durable only after [`Tree::sync`].
    pub(super) fn append(&self, store: &StoreId, row: &WalRow<'_>) -> Result<(), StoreError> {
        let slot = (row.mark.sequence % wal::SLOTS).to_be_bytes();
        self.wal
            .insert(slot, batch_record::encode(store, &row.mark, row.changes))
            .and_then(|_| self.limit_unsynced())
            .map_err(|error| store_error("writing", error))
    }

    /// Settles a step of what the ring holds. The main seal moves on only behind the last record of a round.
    pub(super) fn apply_wal(&self, store: &StoreId, step: &Step<'_>) -> Result<(), StoreError> {
        self.write_step(store, step).map_err(|error| store_error("settling", error))
    }

    fn write_step(&self, store: &StoreId, step: &Step<'_>) -> sled::Result<()> {
        self.insert_records(step.records)?;
        match step.seals {
            Some(mark) => self.about.insert(SEAL, batch_record::encode(store, &mark, &[])).map(drop),
            None => Ok(()),
        }
    }

    /// Writes a batch past the ring, which must hold nothing: its seal first, then its records. Durable only after
    /// [`Tree::sync`].
    pub(super) fn write(&self, store: &StoreId, row: &WalRow<'_>) -> Result<(), StoreError> {
        self.about
            .insert(SEAL, batch_record::encode(store, &row.mark, row.changes))
            .and_then(|_| self.insert_records(row.changes))
            .map_err(|error| store_error("writing", error))
    }

    /// Writes a batch as a crash after so many of its records would leave it.
    #[cfg(test)]
    pub(super) fn write_part(
        &self,
        store: &StoreId,
        mark: &batch_record::Checkpoint,
        changes: &[Record],
        written: usize,
    ) {
        self.about.insert(SEAL, batch_record::encode(store, mark, changes)).unwrap();
        self.insert_records(&changes[..written]).unwrap();
    }

    /// Takes a batch out of the ring, as damage would.
    #[cfg(test)]
    pub(super) fn forget(&self, slot: u64) {
        self.wal.remove(slot.to_be_bytes()).unwrap();
    }

    fn insert_records(&self, changes: &[Record]) -> sled::Result<()> {
        for piece in changes.chunks(COUNTED_TOGETHER) {
            for record in piece {
                insert(&self.records, record)?;
            }
            if piece.len() == COUNTED_TOGETHER {
                self.limit_unsynced()?;
            }
        }
        Ok(())
    }

    /// Syncs when much has been written since the last sync.
    fn limit_unsynced(&self) -> sled::Result<()> {
        let unsynced = self.unsynced.get() + self.db.flush()?;
        self.unsynced.set(unsynced);
        if unsynced > UNSYNCED_LIMIT { self.write_out() } else { Ok(()) }
    }

    /// Makes everything written so far durable.
    fn write_out(&self) -> sled::Result<()> {
        self.db.flush()?;
        self.file.sync_data()?;
        self.unsynced.set(0);
        Ok(())
    }

    /// Writes a value that means nothing, to see whether a write goes through.
    pub(super) fn write_probe(&self, value: u64) -> Result<(), StoreError> {
        self.about
            .insert(PROBE, &value.to_be_bytes())
            .map(drop)
            .map_err(|error| store_error("probing", error))
    }

    /// Reads the probe back.
    pub(super) fn read_probe(&self, value: u64) -> Result<(), StoreError> {
        match self.about.get(PROBE).map_err(|error| store_error("probing", error))? {
            Some(read) if read == value.to_be_bytes() => Ok(()),
            _ => Err(StoreError::Failing("the probe read back another value than was written".to_owned())),
        }
    }

    /// Makes everything written so far durable, in the file that the directory names.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.write_out().map_err(|error| store_error("syncing", error))?;
        self.check_file()
    }

    /// A database that was deleted or replaced under us would swallow writes without a word.
    pub(super) fn check_file(&self) -> Result<(), StoreError> {
        let held =
            self.file.metadata().map_err(|error| StoreError::from_io("looking at the database", &error))?;
        let there = fs::metadata(&self.path)
            .map_err(|error| StoreError::from_io("looking for the database", &error))?;
        if (held.dev(), held.ino()) != (there.dev(), there.ino()) {
            return Err(StoreError::Failing("the database file has been replaced".to_owned()));
        }
        Ok(())
    }

    /// A second handle, for [`super::watchdog`].
    pub(super) fn handle(&self) -> sled::Db {
        self.db.clone()
    }
}

fn insert(records: &sled::Tree, record: &Record) -> sled::Result<()> {
    records.insert(record_bytes::key(record.cvr), &record_bytes::value(record.login)).map(drop)
}

fn store_error(doing: &str, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => StoreError::from_io(doing, &error),
        error => StoreError::Failing(format!("{doing}: {error}")),
    }
}
