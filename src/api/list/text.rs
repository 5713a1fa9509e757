//! The list's text: what surrounds the rows, the rows themselves, and the length of all of it.

use crate::interchange::{self, ROW};
use crate::store::{Record, Snapshot};

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
