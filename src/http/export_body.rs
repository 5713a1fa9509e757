//! The export as a stream: one consistent snapshot with its trailer, written as it is sent, never held whole.
//!
//! Its length is announced, so that a receiver notices an export that was cut off even before it looks for the trailer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::store::ndjson::{self, Exporter};
use crate::store::{Block, Snapshot};

/// How many bytes of lines a chunk holds.
const CHUNK: usize = 64 * 1024;

/// The export of a snapshot, chunk by chunk.
#[derive(Debug)]
pub struct Export {
    snapshot: Snapshot,
    /// The key from which the next block is looked for, and what has been written so far; nothing after the trailer.
    next: Option<(u32, Exporter)>,
}

impl Export {
    /// The export of this snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, next: Some((0, Exporter::default())) }
    }

    /// The next chunk; nothing after the last.
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let (from, mut exporter) = self.next.take()?;
        let mut text = Vec::with_capacity(CHUNK + Block::CAPACITY * ndjson::ROW);
        for (key, block) in self.snapshot.blocks_from(from) {
            exporter.block(&mut text, block);
            if text.len() >= CHUNK {
                self.next = Some((key + 1, exporter));
                return Some(text);
            }
        }
        exporter.trailer(&mut text);
        Some(text)
    }
}

impl MessageBody for Export {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(ndjson::length(&self.snapshot))
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.chunk().map(|text| Ok(text.into())))
    }
}
