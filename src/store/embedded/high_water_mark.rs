//! The last acknowledged checkpoint, in a file of its own beside the database.
//!
//! A database that lost its end, or was replaced by an older copy, looks whole but is behind it, and so is damaged.
//! Two slots are written in turn, so that a torn write leaves the other: after the database has been synced, before
//! the writes are answered. The file is synced once a second, so after a power cut it may be a second behind, never
//! ahead.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::batch_record::{self, Checkpoint, Magic, StoreId};
use super::files::HIGH_WATER_MARK as NAME;
use crate::store::error::OpenError;

/// The distance of the slots: no write of one can tear the other.
const SLOT: u64 = 4096;
const LENGTH: u64 = 2 * SLOT;
const MAGIC: &Magic = b"VLW1";
/// The longest time that an acknowledged checkpoint stays unsynced.
const SYNC_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct HighWaterMark {
    file: File,
    store: StoreId,
    next_slot: u64,
    dirty_since: Option<Instant>,
}

impl HighWaterMark {
    pub(super) fn create(root: &Path, store: &StoreId) -> io::Result<()> {
        let file = File::create(root.join(NAME))?;
        file.set_len(LENGTH)?;
        let slot = batch_record::encode(MAGIC, store, &Checkpoint::default(), &[]);
        file.write_all_at(&slot, 0)?;
        file.write_all_at(&slot, SLOT)?;
        file.sync_all()
    }

    /// Opens the file in the store's directory `root`, and returns the latest checkpoint in it.
    pub(super) fn open(root: &Path, store: &StoreId, write: bool) -> Result<(Self, Checkpoint), OpenError> {
        let file = match File::options().read(true).write(write).open(root.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(root, "no high-water mark"));
            }
            opened => opened.map_err(OpenError::io(root, "opening the high-water mark"))?,
        };
        let failed = || OpenError::io(root, "reading the high-water mark");
        let length = file.metadata().map_err(failed())?.len();
        if length != LENGTH {
            return Err(damaged(root, format!("a high-water mark of {length} bytes")));
        }
        let mut slots = Vec::new();
        for slot in 0..2 {
            let mut bytes = [0; batch_record::length(0)];
            file.read_exact_at(&mut bytes, slot * SLOT).map_err(failed())?;
            slots.extend(batch_record::decode(MAGIC, store, &bytes).map(|found| (slot, found.checkpoint)));
        }
        if write && slots.len() == 1 {
            let file = root.join(NAME);
            log::warn!("one slot of the high-water mark {} is torn; the other is used", file.display());
        }
        let newest = slots.into_iter().max_by_key(|(_, checkpoint)| checkpoint.sequence);
        let (slot, checkpoint) =
            newest.ok_or_else(|| damaged(root, "a high-water mark with no readable slot"))?;
        Ok((Self { file, store: *store, next_slot: 1 - slot, dirty_since: None }, checkpoint))
    }

    /// Writes the checkpoint into the older slot, where it survives the process at once and the machine after the
    /// next sync.
    pub(super) fn write(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        let slot = batch_record::encode(MAGIC, &self.store, checkpoint, &[]);
        self.file.write_all_at(&slot, self.next_slot * SLOT)?;
        self.next_slot = 1 - self.next_slot;
        self.dirty_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// The time until a sync is due; `None` when nothing is unsynced.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.dirty_since.map(|since| SYNC_EVERY.saturating_sub(since.elapsed()))
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.dirty_since.is_some() {
            self.file.sync_data()?;
            self.dirty_since = None;
        }
        Ok(())
    }
}

fn damaged(root: &Path, found: impl Into<String>) -> OpenError {
    OpenError::damaged(root, found, "the high-water mark of the acknowledged writes")
}

/// Rejects a database that is behind what was acknowledged. Fewer records are no sign of that: an erasure leaves them under
/// a higher sequence number, and a database that is behind is so in its sequence number too.
pub(super) fn check(root: &Path, acknowledged: &Checkpoint, found: &Checkpoint) -> Result<(), OpenError> {
    let same_batch_differs = found.sequence == acknowledged.sequence && found != acknowledged;
    if found.sequence < acknowledged.sequence || same_batch_differs {
        let found = format!("{found} (truncated, or replaced by an older copy)");
        return Err(OpenError::damaged(
            root,
            found,
            format!("at least {acknowledged}, which was acknowledged"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/store";

    fn open(root: &Path) -> Result<(HighWaterMark, Checkpoint), OpenError> {
        HighWaterMark::open(root, &[1; 16], true)
    }

    fn checkpoint(sequence: u64) -> Checkpoint {
        Checkpoint { sequence, count: sequence, hash: u128::from(sequence) * 7 }
    }

    fn latest(root: &Path) -> Result<Checkpoint, OpenError> {
        open(root).map(|(_, found)| found)
    }

    fn flip(root: &Path, at: usize) {
        let mut bytes = std::fs::read(root.join(NAME)).unwrap();
        bytes[at] ^= 4;
        std::fs::write(root.join(NAME), bytes).unwrap();
    }

    #[test]
    fn torn_slot_leaves_the_checkpoint_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        HighWaterMark::create(path, &[1; 16]).unwrap();
        assert_eq!(latest(path).unwrap(), Checkpoint::default());
        let (mut mark, _) = open(path).unwrap();
        for sequence in 1..=5 {
            mark.write(&checkpoint(sequence)).unwrap();
            assert_eq!(latest(path).unwrap(), checkpoint(sequence));
        }
        assert!(mark.due_in().is_some());
        mark.sync().unwrap();
        assert_eq!(mark.due_in(), None);
        let newest = (1 - mark.next_slot) * SLOT;
        flip(path, newest as usize + 25);
        assert_eq!(latest(path).unwrap(), checkpoint(4));
        let (mut mark, _) = open(path).unwrap();
        mark.write(&checkpoint(6)).unwrap();
        assert_eq!(latest(path).unwrap(), checkpoint(6));
        flip(path, 30);
        flip(path, SLOT as usize + 30);
        assert!(latest(path).is_err());
    }

    #[test]
    fn missing_short_or_foreign_file_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        assert!(latest(path).is_err());
        HighWaterMark::create(path, &[2; 16]).unwrap();
        assert!(latest(path).is_err());
        HighWaterMark::create(path, &[1; 16]).unwrap();
        File::options().write(true).open(path.join(NAME)).unwrap().set_len(LENGTH - 1).unwrap();
        assert!(latest(path).is_err());
    }

    #[test]
    fn database_behind_the_mark_is_damaged() {
        assert!(check(ROOT.as_ref(), &checkpoint(5), &checkpoint(5)).is_ok());
        assert!(check(ROOT.as_ref(), &checkpoint(5), &checkpoint(6)).is_ok());
        assert!(check(ROOT.as_ref(), &checkpoint(5), &checkpoint(4)).is_err());
        assert!(check(ROOT.as_ref(), &checkpoint(5), &Checkpoint { hash: 1, ..checkpoint(5) }).is_err());
        assert!(check(ROOT.as_ref(), &checkpoint(5), &Checkpoint { count: 4, ..checkpoint(5) }).is_err());
        assert!(check(ROOT.as_ref(), &checkpoint(5), &Checkpoint { count: 4, ..checkpoint(6) }).is_ok());
    }
}
