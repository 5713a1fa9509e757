//! Batches that are durable but not yet in the table of records, and when they get there.
//!
//! A row of its own for each login costs sled many times what its bytes cost, and everybody waits for it. So a batch is
//! written as rows of up to [`ROW_LOGINS`], each with a seal and a sequence number of its own, into a circular
//! write-ahead log of [`SLOTS`]; that is all that must be durable before it is answered. Later its records are *settled*: written into the table in steps, ascending by company, each company once however
//! often it logged in. When a round of steps is done the main seal moves on and the slots are free again. Steps are made
//! while nobody waits; only when the ring fills does each batch pay its share.
//!
//! A crash loses nothing: what the main seal does not cover stands in the ring, and to settle a record twice does no
//! harm, since a record is only ever merged.

use super::batch_record;
use super::batch_record::Checkpoint;
use crate::store::Record;

/// Rows of the WAL: 25 MB at most, all read at every start. Another number makes another table (see `tree.rs`), so that it
/// may change between versions; tests go round a small WAL often.
pub(super) const SLOTS: u64 = if cfg!(test) { 64 } else { 8_192 };
/// Logins in one row of the WAL. sled writes up to 17 rows as one message of its log and puts a message of more than
/// 131,052 bytes into a file of its own, which nobody syncs: a power cut would then cost the whole store.
pub(super) const ROW_LOGINS: usize = 150;
const _: () = assert!(
    17 * (batch_record::length(ROW_LOGINS) + 64) < 131_052,
    "17 rows fit into one message of sled's log"
);
/// From how many records on batches pay their share. Memory, and what a start must bring back, stay below twice that.
const MANY_RECORDS: usize = if cfg!(test) { 4_096 } else { 262_144 };
/// How many records a step settles at most.
const STEP: usize = 1_024;
/// How many records a step settles while nobody waits: a write that comes meanwhile waits for no more than these.
pub(super) const QUIET_STEP: usize = 256;

/// A row of the WAL: what it adds, and the mark after it.
#[derive(Debug)]
pub(super) struct WalRow<'a> {
    pub(super) mark: Checkpoint,
    pub(super) changes: &'a [Record],
}

/// What is to be settled, in memory.
#[derive(Debug, Default)]
pub(super) struct WalIndex {
    /// The table of records holds every batch up to this one.
    settled: u64,
    /// The mark after the newest batch.
    newest: Checkpoint,
    /// Changes of the batches that no round covers yet, in the order of writing.
    fresh: Vec<Record>,
    round: Option<ApplyRound>,
}

/// Batches that are being settled together.
#[derive(Debug)]
struct ApplyRound {
    /// The mark after the last of them.
    mark: Checkpoint,
    /// Their records, ascending, one a company.
    records: Vec<Record>,
    done: usize,
}

/// What one step writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    /// Into the table of records.
    pub(super) records: &'a [Record],
    /// The main seal's new mark, after the last records of a round.
    pub(super) seals: Option<Checkpoint>,
}

impl WalIndex {
    /// The backlog of a store whose main seal has this mark and whose ring holds these later batches.
    pub(super) fn new(seal: Checkpoint, newest: Checkpoint, fresh: Vec<Record>) -> Self {
        Self { settled: seal.sequence, newest, fresh, round: None }
    }

    /// Whether the main seal covers everything.
    pub(super) fn is_empty(&self) -> bool {
        self.settled == self.newest.sequence
    }

    /// Whether something must be settled before a batch of so many rows is taken.
    pub(super) fn is_full(&self, rows: usize) -> bool {
        self.slots_used() + rows as u64 > SLOTS || self.waiting() >= 2 * MANY_RECORDS
    }

    fn slots_used(&self) -> u64 {
        self.newest.sequence - self.settled
    }

    /// How many records wait to be settled.
    fn waiting(&self) -> usize {
        self.fresh.len() + self.round.as_ref().map_or(0, |round| round.records.len() - round.done)
    }

    /// A row has been written into the ring.
    pub(super) fn add(&mut self, mark: Checkpoint, changes: &[Record]) {
        self.newest = mark;
        self.fresh.extend_from_slice(changes);
    }

    /// A batch has been written past the ring, into the table and the main seal. Only ever when nothing waits.
    pub(super) fn skip_to(&mut self, mark: Checkpoint) {
        (self.settled, self.newest) = (mark.sequence, mark);
    }

    /// How many records a batch of so many in so many rows must settle beside its own writing: none while the ring is
    /// less than half full, and then enough for a round to end long before the slots do.
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
        let newest = self.newest;
        let fresh = &mut self.fresh;
        let round = self.round.get_or_insert_with(|| ApplyRound {
            mark: newest,
            records: last_of_each(std::mem::take(fresh)),
            done: 0,
        });
        let end = (round.done + at_most.min(STEP)).min(round.records.len());
        let records = &round.records[round.done..end];
        Step { records, seals: (end == round.records.len()).then_some(round.mark) }
    }

    /// The step of so many records has been written.
    pub(super) fn stepped(&mut self, records: usize) {
        if let Some(round) = &mut self.round {
            round.done += records;
            if round.done == round.records.len() {
                self.settled = round.mark.sequence;
                self.round = None;
            }
        }
    }
}

/// Each company once, ascending, as the newest batch left it: a later change holds everything that an earlier one does.
fn last_of_each(mut changes: Vec<Record>) -> Vec<Record> {
    changes.reverse();
    changes.sort_by_key(|record| record.cvr);
    changes.dedup_by_key(|record| record.cvr);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cvr::Cvr;
    use crate::domain::login_span::LoginSpan;
    use crate::domain::timestamp::Timestamp;

    fn record(number: u32, millis: i64) -> Record {
        let cvr = Cvr::from_number(number).unwrap();
        Record { cvr, login: LoginSpan::at(Timestamp::from_millis(millis).unwrap()) }
    }

    fn mark(sequence: u64) -> Checkpoint {
        Checkpoint { sequence, ..Checkpoint::default() }
    }

    #[test]
    fn a_round_settles_each_company_once_and_then_moves_the_seal() {
        let mut backlog = WalIndex::new(mark(5), mark(5), Vec::new());
        assert!(backlog.is_empty());
        backlog.add(mark(6), &[record(9, 1), record(3, 1)]);
        backlog.add(mark(7), &[record(9, 2)]);
        assert_eq!(backlog.step(1), Step { records: &[record(3, 1)], seals: None });
        backlog.stepped(1);
        backlog.add(mark(8), &[record(3, 4)]);
        assert_eq!(backlog.step(5), Step { records: &[record(9, 2)], seals: Some(mark(7)) });
        backlog.stepped(1);
        assert!(!backlog.is_empty());
        assert_eq!(backlog.step(5), Step { records: &[record(3, 4)], seals: Some(mark(8)) });
        backlog.stepped(1);
        assert!(backlog.is_empty());
    }

    #[test]
    fn whatever_the_batches_the_ring_never_overflows_and_what_waits_stays_bounded() {
        for batch in [1usize, 3, 40, 900, 2_048] {
            let mut backlog = WalIndex::new(mark(0), mark(0), Vec::new());
            let (mut number, mut steps_for_room) = (0, 0);
            let mut sequence = 0;
            while sequence < 10 * SLOTS {
                let rows = batch.div_ceil(ROW_LOGINS);
                while backlog.is_full(rows) {
                    let records = backlog.step(usize::MAX).records.len();
                    backlog.stepped(records);
                    steps_for_room += 1;
                }
                let share = backlog.share(batch, rows);
                if share > 0 {
                    let records = backlog.step(share).records.len();
                    assert!(records <= share && share <= STEP);
                    backlog.stepped(records);
                }
                let changes: Vec<_> = (0..batch as u32).map(|at| record(number + at, 1)).collect();
                number += batch as u32;
                for row in changes.chunks(ROW_LOGINS) {
                    sequence += 1;
                    backlog.add(mark(sequence), row);
                }
                assert!(backlog.slots_used() <= SLOTS, "{batch} a batch, after {sequence}");
                assert!(backlog.waiting() < 2 * MANY_RECORDS + batch, "{batch} a batch, after {sequence}");
            }
            assert_eq!(steps_for_room > 0, batch > STEP, "a batch of {batch} pays its share and no more");
        }
    }
}
