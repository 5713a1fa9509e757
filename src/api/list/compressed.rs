//! The list of a snapshot in gzip or zstd, joined from fragments that are cached with their blocks.
//!
//! A worker only joins fragments that exist. Where one is missing, the blocking pool encodes it and some of the following ones.

use std::future::ready;
use std::io;
use std::sync::OnceLock;

use actix_web::rt::task::{JoinHandle, spawn_blocking};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::fairness::CHUNK;
use super::fragment::{Joiner, with_encoder};
use crate::api::encoding::Coding;
use crate::store::{Block, Snapshot};

/// How many fragments are encoded before a list that waits for them goes on: half a chunk, a millisecond or two.
const BATCH: usize = 32;
/// Expected fragments of a chunk: most have four to six kilobytes.
const FRAGMENTS: usize = CHUNK / 4096;
/// Most bytes of what the stream ends with.
const CLOSING: usize = 32;

/// The list in this coding, which is not identity.
pub(super) fn chunks(snapshot: Snapshot, coding: Coding) -> impl Stream<Item = io::Result<Bytes>> {
    let joiner = Joiner::new(coding);
    let opening = stream::once(ready(Ok(joiner.opening().into())));
    let list = Compressed { snapshot, coding, joiner, encoding: None };
    let rest = stream::try_unfold(Some((list, 0)), |state| async move {
        let Some((mut list, from)) = state else { return Ok(None) };
        loop {
            let missing = match list.ready(from) {
                Ok((bytes, next)) => {
                    return Ok::<_, io::Error>(Some((bytes.into(), next.map(|key| (list, key)))));
                }
                Err(key) => key,
            };
            let encoding = list.encoding.take().unwrap_or_else(|| list.encode_from(missing));
            // The next fragments are encoded while these are sent.
            if let Some(key) = encoding.await.map_err(io::Error::other)?? {
                list.encoding = Some(list.encode_from(key));
            }
        }
    });
    opening.chain(rest)
}

struct Compressed {
    snapshot: Snapshot,
    coding: Coding,
    joiner: Joiner,
    /// Encodes missing fragments; results in the key from which to go on, or nothing when none is missing.
    encoding: Option<JoinHandle<io::Result<Option<u32>>>>,
}

impl Compressed {
    fn encode_from(&self, key: u32) -> JoinHandle<io::Result<Option<u32>>> {
        let (snapshot, coding) = (self.snapshot.clone(), self.coding);
        spawn_blocking(move || encode(&snapshot, coding, key))
    }

    /// At most a chunk or so of what is cached, and the key at which the next begins; `Err` is the key of a block without a
    /// fragment. All are looked up before the first is copied, so that the processor waits for many places of memory at once.
    fn ready(&mut self, from: u32) -> Result<(Vec<u8>, Option<u32>), u32> {
        let mut fragments = Vec::with_capacity(FRAGMENTS);
        let (mut length, mut next) = (0, None);
        for (key, block) in self.snapshot.blocks_from(from) {
            let fragment = cache(block, self.coding).and_then(OnceLock::get).filter(|_| length < CHUNK);
            let Some(fragment) = fragment else {
                next = Some(key);
                break;
            };
            fragments.push((block.records().len(), fragment));
            length += fragment.len();
        }
        if let (true, Some(missing)) = (fragments.is_empty(), next) {
            return Err(missing);
        }
        let mut bytes = Vec::with_capacity(length + CLOSING);
        for (records, fragment) in fragments {
            bytes.extend_from_slice(self.joiner.join(fragment, records));
        }
        if next.is_none() {
            bytes.extend_from_slice(&self.joiner.closing());
        }
        Ok((bytes, next))
    }
}

/// Where the block's fragment in this coding is cached.
pub(super) fn cache(block: &Block, coding: Coding) -> Option<&OnceLock<Box<[u8]>>> {
    match coding {
        Coding::Identity => None,
        Coding::Gzip => block.cached_encodings(0),
        Coding::Zstd => block.cached_encodings(1),
    }
}

/// Encodes the next missing fragments from this key on; returns the key from which to look for others.
fn encode(snapshot: &Snapshot, coding: Coding, from: u32) -> io::Result<Option<u32>> {
    with_encoder(|encoder| {
        let mut encoded = 0;
        for (key, block) in snapshot.blocks_from(from) {
            let cache = cache(block, coding).ok_or(io::ErrorKind::Unsupported)?;
            if cache.get().is_some() {
                continue;
            }
            if encoded == BATCH {
                return Ok(Some(key));
            }
            // Set meanwhile only by another list with the same block, to the same bytes.
            let _ = cache.set(encoder.encode(coding, key == 0, block.records())?);
            encoded += 1;
        }
        Ok(None)
    })
}
