//! The published, durable view that every read is served from.
//!
//! Records lie in sorted, immutable blocks of at most [`Block::CAPACITY`]; a write copies the blocks it touches and
//! shares the rest, so a snapshot is a handful of pointers and never changes. A block is also the unit in which a
//! list may be kept ready made: it has room for bytes derived from it, which live and die with it.
//!
//! The register says nothing of the disk: the committer publishes only what is durable.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::batch_record::{Checkpoint, SetHash};
use super::index::Index;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// Neighbouring records, ascending by company; never changed once made.
pub struct Block {
    /// The first and the last company's number: where a third would lie is told without looking at either.
    ends: (u32, u32),
    records: Box<[Record]>,
    cached_encodings: [OnceLock<Box<[u8]>>; Block::SLOTS],
}

impl Block {
    /// The most records that a block holds.
    pub const CAPACITY: usize = 256;
    /// How many different kinds of derived bytes a block has room for.
    pub const SLOTS: usize = 2;
    /// How full a block is made when many are made at once: room to grow before the first split.
    const FILL: usize = 192;

    pub(super) fn new(records: &[Record]) -> Arc<Self> {
        let number = |record: Option<&Record>| record.map_or(0, |record| record.cvr.number());
        let ends = (number(records.first()), number(records.last()));
        Arc::new(Self { ends, records: records.into(), cached_encodings: Default::default() })
    }

    /// The records, ascending by company.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Room for bytes derived from this block's records (a compressed piece of the list); empty in a new block.
    pub fn cached_encodings(&self, slot: usize) -> Option<&OnceLock<Box<[u8]>>> {
        self.cached_encodings.get(slot)
    }

    /// Looks where the company would stand if its neighbours were evenly spread, and goes on from there in growing
    /// steps: most often two reads of memory instead of the eight of a search by halves, each of which waits.
    fn find(&self, cvr: Cvr) -> Option<LoginSpan> {
        let (first, last) = self.ends;
        let (above, span) = (cvr.number().checked_sub(first)?, u64::from((last - first).max(1)));
        let end = self.records.len();
        if cvr.number() > last || end == 0 {
            return None;
        }
        let guess = usize::try_from(u64::from(above) * (end as u64 - 1) / span).ok()?;
        let (mut from, mut to, mut step) = (guess, guess + 1, 1);
        while from > 0 && self.records[from].cvr > cvr {
            to = from;
            from = from.saturating_sub(step);
            step *= 2;
        }
        while to < end && self.records[to - 1].cvr < cvr {
            from = to;
            to = (to + step).min(end);
            step *= 2;
        }
        let near = &self.records[from..to];
        near.binary_search_by_key(&cvr, |record| record.cvr).ok().map(|at| near[at].login)
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Block({} records)", self.records.len())
    }
}

/// A value that two snapshots share exactly when they hold the same records; it survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    count: u64,
    hash: SetHash,
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}-{}", self.count, self.hash)
    }
}

/// All records at one moment. Cheap to clone; never changes.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// Blocks by the smallest company that may lie in them; the first is always keyed 0.
    blocks: Index,
    mark: Checkpoint,
    /// What merging all logins would give: from the earliest first one to the latest.
    span: Option<LoginSpan>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Snapshot({} records, sequence {})", self.mark.count, self.mark.sequence)
    }
}

impl Snapshot {
    /// How many companies are known.
    pub fn len(&self) -> u64 {
        self.mark.count
    }

    /// Whether no company is known.
    pub fn is_empty(&self) -> bool {
        self.mark.count == 0
    }

    /// The number of the last durable batch of changes; it never goes back, restarts included.
    pub fn sequence(&self) -> u64 {
        self.mark.sequence
    }

    /// Same content, same version; every durable change gives another.
    pub fn version(&self) -> Version {
        Version { count: self.mark.count, hash: self.mark.hash }
    }

    /// The earliest first login of any company.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.span.map(LoginSpan::first)
    }

    /// The latest login of any company.
    pub fn latest(&self) -> Option<Timestamp> {
        self.span.map(LoginSpan::last)
    }

    /// What is known of one company.
    pub fn get(&self, cvr: Cvr) -> Option<LoginSpan> {
        self.blocks.at(cvr.number()).and_then(|(_, block)| block.find(cvr))
    }

    /// All blocks, ascending by company.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        self.blocks.blocks()
    }

    /// The blocks whose key is at least this, each with its key, ascending. Keys are no companies; the one after a
    /// block is found from its key + 1, which is how a stream keeps its place without holding a borrow.
    pub fn blocks_from(&self, key: u32) -> impl Iterator<Item = (u32, &Arc<Block>)> {
        self.blocks.from(key)
    }

    /// All records, ascending by company.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.blocks().flat_map(|block| block.records().iter().copied())
    }

    /// What seal and witness say of this snapshot.
    pub(super) fn mark(&self) -> Checkpoint {
        self.mark
    }

    /// The same snapshot under another sequence number.
    pub(super) fn numbered(mut self, sequence: u64) -> Self {
        self.mark.sequence = sequence;
        self
    }

    /// What these logins add: one record a company, ascending, each already merged with what is known; logins that
    /// tell nothing new are left out. The logins must be sorted by company.
    pub(crate) fn diff(&self, sorted: &[Record]) -> Vec<Record> {
        sorted
            .chunk_by(|one, other| one.cvr == other.cvr)
            .filter_map(|logins| {
                let cvr = logins[0].cvr;
                let known = self.get(cvr);
                let merged =
                    logins.iter().map(|record| record.login).chain(known).reduce(LoginSpan::merge)?;
                (known != Some(merged)).then_some(Record { cvr, login: merged })
            })
            .collect()
    }

    /// The snapshot in which these records stand in the place of what was known of their companies.
    ///
    /// The records must be ascending, one a company. Count and hash follow; the sequence does not.
    pub(crate) fn with(&self, changes: &[Record]) -> Self {
        let mut next = self.clone();
        let mut rest = changes;
        while let Some(first) = rest.first() {
            let number = first.cvr.number();
            let key = self.blocks.at(number).map_or(0, |(key, _)| key);
            let limit = self.blocks.from(number + 1).next().map(|(key, _)| key);
            let inside =
                limit.map_or(rest.len(), |limit| rest.partition_point(|record| record.cvr.number() < limit));
            let (these, others) = rest.split_at(inside);
            next.change_block(key, these);
            rest = others;
        }
        next
    }

    fn change_block(&mut self, key: u32, changes: &[Record]) {
        let old = self.blocks.at(key).map(|(_, block)| Arc::clone(block));
        let old = old.as_deref().map_or(&[][..], Block::records);
        let mut merged = Vec::with_capacity(old.len() + changes.len());
        let mut remaining = old;
        for change in changes {
            let (before, after) =
                remaining.split_at(remaining.partition_point(|record| record.cvr < change.cvr));
            merged.extend_from_slice(before);
            remaining = match after.split_first() {
                Some((replaced, after)) if replaced.cvr == change.cvr => {
                    self.mark.replace(replaced, change);
                    after
                }
                _ => {
                    self.mark.add(change);
                    after
                }
            };
            self.extend_span(change);
            merged.push(*change);
        }
        merged.extend_from_slice(remaining);
        self.put_blocks(key, &merged);
    }

    /// Puts the records in the place of the block at the key, as more than one block where they do not fit.
    fn put_blocks(&mut self, key: u32, records: &[Record]) {
        let pieces = if records.len() <= Block::CAPACITY { 1 } else { records.len().div_ceil(Block::FILL) };
        let size = records.len().div_ceil(pieces).max(1);
        for (at, piece) in records.chunks(size).enumerate() {
            self.blocks.put(if at == 0 { key } else { piece[0].cvr.number() }, &Block::new(piece));
        }
    }

    /// A record only ever widens the span: a first login is never raised and a latest never lowered.
    fn extend_span(&mut self, record: &Record) {
        self.span = Some(self.span.map_or(record.login, |span| span.merge(record.login)));
    }
}

/// Makes a snapshot of records that come in ascending order.
#[derive(Default)]
pub(super) struct Builder {
    snapshot: Snapshot,
    pending: Vec<Record>,
}

impl Builder {
    /// Takes the next record; `false` when it is not above the one before.
    pub(super) fn push(&mut self, record: Record) -> bool {
        if self.pending.last().is_some_and(|last| last.cvr >= record.cvr) {
            return false;
        }
        self.snapshot.mark.add(&record);
        self.snapshot.extend_span(&record);
        if self.pending.len() > Block::FILL {
            // One record stays behind, so that the next can be compared with it.
            let kept = self.pending.split_off(Block::FILL);
            self.take();
            self.pending = kept;
        }
        self.pending.push(record);
        true
    }

    fn take(&mut self) {
        let key = if self.snapshot.blocks.is_empty() { 0 } else { self.pending[0].cvr.number() };
        self.snapshot.put_blocks(key, &self.pending);
    }

    pub(super) fn finish(mut self) -> Snapshot {
        if !self.pending.is_empty() {
            self.take();
        }
        self.snapshot
    }
}

/// The snapshot that reads are served from.
#[derive(Debug)]
pub(super) struct LiveView(ArcSwap<Snapshot>);

impl LiveView {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(snapshot))
    }

    pub(super) fn get(&self, cvr: Cvr) -> Option<LoginSpan> {
        self.0.load().get(cvr)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::clone(&self.0.load())
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}

#[cfg(test)]
mod tests;
