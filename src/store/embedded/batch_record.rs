//! A batch as bytes: the checkpoint after it and its records, with a checksum over all.
//!
//! The record of a batch is written *before* the batch's own rows and carries all of them. After a crash sled holds a
//! prefix of what was written: the batch record before, or this one and some of its rows; the missing rows are then
//! taken from it. The high-water mark has the same form, without records.

use sha2::{Digest, Sha256};

use super::checkpoint::{Checkpoint, StoreId};
use super::record_bytes;
use crate::store::record::Record;

/// The checkpoint after a batch, and the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchRecord {
    pub(super) checkpoint: Checkpoint,
    pub(super) changes: Vec<Record>,
}

/// What the bytes are a record of.
pub(super) type Magic = [u8; 4];
pub(super) const BATCH: &Magic = b"VLS1";

const HEAD: usize = 4 + 16 + 8 + 8 + 16;
const CHECK: usize = 16;

/// The length in bytes with so many changes.
pub(super) const fn length(changes: usize) -> usize {
    HEAD + changes * record_bytes::ROW + CHECK
}

/// The bytes; reading them back checks each.
pub(super) fn encode(magic: &Magic, store: &StoreId, checkpoint: &Checkpoint, changes: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length(changes.len()));
    bytes.extend_from_slice(magic);
    bytes.extend_from_slice(store);
    bytes.extend_from_slice(&checkpoint.sequence.to_be_bytes());
    bytes.extend_from_slice(&checkpoint.count.to_be_bytes());
    bytes.extend_from_slice(&checkpoint.hash.to_be_bytes());
    for record in changes {
        bytes.extend_from_slice(&record_bytes::key(record.cvr));
        bytes.extend_from_slice(&record_bytes::value(record.login));
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest[..CHECK]);
    bytes
}

/// Reads the bytes, or says what is wrong with them.
pub(super) fn decode(magic: &Magic, store: &StoreId, bytes: &[u8]) -> Result<BatchRecord, &'static str> {
    let parts = bytes.split_last_chunk::<CHECK>().and_then(|(body, check)| {
        let (own_magic, rest) = body.split_first_chunk::<4>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (hash, rows) = rest.split_first_chunk()?;
        let checkpoint = Checkpoint {
            sequence: u64::from_be_bytes(*sequence),
            count: u64::from_be_bytes(*count),
            hash: u128::from_be_bytes(*hash),
        };
        Some((body, check, own_magic, id, checkpoint, rows))
    });
    let (body, check, own_magic, id, checkpoint, rows) = parts.ok_or("a batch record that is cut short")?;
    if check[..] != Sha256::digest(body)[..CHECK] {
        return Err("a batch record whose checksum does not match");
    }
    if own_magic != magic {
        return Err("a batch record of an unknown kind");
    }
    if id != store {
        return Err("a batch record of another store");
    }
    let (rows, left) = rows.as_chunks::<{ record_bytes::ROW }>();
    let changes: Option<Vec<_>> = rows.iter().map(record_bytes::read_row).collect();
    match changes {
        Some(changes) if left.is_empty() && changes.is_sorted_by(|one, other| one.cvr < other.cvr) => {
            Ok(BatchRecord { checkpoint, changes })
        }
        _ => Err("a batch record with impossible records"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::tests::record_at as record;

    #[test]
    fn batch_record_reads_back_and_no_flipped_bit_passes() {
        let mut checkpoint = Checkpoint { sequence: 7, ..Checkpoint::default() };
        let changes = [record(1, 5), record(2, 6)];
        changes.iter().for_each(|change| checkpoint.add(change));
        let bytes = encode(BATCH, &[9; 16], &checkpoint, &changes);
        assert_eq!(
            decode(BATCH, &[9; 16], &bytes),
            Ok(BatchRecord { checkpoint, changes: changes.to_vec() })
        );
        assert_eq!(decode(BATCH, &[8; 16], &bytes), Err("a batch record of another store"));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(BATCH, &[9; 16], &flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode(BATCH, &[9; 16], &bytes[..length]).is_err(), "length {length}");
        }
    }
}
