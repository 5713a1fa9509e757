//! The records that every read is served from.
//!
//! A snapshot is a handful of pointers to immutable blocks: a write copies the blocks that it touches and shares the
//! rest. The committer publishes only snapshots of what is durable.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::batch_record::Checkpoint;
use super::change_log::State;
use super::index::{Block, Index};
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::record::{Record, merge_by_company};
use crate::store::version::{Place, Version};

/// Records of a block when several are made at once: room to grow before the next split.
const FILL: usize = 192;

pub(super) type LiveView = ArcSwap<Snapshot>;

/// All records at one point in time. Cheap to clone; never changes.
#[derive(Clone, Default)]
pub struct Snapshot {
    index: Index,
    checkpoint: Checkpoint,
    latest: Option<Timestamp>,
    run: u64,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Snapshot({})", self.checkpoint)
    }
}

impl Snapshot {
    pub fn len(&self) -> u64 {
        self.checkpoint.count
    }

    /// The number of the last durable batch; it never falls, also not by a restart.
    pub fn sequence(&self) -> u64 {
        self.checkpoint.sequence
    }

    /// The name of this state; its content is the same exactly for the same records, after a restart too.
    pub fn version(&self) -> Version {
        let place = Place { history: self.run, position: self.checkpoint.sequence };
        let Checkpoint { count, hash, .. } = self.checkpoint;
        Version::new(format!("{count:x}-{hash:032x}"), Some(place))
    }

    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    pub fn get(&self, cvr: Cvr) -> Option<LoginSpan> {
        self.index.get(cvr.number()).and_then(|(_, block)| block.find(cvr))
    }

    pub fn blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks_from(0).map(|(_, block)| block)
    }

    /// The blocks from this key on, ascending, each with its key. A key is no CVR number: the block after one is
    /// found from its key + 1, so that a stream keeps its position without a borrow.
    pub fn blocks_from(&self, key: u32) -> impl Iterator<Item = (u32, &Arc<Block>)> {
        self.index.range_from(key)
    }

    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.blocks().flat_map(|block| block.records().iter().copied())
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// The same records under another sequence number.
    pub(super) fn numbered(mut self, sequence: u64) -> Self {
        self.checkpoint.sequence = sequence;
        self
    }

    /// The same records, written by the run of this state.
    pub(super) fn of(mut self, state: State) -> Self {
        self.run = state.run;
        self
    }

    /// What is known of these companies; they must be ascending.
    pub(super) fn only(&self, companies: &[Cvr]) -> Self {
        let known = companies.iter().filter_map(|cvr| Some(Record { cvr: *cvr, login: self.get(*cvr)? }));
        Self::default().with(&known.collect::<Vec<_>>())
    }

    /// The same records without those of these companies, which must be ascending.
    pub(super) fn without(&self, companies: &[Cvr]) -> Self {
        let is_kept = |record: &Record| companies.binary_search(&record.cvr).is_err();
        Self::default().with(&self.records().filter(is_kept).collect::<Vec<_>>())
    }

    /// What these logins change: ascending, one record a company, each merged with what is known.
    pub(crate) fn diff(&self, mut logins: Vec<Record>) -> Vec<Record> {
        merge_by_company(&mut logins);
        logins.retain_mut(|record| {
            let known = self.get(record.cvr);
            record.login = known.map_or(record.login, |known| known.merge(record.login));
            known != Some(record.login)
        });
        logins
    }

    /// The snapshot with these records in place of what was known of their companies.
    ///
    /// They must be ascending, one a company. Count and hash follow; the sequence does not.
    pub(crate) fn with(mut self, changes: &[Record]) -> Self {
        let mut rest = changes;
        while let Some(first) = rest.first() {
            let number = first.cvr.number();
            let key = self.index.get(number).map_or(0, |(key, _)| key);
            let limit = self.index.range_from(number + 1).next().map_or(u32::MAX, |(key, _)| key);
            let (these, others) = rest.split_at(rest.partition_point(|record| record.cvr.number() < limit));
            self.change_block(key, these);
            rest = others;
        }
        self
    }

    /// Adds the records of another snapshot, all of which must be above its own.
    pub(super) fn append(&mut self, other: Self) {
        for block in other.blocks() {
            let first = block.records().first().map_or(0, |record| record.cvr.number());
            self.index.put(if self.checkpoint.count == 0 { 0 } else { first }, Arc::clone(block));
            self.checkpoint.count += block.records().len() as u64;
        }
        self.checkpoint.hash = self.checkpoint.hash.wrapping_add(other.checkpoint.hash);
        self.latest = self.latest.max(other.latest);
    }

    fn change_block(&mut self, key: u32, changes: &[Record]) {
        let mut records = self.index.get(key).map_or_else(Vec::new, |(_, block)| block.records().to_vec());
        for change in changes {
            match records.binary_search_by_key(&change.cvr, |record| record.cvr) {
                Ok(at) => {
                    self.checkpoint.replace(&records[at], change);
                    records[at] = *change;
                }
                Err(at) => {
                    self.checkpoint.add(change);
                    records.insert(at, *change);
                }
            }
            self.latest = self.latest.max(Some(change.login.last()));
        }
        let blocks = if records.len() <= Block::CAPACITY { 1 } else { records.len().div_ceil(FILL) };
        for (at, part) in records.chunks(records.len().div_ceil(blocks)).enumerate() {
            self.index.put(if at == 0 { key } else { part[0].cvr.number() }, Block::new(part));
        }
    }
}

#[cfg(test)]
mod tests;
