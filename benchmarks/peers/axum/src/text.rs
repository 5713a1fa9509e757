//! The contract's JSON. A company has a fixed width: a template is copied, and its digits are filled in.

use crate::logins::Span;

pub const WIDTH: usize = TEMPLATE.len();

const TEMPLATE: [u8; 128] = *br#"{"cvrNummer":"00000000","tidligsteLoginTidspunkt":"0000-00-00T00:00:00.000Z","senesteLogintidspunkt":"0000-00-00T00:00:00.000Z"}"#;
const TIME: [u8; 24] = *b"0000-00-00T00:00:00.000Z";
const DAY: i64 = 86_400_000;

/// A company as the list has it.
pub fn company(cvr: u32, span: Span) -> [u8; WIDTH] {
    let mut text = TEMPLATE;
    digits(&mut text[14..22], cvr);
    write_time(&mut text[51..75], span.first);
    write_time(&mut text[102..126], span.last);
    text
}

/// The body of GetLogin.
pub fn one(cvr: u32, span: Span) -> Vec<u8> {
    [br#"{"VirksomhedsLoginDto":"#.as_slice(), &company(cvr, span), b"}"].concat()
}

/// Milliseconds since 1970 in RFC 3339.
pub fn time(millis: i64) -> [u8; 24] {
    let mut text = TIME;
    write_time(&mut text, millis);
    text
}

/// Fills in the digits of a `TIME`. The date by Neri and Schneider, "Euclidean affine functions" (2022), figure 12.
fn write_time(text: &mut [u8], millis: i64) {
    let (days, rest) = ((millis / DAY) as u32, (millis % DAY) as u32);
    let quarters = 4 * (days + 719_468) + 3;
    let (century, day_of_century) = (quarters / 146_097, quarters % 146_097 / 4);
    let product = 2_939_745 * u64::from(4 * day_of_century + 3);
    let (year_of_century, day_of_year) = ((product >> 32) as u32, product as u32 / 2_939_745 / 4);
    let month_and_day = 2_141 * day_of_year + 197_913;
    let (month, day) = (month_and_day >> 16, (month_and_day & 0xffff) / 2_141 + 1);
    // The year of the algorithm begins in March.
    let next = u32::from(day_of_year >= 306);
    digits(&mut text[0..4], 100 * century + year_of_century + next);
    digits(&mut text[5..7], month - 12 * next);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], rest / 3_600_000);
    digits(&mut text[14..16], rest / 60_000 % 60);
    digits(&mut text[17..19], rest / 1_000 % 60);
    digits(&mut text[20..23], rest % 1_000);
}

#[inline(always)]
fn digits(text: &mut [u8], number: u32) {
    let mut left = number;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
}
