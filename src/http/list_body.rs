//! The list as a stream: one consistent snapshot, encoded as it is sent, never held whole.
//!
//! Rows have a fixed width, so the plain list announces its length. The gzip list is one member (RFC 1952) of which
//! each part ends in a full flush and starts on a byte (RFC 1951 §3.2.4), so that parts can be compressed apart
//! from each other; it is compressed on the blocking pool, never on a worker thread.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::task::{JoinHandle, spawn_blocking};
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures_util::FutureExt;

use crate::store::{Block, Snapshot, ndjson};

const OPEN: &[u8] = br#"{"virksomheder":["#;
const CLOSE: &[u8] = b"]}";
/// How many bytes of rows a chunk holds.
const CHUNK: usize = 64 * 1024;
/// A gzip member's header: deflate, no flags, no time, unknown operating system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A final, empty deflate block.
const DEFLATE_END: [u8; 2] = [0x03, 0x00];
/// zlib's usual balance of size and time.
const LEVEL: u32 = 6;

/// The rows of a snapshot, chunk by chunk.
#[derive(Debug)]
struct Rows {
    snapshot: Snapshot,
    /// The key from which the next block is looked for; nothing when the list has been closed.
    next: Option<u32>,
    opened: bool,
}

impl Rows {
    fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, next: Some(0), opened: false }
    }

    /// The next chunk of the list's text; nothing after the last.
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let from = self.next.take()?;
        let mut text = Vec::with_capacity(CHUNK + Block::CAPACITY * (ndjson::OBJECT + 1));
        if from == 0 {
            text.extend_from_slice(OPEN);
        }
        for (key, block) in self.snapshot.blocks_from(from) {
            for record in block.records() {
                if self.opened {
                    text.push(b',');
                }
                self.opened = true;
                ndjson::write_object(&mut text, record);
            }
            if text.len() >= CHUNK {
                self.next = Some(key + 1);
                return Some(text);
            }
        }
        text.extend_from_slice(CLOSE);
        Some(text)
    }

    /// How many bytes all chunks have together.
    fn length(&self) -> u64 {
        let rows = self.snapshot.len();
        let commas = rows.saturating_sub(1);
        (OPEN.len() + CLOSE.len()) as u64 + rows * ndjson::OBJECT as u64 + commas
    }
}

/// The list as it is.
#[derive(Debug)]
pub struct Plain(Rows);

impl Plain {
    /// The list of this snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self(Rows::new(snapshot))
    }
}

impl MessageBody for Plain {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.length())
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.0.chunk().map(|text| Ok(text.into())))
    }
}

/// The list as one gzip member.
#[derive(Debug)]
pub struct Gzip {
    /// The chunk being compressed, or nothing after the last.
    working: Option<JoinHandle<Option<Step>>>,
}

/// A compressed chunk and what is needed for the next.
#[derive(Debug)]
struct Step {
    bytes: Vec<u8>,
    rows: Rows,
    checksum: Crc,
    last: bool,
}

impl Gzip {
    /// The list of this snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        let rows = Rows::new(snapshot);
        Self { working: Some(spawn_blocking(move || step(rows, Crc::new(), GZIP_HEADER.to_vec()))) }
    }
}

/// Compresses the next chunk behind `bytes`.
fn step(mut rows: Rows, mut checksum: Crc, mut bytes: Vec<u8>) -> Option<Step> {
    let text = rows.chunk()?;
    checksum.update(&text);
    deflate(&text, &mut bytes);
    let last = rows.next.is_none();
    if last {
        close_member(&mut bytes, &checksum);
    }
    Some(Step { bytes, rows, checksum, last })
}

/// Compresses the text into whole deflate blocks that end on a byte.
fn deflate(text: &[u8], bytes: &mut Vec<u8>) {
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    loop {
        let done = usize::try_from(compress.total_in()).unwrap_or(usize::MAX).min(text.len());
        bytes.reserve(text.len() / 4 + 64);
        let before = compress.total_out();
        // Compression into memory has no way to fail; it only runs out of room, which the loop makes.
        let _ = compress.compress_vec(&text[done..], bytes, FlushCompress::Full);
        let all_read = compress.total_in() as usize >= text.len();
        if all_read && (bytes.len() < bytes.capacity() || compress.total_out() == before) {
            return;
        }
    }
}

fn close_member(bytes: &mut Vec<u8>, checksum: &Crc) {
    bytes.extend_from_slice(&DEFLATE_END);
    bytes.extend_from_slice(&checksum.sum().to_le_bytes());
    bytes.extend_from_slice(&checksum.amount().to_le_bytes());
}

/// A short text as one gzip member.
pub fn gzip_whole(text: &[u8]) -> Vec<u8> {
    let mut checksum = Crc::new();
    checksum.update(text);
    let mut bytes = GZIP_HEADER.to_vec();
    deflate(text, &mut bytes);
    close_member(&mut bytes, &checksum);
    bytes
}

impl MessageBody for Gzip {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let Some(working) = self.working.as_mut() else {
            return Poll::Ready(None);
        };
        let done = ready!(working.poll_unpin(context));
        self.working = None;
        Poll::Ready(match done {
            Ok(Some(Step { bytes, rows, checksum, last })) => {
                if !last {
                    self.working = Some(spawn_blocking(move || step(rows, checksum, Vec::new())));
                }
                Some(Ok(bytes.into()))
            }
            Ok(None) => None,
            Err(error) => Some(Err(std::io::Error::other(error))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_gzip_member_of_parts_reads_back_as_one() {
        let parts: Vec<Vec<u8>> =
            (0..5u32).map(|part| (0..part * 9_000).map(|at| (at % 251) as u8).collect()).collect();
        let (mut bytes, mut checksum) = (GZIP_HEADER.to_vec(), Crc::new());
        for part in &parts {
            checksum.update(part);
            deflate(part, &mut bytes);
        }
        close_member(&mut bytes, &checksum);
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, parts.concat());
    }

    #[test]
    fn incompressible_text_of_any_length_is_kept() {
        for length in [0usize, 1, 63, 64, 65, 100_000] {
            let mut state = 1u32;
            let noise = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let text: Vec<u8> = noise.take(length).collect();
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&gzip_whole(&text)[..]).read_to_end(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }
}
