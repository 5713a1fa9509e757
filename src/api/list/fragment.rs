//! Fragments: what each coding makes of a block's rows, and how fragments become one stream.
//!
//! A fragment refers to nothing before it, so it is kept with its block and joined with those of the other blocks. A block that
//! changes is a new block without a fragment.

use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};

use zstd::bulk::Compressor;

use super::crc;
use super::deflate::deflate;
use super::text::{CLOSE, OPEN, write_rows};
use crate::api::encoding::Coding;
use crate::interchange::ROW;
use crate::store::Record;

/// A gzip member's header (RFC 1952 §2.3): deflate, no flags, no time, unknown operating system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The first rows of the list are stored as they are: a row can only be compressed behind one that has a comma.
const STORED_ROWS: usize = 2;
/// A zstd frame's magic number and header: one segment, no checksum, the length in one byte (RFC 8878 §3.1.1).
const ZSTD_HEADER: [u8; 5] = [0x28, 0xb5, 0x2f, 0xfd, 0x20];
/// Measured on a million rows: level 1 takes two thirds of the time of level 3 and comes out smaller, the higher ones cost more
/// than they save.
const ZSTD_LEVEL: i32 = 1;

/// One thread at a time encodes: lists that are requested together do not repeat the work, and the other cores stay free.
static ENCODER: LazyLock<Mutex<FragmentEncoder>> = LazyLock::new(Mutex::default);

/// Makes fragments, one at a time, in buffers that are reused.
#[derive(Default)]
pub(super) struct FragmentEncoder {
    text: Vec<u8>,
    bytes: Vec<u8>,
    zstd: Option<Compressor<'static>>,
}

impl FragmentEncoder {
    /// The fragment of these records; in gzip the CRC-32 of their text comes first. `first`: they begin the list.
    pub(super) fn encode(
        &mut self,
        coding: Coding,
        first: bool,
        records: &[Record],
    ) -> io::Result<Box<[u8]>> {
        self.text.clear();
        write_rows(first, records, &mut self.text);
        self.bytes.clear();
        match coding {
            Coding::Identity => return Ok(self.text.as_slice().into()),
            Coding::Gzip => {
                self.bytes.extend_from_slice(&crc32fast::hash(&self.text).to_le_bytes());
                let stored = if first { (STORED_ROWS * ROW - 1).min(self.text.len()) } else { 0 };
                let (stored, rows) = self.text.split_at(stored);
                if first {
                    store(stored, false, &mut self.bytes);
                }
                deflate(rows.as_chunks::<ROW>().0, &mut self.bytes);
            }
            Coding::Zstd => {
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

/// Runs the work with the one encoder, once no other list uses it.
pub(super) fn with_encoder<T>(work: impl FnOnce(&mut FragmentEncoder) -> T) -> T {
    work(&mut ENCODER.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The stream that fragments are joined to. In gzip it is one member; in zstd one frame after another (RFC 8878 §3.1).
#[derive(Debug)]
pub(super) struct Joiner {
    coding: Coding,
    /// Of the text so far.
    crc: u32,
    length: u64,
}

impl Joiner {
    pub(super) fn new(coding: Coding) -> Self {
        Self { coding, crc: crc32fast::hash(OPEN), length: OPEN.len() as u64 }
    }

    /// Whether no fragment has been joined yet.
    pub(super) fn is_empty(&self) -> bool {
        self.length == OPEN.len() as u64
    }

    /// What the stream begins with.
    pub(super) fn opening(&self) -> Vec<u8> {
        match self.coding {
            Coding::Identity => OPEN.to_vec(),
            Coding::Gzip => {
                let mut bytes = GZIP_HEADER.to_vec();
                store(OPEN, false, &mut bytes);
                bytes
            }
            Coding::Zstd => raw_frame(OPEN),
        }
    }

    /// What is sent of the fragment of so many records.
    pub(super) fn join<'a>(&mut self, fragment: &'a [u8], records: usize) -> &'a [u8] {
        // The first row of a list has no comma.
        let length = (records * ROW).saturating_sub(usize::from(self.is_empty())) as u64;
        self.length += length;
        match (self.coding, fragment.split_first_chunk()) {
            (Coding::Gzip, Some((crc, sent))) => {
                self.crc = crc::join(self.crc, u32::from_le_bytes(*crc), length);
                sent
            }
            _ => fragment,
        }
    }

    /// What the stream ends with.
    pub(super) fn closing(&self) -> Vec<u8> {
        match self.coding {
            Coding::Identity => CLOSE.to_vec(),
            Coding::Gzip => {
                let mut bytes = Vec::new();
                store(CLOSE, true, &mut bytes);
                let length = CLOSE.len() as u64;
                let crc = crc::join(self.crc, crc32fast::hash(CLOSE), length);
                bytes.extend_from_slice(&crc.to_le_bytes());
                // The length modulo 2³² (RFC 1952 §2.3.1).
                bytes.extend_from_slice(&((self.length + length) as u32).to_le_bytes());
                bytes
            }
            Coding::Zstd => raw_frame(CLOSE),
        }
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
