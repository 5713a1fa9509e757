//! The list as it is.

use std::io;
use std::task::{Context, Poll};

use actix_web::body::BodySize;
use bytes::Bytes;

use super::CHUNK;
use super::deflate::row_encoder::ROW;
use super::fairness::{Chunks, Throttled};
use super::text::{CLOSE, OPEN, length, write_rows};
use crate::store::{Block, Snapshot};

/// The list of a snapshot. Its rows have a fixed width, so that its length is announced.
#[derive(Debug)]
pub(crate) struct Identity {
    snapshot: Snapshot,
    /// The key from which the next block is looked for; nothing when the list has been closed.
    next: Option<u32>,
}

impl Identity {
    /// The list of this snapshot.
    pub(crate) fn body(snapshot: Snapshot) -> Throttled<Self> {
        Throttled::of(Self { snapshot, next: Some(0) })
    }

    /// The next chunk of the list's text; nothing after the last.
    fn text(&mut self) -> Option<Vec<u8>> {
        let from = self.next.take()?;
        let mut text = Vec::with_capacity(CHUNK + Block::CAPACITY * ROW);
        if from == 0 {
            text.extend_from_slice(OPEN);
        }
        for (key, block) in self.snapshot.blocks_from(from) {
            write_rows(key == 0, block.records(), &mut text);
            if text.len() >= CHUNK {
                self.next = Some(key + 1);
                return Some(text);
            }
        }
        text.extend_from_slice(CLOSE);
        Some(text)
    }
}

impl Chunks for Identity {
    fn size(&self) -> BodySize {
        BodySize::Sized(length(&self.snapshot))
    }

    fn chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(self.text().map(|text| Ok(text.into())))
    }
}
