//! The one Huffman code of the list (RFC 1951 §3.2.2 and §3.2.7), the same in every block.
//!
//! It is made for [`STATISTIC`] and not for the actual rows, so that nothing has to be counted and the header of a
//! block is a constant. Timestamps spread over the years 1970 to 9999 take 2 % more than with the best code for them.

use std::sync::LazyLock;

use super::bits::Code;

/// A symbol of the literal/length alphabet, how often it occurs in a thousand rows, and the length that Huffman's algorithm
/// gives it. Counted over records of one company in a hundred whose two logins are spread evenly over ten years, in
/// fragments of 192 rows.
pub(super) const STATISTIC: [(u16, u32, u8); 25] = [
    (b'-' as u16, 3_759, 4),
    (b'.' as u16, 2_000, 4),
    (b'0' as u16, 5_536, 3),
    (b'1' as u16, 5_252, 3),
    (b'2' as u16, 4_219, 3),
    (b'3' as u16, 2_833, 4),
    (b'4' as u16, 2_650, 4),
    (b'5' as u16, 2_768, 4),
    (b'6' as u16, 2_087, 4),
    (b'7' as u16, 1_959, 5),
    (b'8' as u16, 1_983, 5),
    (b'9' as u16, 1_962, 5),
    (b':' as u16, 4_000, 4),
    (b'T' as u16, 2_000, 5),
    (END_OF_BLOCK as u16, 5, 11),
    // Matches, by length: 3; 15–16; 17–18; 19–22; 23–26; 27–30; 31–34; 35–42; 43–50; 51–58.
    (257, 5, 11),
    (267, 5, 11),
    (268, 1, 13),
    (269, 100, 8),
    (270, 895, 6),
    (271, 302, 7),
    (272, 1_618, 5),
    (273, 80, 9),
    (274, 1, 13),
    (275, 1, 12),
];

/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: usize = 256;
/// Symbols 0 to 275: literals, the end of a block, and matches of up to 58 bytes.
const SYMBOLS: usize = 276;
/// The symbol of distances 129 to 192, of six extra bits.
const DISTANCE_SYMBOL: usize = 14;
/// Distance 14 and a distance that is never used have one bit each: the strictest decoders accept only a complete code.
const DISTANCE_BITS: u8 = 1;
/// Length symbols, from 257 on.
const LENGTH_SYMBOLS: u16 = 19;

/// The shortest match of this length symbol, counted from 0, and the number of extra bits (the table of RFC 1951 §3.2.5).
fn shortest_match(index: u16) -> (u16, u32) {
    match index {
        0..8 => (3 + index, 0),
        _ => (3 + ((4 + index % 4) << (index / 4 - 1)), u32::from(index / 4 - 1)),
    }
}

/// The code of each symbol.
pub(super) static LITERALS: LazyLock<[Code; SYMBOLS]> = LazyLock::new(|| canonical(&lengths()));

/// The length of each symbol's code; 0 for an unused one.
fn lengths() -> [u8; SYMBOLS] {
    let mut lengths = [0; SYMBOLS];
    for (symbol, _, length) in STATISTIC {
        lengths[usize::from(symbol)] = length;
    }
    lengths
}

/// The canonical code of these lengths (RFC 1951 §3.2.2), each with its first bit in the lowest place.
fn canonical<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut codes = [Code::default(); N];
    let mut next = 0u32;
    for length in 1..=15u8 {
        next <<= 1;
        for (code, _) in codes.iter_mut().zip(lengths).filter(|(_, own)| **own == length) {
            *code = Code::new(next.reverse_bits() >> (32 - u32::from(length)), u32::from(length));
            next += 1;
        }
    }
    codes
}

/// A match of this length at distance 129. Lengths that the statistic has no symbol for have no code.
pub(super) fn match_at_129(length: u16) -> Code {
    let mut symbols = (0..LENGTH_SYMBOLS).rev().map(|index| (index, shortest_match(index)));
    let Some((index, (shortest, extra_bits))) = symbols.find(|(_, (shortest, _))| *shortest <= length) else {
        return Code::default();
    };
    let symbol = LITERALS[END_OF_BLOCK + 1 + usize::from(index)];
    if symbol == Code::default() {
        return symbol;
    }
    // Distance 14 is the second of two codes of one bit; 129 is its first distance, so that its extra bits are 0.
    let distance = Code::new(1, u32::from(DISTANCE_BITS)).then(Code::new(0, 6));
    symbol.then(Code::new(u32::from(length - shortest), extra_bits)).then(distance)
}

/// The header of every block: not the last, dynamic codes, and the codes' lengths.
pub(super) fn block_header() -> Vec<Code> {
    let mut distances = [0; DISTANCE_SYMBOL + 1];
    (distances[0], distances[DISTANCE_SYMBOL]) = (DISTANCE_BITS, DISTANCE_BITS);
    let mut header = vec![
        Code::new(0, 1),
        Code::new(2, 2),
        Code::new(SYMBOLS as u32 - 257, 5),
        Code::new(DISTANCE_SYMBOL as u32, 5),
        Code::new(ORDER.len() as u32 - 4, 4),
    ];
    // The lengths themselves are written in a code of sixteen symbols of four bits: it is complete.
    let length_lengths: [u8; 19] =
        std::array::from_fn(|symbol| if (14..=16).contains(&symbol) { 0 } else { 4 });
    header.extend(ORDER.iter().map(|&symbol| Code::new(u32::from(length_lengths[symbol]), 3)));
    let code = canonical(&length_lengths);
    let all: Vec<u8> = lengths().into_iter().chain(distances).collect();
    for run in all.chunk_by(|one, other| one == other) {
        let mut left = run.len();
        while left > 0 {
            let (taken, codes) = match (run[0], left) {
                (0, 11..) => (left.min(138), code[18].then(Code::new(left.min(138) as u32 - 11, 7))),
                (0, 3..) => (left, code[17].then(Code::new(left as u32 - 3, 3))),
                (length, _) => (1, code[usize::from(length)]),
            };
            header.push(codes);
            left -= taken;
        }
    }
    header
}

/// The order in which the lengths of the lengths' code are written, up to the last that is used (RFC 1951 §3.2.7).
const ORDER: [usize; 18] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    #[test]
    fn code_is_complete_and_within_deflates_limit() {
        let lengths = lengths();
        assert!(lengths.iter().all(|length| *length <= 15));
        let taken: u32 = lengths.iter().filter(|length| **length > 0).map(|length| 1 << (15 - length)).sum();
        assert_eq!(taken, 1 << 15);
    }

    #[test]
    fn no_other_code_is_shorter_for_the_statistic() {
        let ours: u32 = STATISTIC.iter().map(|(_, count, length)| count * u32::from(*length)).sum();
        let mut heap: BinaryHeap<_> = STATISTIC.iter().map(|(_, count, _)| Reverse(*count)).collect();
        let mut best = 0;
        while let (Some(Reverse(one)), Some(Reverse(other))) = (heap.pop(), heap.pop()) {
            best += one + other;
            if heap.is_empty() {
                break;
            }
            heap.push(Reverse(one + other));
        }
        assert_eq!(ours, best);
    }

    #[test]
    fn no_code_begins_another() {
        let used: Vec<Code> = LITERALS.iter().copied().filter(|code| code.length() > 0).collect();
        assert_eq!(used.len(), STATISTIC.len());
        for (at, one) in used.iter().enumerate() {
            for other in &used[at + 1..] {
                let common = one.length().min(other.length());
                assert_ne!(one.bits() & ((1 << common) - 1), other.bits() & ((1 << common) - 1));
            }
        }
    }

    #[test]
    fn every_match_of_a_row_has_a_code() {
        for length in [3].into_iter().chain(15..=58) {
            assert!(
                match_at_129(length).length() > 7 && match_at_129(length).length() <= Code::MOST,
                "{length}"
            );
        }
        assert_eq!(match_at_129(2), Code::default());
        assert_eq!(match_at_129(4), Code::default());
    }
}
