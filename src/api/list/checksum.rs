//! CRC-32 (RFC 1952 §8) of a text that is known by the checksums of its pieces alone.
//!
//! Joining two checksums is a multiplication of the first by x⁸ⁿ, n being the length of the second's text. Pieces of the list
//! have as many different lengths as a block may have records, so those factors are looked up: a list of 5,000 pieces
//! is joined in a fraction of a millisecond.

use std::sync::LazyLock;

use super::deflate::row_encoder::ROW;
use crate::store::Block;

/// The polynomial, its highest power in the lowest place.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// x⁰ in the same notation.
const ONE: u32 = 1 << 31;
/// x⁸.
const BYTE: u32 = 1 << 23;

/// x⁸ⁿ, n being the length of so many rows.
static ROWS: LazyLock<[u32; Block::CAPACITY + 1]> =
    LazyLock::new(|| std::array::from_fn(|rows| power((rows * ROW) as u64)));

/// The checksum of a text that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Checksum(u32);

impl Checksum {
    /// The checksum of this text.
    pub(crate) fn of(text: &[u8]) -> Self {
        Self(crc32fast::hash(text))
    }

    /// The checksum as gzip has it at the end of a member.
    pub(crate) fn value(self) -> u32 {
        self.0
    }

    /// The checksum with this value.
    pub(crate) fn from_value(value: u32) -> Self {
        Self(value)
    }

    /// The checksum of this text and so many rows behind it. `missing` is how many bytes fewer than rows those are: the first
    /// row of a list has no comma.
    #[must_use]
    pub(crate) fn then_rows(self, rows: usize, missing: usize, checksum: Self) -> Self {
        let factor = match ROWS.get(rows) {
            Some(factor) if missing == 0 => *factor,
            _ => power((rows * ROW - missing) as u64),
        };
        Self(times(factor, self.0) ^ checksum.0)
    }

    /// The checksum of this text and another behind it.
    #[must_use]
    pub(crate) fn then(self, text: &[u8]) -> Self {
        Self(times(power(text.len() as u64), self.0) ^ Self::of(text).0)
    }
}

/// The product of two polynomials modulo the CRC's.
fn times(one: u32, mut other: u32) -> u32 {
    (0..32).rev().fold(0, |product, place| {
        let taken = if one >> place & 1 == 1 { other } else { 0 };
        other = other >> 1 ^ if other & 1 == 1 { POLYNOMIAL } else { 0 };
        product ^ taken
    })
}

/// x to the power of 8 × `bytes`, modulo the CRC's polynomial.
fn power(mut bytes: u64) -> u32 {
    let (mut product, mut square) = (ONE, BYTE);
    while bytes > 0 {
        if bytes & 1 == 1 {
            product = times(square, product);
        }
        square = times(square, square);
        bytes >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn joined_checksums_are_that_of_the_whole(
            head in prop::collection::vec(any::<u8>(), 0..300), rows in 0usize..=300, missing in 0usize..=1, seed: u8
        ) {
            let text: Vec<u8> =
                (0..(rows * ROW).saturating_sub(missing)).map(|at| (at * 7) as u8 ^ seed).collect();
            let missing = if rows == 0 { 0 } else { missing };
            let whole = [head.clone(), text.clone()].concat();
            let expected = crc32fast::hash(&whole);
            let head = Checksum::of(&head);
            prop_assert_eq!(head.then_rows(rows, missing, Checksum::of(&text)).value(), expected);
            prop_assert_eq!(head.then(&text).value(), expected);
        }
    }
}
