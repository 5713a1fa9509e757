//! The list in a coding, made of pieces that are kept with their blocks.
//!
//! A worker only joins pieces that are there. Where one is missing, the blocking pool makes it and some of the following
//! ones; one thread at a time, so that lists asked for together do not do the same work, and so that at most one core is
//! busy with it.

use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use actix_web::body::BodySize;
use actix_web::rt::task::{JoinHandle, spawn_blocking};
use bytes::Bytes;
use futures_util::FutureExt;

use super::CHUNK;
use super::checksum::Checksum;
use super::fairness::{Chunks, Throttled};
use super::fragment::{FragmentEncoder, StreamCoding};
use super::text;
use super::text::OPEN;
use crate::store::{Block, Snapshot};

/// How many pieces are made before a list that waits for them goes on: half a chunk, a millisecond or two.
const BATCH: usize = 32;

/// Room for the pieces of a chunk, most of which have four to six kilobytes.
const PIECES: usize = CHUNK / 4096;
/// Room for what the last chunk ends with.
const CLOSING: usize = 32;

/// Where pieces are made.
static PRESS: LazyLock<Mutex<FragmentEncoder>> = LazyLock::new(Mutex::default);

/// The list of a snapshot in a coding.
#[derive(Debug)]
pub(crate) struct Compressed {
    snapshot: Snapshot,
    packing: StreamCoding,
    at: At,
    sum: Checksum,
    /// The making of missing pieces; its result is the key from which it goes on, or nothing when none is missing.
    making: Option<JoinHandle<io::Result<Option<u32>>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Opening,
    /// The key from which the next block is looked for.
    Rows(u32),
    End,
}

impl Compressed {
    /// The list of this snapshot.
    pub(crate) fn body(snapshot: Snapshot, packing: StreamCoding) -> Throttled<Self> {
        let sum = Checksum::of(OPEN);
        Throttled::of(Self { snapshot, packing, at: At::Opening, sum, making: None })
    }

    fn make_from(&mut self, key: u32) -> &mut JoinHandle<io::Result<Option<u32>>> {
        let (snapshot, packing) = (self.snapshot.clone(), self.packing);
        self.making.insert(spawn_blocking(move || make(&snapshot, packing, key)))
    }

    /// What of the list is ready, at most a chunk or so, and where the next begins; `Err` is the key of a block without a piece.
    ///
    /// The pieces are looked up before the first is copied: the blocks lie all over memory, and the processor waits for
    /// many of them at once only as long as nothing long is done in between.
    fn ready_from(&mut self, from: u32) -> Result<(Vec<u8>, At), u32> {
        let mut pieces = Vec::with_capacity(PIECES);
        let (mut length, mut next) = (0, None);
        for (key, block) in self.snapshot.blocks_from(from) {
            if length >= CHUNK {
                next = Some(key);
                break;
            }
            let Some(piece) = kept(block, self.packing) else {
                next = Some(key);
                break;
            };
            pieces.push((key, block.records().len(), piece));
            length += piece.len();
        }
        if let (true, Some(missing)) = (pieces.is_empty(), next) {
            return Err(missing);
        }
        let mut bytes = Vec::with_capacity(length + CLOSING);
        for (key, records, piece) in pieces {
            bytes.extend_from_slice(self.packing.sent(piece));
            self.sum = self.packing.sum(self.sum, piece, key == 0, records);
        }
        match next {
            Some(key) => Ok((bytes, At::Rows(key))),
            None => {
                bytes.extend_from_slice(&self.packing.closing(self.sum, text::length(&self.snapshot)));
                Ok((bytes, At::End))
            }
        }
    }
}

fn kept(block: &Block, packing: StreamCoding) -> Option<&[u8]> {
    block.cached_encodings(packing.slot())?.get().map(AsRef::as_ref)
}

/// Makes the next missing pieces from this key on; returns the key from which the others are looked for.
fn make(snapshot: &Snapshot, packing: StreamCoding, from: u32) -> io::Result<Option<u32>> {
    let mut press = PRESS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut made = 0;
    for (key, block) in snapshot.blocks_from(from) {
        if kept(block, packing).is_some() {
            continue;
        }
        if made == BATCH {
            return Ok(Some(key));
        }
        if let Some(room) = block.cached_encodings(packing.slot()) {
            // Already set only if the block is in two lists that are made at once, with the same bytes.
            let _ = room.set(press.piece(packing, key == 0, block.records())?);
        }
        made += 1;
    }
    Ok(None)
}

impl Chunks for Compressed {
    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let from = match self.at {
            At::Opening => {
                self.at = At::Rows(0);
                return Poll::Ready(Some(Ok(self.packing.opening().into())));
            }
            At::Rows(from) => from,
            At::End => return Poll::Ready(None),
        };
        loop {
            let missing = match self.ready_from(from) {
                Ok((bytes, at)) => {
                    self.at = at;
                    return Poll::Ready(Some(Ok(bytes.into())));
                }
                Err(key) => key,
            };
            let making = match self.making.as_mut() {
                Some(making) => making,
                None => self.make_from(missing),
            };
            let made = ready!(making.poll_unpin(context)).map_err(io::Error::other).flatten();
            self.making = None;
            match made {
                // The next pieces are made while these are sent.
                Ok(Some(key)) => {
                    self.make_from(key);
                }
                Ok(None) => {}
                Err(error) => {
                    self.at = At::End;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}
