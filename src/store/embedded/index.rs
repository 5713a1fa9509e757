//! Blocks of records, and their index in ascending order: cheap to search, to clone and to change.
//!
//! Two levels: to copy a flat list of 5,200 counted pointers took 130 µs of processor time a batch. Not
//! `imbl::OrdMap`, whose search among as many blocks took 0.6 µs.

use std::sync::{Arc, OnceLock};

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::store::record::Record;

const WIDTH: usize = 64;

type Leaf = Vec<(u32, Arc<Block>)>;

/// Blocks by the smallest CVR number that may lie in them; the first key is 0.
#[derive(Clone, Default)]
pub(super) struct Index(Arc<Vec<(u32, Arc<Leaf>)>>);

/// The position of the last key that is not above this one.
fn position<T>(entries: &[(u32, T)], key: u32) -> usize {
    entries.partition_point(|(own, _)| *own <= key).saturating_sub(1)
}

impl Index {
    /// The block in whose range the key lies, with its own key.
    pub(super) fn get(&self, key: u32) -> Option<(u32, &Arc<Block>)> {
        let (_, leaf) = self.0.get(position(&self.0, key))?;
        leaf.get(position(leaf, key)).map(|(own, block)| (*own, block))
    }

    /// The blocks from this key on, ascending, each with its key.
    pub(super) fn range_from(&self, key: u32) -> impl Iterator<Item = (u32, &Arc<Block>)> {
        let leaves = self.0.get(position(&self.0, key)..).unwrap_or_default();
        let entries = leaves.iter().flat_map(|(_, leaf)| leaf.iter());
        entries.skip_while(move |(own, _)| *own < key).map(|(own, block)| (*own, block))
    }

    /// Puts the block in, in place of the one with the same key.
    pub(super) fn put(&mut self, key: u32, block: Arc<Block>) {
        let leaves = Arc::make_mut(&mut self.0);
        let at = position(leaves, key);
        let Some((_, leaf)) = leaves.get_mut(at) else {
            leaves.push((key, Arc::new(vec![(key, block)])));
            return;
        };
        let leaf = Arc::make_mut(leaf);
        match leaf.binary_search_by_key(&key, |(own, _)| *own) {
            Ok(at) => leaf[at].1 = block,
            Err(at) => leaf.insert(at, (key, block)),
        }
        if leaf.len() > WIDTH {
            let right = leaf.split_off(leaf.len() / 2);
            leaves.insert(at + 1, (right[0].0, Arc::new(right)));
        }
    }
}

/// A run of neighbouring records, ascending by company: the unit that a write copies, and in which a list may be kept encoded.
/// A block never changes once made.
pub struct Block {
    /// The first and the last CVR number, from which [`Block::find`] guesses a position without reading a record.
    ends: (u32, u32),
    records: Box<[Record]>,
    cached_encodings: [OnceLock<Box<[u8]>>; Block::SLOTS],
}

impl Block {
    pub const CAPACITY: usize = 256;
    pub const SLOTS: usize = 2;

    pub(super) fn new(records: &[Record]) -> Arc<Self> {
        let number = |record: Option<&Record>| record.map_or(0, |record| record.cvr.number());
        let ends = (number(records.first()), number(records.last()));
        Arc::new(Self { ends, records: records.into(), cached_encodings: Default::default() })
    }

    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Room for one encoding of this block's records; empty in a new block.
    pub fn cached_encodings(&self, slot: usize) -> Option<&OnceLock<Box<[u8]>>> {
        self.cached_encodings.get(slot)
    }

    /// Interpolation search: most often two cache misses instead of the six of a binary search.
    pub(super) fn find(&self, cvr: Cvr) -> Option<LoginSpan> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn agree(index: &Index, model: &BTreeMap<u32, Arc<Block>>) {
        let same = |found: (u32, &Arc<Block>), key: u32, block: &Arc<Block>| {
            assert_eq!(found.0, key);
            assert!(Arc::ptr_eq(found.1, block));
        };
        assert_eq!(index.range_from(0).count(), model.len());
        assert!(index.range_from(0).zip(model.values()).all(|((_, one), other)| Arc::ptr_eq(one, other)));
        for key in model.keys().flat_map(|key| [key.saturating_sub(1), *key, key + 1]).chain([0, u32::MAX]) {
            match (index.get(key), model.range(..=key).next_back()) {
                (None, None) => {}
                (Some(found), Some((key, block))) => same(found, *key, block),
                (found, expected) => panic!("{key}: {:?}, {:?}", found.is_some(), expected.is_some()),
            }
            assert_eq!(index.range_from(key).count(), model.range(key..).count());
            for (found, (key, block)) in index.range_from(key).zip(model.range(key..)).take(3) {
                same(found, *key, block);
            }
        }
        assert!(index.0.iter().all(|(key, leaf)| leaf.len() <= WIDTH && leaf[0].0 == *key));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn index_agrees_with_a_map_and_clones_do_not_change(
            mut keys in prop::collection::vec(0u32..2_000, 1..600), ascending: bool,
        ) {
            if ascending {
                keys.sort_unstable();
            }
            keys.insert(0, 0);
            let (mut index, mut model) = (Index::default(), BTreeMap::new());
            let mut before = (index.clone(), model.clone());
            for (turn, key) in keys.into_iter().enumerate() {
                if turn % 200 == 100 {
                    before = (index.clone(), model.clone());
                }
                let block = Block::new(&[]);
                index.put(key, Arc::clone(&block));
                model.insert(key, block);
            }
            agree(&index, &model);
            agree(&before.0, &before.1);
        }
    }
}
