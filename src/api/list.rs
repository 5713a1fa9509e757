//! The list as a stream: one consistent snapshot, encoded as it is sent, never held whole.
//!
//! | module | is for |
//! |---|---|
//! | `text` | what surrounds the rows, the rows, and a snapshot uncompressed |
//! | `compressed` | a snapshot in gzip or zstd, joined from cached fragments |
//! | `paged` | the list of a shared database, in any coding |
//! | `fragment` | what each coding makes of a block, and how fragments become one stream |
//! | `crc` | the CRC-32 of joined fragments |
//! | `deflate` | the deflate encoder for rows |
//! | `fairness` | letting other requests go first |
//!
//! `docs/ARCHITECTURE.md`, "How the list is compressed", gives the reasons.

mod compressed;
mod crc;
mod deflate;
mod fairness;
mod fragment;
mod paged;
pub(crate) mod text;

#[cfg(test)]
mod tests;

use std::io;

use actix_web::body::{BodyStream, SizedStream};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, LocalBoxStream};

use super::encoding::Coding;
use crate::store::RecordStream;
use crate::telemetry::metrics::Counter;

pub(crate) use fairness::count_response;

/// The list in this coding; for HEAD its headers only. `sent` counts the bytes of its body.
pub(crate) fn answer(
    response: &mut HttpResponseBuilder,
    listing: RecordStream,
    coding: Coding,
    head_only: bool,
    sent: Counter,
) -> HttpResponse {
    let length = match (&listing, coding) {
        (RecordStream::InMemory(snapshot), Coding::Identity) => Some(text::length(snapshot)),
        _ => None,
    };
    // actix-http would make all of the body of an answer to HEAD only to discard it.
    let chunks = if head_only { stream::empty().boxed_local() } else { chunks(listing, coding, sent) };
    match length {
        Some(length) => response.body(SizedStream::new(length, chunks)),
        None => response.body(BodyStream::new(chunks)),
    }
}

fn chunks(
    listing: RecordStream,
    coding: Coding,
    sent: Counter,
) -> LocalBoxStream<'static, io::Result<Bytes>> {
    let chunks = match (listing, coding) {
        (RecordStream::InMemory(snapshot), Coding::Identity) => text::chunks(snapshot).boxed_local(),
        (RecordStream::InMemory(snapshot), _) => compressed::chunks(snapshot, coding).boxed_local(),
        (RecordStream::Paged(pages), _) => paged::chunks(pages, coding).boxed_local(),
    };
    let count = move |chunk: &io::Result<Bytes>| {
        sent.inc_by(chunk.as_ref().map_or(0, Bytes::len) as u64);
    };
    fairness::throttled(chunks).inspect(count).boxed_local()
}
