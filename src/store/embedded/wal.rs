//! Batches that are durable but not yet in the table of records, and when they get there.
//!
//! A row of its own for each login costs sled many times its bytes. So a batch is first written into a circular
//! write-ahead log (WAL) of [`SLOTS`] rows, each a batch record of up to [`ROW_LOGINS`] logins; only that must be
//! durable before the answer. Its records are *applied* to the table in steps, ascending by company, each company
//! once, while no write waits; when the WAL fills, each batch applies its share. After a round of steps the main
//! checkpoint moves on and the slots are free (docs/DURABILITY.md).

use super::batch_record::{self, Checkpoint};
use crate::store::record::{Record, merge_by_company};

/// Rows of the WAL: 25 MB at most, all read at every start. Its table is named after the number, so that versions may
/// differ (see `recovery.rs`); tests go round a small WAL often.
pub(super) const SLOTS: u64 = if cfg!(test) { 64 } else { 8_192 };
/// Logins in one row of the WAL. sled writes up to 17 rows as one message of its log, and a message of more than
/// 131,052 bytes into a file that is never synced: a power cut would then cost the whole store.
pub(super) const ROW_LOGINS: usize = 150;
const _: () = assert!(
    17 * (batch_record::length(ROW_LOGINS) + 64) < 131_052,
    "17 rows fit into one message of sled's log"
);
/// Records from which on batches apply their share. Memory, and the work of a start, stay below twice that.
const MANY_RECORDS: usize = if cfg!(test) { 4_096 } else { 262_144 };
const STEP: usize = 1_024;
/// The same while no write waits: one that arrives meanwhile waits for no more than these.
pub(super) const QUIET_STEP: usize = 256;

/// A row of the WAL: what it adds, and the checkpoint after it.
#[derive(Debug)]
pub(super) struct WalRow<'a> {
    pub(super) checkpoint: Checkpoint,
    pub(super) changes: &'a [Record],
}

/// What is to be applied, in memory.
#[derive(Debug, Default)]
pub(super) struct WalIndex {
    /// The last batch that is completely in the table of records.
    applied: u64,
    /// The checkpoint after the newest batch.
    newest: Checkpoint,
    /// Changes that no round covers yet, in the order of writing.
    fresh: Vec<Record>,
    round: Option<ApplyRound>,
}

#[derive(Debug)]
struct ApplyRound {
    /// The checkpoint after the last of them.
    checkpoint: Checkpoint,
    /// Their records, ascending, one a company.
    records: Vec<Record>,
    done: usize,
}

/// What one step writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    pub(super) records: &'a [Record],
    /// The new main checkpoint, after the last records of a round.
    pub(super) checkpoint: Option<Checkpoint>,
}

impl WalIndex {
    /// The WAL of a store with this main checkpoint that holds these later changes.
    pub(super) fn new(main: Checkpoint, newest: Checkpoint, fresh: Vec<Record>) -> Self {
        Self { applied: main.sequence, newest, fresh, round: None }
    }

    /// Whether the main checkpoint covers everything.
    pub(super) fn is_empty(&self) -> bool {
        self.applied == self.newest.sequence
    }

    /// Whether something must be applied before a batch of so many rows is accepted.
    pub(super) fn is_full(&self, rows: usize) -> bool {
        self.slots_used() + rows as u64 > SLOTS || self.waiting() >= 2 * MANY_RECORDS
    }

    fn slots_used(&self) -> u64 {
        self.newest.sequence - self.applied
    }

    fn waiting(&self) -> usize {
        self.fresh.len() + self.round.as_ref().map_or(0, |round| round.records.len() - round.done)
    }

    pub(super) fn add(&mut self, row: &WalRow<'_>) {
        self.newest = row.checkpoint;
        self.fresh.extend_from_slice(row.changes);
    }

    /// A batch has been written into the table and the main checkpoint, past the empty WAL.
    pub(super) fn skip_to(&mut self, checkpoint: Checkpoint) {
        (self.applied, self.newest) = (checkpoint.sequence, checkpoint);
    }

    /// The number of records that a batch must apply beside its own writing: none while the WAL is less than half
    /// full, then enough for a round to end long before the slots do.
    pub(super) fn share(&self, batch: usize, rows: usize) -> usize {
        let waiting = self.waiting();
        if self.slots_used() < SLOTS / 2 && waiting < MANY_RECORDS {
            return 0;
        }
        let slots_left = usize::try_from(SLOTS.saturating_sub(self.slots_used())).unwrap_or(usize::MAX);
        (2 * batch).max(waiting / (slots_left / 4 / rows.max(1)).max(1)).clamp(1, STEP)
    }

    /// The next step, of at most so many records.
    pub(super) fn step(&mut self, at_most: usize) -> Step<'_> {
        let round = self.round.get_or_insert_with(|| {
            let mut records = std::mem::take(&mut self.fresh);
            merge_by_company(&mut records);
            ApplyRound { checkpoint: self.newest, records, done: 0 }
        });
        let end = (round.done + at_most.min(STEP)).min(round.records.len());
        let records = &round.records[round.done..end];
        Step { records, checkpoint: (end == round.records.len()).then_some(round.checkpoint) }
    }

    pub(super) fn stepped(&mut self, records: usize) {
        if let Some(round) = &mut self.round {
            round.done += records;
            if round.done == round.records.len() {
                self.applied = round.checkpoint.sequence;
                self.round = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::tests::record_at as record;

    fn checkpoint(sequence: u64) -> Checkpoint {
        Checkpoint { sequence, ..Checkpoint::default() }
    }

    #[test]
    fn round_applies_each_company_once_then_moves_the_checkpoint() {
        let mut wal = WalIndex::new(checkpoint(5), checkpoint(5), Vec::new());
        assert!(wal.is_empty());
        wal.add(&WalRow { checkpoint: checkpoint(6), changes: &[record(9, 1), record(3, 1)] });
        wal.add(&WalRow { checkpoint: checkpoint(7), changes: &[record(9, 2)] });
        assert_eq!(wal.step(1), Step { records: &[record(3, 1)], checkpoint: None });
        wal.stepped(1);
        wal.add(&WalRow { checkpoint: checkpoint(8), changes: &[record(3, 4)] });
        let merged = Record { login: record(9, 1).login.merge(record(9, 2).login), ..record(9, 2) };
        assert_eq!(wal.step(5), Step { records: &[merged], checkpoint: Some(checkpoint(7)) });
        wal.stepped(1);
        assert!(!wal.is_empty());
        assert_eq!(wal.step(5), Step { records: &[record(3, 4)], checkpoint: Some(checkpoint(8)) });
        wal.stepped(1);
        assert!(wal.is_empty());
    }

    #[test]
    fn wal_stays_bounded_whatever_the_batches() {
        for batch in [1usize, 3, 40, 900, 2_048] {
            let mut wal = WalIndex::new(checkpoint(0), checkpoint(0), Vec::new());
            let (mut number, mut steps_for_room) = (0, 0);
            let mut sequence = 0;
            while sequence < 10 * SLOTS {
                let rows = batch.div_ceil(ROW_LOGINS);
                while wal.is_full(rows) {
                    let records = wal.step(usize::MAX).records.len();
                    wal.stepped(records);
                    steps_for_room += 1;
                }
                let share = wal.share(batch, rows);
                if share > 0 {
                    let records = wal.step(share).records.len();
                    assert!(records <= share && share <= STEP);
                    wal.stepped(records);
                }
                let changes: Vec<_> = (0..batch as u32).map(|at| record(number + at, 1)).collect();
                number += batch as u32;
                for row in changes.chunks(ROW_LOGINS) {
                    sequence += 1;
                    wal.add(&WalRow { checkpoint: checkpoint(sequence), changes: row });
                }
                assert!(wal.slots_used() <= SLOTS, "{batch} a batch, after {sequence}");
                assert!(wal.waiting() < 2 * MANY_RECORDS + batch, "{batch} a batch, after {sequence}");
            }
            assert_eq!(steps_for_room > 0, batch > STEP, "a batch of {batch} applies its share and no more");
        }
    }
}
