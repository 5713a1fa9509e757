//! The few calls of sled that are made while serving.
//!
//! sled's `flush` is no sync on Linux: [`Tree::sync`] adds a `fdatasync` on an own handle of its file. Never used:
//! `flush_async` (deadlocks), transactions, `apply_batch`, `watch_prefix`, `checksum`, `export`, `import`.

use std::cell::Cell;
use std::fs::File;
use std::path::PathBuf;

use super::batch_record::{self, BATCH, Checkpoint, StoreId};
use super::files::is_same_file;
use super::wal::{self, Step, WalRow};
use crate::store::error::StoreError;
use crate::store::record::Record;

pub(super) const RECORDS: &str = "records";
/// Rows about the store itself: [`CHECKPOINT`] and [`PROBE`], neither counted nor hashed.
pub(super) const ABOUT: &str = "about";
/// The main checkpoint: the batch record up to which the table of records is complete.
pub(super) const CHECKPOINT: &[u8] = b"seal";
const PROBE: &[u8] = b"probe";
/// Bytes that are written before the next sync is due. sled may use a segment again one segment (512 KiB) after its
/// content has moved, so the sync that makes the new place durable must come first; with this limit the largest
/// single write still stays below a segment.
const UNSYNCED_LIMIT: usize = 96 << 10;
/// Records that are written before the unsynced bytes are counted.
const COUNTED_TOGETHER: usize = 32;

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) store: StoreId,
    pub(super) db: sled::Db,
    pub(super) records: sled::Tree,
    pub(super) about: sled::Tree,
    /// The circular WAL: slot → batch record.
    pub(super) wal: sled::Tree,
    /// Our own handle of sled's file, for the sync that sled does not make.
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) unsynced: Cell<usize>,
}

impl Tree {
    /// Writes a row of the WAL. Durable only after [`Tree::sync`].
    pub(super) fn append(&self, row: &WalRow<'_>) -> sled::Result<()> {
        let slot = (row.checkpoint.sequence % wal::SLOTS).to_be_bytes();
        self.wal.insert(slot, batch_record::encode(BATCH, &self.store, &row.checkpoint, row.changes))?;
        self.limit_unsynced()
    }

    /// Applies a step of the WAL. The main checkpoint moves on only after the last record of a round.
    pub(super) fn apply(&self, step: &Step<'_>) -> sled::Result<()> {
        self.insert_records(step.records)?;
        step.checkpoint.map_or(Ok(()), |checkpoint| self.write_checkpoint(&checkpoint, &[]))
    }

    /// Writes a batch past the WAL, which must be empty: the main checkpoint first, then its records. Durable only
    /// after [`Tree::sync`].
    pub(super) fn write(&self, row: &WalRow<'_>) -> sled::Result<()> {
        self.write_checkpoint(&row.checkpoint, row.changes)?;
        self.insert_records(row.changes)
    }

    pub(super) fn write_checkpoint(&self, checkpoint: &Checkpoint, changes: &[Record]) -> sled::Result<()> {
        let row = batch_record::encode(BATCH, &self.store, checkpoint, changes);
        self.about.insert(CHECKPOINT, row).map(drop)
    }

    pub(super) fn insert_records(&self, changes: &[Record]) -> sled::Result<()> {
        for together in changes.chunks(COUNTED_TOGETHER) {
            for record in together {
                insert(&self.records, record)?;
            }
            if together.len() == COUNTED_TOGETHER {
                self.limit_unsynced()?;
            }
        }
        Ok(())
    }

    fn limit_unsynced(&self) -> sled::Result<()> {
        let unsynced = self.unsynced.get() + self.db.flush()?;
        self.unsynced.set(unsynced);
        if unsynced > UNSYNCED_LIMIT { self.write_out() } else { Ok(()) }
    }

    /// Makes everything written so far durable.
    pub(super) fn write_out(&self) -> sled::Result<()> {
        self.db.flush()?;
        self.file.sync_data()?;
        self.unsynced.set(0);
        Ok(())
    }

    /// As [`Tree::write_out`], in the file that the directory names.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.write_out()?;
        self.check_file()
    }

    /// Checks that the database was neither deleted nor replaced: it would swallow writes without an error.
    pub(super) fn check_file(&self) -> Result<(), StoreError> {
        match is_same_file(&self.file, &self.path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::Failing("the database file has been replaced".to_owned())),
            Err(error) => Err(StoreError::from_io("finding the database", &error)),
        }
    }

    /// Writes a meaningless value, to see whether a write succeeds.
    pub(super) fn write_probe(&self, value: u64) -> sled::Result<()> {
        self.about.insert(PROBE, &value.to_be_bytes()).map(drop)
    }

    pub(super) fn read_probe(&self, value: u64) -> Result<(), StoreError> {
        match self.about.get(PROBE)? {
            Some(read) if read == value.to_be_bytes() => Ok(()),
            _ => Err(StoreError::Failing("the probe read back another value than was written".to_owned())),
        }
    }
}

pub(super) fn insert(records: &sled::Tree, record: &Record) -> sled::Result<()> {
    records.insert(batch_record::key(record.cvr), &batch_record::value(record.login)).map(drop)
}

/// For a store that has been open.
impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::from_io("writing", &error),
            error => Self::Failing(format!("writing: {error}")),
        }
    }
}
