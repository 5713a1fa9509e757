//! The list of a snapshot, uncompressed.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::fairness::CHUNK;
use super::text::{CLOSE, OPEN, write_rows};
use crate::interchange::ROW;
use crate::store::{Block, Snapshot};

/// The list's text, chunk by chunk.
pub(super) fn chunks(snapshot: Snapshot) -> impl Stream<Item = io::Result<Bytes>> {
    let mut next = Some(0);
    stream::iter(std::iter::from_fn(move || {
        let from = next.take()?;
        let mut text = Vec::with_capacity(CHUNK + Block::CAPACITY * ROW);
        if from == 0 {
            text.extend_from_slice(OPEN);
        }
        for (key, block) in snapshot.blocks_from(from) {
            write_rows(key == 0, block.records(), &mut text);
            if text.len() >= CHUNK {
                next = Some(key + 1);
                return Some(Ok(text.into()));
            }
        }
        text.extend_from_slice(CLOSE);
        Some(Ok(text.into()))
    }))
}
