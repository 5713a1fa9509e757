//! The list of a shared database, encoded page by page as it arrives.
//!
//! Nothing is kept for the next list, because another instance may have changed any part of it.

use std::future::{poll_fn, ready};
use std::io;

use actix_web::rt::task::spawn_blocking;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::fragment::{Joiner, with_encoder};
use super::text::write_rows;
use crate::api::encoding::Coding;
use crate::store::PagedRecords;

/// The list in this coding. On an error the stream ends early, and the client sees the connection close.
pub(super) fn chunks(pages: PagedRecords, coding: Coding) -> impl Stream<Item = io::Result<Bytes>> {
    let joiner = Joiner::new(coding);
    let opening = stream::once(ready(Ok(joiner.opening().into())));
    let rest = stream::try_unfold(Some((pages, joiner)), move |list| async move {
        let Some((mut pages, mut joiner)) = list else { return Ok(None) };
        let page = poll_fn(|context| pages.poll_page(context)).await.transpose().map_err(io::Error::other)?;
        let Some(records) = page else { return Ok(Some((joiner.closing().into(), None))) };
        let (first, count) = (joiner.is_empty(), records.len());
        let bytes = if coding == Coding::Identity {
            let mut text = Vec::new();
            write_rows(first, &records, &mut text);
            joiner.join(&text, count);
            text.into()
        } else {
            let encode = move || with_encoder(|encoder| encoder.encode(coding, first, &records));
            let fragment = spawn_blocking(encode).await.map_err(io::Error::other)??;
            Bytes::copy_from_slice(joiner.join(&fragment, count))
        };
        Ok(Some((bytes, Some((pages, joiner)))))
    });
    opening.chain(rest)
}
