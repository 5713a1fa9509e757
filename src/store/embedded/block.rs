//! A run of neighbouring records: the unit that a write copies, and in which a list may be kept encoded.
//!
//! A block never changes once made.

use std::sync::{Arc, OnceLock};

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::store::record::Record;

/// Records, ascending by company.
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
