//! A point in time as the contract writes it: RFC 3339, UTC, three decimals and `Z`, 24 characters.
//!
//! Promises: whole milliseconds in the years 1970 to 9999, so that every value can be written in those 24 characters.
//! They are written out of tables, because lists have millions; chrono reads them, and writes those outside the tables.

use std::fmt;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::format::ParseErrorKind;
use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, Timelike as _};

/// How many ASCII characters a written timestamp has.
pub(crate) const LENGTH: usize = 24;

const MILLIS_PER_DAY: u64 = 86_400_000;
/// Days of 1970 to 2069 in the table, 292 kB of which a list reads 29 kB for ten years.
const DAYS: usize = 36_525;

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
    pub fn clamped(time: SystemTime) -> Self {
        let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_millis()).map_or(Self::MAX, |millis| Self(millis.min(Self::MAX.0)))
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
        let timestamp = DateTime::parse_from_rfc3339(text).map_err(|error| match error.kind() {
            ParseErrorKind::OutOfRange | ParseErrorKind::Impossible => ParseTimestampError::NoSuchMoment,
            _ => ParseTimestampError::Form,
        })?;
        let timestamp = Self::from_millis(timestamp.timestamp_millis())?;
        if timestamp.write() == text.as_bytes() { Ok(timestamp) } else { Err(ParseTimestampError::Form) }
    }

    /// Reads a bound that people write: RFC 3339 with any offset and precision, or a date, which is its midnight UTC. A
    /// fraction of a millisecond rounds up: the same timestamps are before such a bound.
    pub fn parse_bound(text: &str) -> Result<Self, String> {
        let date = |_| {
            NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|date| date.and_time(NaiveTime::MIN).and_utc())
        };
        let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).or_else(date);
        let millis = time.map(|time| time.timestamp_millis() + i64::from(time.nanosecond() % 1_000_000 > 0));
        millis.ok().and_then(|millis| Self::from_millis(millis).ok()).ok_or_else(|| {
            "write it as 2026-11-23T08:15:30Z (RFC 3339) or as a date, 2026-11-23, in the years 1970 to 9999".to_owned()
        })
    }

    /// The 24 ASCII characters of the contract.
    pub fn write(self) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        Tables::get().write(self, &mut text);
        text
    }
}

/// The parts of written timestamps, each as a number whose lowest byte is the first character. The gain over chrono, with
/// which writing times was 18 % of the instructions of a GetLogin, depends on tables that stay in the processor's caches.
#[derive(Debug)]
pub(crate) struct Tables {
    /// `YYYYMMDD` of each day.
    dates: Box<[u64]>,
    /// `Thh:mm` of each minute of the day, two characters further up.
    minutes: Box<[u64]>,
    /// `:ss.` of each second.
    seconds: Box<[u64]>,
    /// `mmmZ` of each millisecond.
    millis: Box<[u32]>,
}

/// Built at the first use, in some milliseconds.
static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let date = |day: NaiveDate| format!("{:04}{:02}{:02}", day.year(), day.month(), day.day());
    Tables {
        dates: NaiveDate::default().iter_days().take(DAYS).map(|day| word(&date(day))).collect(),
        minutes: (0..24 * 60).map(|at| word(&format!("\0\0T{:02}:{:02}", at / 60, at % 60))).collect(),
        seconds: (0..60).map(|at| word(&format!(":{at:02}.\0\0\0\0"))).collect(),
        millis: (0..1_000).map(|at| word(&format!("{at:03}Z\0\0\0\0")) as u32).collect(),
    }
});

impl Tables {
    /// The tables, fetched once for a whole list.
    pub(crate) fn get() -> &'static Self {
        &TABLES
    }

    /// Writes what [`Timestamp::write`] does, word by word: the encoder reads words, and bytes that were just stored are
    /// slow to read in another width.
    #[inline(always)]
    pub(crate) fn write(&self, timestamp: Timestamp, out: &mut [u8; LENGTH]) {
        let millis = timestamp.0.unsigned_abs();
        let (day, millis) = (millis / MILLIS_PER_DAY, (millis % MILLIS_PER_DAY) as u32);
        let (minute, millis) = (millis / 60_000, millis % 60_000);
        let (second, millis) = (millis / 1_000, millis % 1_000);
        let (Some(date), Some(minute), Some(second), Some(millis)) = (
            self.dates.get(day as usize),
            self.minutes.get(minute as usize),
            self.seconds.get(second as usize),
            self.millis.get(millis as usize),
        ) else {
            let time = DateTime::from_timestamp_millis(timestamp.0).unwrap_or_default();
            // 24 characters up to the year 9999.
            let _ = write!(&mut out[..], "{}", time.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
            return;
        };
        let dash = u64::from(b'-');
        let words = [
            date & 0xffff_ffff | dash << 32 | (date >> 32 & 0xffff) << 40 | dash << 56,
            date >> 48 | minute,
            second | u64::from(*millis) << 32,
        ];
        for (part, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *part = word.to_le_bytes();
        }
    }
}

/// Eight characters as a number.
fn word(text: &str) -> u64 {
    text.as_bytes().first_chunk().map_or(0, |text| u64::from_le_bytes(*text))
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
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    fn check(millis: i64) {
        let timestamp = Timestamp::from_millis(millis).unwrap();
        let chrono = DateTime::from_timestamp_millis(millis).unwrap();
        let chrono = chrono.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        assert_eq!(timestamp.to_string(), chrono);
        assert_eq!(Timestamp::parse(&chrono), Ok(timestamp));
    }

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
    fn bound_is_any_rfc_3339_time_or_a_date() {
        for (text, expected) in [
            ("2026-11-23", "2026-11-23T00:00:00.000Z"),
            ("2026-11-23T08:15:30Z", "2026-11-23T08:15:30.000Z"),
            ("2026-11-23T08:15:30.123Z", "2026-11-23T08:15:30.123Z"),
            ("2026-11-23T08:15:30.1230001Z", "2026-11-23T08:15:30.124Z"),
            ("2026-11-23t01:15:30.5+02:00", "2026-11-22T23:15:30.500Z"),
        ] {
            assert_eq!(Timestamp::parse_bound(text).unwrap().to_string(), expected, "{text}");
        }
        for text in
            ["", "yesterday", "2026-02-30", "2026-11-23T08:15:30", "1969-12-31", "23-11-2026", "2026-1-1x"]
        {
            assert!(Timestamp::parse_bound(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_the_table_and_the_next_are_written_as_by_chrono() {
        for day in 0..DAYS as i64 + 400 {
            check(day * 86_400_000 + day * 2_357 % 86_400_000);
        }
    }

    #[test]
    fn clock_beyond_the_limits_is_clamped() {
        assert_eq!(Timestamp::clamped(UNIX_EPOCH - Duration::from_millis(1)), Timestamp::MIN);
        assert_eq!(Timestamp::clamped(UNIX_EPOCH + Duration::from_secs(u64::MAX >> 1)), Timestamp::MAX);
        let last = u64::try_from(Timestamp::MAX.0).unwrap();
        assert_eq!(Timestamp::clamped(UNIX_EPOCH + Duration::from_millis(last + 1)), Timestamp::MAX);
        assert_eq!(Timestamp::clamped(UNIX_EPOCH + Duration::from_millis(last - 1)).0, Timestamp::MAX.0 - 1);
    }

    proptest! {
        #[test]
        fn writing_agrees_with_chrono_and_reads_back(
            millis in prop_oneof![0..=Timestamp::MAX.millis(), 0..4_000_000_000_000i64]
        ) {
            check(millis);
        }

        #[test]
        fn no_text_makes_parse_panic(text in "\\PC{0,30}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
