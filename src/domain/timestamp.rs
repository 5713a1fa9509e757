//! A moment as the contract writes it: RFC 3339, UTC, three decimals and `Z`, 24 characters.
//!
//! Kept as whole milliseconds since 1970, in the years 1970 to 9999, so that every value can be written in
//! those 24 characters. Writing one is the inner loop of the list and therefore done by hand; a property
//! test holds it against chrono.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};

/// How many ASCII characters a written timestamp has.
pub const LENGTH: usize = 24;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z, at most 9999-12-31T23:59:59.999Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text or number is not a moment that the contract can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a timestamp is written as 2026-11-23T08:15:30.123Z (UTC, three decimals), in the years 1970 to 9999"
)]
pub struct NotATimestamp;

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The moment so many milliseconds after 1970, or an error outside the years 1970 to 9999.
    pub fn from_millis(millis: i64) -> Result<Self, NotATimestamp> {
        if (Self::MIN.0..=Self::MAX.0).contains(&millis) { Ok(Self(millis)) } else { Err(NotATimestamp) }
    }

    /// The nearest moment that can be written: a clock before 1970 or after 9999 is taken as that limit.
    pub fn clamped(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis().clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Reads exactly the form that [`Timestamp::write`] writes; offsets, other precisions and leap seconds are refused.
    pub fn parse(text: &str) -> Result<Self, NotATimestamp> {
        let bytes: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| NotATimestamp)?;
        let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
        if marks.iter().any(|&(at, mark)| bytes[at] != mark) {
            return Err(NotATimestamp);
        }
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().try_fold(0u32, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')).ok_or(NotATimestamp)
            })
        };
        NaiveDate::from_ymd_opt(number(0, 4)? as i32, number(5, 7)?, number(8, 10)?)
            .and_then(|date| {
                let (hour, minute, second) =
                    (number(11, 13).ok()?, number(14, 16).ok()?, number(17, 19).ok()?);
                date.and_hms_milli_opt(hour, minute, second, number(20, 23).ok()?)
            })
            .ok_or(NotATimestamp)
            .and_then(|moment| Self::from_millis(moment.and_utc().timestamp_millis()))
    }

    /// The 24 ASCII characters of the contract.
    pub fn write(self) -> [u8; LENGTH] {
        let (days, millis) =
            (self.0.div_euclid(MILLIS_PER_DAY) as u32, self.0.rem_euclid(MILLIS_PER_DAY) as u32);
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put_two(&mut text, 0, year / 100);
        put_two(&mut text, 2, year % 100);
        put_two(&mut text, 5, month);
        put_two(&mut text, 8, day);
        put_two(&mut text, 11, millis / 3_600_000);
        put_two(&mut text, 14, millis / 60_000 % 60);
        put_two(&mut text, 17, millis / 1_000 % 60);
        put_two(&mut text, 20, millis % 1_000 / 10);
        text[22] = b'0' + (millis % 10) as u8;
        text
    }

    /// The same moment as chrono's type.
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

fn put_two(text: &mut [u8; LENGTH], at: usize, number: u32) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Days since 1970 → (year, month, day) of the proleptic Gregorian calendar, counted in eras of 400 years
/// that begin on 1 March so that the leap day comes last.
fn civil_from_days(days: u32) -> (u32, u32, u32) {
    const DAYS_TO_1970: u32 = 719_468;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
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
    fn every_other_form_is_refused() {
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
            assert_eq!(Timestamp::parse(text), Err(NotATimestamp), "{text:?}");
        }
    }

    #[test]
    fn a_clock_beyond_the_limits_is_taken_as_the_limit() {
        assert_eq!(Timestamp::clamped(DateTime::<Utc>::MIN_UTC), Timestamp::MIN);
        assert_eq!(Timestamp::clamped(DateTime::<Utc>::MAX_UTC), Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn writing_agrees_with_chrono_and_reads_back(millis in 0i64..=253_402_300_799_999) {
            let moment = Timestamp::from_millis(millis).unwrap();
            let chrono = moment.to_chrono().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            prop_assert_eq!(moment.to_string(), chrono.clone());
            prop_assert_eq!(Timestamp::parse(&chrono), Ok(moment));
        }

        #[test]
        fn no_text_makes_parse_panic(text in "\\PC{0,30}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
