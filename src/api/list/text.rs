//! The list's text: what stands around the rows, the rows themselves, and how long all of it is.

use super::deflate::row_encoder::ROW;
use crate::interchange;
use crate::store::{Record, Snapshot};

/// Before the first row.
pub(crate) const OPEN: &[u8] = br#"{"virksomheder":["#;
/// Behind the last row.
pub(crate) const CLOSE: &[u8] = b"]}";

/// Appends these records, each behind a comma, but for the very first of a list.
pub(crate) fn write_rows(first: bool, records: &[Record], out: &mut Vec<u8>) {
    out.reserve(records.len() * ROW);
    let mut others = records;
    if let (true, Some((record, after))) = (first, records.split_first()) {
        interchange::write_object(out, record);
        others = after;
    }
    for record in others {
        out.push(b',');
        interchange::write_object(out, record);
    }
}

/// The list of these few records, whole.
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
