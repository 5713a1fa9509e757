//! Which companies changed in which batch, so that a reader that has an earlier list gets only those.
//!
//! In memory: one entry a change. When there are too many, only the last of each company is kept, and of those the newest;
//! a list from before them is unknown then. A store that is closed in order leaves its log in a file, which counts only
//! beside exactly the records that it was written with.
//!
//! A sequence number alone is no name of a state, because a copy of the directory that is put back numbers other batches
//! alike. So each process that changes anything takes a random number, its run, and a state is a run and a sequence number.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::batch_record::{self, Checkpoint, Magic, StoreId};
use super::files::sync_directory;
use crate::domain::cvr::Cvr;
use crate::store::version::Place;

const MAGIC: &Magic = b"VLC1";

/// Maximum number of entries: 8 MiB.
const CAPACITY: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };
/// Maximum number of runs; each restart with a change adds one.
const RUNS: usize = 64;
/// The lower bits of an entry, which hold the company; the sequence number is above them.
const CVR_BITS: u32 = 27;

/// A state of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// The last batch that it shows.
    pub(super) sequence: u64,
    /// The process that wrote that batch, or the first that knew no other.
    pub(super) run: u64,
}

/// The latest changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChangeLog {
    /// The first state that is known.
    oldest: u64,
    /// The runs, ascending, each with its first state.
    runs: Vec<State>,
    /// Whether the last run is another process's.
    is_inherited: bool,
    /// Ascending.
    entries: Vec<u64>,
}

impl From<Place> for State {
    fn from(place: Place) -> Self {
        Self { sequence: place.position, run: place.history }
    }
}

fn new_run(sequence: u64) -> State {
    State { sequence, run: uuid::Uuid::new_v4().as_u64_pair().0 }
}

impl ChangeLog {
    /// Knows this state and none before.
    pub(super) fn new(sequence: u64) -> Self {
        Self { oldest: sequence, runs: vec![new_run(sequence)], is_inherited: false, entries: Vec::new() }
    }

    /// The state that this batch led to.
    pub(super) fn state(&self, sequence: u64) -> State {
        let at = self.runs.partition_point(|run| run.sequence <= sequence);
        State { sequence, run: self.runs[at.saturating_sub(1)].run }
    }

    /// Adds the companies that a batch changed. Before the batch is published, so that no reader of it misses them.
    pub(super) fn add(&mut self, sequence: u64, companies: impl ExactSizeIterator<Item = Cvr>) {
        if companies.len() == 0 {
            return;
        }
        if std::mem::take(&mut self.is_inherited) {
            self.runs.push(new_run(sequence));
            if self.runs.len() > RUNS {
                self.runs.remove(0);
                self.oldest = self.oldest.max(self.runs[0].sequence);
            }
        }
        if self.entries.len() + companies.len() > CAPACITY {
            self.compact();
        }
        self.entries.extend(companies.map(|cvr| sequence << CVR_BITS | u64::from(cvr.number())));
    }

    /// Keeps the last entry of each company, and of those no more than half of the room.
    fn compact(&mut self) {
        let company = |entry: u64| entry & ((1 << CVR_BITS) - 1);
        self.entries.sort_unstable_by_key(|entry| (company(*entry), u64::MAX - entry));
        self.entries.dedup_by_key(|entry| company(*entry));
        self.entries.sort_unstable();
        if let Some(surplus) = self.entries.len().checked_sub(CAPACITY / 2 + 1) {
            self.oldest = self.oldest.max(self.entries[surplus] >> CVR_BITS);
            self.entries.drain(..=surplus);
        }
    }

    /// Whether [`ChangeLog::since`] knows what changed after the state.
    pub(super) fn knows(&self, state: State) -> bool {
        state.sequence >= self.oldest && self.state(state.sequence) == state
    }

    /// The companies that changed after a state that is known: ascending, each once.
    pub(super) fn since(&self, state: State) -> Vec<Cvr> {
        let first = self.entries.partition_point(|entry| entry >> CVR_BITS <= state.sequence);
        let numbers = self.entries[first..].iter().map(|entry| (entry & ((1 << CVR_BITS) - 1)) as u32);
        let mut companies: Vec<_> = numbers.filter_map(|number| Cvr::from_number(number).ok()).collect();
        companies.sort_unstable();
        companies.dedup();
        companies
    }

    /// Writes the log of these records to the file, durably and in one step.
    pub(super) fn save(&self, path: &Path, store: &StoreId, checkpoint: &Checkpoint) -> io::Result<()> {
        let mut bytes = batch_record::encode(MAGIC, store, checkpoint, &[]);
        let runs = self.runs.iter().flat_map(|run| [run.sequence, run.run]);
        let numbers = [self.oldest, self.runs.len() as u64].into_iter().chain(runs);
        bytes.extend(numbers.chain(self.entries.iter().copied()).flat_map(u64::to_be_bytes));
        let digest = Sha256::digest(&bytes);
        let unfinished = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&bytes)?;
        file.write_all(&digest)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        path.parent().map_or(Ok(()), sync_directory)
    }

    /// The log of these records, or a new one where the file is not exactly theirs.
    pub(super) fn load(path: &Path, store: &StoreId, checkpoint: &Checkpoint) -> Self {
        let saved = Self::read(path, store, checkpoint).and_then(|bytes| Self::decode(&bytes));
        saved.unwrap_or_else(|| Self::new(checkpoint.sequence))
    }

    /// The file's bytes, most of which are not read where they are of other records, as after a crash.
    fn read(path: &Path, store: &StoreId, checkpoint: &Checkpoint) -> Option<Vec<u8>> {
        let mut file = File::open(path).ok()?;
        let mut bytes = vec![0; batch_record::length(0)];
        file.read_exact(&mut bytes).ok()?;
        let of = batch_record::decode(MAGIC, store, &bytes).ok()?.checkpoint;
        (of == *checkpoint && file.read_to_end(&mut bytes).is_ok()).then_some(bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, digest) = bytes.split_last_chunk::<32>()?;
        if Sha256::digest(bytes)[..] != digest[..] {
            return None;
        }
        let (numbers, []) = bytes.get(batch_record::length(0)..)?.as_chunks::<8>() else { return None };
        let mut numbers = numbers.iter().map(|number| u64::from_be_bytes(*number));
        let (oldest, count) = (numbers.next()?, numbers.next()?);
        let run = |numbers: &mut dyn Iterator<Item = u64>| {
            Some(State { sequence: numbers.next()?, run: numbers.next()? })
        };
        let runs = (0..count).map(|_| run(&mut numbers)).collect::<Option<Vec<_>>>()?;
        (!runs.is_empty()).then(|| Self { oldest, runs, is_inherited: true, entries: numbers.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = [7; 16];

    fn companies(numbers: &[u32]) -> impl ExactSizeIterator<Item = Cvr> {
        numbers.iter().map(|number| Cvr::from_number(*number).unwrap())
    }

    fn since(log: &ChangeLog, state: State) -> Option<Vec<u32>> {
        log.knows(state).then(|| log.since(state).into_iter().map(Cvr::number).collect())
    }

    #[test]
    fn companies_that_changed_later_are_named_once() {
        let mut log = ChangeLog::new(10);
        let begin = log.state(10);
        log.add(11, companies(&[5, 3]));
        let middle = log.state(11);
        log.add(12, companies(&[99_999_999, 3]));
        assert_eq!(since(&log, begin), Some(vec![3, 5, 99_999_999]));
        assert_eq!(since(&log, middle), Some(vec![3, 99_999_999]));
        assert_eq!(since(&log, log.state(12)), Some(vec![]));
    }

    #[test]
    fn states_of_other_runs_and_earlier_ones_are_unknown() {
        let mut log = ChangeLog::new(10);
        let known = log.state(10);
        log.add(11, companies(&[5]));
        assert_eq!(since(&log, State { run: known.run ^ 1, ..known }), None);
        assert_eq!(since(&log, State { sequence: 9, ..known }), None);
        assert_eq!(since(&ChangeLog::new(10), known), None);
    }

    #[test]
    fn full_log_keeps_the_newest_change_of_each_company() {
        let mut log = ChangeLog::new(0);
        let mut states = vec![log.state(0)];
        for sequence in 1..=4 * CAPACITY as u64 {
            log.add(sequence, companies(&[(sequence % 10) as u32]));
            states.push(log.state(sequence));
        }
        assert_eq!(since(&log, states[0]), Some((0..10).collect()));
        assert!(log.entries.len() <= CAPACITY);
        for sequence in 1..=2 * CAPACITY as u32 {
            log.add(u64::from(sequence) + 4 * CAPACITY as u64, companies(&[sequence]));
        }
        assert!(log.entries.len() <= CAPACITY && log.entries.capacity() <= CAPACITY);
        assert_eq!(since(&log, states[0]), None);
        // The oldest state that is known lacks nothing.
        let oldest = log.state(log.oldest);
        let expected = log.oldest as u32 - 4 * CAPACITY as u32 + 1..=2 * CAPACITY as u32;
        assert_eq!(since(&log, oldest), Some(expected.collect()));
    }

    #[test]
    fn log_goes_on_after_a_restart_beside_its_own_records_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("changes");
        let checkpoint = Checkpoint { sequence: 11, count: 1, hash: 5 };
        let mut log = ChangeLog::new(10);
        let begin = log.state(10);
        log.add(11, companies(&[5]));
        log.save(&path, &STORE, &checkpoint).unwrap();
        let mut loaded = ChangeLog::load(&path, &STORE, &checkpoint);
        assert_eq!(loaded.state(11), log.state(11), "nothing changed, so the state keeps its name");
        loaded.add(12, companies(&[6]));
        assert_eq!(since(&loaded, begin), Some(vec![5, 6]));
        // What another process made of the same records has other names.
        let mut other = ChangeLog::load(&path, &STORE, &checkpoint);
        other.add(12, companies(&[7]));
        assert_eq!(since(&other, loaded.state(12)), None);
        for (store, checkpoint) in [
            ([8; 16], checkpoint),
            (STORE, Checkpoint { sequence: 12, ..checkpoint }),
            (STORE, Checkpoint { hash: 6, ..checkpoint }),
        ] {
            assert_eq!(since(&ChangeLog::load(&path, &store, &checkpoint), begin), None);
        }
        let whole = fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 40, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(since(&ChangeLog::load(&path, &STORE, &checkpoint), begin), None, "byte {at}");
        }
        fs::write(&path, &whole[..whole.len() - 8]).unwrap();
        assert_eq!(since(&ChangeLog::load(&path, &STORE, &checkpoint), begin), None);
    }

    #[test]
    fn many_restarts_forget_the_earliest_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("changes");
        let mut log = ChangeLog::new(0);
        let begin = log.state(0);
        for sequence in 1..=2 * RUNS as u64 {
            let checkpoint = Checkpoint { sequence: sequence - 1, count: 0, hash: 0 };
            log.save(&path, &STORE, &checkpoint).unwrap();
            log = ChangeLog::load(&path, &STORE, &checkpoint);
            log.add(sequence, companies(&[sequence as u32]));
        }
        assert_eq!(since(&log, begin), None);
        assert_eq!(log.runs.len(), RUNS);
        assert_eq!(log.since(log.state(2 * RUNS as u64 - 1)).len(), 1);
    }
}
