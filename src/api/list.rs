//! The list as a stream: one consistent snapshot, encoded as it is sent, never held whole.
//!
//! | module | is for |
//! |---|---|
//! | [`text`] | what stands around the rows, and the rows |
//! | [`plain`] | the list as it is |
//! | [`packed`] | the list in gzip or zstd, joined of kept pieces |
//! | [`fetched`] | the list of a shared database, in any coding |
//! | [`piece`] | what each coding makes of a block |
//! | [`row_deflate`], [`huffman`], [`bits`] | the deflate encoder for rows |
//! | [`checksum`] | a CRC-32 joined of those of the pieces |
//! | `turns` | letting other requests go first |
//!
//! `docs/ARCHITECTURE.md`, "How the list is compressed", tells why it is done this way.

pub(crate) mod checksum;
pub(crate) mod compressed;
pub(crate) mod deflate;
mod fairness;
pub(crate) mod fragment;
pub(crate) mod identity;
pub(crate) mod paged;
pub(crate) mod text;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::HttpResponseBuilder;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::encoding::Coding;
use crate::store::RecordStream;
use compressed::Compressed;
use fragment::StreamCoding;
use identity::Identity;
use paged::Streamed;

pub(crate) use fairness::count_response;

/// How many bytes a chunk has at least, unless it is the first, the last, or the next piece is still being made.
///
/// Every chunk is a system call, which may wake a client that has nothing to read: with 64 KiB a client that is as fast as
/// we are sleeps and is woken for each. Larger ones than this bring little and are held for every slow reader.
pub(crate) const CHUNK: usize = 256 * 1024;

/// The list in this coding, or for HEAD what is to be said of it.
pub(crate) fn answer(
    response: &mut HttpResponseBuilder,
    listing: RecordStream,
    coding: Coding,
    head_only: bool,
) -> HttpResponse {
    let packing = match coding {
        Coding::Identity => None,
        Coding::Gzip => Some(StreamCoding::Gzip),
        Coding::Zstd => Some(StreamCoding::Zstd),
    };
    let snapshot = match listing {
        RecordStream::InMemory(snapshot) => snapshot,
        RecordStream::Paged(_) if head_only => return response.body(Unsent(BodySize::Stream)),
        RecordStream::Paged(pages) => return response.body(Streamed::body(pages, packing)),
    };
    match (packing, head_only) {
        (None, false) => response.body(Identity::body(snapshot)),
        (Some(packing), false) => response.body(Compressed::body(snapshot, packing)),
        (None, true) => response.body(Unsent(BodySize::Sized(text::length(&snapshot)))),
        (Some(_), true) => response.body(Unsent(BodySize::Stream)),
    }
}

/// The body of an answer to HEAD, which is never made: the dispatcher would ask for all of it only to throw it away.
#[derive(Debug)]
pub(crate) struct Unsent(pub BodySize);

impl MessageBody for Unsent {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
