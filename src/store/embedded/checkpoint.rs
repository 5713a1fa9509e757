//! The proof that a store is whole: number, count and hash of all records after a batch.
//!
//! The hash of a set of records is the sum, modulo 2^128, of a SHA-256 of each. It follows each change, and no
//! accident makes two sets agree; it is no defence against a forgery.

use std::fmt;

use sha2::{Digest, Sha256};

use super::record_bytes::{key, value};
use crate::store::record::Record;

/// The random name of a store, so that parts of two stores are never mixed up.
pub(super) type StoreId = [u8; 16];

/// So many records with this hash, after so many batches.
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
    /// Adds a record.
    pub(super) fn add(&mut self, record: &Record) {
        self.count += 1;
        self.hash = self.hash.wrapping_add(hash(record));
    }

    /// Puts one record in place of another.
    pub(super) fn replace(&mut self, old: &Record, new: &Record) {
        self.hash = self.hash.wrapping_sub(hash(old)).wrapping_add(hash(new));
    }
}

fn hash(record: &Record) -> u128 {
    let digest = Sha256::new().chain_update(key(record.cvr)).chain_update(value(record.login)).finalize();
    digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::tests::record_at as record;

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
}
