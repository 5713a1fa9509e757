//! Records, checkpoints and batches as bytes.
//!
//! The record of a batch is written *before* the batch's own rows and carries all of them. After a crash sled holds a
//! prefix of what was written: the batch record before, or this one and some of its rows; the missing rows are then
//! taken from it. The high-water mark has the same form, without records.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::record::Record;

/// Bytes of a record: the CVR number, big endian (4), then first and last login in milliseconds, big endian (8 + 8). The
/// first four are the row's key in sled, the rest its value. Bytes that no record has are damage.
const ROW: usize = KEY + VALUE;
const KEY: usize = 4;
const VALUE: usize = 16;

pub(super) fn key(cvr: Cvr) -> [u8; KEY] {
    cvr.number().to_be_bytes()
}

pub(super) fn value(login: LoginSpan) -> [u8; VALUE] {
    let mut bytes = [0; VALUE];
    bytes[..8].copy_from_slice(&login.first().millis().to_be_bytes());
    bytes[8..].copy_from_slice(&login.last().millis().to_be_bytes());
    bytes
}

pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Record> {
    let cvr = Cvr::from_number(u32::from_be_bytes(key.try_into().ok()?)).ok()?;
    let (first, last) = value.split_first_chunk()?;
    let time = |bytes| Timestamp::from_millis(i64::from_be_bytes(bytes)).ok();
    let login = LoginSpan::new(time(*first)?, time(last.try_into().ok()?)?).ok()?;
    Some(Record { cvr, login })
}

pub(super) fn read_row(bytes: &[u8; ROW]) -> Option<Record> {
    read(&bytes[..KEY], &bytes[KEY..])
}

/// The random name of a store, so that parts of two stores are never mixed up.
pub(super) type StoreId = [u8; 16];

/// The proof that a store is whole: number and hash of all records after so many batches.
///
/// The hash is the sum, modulo 2^128, of a SHA-256 of each record: it follows each change, and no accident makes two sets
/// agree; it is no defence against a forgery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Checkpoint {
    pub(super) sequence: u64,
    pub(super) count: u64,
    pub(super) hash: u128,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records with hash {:032x} at sequence {}", self.count, self.hash, self.sequence)
    }
}

impl Checkpoint {
    pub(super) fn add(&mut self, record: &Record) {
        self.count += 1;
        self.hash = self.hash.wrapping_add(hash(record));
    }

    pub(super) fn replace(&mut self, old: &Record, new: &Record) {
        self.hash = self.hash.wrapping_sub(hash(old)).wrapping_add(hash(new));
    }
}

fn hash(record: &Record) -> u128 {
    let digest = Sha256::new().chain_update(key(record.cvr)).chain_update(value(record.login)).finalize();
    digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchRecord {
    pub(super) checkpoint: Checkpoint,
    pub(super) changes: Vec<Record>,
}

pub(super) type Magic = [u8; 4];
pub(super) const BATCH: &Magic = b"VLS1";

const HEAD: usize = 4 + 16 + 8 + 8 + 16;
const CHECK: usize = 16;

pub(super) const fn length(changes: usize) -> usize {
    HEAD + changes * ROW + CHECK
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
        bytes.extend_from_slice(&key(record.cvr));
        bytes.extend_from_slice(&value(record.login));
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
    let (rows, left) = rows.as_chunks::<{ ROW }>();
    let changes: Option<Vec<_>> = rows.iter().map(read_row).collect();
    match changes {
        Some(changes) if left.is_empty() && changes.is_sorted_by(|one, other| one.cvr < other.cvr) => {
            Ok(BatchRecord { checkpoint, changes })
        }
        _ => Err("a batch record with impossible records"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::embedded::tests::record_at as record;

    fn row(record: &Record) -> [u8; ROW] {
        [&key(record.cvr)[..], &value(record.login)].concat().try_into().unwrap()
    }

    proptest! {
        #[test]
        fn every_record_reads_back(
            number in 0u32..100_000_000, one in 0i64..=253_402_300_799_999, other in 0i64..=253_402_300_799_999
        ) {
            let time = |millis| Timestamp::from_millis(millis).unwrap();
            let login = LoginSpan::new(time(one.min(other)), time(one.max(other))).unwrap();
            let record = Record { cvr: Cvr::from_number(number).unwrap(), login };
            prop_assert_eq!(read_row(&row(&record)), Some(record));
            prop_assert_eq!(read(&key(record.cvr), &value(login)), Some(record));
        }

        #[test]
        fn record_is_written_as_it_was_read(bytes in prop::array::uniform20(any::<u8>())) {
            if let Some(record) = read_row(&bytes) {
                prop_assert_eq!(row(&record), bytes);
            }
        }

        #[test]
        fn keys_are_in_the_order_of_companies(one in 0u32..100_000_000, other in 0u32..100_000_000) {
            let cvr = |number| Cvr::from_number(number).unwrap();
            prop_assert_eq!(key(cvr(one)).cmp(&key(cvr(other))), one.cmp(&other));
        }
    }

    #[test]
    fn bytes_of_no_record_are_rejected() {
        let good = value(LoginSpan::at(Timestamp::from_millis(5).unwrap()));
        assert!(read(&[0, 0, 0, 1], &good).is_some());
        assert_eq!(read(&[0, 0, 1], &good), None);
        assert_eq!(read(&[0, 0, 0, 0, 1], &good), None);
        assert_eq!(read(&[255; 4], &good), None);
        assert_eq!(read(&[0, 0, 0, 1], &good[..15]), None);
        assert_eq!(read(&[0, 0, 0, 1], &[255; 16]), None);
        let mut turned = good;
        turned[7] = 6;
        assert_eq!(read(&[0, 0, 0, 1], &turned), None);
    }

    #[test]
    fn hash_does_not_depend_on_the_order() {
        let (mut one, mut other) = (Checkpoint::default(), Checkpoint::default());
        one.add(&record(1, 5));
        one.add(&record(2, 6));
        one.replace(&record(1, 5), &record(1, 9));
        other.add(&record(2, 6));
        other.add(&record(1, 9));
        assert_eq!(one, other);
    }

    #[test]
    fn checkpoint_is_printed_for_the_operator() {
        let mut checkpoint = Checkpoint { sequence: 3, ..Checkpoint::default() };
        checkpoint.add(&record(1, 5));
        assert!(checkpoint.to_string().starts_with("1 records with hash "));
        assert!(checkpoint.to_string().ends_with(" at sequence 3"));
    }

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
