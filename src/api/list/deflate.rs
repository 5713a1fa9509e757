//! Deflate (RFC 1951) for rows of the list, and for nothing else.
//!
//! A row has 129 bytes, its leading comma included, of which only the digits change. So every constant part is a match at
//! distance 129, whatever precedes it, and whatever follows it unchanged from the row before makes the match longer: the leading
//! digits of the number, the year, the month. The rest is literals, two or three to a table look-up. One row takes a
//! handful of look-ups; a compressor that searches takes a hundred times as long.
//!
//! A fragment begins and ends on a byte (its end is the empty stored block of RFC 1951 §3.2.4) and refers to nothing but the
//! constant parts of the row before it. So it may be cached and joined with others. Before it must come one whole row, leading comma
//! included, of any content.

mod bits;
mod huffman;

use std::sync::LazyLock;

use crate::interchange::{CVR_AT, FIRST_AT, LAST_AT, ROW};
use bits::{BitWriter, Code, Group};
use huffman::{END_OF_BLOCK, LITERALS, block_header, match_at_129};

type Row = [u8; ROW];

/// Where the changing parts of a row begin, behind its comma.
const CVR: usize = CVR_AT + 1;
const FIRST: usize = FIRST_AT + 1;
const LAST: usize = LAST_AT + 1;
const CVR_DIGITS: usize = 8;
/// The part of a timestamp that changes: all but its `Z`.
const TIMESTAMP: usize = 23;
/// `2026`: the fields of a timestamp, three characters each, begin with the last two digits of the year.
const CENTURY: usize = 2;
const FIELDS: usize = 6;
/// What follows the two digits of each field but the last, which has three digits and nothing behind them.
const SEPARATORS: [u8; FIELDS] = *b"--T::.";

/// The constant parts: `Z"}`, `,{"cvrNummer":"`, `","tidligsteLoginTidspunkt":"`, `Z","senesteLogintidspunkt":"`.
const TAIL: usize = ROW - LAST - TIMESTAMP;
const LEAD: usize = CVR;
const MIDDLE: usize = FIRST - CVR - CVR_DIGITS;
const SECOND: usize = LAST - FIRST - TIMESTAMP;
/// The longest match that is ever written.
const LONGEST: usize = MIDDLE + TIMESTAMP;

/// More than a row can take: three matches and 54 literals of five bits are 408 bits.
const MOST_BYTES_OF_ROW: usize = 56;
/// More than what surrounds the rows of a fragment can take, with room for the last write.
const MOST_BYTES_AROUND: usize = 80;
/// An empty stored block behind its three bits of header, which the byte before has room for or not.
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];

struct Tables {
    header: Vec<Code>,
    literals: [Code; 256],
    /// By length; those of distance 129.
    matches: [Code; LONGEST + 1],
    /// Two digits and the separator of each field, by the number that they are.
    pairs: [[Code; 176]; FIELDS],
    /// Three digits, by the number that they are.
    triples: [Code; 1_680],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let literal = |byte: u8| LITERALS[usize::from(byte)];
    let digit = |number: usize| literal(b'0' + (number % 10) as u8);
    let pair = |number: usize| digit(number / 10).then(digit(number));
    Tables {
        header: block_header(),
        literals: std::array::from_fn(|byte| LITERALS[byte]),
        matches: std::array::from_fn(|length| match_at_129(length as u16)),
        pairs: SEPARATORS
            .map(|separator| std::array::from_fn(|number| pair(number % 100).then(literal(separator)))),
        triples: std::array::from_fn(|number| digit(number / 100).then(pair(number % 100))),
    }
});

/// Appends these rows as a fragment of a deflate stream. Every row must be a comma and an object of `interchange`.
pub(crate) fn deflate(rows: &[Row], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + rows.len() * MOST_BYTES_OF_ROW + MOST_BYTES_AROUND, 0);
    let tables = &*TABLES;
    let mut bits = BitWriter::new(&mut out[start..]);
    tables.header.iter().for_each(|code| bits.write(Group::of([*code])));
    if let Some(first) = rows.first() {
        row(&mut bits, tables, tables.matches[LEAD], first, Shared::default());
    }
    for (before, this) in rows.iter().zip(rows.iter().skip(1)) {
        let shared = Shared::between(before, this);
        row(&mut bits, tables, tables.matches[TAIL + LEAD + shared.cvr], this, shared);
    }
    if !rows.is_empty() {
        bits.write(Group::of([tables.matches[TAIL]]));
    }
    bits.write(Group::of([LITERALS[END_OF_BLOCK], Code::new(0, 3)]));
    let length = bits.finish();
    out.truncate(start + length);
    out.extend_from_slice(&EMPTY_STORED);
}

/// How many characters of each changing part are those of the row before.
#[derive(Default)]
struct Shared {
    cvr: usize,
    first: usize,
    last: usize,
}

impl Shared {
    #[inline(always)]
    fn between(before: &Row, this: &Row) -> Self {
        Self {
            cvr: common(before, this, CVR, CVR_DIGITS),
            first: common(before, this, FIRST, TIMESTAMP),
            last: common(before, this, LAST, TIMESTAMP),
        }
    }
}

/// How many of the bytes from here on are the same in both rows, at most this many.
#[inline(always)]
fn common(before: &Row, this: &Row, at: usize, most: usize) -> usize {
    let (before, this) = (&before[at..at + most], &this[at..at + most]);
    if let (Some(one), Some(other)) = (before.first_chunk::<8>(), this.first_chunk::<8>()) {
        let difference = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return (difference.trailing_zeros() / 8) as usize;
        }
    }
    before.iter().zip(this).take_while(|(one, other)| one == other).count()
}

/// A row from its number to the last digit of its last timestamp. `lead` is the match before it.
///
/// What is shared is omitted by writing an empty code in its place, because a mispredicted branch costs more than three codes.
#[inline(always)]
fn row(bits: &mut BitWriter<'_>, tables: &Tables, lead: Code, row: &Row, shared: Shared) {
    let digit = |at: usize| tables.literals[usize::from(row[CVR + at])].when(at >= shared.cvr);
    let mut group = Group::of([lead]);
    // Seldom more than none: neighbours have most of their digits in common.
    for at in shared.cvr..CVR_DIGITS - 3 {
        group = group.then(digit(at));
    }
    bits.write(group);
    let digits = Group::of([digit(5), digit(6), digit(7)]);
    let end =
        timestamp(bits, tables, digits.then(tables.matches[MIDDLE + shared.first]), row, FIRST, shared.first);
    let lead = Group::of([end, tables.matches[SECOND + shared.last]]);
    let end = timestamp(bits, tables, lead, row, LAST, shared.last);
    bits.write(Group::of([end]));
}

/// The characters of the timestamp at `at`, but for the first `shared` and the milliseconds, which are returned. `lead` is
/// what precedes them, up to 38 bits.
#[inline(always)]
fn timestamp(
    bits: &mut BitWriter<'_>,
    tables: &Tables,
    lead: Group,
    row: &Row,
    at: usize,
    shared: usize,
) -> Code {
    // The first field that is written whole, and where it begins. Up to two characters before it are not shared.
    let whole = shared.saturating_sub(CENTURY).div_ceil(3);
    let begin = CENTURY + whole * 3;
    let code = |field: usize| tables.pairs[field][pair(row, at + CENTURY + field * 3)].when(field >= whole);
    let before =
        |back: usize| tables.literals[usize::from(row[at + begin - back])].when(begin >= shared + back);
    bits.write(lead.then(before(2)).then(before(1)));
    bits.write(Group::of([code(0), code(1), code(2)]));
    bits.write(Group::of([code(3), code(4), code(5)]));
    tables.triples[triple(row, at + CENTURY + FIELDS * 3)].when(whole <= FIELDS)
}

/// The number that the two digits here are.
#[inline(always)]
fn pair(row: &Row, at: usize) -> usize {
    usize::from(row[at] & 15) * 10 + usize::from(row[at + 1] & 15)
}

/// The number that the three digits here are.
#[inline(always)]
fn triple(row: &Row, at: usize) -> usize {
    usize::from(row[at] & 15) * 100 + pair(row, at + 1)
}
