//! Writing records as lines of fixed width. The list and GetLogin have the same objects.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::domain::login_span::LastLoginWindow;
use crate::domain::timestamp::Tables;
use crate::store::{Block, ReadError, Record, RecordStream, Snapshot};

const TEMPLATE: &[u8; OBJECT] =
    br#"{"cvrNummer":"00000000","tidligsteLoginTidspunkt":"0000-00-00T00:00:00.000Z","senesteLogintidspunkt":"0000-00-00T00:00:00.000Z"}"#;
/// Offset of the CVR number in an object.
pub(crate) const CVR_AT: usize = 14;
/// Offset of the first login in an object.
pub(crate) const FIRST_AT: usize = 51;
/// Offset of the latest login in an object.
pub(crate) const LAST_AT: usize = 102;

/// Bytes of a record's JSON object.
pub const OBJECT: usize = 128;
/// Bytes of a record's line, or of a row of the list with its comma.
pub(crate) const ROW: usize = OBJECT + 1;

/// Appends the record's JSON object.
pub fn write_object(out: &mut Vec<u8>, record: &Record) {
    let tables = Tables::get();
    out.extend_from_slice(TEMPLATE);
    if let Some(object) = out.last_chunk_mut::<OBJECT>() {
        object[CVR_AT..CVR_AT + 8].copy_from_slice(&record.cvr.digits());
        for (at, timestamp) in [(FIRST_AT, record.login.first()), (LAST_AT, record.login.last())] {
            if let Some(text) = object[at..].first_chunk_mut() {
                tables.write(timestamp, text);
            }
        }
    }
}

/// Appends the record's line.
pub(crate) fn write_row(out: &mut Vec<u8>, record: &Record) {
    write_object(out, record);
    out.push(b'\n');
}

/// An export in the making, for a caller that streams it.
#[derive(Debug, Default)]
pub(crate) struct Exporter {
    hash: Sha256,
    count: u64,
}

impl Exporter {
    /// Appends the lines of these records.
    pub(crate) fn records(&mut self, out: &mut Vec<u8>, records: &[Record]) {
        let from = out.len();
        out.reserve(records.len() * ROW);
        records.iter().for_each(|record| write_row(out, record));
        self.count += records.len() as u64;
        self.hash.update(&out[from..]);
    }

    /// Appends the trailer, which ends the export.
    pub(crate) fn trailer(self, out: &mut Vec<u8>) {
        let hash = data_encoding::HEXLOWER.encode(&self.hash.finalize());
        out.extend_from_slice(write_trailer(self.count, &hash).as_bytes());
    }
}

/// Bytes of the export of this snapshot, its trailer included.
pub(crate) fn length(snapshot: &Snapshot) -> u64 {
    let trailer = write_trailer(snapshot.len(), &"0".repeat(64));
    snapshot.len() * ROW as u64 + trailer.len() as u64
}

fn write_trailer(count: u64, hash: &str) -> String {
    format!("{{\"antal\":{count},\"sha256\":\"{hash}\"}}\n")
}

/// Writes every record whose latest login is in the window, and the trailer; returns how many records. `progress` gets the
/// number so far.
pub fn export(
    listing: RecordStream,
    window: LastLoginWindow,
    out: &mut impl Write,
    mut progress: impl FnMut(u64),
) -> Result<u64, ReadError<io::Error>> {
    const CHUNK: usize = 64 << 10;
    let mut exporter = Exporter::default();
    let mut chunk = Vec::with_capacity(CHUNK + Block::CAPACITY * ROW);
    let mut chosen = Vec::new();
    listing.read(|records| {
        if window.is_unbounded() {
            exporter.records(&mut chunk, records);
        } else {
            chosen.clear();
            chosen.extend(records.iter().filter(|record| window.contains(record.login)));
            exporter.records(&mut chunk, &chosen);
        }
        if chunk.len() >= CHUNK {
            out.write_all(&chunk)?;
            chunk.clear();
            progress(exporter.count);
        }
        Ok(())
    })?;
    let count = exporter.count;
    exporter.trailer(&mut chunk);
    out.write_all(&chunk).and_then(|()| out.flush()).map_err(ReadError::Reader)?;
    progress(count);
    Ok(count)
}
