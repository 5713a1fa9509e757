//! The list's text: what surrounds the rows, the rows themselves, the length of all of it, and a snapshot's text as a stream.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::fairness::CHUNK;
use crate::interchange::{self, ROW};
use crate::store::{Block, Record, Snapshot};

/// Before the first row.
pub(crate) const OPEN: &[u8] = br#"{"virksomheder":["#;
/// Behind the last row.
pub(crate) const CLOSE: &[u8] = b"]}";

/// Appends these records, each behind a comma except the first of a list.
pub(crate) fn write_rows(first: bool, records: &[Record], out: &mut Vec<u8>) {
    out.reserve(records.len() * ROW);
    let (head, rest) = records.split_at(usize::from(first).min(records.len()));
    for record in head {
        interchange::write_object(out, record);
    }
    for record in rest {
        out.push(b',');
        interchange::write_object(out, record);
    }
}

/// The whole list of these few records.
pub(crate) fn whole(records: &[Record]) -> Vec<u8> {
    let mut text = OPEN.to_vec();
    write_rows(true, records, &mut text);
    text.extend_from_slice(CLOSE);
    text
}

/// How many bytes the list of this snapshot has.
pub(crate) fn length(snapshot: &Snapshot) -> u64 {
    let rows = snapshot.len() * ROW as u64;
    (OPEN.len() + CLOSE.len()) as u64 + rows.saturating_sub(1)
}

/// The text of this snapshot's list, chunk by chunk.
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
