//! What proves the store whole: count, sequence and a hash of all records, written with each batch.
//!
//! The seal of a batch is one row, written *before* the batch's records and carrying all of them. After a crash
//! sled holds a prefix of what was written: the seal before, or this seal and some of its records. In the second
//! case the missing ones are taken from the seal (rolled forward). Either way the records then must be exactly
//! those that the seal counts and hashes; anything else is damage.
//!
//! The hash of a set of records is the sum, modulo 2^128, of a SHA-256 of each. A sum can be carried on with each change, and no
//! accident makes two sets agree; it is no defence against somebody who forges records on purpose.

use std::fmt;

use sha2::{Digest, Sha256};

use super::record_bytes;
use super::record_bytes::ROW;
use crate::store::Record;

/// The random name of a store, so that parts of two stores are never taken for one.
pub(super) type StoreId = [u8; 16];

/// The sum of the hashes of all records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct SetHash(pub(super) u128);

impl fmt::Display for SetHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// What is to be found: so many records with this hash, after so many batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Checkpoint {
    pub(super) sequence: u64,
    pub(super) count: u64,
    pub(super) hash: SetHash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records with hash {} at sequence {}", self.count, self.hash, self.sequence)
    }
}

impl Checkpoint {
    /// How many bytes a mark is written in.
    pub(super) const LENGTH: usize = 32;

    /// One record more.
    pub(super) fn add(&mut self, record: &Record) {
        self.count += 1;
        self.hash.0 = self.hash.0.wrapping_add(hash(record));
    }

    /// One record in the place of another.
    pub(super) fn replace(&mut self, old: &Record, new: &Record) {
        self.hash.0 = self.hash.0.wrapping_sub(hash(old)).wrapping_add(hash(new));
    }

    pub(super) fn write(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.count.to_be_bytes());
        bytes[16..].copy_from_slice(&self.hash.0.to_be_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8; Self::LENGTH]) -> Self {
        let (sequence, rest) = record_bytes::split(bytes);
        let (count, rest) = record_bytes::split(rest);
        let (hash, _) = record_bytes::split(rest);
        Self {
            sequence: u64::from_be_bytes(sequence),
            count: u64::from_be_bytes(count),
            hash: SetHash(u128::from_be_bytes(hash)),
        }
    }
}

fn hash(record: &Record) -> u128 {
    let digest = Sha256::digest(record_bytes::row(record));
    let (half, _) = record_bytes::split(&digest);
    u128::from_be_bytes(half)
}

/// The mark after a batch, and the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchRecord {
    pub(super) mark: Checkpoint,
    pub(super) changes: Vec<Record>,
}

const MAGIC: &[u8; 4] = b"VLS1";
const HEAD: usize = 4 + 16 + Checkpoint::LENGTH;
const CHECK: usize = 16;

/// How many bytes a seal with so many changes has.
pub(super) const fn length(changes: usize) -> usize {
    HEAD + changes * ROW + CHECK
}

/// The bytes of a seal; reading them back checks each.
pub(super) fn encode(store: &StoreId, mark: &Checkpoint, changes: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length(changes.len()));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(store);
    bytes.extend_from_slice(&mark.write());
    for record in changes {
        bytes.extend_from_slice(&record_bytes::row(record));
    }
    let check = checksum(&bytes);
    bytes.extend_from_slice(&check);
    bytes
}

/// Reads a seal of this store, or says what is wrong with it.
pub(super) fn decode(store: &StoreId, bytes: &[u8]) -> Result<BatchRecord, &'static str> {
    let body_length = bytes.len().checked_sub(CHECK).filter(|length| *length >= HEAD);
    let (body, check) = bytes.split_at(body_length.ok_or("a seal that is cut short")?);
    if check != checksum(body) {
        return Err("a seal whose checksum does not fit");
    }
    let (magic, rest) = record_bytes::split(body);
    let (id, rest) = record_bytes::split(rest);
    let (mark, rest) = record_bytes::split(rest);
    if &magic != MAGIC {
        return Err("a seal of an unknown kind");
    }
    if &id != store {
        return Err("the seal of another store");
    }
    let (rows, left) = rest.as_chunks::<ROW>();
    let changes: Option<Vec<_>> = rows.iter().map(record_bytes::read_row).collect();
    match changes {
        Some(changes) if left.is_empty() && changes.is_sorted_by(|one, other| one.cvr < other.cvr) => {
            Ok(BatchRecord { mark: Checkpoint::read(&mark), changes })
        }
        _ => Err("a seal with impossible records"),
    }
}

/// The first 16 bytes of a SHA-256.
pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECK] {
    record_bytes::split(&Sha256::digest(bytes)).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cvr::Cvr;
    use crate::domain::login_span::LoginSpan;
    use crate::domain::timestamp::Timestamp;

    fn record(number: u32, millis: i64) -> Record {
        Record {
            cvr: Cvr::from_number(number).unwrap(),
            login: LoginSpan::at(Timestamp::from_millis(millis).unwrap()),
        }
    }

    #[test]
    fn a_seal_reads_back_and_no_flipped_bit_passes() {
        let mut mark = Checkpoint { sequence: 7, ..Checkpoint::default() };
        let changes = [record(1, 5), record(2, 6)];
        changes.iter().for_each(|change| mark.add(change));
        let bytes = encode(&[9; 16], &mark, &changes);
        assert_eq!(decode(&[9; 16], &bytes), Ok(BatchRecord { mark, changes: changes.to_vec() }));
        assert_eq!(decode(&[8; 16], &bytes), Err("the seal of another store"));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&[9; 16], &flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode(&[9; 16], &bytes[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn the_hash_does_not_depend_on_the_way() {
        let (mut one, mut other) = (Checkpoint::default(), Checkpoint::default());
        one.add(&record(1, 5));
        one.add(&record(2, 6));
        one.replace(&record(1, 5), &record(1, 9));
        other.add(&record(2, 6));
        other.add(&record(1, 9));
        assert_eq!(one, other);
    }
}
