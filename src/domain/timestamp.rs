//! A point in time as the contract writes it: RFC 3339, UTC, three decimals and `Z`, 24 characters.
//!
//! Promises: whole milliseconds in the years 1970 to 9999, so that every value can be written in those 24 characters.
//! A list, which writes millions, uses [`super::timestamp_table`].

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};

/// How many ASCII characters a written timestamp has.
pub(crate) const LENGTH: usize = 24;

pub(super) const MILLIS_PER_DAY: u64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z, at most 9999-12-31T23:59:59.999Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text or number is no timestamp that the contract can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseTimestampError {
    /// It has another form, or another year.
    #[error(
        "a timestamp is written as 2026-11-23T08:15:30.123Z (UTC, three decimals), in the years 1970 to 9999"
    )]
    Form,
    /// The form is right, but the calendar or the clock has no such time.
    #[error("there is no such day or time; correct it where the file was made")]
    NoSuchMoment,
}

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Milliseconds since 1970; an error outside the years 1970 to 9999.
    pub fn from_millis(millis: i64) -> Result<Self, ParseTimestampError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(ParseTimestampError::Form)
        }
    }

    /// The nearest timestamp in the years 1970 to 9999.
    pub fn clamped(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis().clamp(Self::MIN.0, Self::MAX.0))
    }

    /// So many milliseconds later (or earlier, when negative), as far as the years 1970 to 9999 go.
    #[must_use]
    pub fn shifted(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Reads exactly the form that [`Timestamp::write`] writes; offsets, other precisions and leap seconds are rejected.
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        let bytes: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| ParseTimestampError::Form)?;
        let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
        if punctuation.iter().any(|&(at, expected)| bytes[at] != expected) {
            return Err(ParseTimestampError::Form);
        }
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().try_fold(0u32, |number, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| number * 10 + u32::from(digit - b'0'))
                    .ok_or(ParseTimestampError::Form)
            })
        };
        NaiveDate::from_ymd_opt(number(0, 4)? as i32, number(5, 7)?, number(8, 10)?)
            .and_then(|date| {
                let (hour, minute, second) =
                    (number(11, 13).ok()?, number(14, 16).ok()?, number(17, 19).ok()?);
                date.and_hms_milli_opt(hour, minute, second, number(20, 23).ok()?)
            })
            .ok_or(ParseTimestampError::NoSuchMoment)
            .and_then(|moment| Self::from_millis(moment.and_utc().timestamp_millis()))
    }

    /// The 24 ASCII characters of the contract.
    pub fn write(self) -> [u8; LENGTH] {
        // Never negative, and cheaper to divide as a number that cannot be.
        let millis = self.0.unsigned_abs();
        let (days, millis) = ((millis / MILLIS_PER_DAY) as u32, (millis % MILLIS_PER_DAY) as u32);
        let (year, month, day) = civil_from_days(days);
        let (seconds, millis) = (millis / 1_000, millis % 1_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let digit = |number: u32, unit: u32| b'0' + (number / unit % 10) as u8;
        let two = |number: u32| [digit(number, 10), digit(number, 1)];
        let ([c1, c2], [y1, y2]) = (two(year / 100), two(year % 100));
        let ([m1, m2], [d1, d2]) = (two(month), two(day));
        let ([h1, h2], [n1, n2], [s1, s2]) = (two(hour), two(minute), two(second));
        let (f1, [f2, f3]) = (digit(millis, 100), two(millis));
        [
            c1, c2, y1, y2, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'.', f1,
            f2, f3, b'Z',
        ]
    }
}

/// Days since 1970 → (year, month, day) of the proleptic Gregorian calendar, in years that begin on 1 March so that
/// the leap day comes last. With chrono, writing times was 18 % of the instructions of a GetLogin. C. Neri and L. Schneider, "Euclidean affine
/// functions and their application to calendar algorithms" (2023).
fn civil_from_days(days: u32) -> (u32, u32, u32) {
    const DAYS_TO_1970: u32 = 719_468;
    const QUARTERS_OF_400_YEARS: u32 = 146_097;
    const YEAR: u32 = 2_939_745;
    const MONTH: u32 = 2_141;
    /// From this day of the year on it is January or February of the next year.
    const JANUARY: u32 = 306;
    let quarters = 4 * (days + DAYS_TO_1970) + 3;
    let (century, in_century) = (quarters / QUARTERS_OF_400_YEARS, quarters % QUARTERS_OF_400_YEARS / 4);
    let years = u64::from(YEAR) * u64::from(4 * in_century + 3);
    let (year_of_century, day_of_year) = ((years >> 32) as u32, years as u32 / YEAR / 4);
    let months = MONTH * day_of_year + 197_913;
    let (month_from_march, day) = (months >> 16, (months & 0xffff) / MONTH + 1);
    let (year, month) =
        if day_of_year >= JANUARY { (1, month_from_march - 12) } else { (0, month_from_march) };
    (century * 100 + year_of_century + year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.write()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Timestamp({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_contract_examples_are_read_and_written() {
        for text in ["2026-11-23T08:15:30.123Z", "2026-11-23T09:00:00.000Z", "2024-02-29T23:59:59.999Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Timestamp::MIN.to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_other_form_is_rejected() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23T08:15:30Z",
            "2026-11-23T08:15:30.12Z",
            "2026-11-23T08:15:30.1234Z",
            "2026-11-23T08:15:30.123",
            "2026-11-23T08:15:30.123z",
            "2026-11-23t08:15:30.123Z",
            "2026-11-23 08:15:30.123Z",
            "2026-11-23T08:15:30,123Z",
            "2026-11-23T08:15:30.123+00:00",
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-04-31T00:00:00.000Z",
            "2026-11-23T24:00:00.000Z",
            "2026-11-23T08:60:00.000Z",
            "2026-11-23T08:15:60.000Z",
            "1969-12-31T23:59:59.999Z",
            "0001-01-01T00:00:00.000Z",
            "+026-11-23T08:15:30.123Z",
            "２026-11-23T08:15:30.1Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn clock_beyond_the_limits_is_clamped() {
        assert_eq!(Timestamp::clamped(DateTime::<Utc>::MIN_UTC), Timestamp::MIN);
        assert_eq!(Timestamp::clamped(DateTime::<Utc>::MAX_UTC), Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn writing_agrees_with_chrono_and_reads_back(millis in 0i64..=253_402_300_799_999) {
            let moment = Timestamp::from_millis(millis).unwrap();
            let chrono = DateTime::from_timestamp_millis(millis).unwrap().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            prop_assert_eq!(moment.to_string(), chrono.clone());
            prop_assert_eq!(Timestamp::parse(&chrono), Ok(moment));
        }

        #[test]
        fn no_text_makes_parse_panic(text in "\\PC{0,30}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
