//! The list as it is.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::CHUNK;
use super::row_deflate::ROW;
use super::text::{CLOSE, OPEN, length, write_first_rows, write_rows};
use super::turns::Turns;
use crate::store::{Block, Snapshot};

/// The list of a snapshot. Its rows have a fixed width, so that its length is announced.
#[derive(Debug)]
pub struct Plain {
    snapshot: Snapshot,
    /// The key from which the next block is looked for; nothing when the list has been closed.
    next: Option<u32>,
    turns: Turns,
}

impl Plain {
    /// The list of this snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, next: Some(0), turns: Turns::default() }
    }

    /// The next chunk of the list's text; nothing after the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let from = self.next.take()?;
        let mut text = Vec::with_capacity(CHUNK + Block::CAPACITY * ROW);
        if from == 0 {
            text.extend_from_slice(OPEN);
        }
        for (key, block) in self.snapshot.blocks_from(from) {
            match key {
                0 => write_first_rows(block.records(), &mut text),
                _ => write_rows(block.records(), &mut text),
            }
            if text.len() >= CHUNK {
                self.next = Some(key + 1);
                return Some(text);
            }
        }
        text.extend_from_slice(CLOSE);
        Some(text)
    }
}

impl MessageBody for Plain {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(length(&self.snapshot))
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.turns.give_way(context) {
            return Poll::Pending;
        }
        let chunk = self.chunk();
        self.turns.taken(chunk.as_ref().map_or(0, Vec::len));
        Poll::Ready(chunk.map(|text| Ok(text.into())))
    }
}
