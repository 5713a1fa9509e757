//! The export as a stream: one consistent listing with its trailer, written as it is sent, never held whole.
//!
//! Where its length is known it is announced, so that a receiver notices an export that was cut off even before it
//! looks for the trailer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::interchange;
use crate::interchange::Exporter;
use crate::store::{Block, PagedRecords, RecordStream, Snapshot};

/// How many bytes of lines a chunk holds.
const CHUNK: usize = 64 * 1024;

/// The export of a listing, chunk by chunk.
#[derive(Debug)]
pub(super) struct Export {
    records: Records,
    /// What has been written so far; nothing after the trailer.
    exporter: Option<Exporter>,
}

#[derive(Debug)]
enum Records {
    /// With the key from which the next block is looked for.
    InMemory(Snapshot, u32),
    Paged(PagedRecords),
}

impl Export {
    /// The export of this listing.
    pub(super) fn new(listing: RecordStream) -> Self {
        let records = match listing {
            RecordStream::InMemory(snapshot) => Records::InMemory(snapshot, 0),
            RecordStream::Paged(paged) => Records::Paged(paged),
        };
        Self { records, exporter: Some(Exporter::default()) }
    }

    /// The next chunk; nothing after the last.
    fn chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(exporter) = &mut self.exporter else { return Poll::Ready(None) };
        let mut text = Vec::new();
        match &mut self.records {
            Records::InMemory(snapshot, next) => {
                text.reserve(CHUNK + Block::CAPACITY * interchange::ROW);
                for (key, block) in snapshot.blocks_from(*next) {
                    exporter.records(&mut text, block.records());
                    *next = key + 1;
                    if text.len() >= CHUNK {
                        return Poll::Ready(Some(Ok(text.into())));
                    }
                }
            }
            Records::Paged(paged) => match ready!(paged.poll_page(context)) {
                Some(Ok(records)) => {
                    exporter.records(&mut text, &records);
                    return Poll::Ready(Some(Ok(text.into())));
                }
                Some(Err(error)) => {
                    self.exporter = None;
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                None => {}
            },
        }
        if let Some(exporter) = self.exporter.take() {
            exporter.trailer(&mut text);
        }
        Poll::Ready(Some(Ok(text.into())))
    }
}

impl MessageBody for Export {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        match &self.records {
            Records::InMemory(snapshot, _) => BodySize::Sized(interchange::length(snapshot)),
            Records::Paged(_) => BodySize::Stream,
        }
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.chunk(context)
    }
}
