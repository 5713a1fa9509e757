//! The last acknowledged mark, in a file of its own beside the database.
//!
//! A database that lost its end, or was put back by a copy, still looks whole to itself. The witness remembers how far
//! writes have been acknowledged: a seal that lies behind it is damage.
//!
//! Two slots, a page apart, are written in turn, each with a checksum, so that a torn write leaves the other. A slot is
//! written after the database has been synced and before the writes are answered; it is synced itself about once a
//! second and at closing. So the witness survives every end of the process, and after a power cut it may be up to a second behind,
//! never ahead.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::batch_record::{Checkpoint, StoreId, checksum};
use super::record_bytes::split;

/// How far apart the slots lie: no write of one can tear the other.
const SLOT: u64 = 4096;
const LENGTH: u64 = 2 * SLOT;
const MAGIC: &[u8; 4] = b"VLW1";
const BODY: usize = 4 + 16 + Checkpoint::LENGTH;
const WRITTEN: usize = BODY + 16;
/// How long an acknowledged mark may stay unsynced.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The open witness file.
#[derive(Debug)]
pub(super) struct HighWaterMark {
    file: File,
    store: StoreId,
    next_slot: u64,
    dirty_since: Option<Instant>,
}

impl HighWaterMark {
    /// A new witness of an empty store, synced.
    pub(super) fn create(path: &Path, store: &StoreId) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.set_len(LENGTH)?;
        let slot = encode(store, &Checkpoint::default());
        file.write_all_at(&slot, 0)?;
        file.write_all_at(&slot, SLOT)?;
        file.sync_all()
    }

    /// Opens the witness and tells the latest mark in it. The outer error is the machine's, the inner one says what is wrong.
    pub(super) fn open(path: &Path, store: &StoreId) -> io::Result<Result<(Self, Checkpoint), String>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err("no witness file".to_owned()));
            }
            opened => opened?,
        };
        let found = match read(&file, store)? {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault)),
        };
        if found.torn {
            log::warn!("one slot of the witness file {} is torn; the other serves", path.display());
        }
        Ok(Ok((Self { file, store: *store, next_slot: 1 - found.slot, dirty_since: None }, found.mark)))
    }

    /// The latest mark, as [`HighWaterMark::open`] tells it, without opening the file for writing.
    pub(super) fn latest(path: &Path, store: &StoreId) -> io::Result<Result<Checkpoint, String>> {
        Ok(read(&File::open(path)?, store)?.map(|found| found.mark))
    }

    /// Writes the mark into the older slot. It survives the process at once, and the machine after the next sync.
    pub(super) fn write(&mut self, mark: &Checkpoint) -> io::Result<()> {
        self.file.write_all_at(&encode(&self.store, mark), self.next_slot * SLOT)?;
        self.next_slot = 1 - self.next_slot;
        self.dirty_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// How long until a sync is due; `None` when nothing is unsynced.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.dirty_since.map(|since| SYNC_EVERY.saturating_sub(since.elapsed()))
    }

    /// Syncs what has been written, if anything.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.dirty_since.is_some() {
            self.file.sync_data()?;
            self.dirty_since = None;
        }
        Ok(())
    }
}

/// The newest readable slot of a witness file.
struct Newest {
    slot: u64,
    mark: Checkpoint,
    /// The other slot is not readable.
    torn: bool,
}

fn read(file: &File, store: &StoreId) -> io::Result<Result<Newest, String>> {
    let length = file.metadata()?.len();
    if length != LENGTH {
        return Ok(Err(format!("a witness file of {length} bytes")));
    }
    let mut marks = [None; 2];
    for (slot, mark) in marks.iter_mut().enumerate() {
        let mut bytes = [0; WRITTEN];
        file.read_exact_at(&mut bytes, slot as u64 * SLOT)?;
        *mark = decode(store, &bytes);
    }
    let (slot, mark) = match marks {
        [None, None] => return Ok(Err("a witness file with no readable slot".to_owned())),
        [Some(mark), None] => (0, mark),
        [None, Some(mark)] => (1, mark),
        [Some(one), Some(other)] if one.sequence >= other.sequence => (0, one),
        [Some(_), Some(other)] => (1, other),
    };
    Ok(Ok(Newest { slot, mark, torn: marks.contains(&None) }))
}

/// Whether a store with this seal may follow this witness; else what was found.
pub(super) fn check(witness: &Checkpoint, seal: &Checkpoint) -> Result<(), String> {
    let same_batch_differs = seal.sequence == witness.sequence && seal != witness;
    if seal.sequence < witness.sequence || seal.count < witness.count || same_batch_differs {
        return Err(format!("{seal} (truncated, or put back from an older copy)"));
    }
    Ok(())
}

fn encode(store: &StoreId, mark: &Checkpoint) -> [u8; WRITTEN] {
    let mut bytes = [0; WRITTEN];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..20].copy_from_slice(store);
    bytes[20..BODY].copy_from_slice(&mark.write());
    let check = checksum(&bytes[..BODY]);
    bytes[BODY..].copy_from_slice(&check);
    bytes
}

fn decode(store: &StoreId, bytes: &[u8; WRITTEN]) -> Option<Checkpoint> {
    let (body, check) = bytes.split_at(BODY);
    let (head, mark) = body.split_at(20);
    (check == checksum(body) && head[..4] == MAGIC[..] && head[4..] == store[..])
        .then(|| Checkpoint::read(&split(mark).0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::batch_record::SetHash;

    fn mark(sequence: u64) -> Checkpoint {
        Checkpoint { sequence, count: sequence, hash: SetHash(u128::from(sequence) * 7) }
    }

    fn latest(path: &Path) -> Result<Checkpoint, String> {
        HighWaterMark::open(path, &[1; 16]).unwrap().map(|(_, mark)| mark)
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 4;
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn the_latest_mark_is_told_and_a_torn_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness");
        HighWaterMark::create(&path, &[1; 16]).unwrap();
        assert_eq!(latest(&path), Ok(Checkpoint::default()));
        let (mut witness, _) = HighWaterMark::open(&path, &[1; 16]).unwrap().unwrap();
        for sequence in 1..=5 {
            witness.write(&mark(sequence)).unwrap();
            assert_eq!(latest(&path), Ok(mark(sequence)));
        }
        assert!(witness.due_in().is_some());
        witness.sync().unwrap();
        assert_eq!(witness.due_in(), None);
        let newest = (1 - witness.next_slot) * SLOT;
        flip(&path, newest as usize + 25);
        assert_eq!(latest(&path), Ok(mark(4)));
        let (mut witness, _) = HighWaterMark::open(&path, &[1; 16]).unwrap().unwrap();
        witness.write(&mark(6)).unwrap();
        assert_eq!(latest(&path), Ok(mark(6)));
        flip(&path, 30);
        flip(&path, SLOT as usize + 30);
        assert!(latest(&path).is_err());
    }

    #[test]
    fn a_missing_short_or_foreign_witness_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness");
        assert!(latest(&path).is_err());
        HighWaterMark::create(&path, &[2; 16]).unwrap();
        assert!(latest(&path).is_err());
        HighWaterMark::create(&path, &[1; 16]).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(LENGTH - 1).unwrap();
        assert!(latest(&path).is_err());
    }

    #[test]
    fn a_seal_behind_the_witness_is_a_rollback() {
        assert!(check(&mark(5), &mark(5)).is_ok());
        assert!(check(&mark(5), &mark(6)).is_ok());
        assert!(check(&mark(5), &mark(4)).is_err());
        assert!(check(&mark(5), &Checkpoint { hash: SetHash(1), ..mark(5) }).is_err());
        assert!(check(&mark(5), &Checkpoint { count: 4, ..mark(6) }).is_err());
    }
}
