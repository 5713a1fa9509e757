//! Where the blocks lie: a sorted map of two levels that is cheap to look up in, to clone and to change.
//!
//! A look-up reads one short row of keys in the root and one in a leaf. A clone shares everything; the first change
//! after it copies the root's row and, for each block, the leaf that it lies in. General maps that do this
//! (`imbl::OrdMap`) keep keys and values side by side, so that each step of their search waits for memory: 0.6 µs
//! among 5,000 blocks, a sixth of that here.

use std::sync::Arc;

use super::live_view::Block;

/// The most blocks in a leaf.
const WIDTH: usize = 64;
/// Stands where a leaf has no block; above every key, since a CVR number has eight digits.
const NONE: u32 = u32::MAX;

/// Blocks, ascending by the smallest company that may lie in them.
#[derive(Clone, Default)]
pub(super) struct Index(Arc<Root>);

#[derive(Clone, Default)]
struct Root {
    /// The first key of each leaf.
    keys: Vec<u32>,
    leaves: Vec<Arc<Leaf>>,
}

#[derive(Clone)]
struct Leaf {
    keys: [u32; WIDTH],
    /// At least one.
    blocks: Vec<Arc<Block>>,
}

impl Leaf {
    /// The last block whose key is not above this; the first, when all are.
    fn seek(&self, key: u32) -> usize {
        self.keys.partition_point(|&own| own <= key).saturating_sub(1)
    }

    fn entry(&self, at: usize) -> Option<(u32, &Arc<Block>)> {
        Some((*self.keys.get(at)?, self.blocks.get(at)?))
    }

    fn of(entries: &[(u32, Arc<Block>)]) -> Arc<Self> {
        let mut leaf = Self { keys: [NONE; WIDTH], blocks: Vec::with_capacity(WIDTH) };
        for (at, (key, block)) in entries.iter().enumerate() {
            leaf.keys[at] = *key;
            leaf.blocks.push(Arc::clone(block));
        }
        Arc::new(leaf)
    }

    /// Puts a block in, in the place of the one with the same key; `false` when there is no room for one more.
    fn put(&mut self, key: u32, block: &Arc<Block>) -> bool {
        let at = self.keys.partition_point(|&own| own < key);
        if self.keys.get(at) == Some(&key) {
            self.blocks[at] = Arc::clone(block);
        } else if self.blocks.len() == WIDTH {
            return false;
        } else {
            self.keys.copy_within(at..WIDTH - 1, at + 1);
            self.keys[at] = key;
            self.blocks.insert(at, Arc::clone(block));
        }
        true
    }
}

impl Root {
    /// The leaf that a key belongs to.
    fn seek(&self, key: u32) -> usize {
        self.keys.partition_point(|&own| own <= key).saturating_sub(1)
    }
}

impl Index {
    pub(super) fn is_empty(&self) -> bool {
        self.0.leaves.is_empty()
    }

    /// The block in whose range the key lies, with its own key: the last one that is not above it.
    pub(super) fn at(&self, key: u32) -> Option<(u32, &Arc<Block>)> {
        let leaf = self.0.leaves.get(self.0.seek(key))?;
        leaf.entry(leaf.seek(key)).filter(|(own, _)| *own <= key)
    }

    /// The blocks whose key is at least this, ascending, each with its key.
    pub(super) fn from(&self, key: u32) -> impl Iterator<Item = (u32, &Arc<Block>)> {
        let first = self.0.seek(key);
        let leaves = self.0.leaves.get(first..).unwrap_or_default();
        leaves.iter().flat_map(|leaf| leaf.keys.iter().copied().zip(&leaf.blocks)).skip_while(
            // At most one leaf is passed over.
            move |(own, _)| *own < key,
        )
    }

    /// Every block, ascending.
    pub(super) fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        self.0.leaves.iter().flat_map(|leaf| &leaf.blocks)
    }

    /// Puts a block in, in the place of the one with the same key.
    pub(super) fn put(&mut self, key: u32, block: &Arc<Block>) {
        let root = Arc::make_mut(&mut self.0);
        let at = root.seek(key);
        let Some(leaf) = root.leaves.get_mut(at) else {
            root.keys.push(key);
            root.leaves.push(Leaf::of(&[(key, Arc::clone(block))]));
            return;
        };
        if !Arc::make_mut(leaf).put(key, block) {
            let mut entries: Vec<_> = leaf.keys.iter().copied().zip(leaf.blocks.iter().cloned()).collect();
            entries.insert(entries.partition_point(|(own, _)| *own < key), (key, Arc::clone(block)));
            // Blocks that come in ascending order fill one leaf after another; elsewhere the leaf is halved.
            let last = at + 1 == root.keys.len() && entries.last().is_some_and(|(own, _)| *own == key);
            let (left, right) = entries.split_at(if last { WIDTH } else { WIDTH / 2 });
            root.leaves.splice(at..=at, [Leaf::of(left), Leaf::of(right)]);
            root.keys.insert(at + 1, right[0].0);
        }
        root.keys[at] = root.leaves[at].keys[0];
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
        assert_eq!(index.is_empty(), model.is_empty());
        assert_eq!(index.blocks().count(), model.len());
        assert!(index.blocks().zip(model.values()).all(|(one, other)| Arc::ptr_eq(one, other)));
        for key in model.keys().flat_map(|key| [key.saturating_sub(1), *key, key + 1]).chain([0, NONE - 1]) {
            match (index.at(key), model.range(..=key).next_back()) {
                (None, None) => {}
                (Some(found), Some((key, block))) => same(found, *key, block),
                (found, expected) => panic!("{key}: {:?}, {:?}", found.is_some(), expected.is_some()),
            }
            assert_eq!(index.from(key).count(), model.range(key..).count());
            for (found, (key, block)) in index.from(key).zip(model.range(key..)).take(3) {
                same(found, *key, block);
            }
        }
        let leaves = &index.0.leaves;
        assert!(leaves.iter().all(|leaf| !leaf.blocks.is_empty() && leaf.blocks.len() <= WIDTH));
        assert!(leaves.iter().map(|leaf| leaf.keys[0]).eq(index.0.keys.iter().copied()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn it_agrees_with_a_plain_map_and_old_clones_do_not_change(
            keys in prop::collection::vec(0u32..2_000, 1..600), ascending: bool,
        ) {
            let mut keys = keys;
            if ascending {
                keys.sort_unstable();
            }
            let (mut index, mut model) = (Index::default(), BTreeMap::new());
            let mut before = (index.clone(), model.clone());
            for (turn, key) in keys.into_iter().enumerate() {
                if turn % 200 == 100 {
                    before = (index.clone(), model.clone());
                }
                let block = Block::new(&[]);
                index.put(key, &block);
                model.insert(key, block);
            }
            agree(&index, &model);
            agree(&before.0, &before.1);
        }
    }
}
