//! Compressed pieces: what each coding makes of a block's rows, and of what stands around them.
//!
//! A piece stands on its own, so it is kept with its block and joined with the pieces of the other blocks, whichever
//! those are at the time. A block that changes is a new block without a piece.

use std::io;

use zstd::bulk::Compressor;

use super::checksum::Checksum;
use super::deflate::row_encoder::{ROW, deflate};
use super::text::{CLOSE, OPEN, write_rows};
use crate::store::Record;

/// A gzip member's header (RFC 1952 §2.3): deflate, no flags, no time, unknown operating system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// How many bytes of a gzip piece are the checksum of its text, which is not sent.
const CHECKSUM: usize = 4;
/// The first rows of the list are stored as they are: a row can only be compressed behind one that has a comma.
const STORED_ROWS: usize = 2;
/// A zstd frame's magic number, and a header that says: one segment, no checksum, the length in one byte (RFC 8878 §3.1.1).
const ZSTD_HEADER: [u8; 5] = [0x28, 0xb5, 0x2f, 0xfd, 0x20];
/// Measured on a million rows: level 1 takes two thirds of the time of level 3 and comes out smaller, the higher ones cost more
/// than they save.
const ZSTD_LEVEL: i32 = 1;

/// A coding whose pieces are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamCoding {
    /// One gzip member.
    Gzip,
    /// One zstd frame after another, which is one stream as well (RFC 8878 §3.1).
    Zstd,
}

impl StreamCoding {
    /// The block's room for pieces of this kind.
    pub(crate) fn slot(self) -> usize {
        self as usize
    }

    /// What the stream begins with: the coding's own opening and the list's.
    pub(crate) fn opening(self) -> Vec<u8> {
        match self {
            Self::Gzip => {
                let mut bytes = GZIP_HEADER.to_vec();
                store(OPEN, false, &mut bytes);
                bytes
            }
            Self::Zstd => raw_frame(OPEN),
        }
    }

    /// What the stream ends with, `sum` and `length` being those of the text before.
    pub(crate) fn closing(self, sum: Checksum, length: u64) -> Vec<u8> {
        match self {
            Self::Gzip => {
                let mut bytes = Vec::new();
                store(CLOSE, true, &mut bytes);
                bytes.extend_from_slice(&sum.then(CLOSE).value().to_le_bytes());
                // The length modulo 2³², as RFC 1952 has it.
                bytes.extend_from_slice(&(length as u32).to_le_bytes());
                bytes
            }
            Self::Zstd => raw_frame(CLOSE),
        }
    }

    /// What of a piece is sent.
    pub(crate) fn sent(self, piece: &[u8]) -> &[u8] {
        match self {
            Self::Gzip => piece.get(CHECKSUM..).unwrap_or_default(),
            Self::Zstd => piece,
        }
    }

    /// The checksum of the text so far and that of a piece of so many records, which may be the list's first.
    pub(crate) fn sum(self, sum: Checksum, piece: &[u8], first: bool, records: usize) -> Checksum {
        match (self, piece.first_chunk::<CHECKSUM>()) {
            (Self::Gzip, Some(own)) => {
                let missing = usize::from(first);
                sum.then_rows(records, missing, Checksum::from_value(u32::from_le_bytes(*own)))
            }
            _ => sum,
        }
    }
}

/// Makes pieces, one at a time, in room that is used again.
#[derive(Default)]
pub(crate) struct FragmentEncoder {
    text: Vec<u8>,
    bytes: Vec<u8>,
    zstd: Option<Compressor<'static>>,
}

impl FragmentEncoder {
    /// The piece of these records, which may be the first of their list.
    ///
    /// # Errors
    /// When zstd has no memory.
    pub(crate) fn piece(
        &mut self,
        packing: StreamCoding,
        first: bool,
        records: &[Record],
    ) -> io::Result<Box<[u8]>> {
        self.text.clear();
        write_rows(first, records, &mut self.text);
        self.bytes.clear();
        match packing {
            StreamCoding::Gzip => {
                self.bytes.extend_from_slice(&Checksum::of(&self.text).value().to_le_bytes());
                let rows = if first {
                    let stored = (STORED_ROWS * ROW - 1).min(self.text.len());
                    let (stored, rows) = self.text.split_at(stored);
                    store(stored, false, &mut self.bytes);
                    rows
                } else {
                    &self.text
                };
                deflate(rows.as_chunks::<ROW>().0, &mut self.bytes);
            }
            StreamCoding::Zstd => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => none.insert(Compressor::new(ZSTD_LEVEL)?),
                };
                self.bytes.reserve(zstd::zstd_safe::compress_bound(self.text.len()));
                zstd.compress_to_buffer(&self.text, &mut self.bytes)?;
            }
        }
        Ok(self.bytes.as_slice().into())
    }
}

/// Appends the text as one stored block (RFC 1951 §3.2.4).
fn store(text: &[u8], last: bool, bytes: &mut Vec<u8>) {
    let length = text.len() as u16;
    bytes.push(u8::from(last));
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&(!length).to_le_bytes());
    bytes.extend_from_slice(text);
}

/// A short text as one zstd frame with one raw block (RFC 8878 §3.1.1.2).
fn raw_frame(text: &[u8]) -> Vec<u8> {
    let block = ((text.len() as u32) << 3 | 1).to_le_bytes();
    [&ZSTD_HEADER[..], &[text.len() as u8], &block[..3], text].concat()
}
