//! A record's fields as the database's types. Values that only a stranger can have written are errors, never a panic.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// 2000-01-01T00:00:00Z in milliseconds since 1970.
const EPOCH: i64 = 946_684_800_000;
const MICROS: i64 = 1_000;

/// A `timestamptz`: in binary, microseconds since 2000-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamptz(pub(super) Timestamp);

impl ToSql for Timestamptz {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64((self.0.millis() - EPOCH) * MICROS);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Timestamptz {
    /// Fractions of a millisecond are dropped. Years outside of 1970 to 9999, `infinity` included, are an error.
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Timestamp::from_millis(micros.div_euclid(MICROS).saturating_add(EPOCH))?))
    }

    accepts!(TIMESTAMPTZ);
}

/// A CVR number in an `int4`.
pub(super) struct CvrNumber(pub(super) Cvr);

impl<'a> FromSql<'a> for CvrNumber {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Cvr::from_number(u32::try_from(i32::from_sql(kind, raw)?)?)?))
    }

    accepts!(INT4);
}

/// The record in a row of company, first and last login.
pub(super) fn record(row: &Row) -> Result<Record, tokio_postgres::Error> {
    let (CvrNumber(cvr), Timestamptz(first), Timestamptz(last)) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    // The table's CHECK may have been dropped: the order is corrected rather than the row left out.
    Ok(Record { cvr, login: LoginSpan::at(first).merge(LoginSpan::at(last)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(time: Timestamp) -> Timestamp {
        let mut bytes = BytesMut::new();
        assert!(matches!(Timestamptz(time).to_sql(&Type::TIMESTAMPTZ, &mut bytes), Ok(IsNull::No)));
        Timestamptz::from_sql(&Type::TIMESTAMPTZ, &bytes).unwrap().0
    }

    #[test]
    fn first_and_last_times_survive_and_others_are_errors() {
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(round_trip(time), time);
        }
        let last = (Timestamp::MAX.millis() - EPOCH) * MICROS;
        for micros in [i64::MIN, i64::MAX, -EPOCH * MICROS - 1, last + 1_000] {
            assert!(Timestamptz::from_sql(&Type::TIMESTAMPTZ, &micros.to_be_bytes()).is_err(), "{micros}");
        }
        assert!(Timestamptz::from_sql(&Type::TIMESTAMPTZ, &[0; 4]).is_err());
    }

    #[test]
    fn fractions_of_a_millisecond_are_dropped() {
        let read = |micros: i64| Timestamptz::from_sql(&Type::TIMESTAMPTZ, &micros.to_be_bytes()).unwrap().0;
        assert_eq!(read(1_999).millis(), EPOCH + 1);
        assert_eq!(read(-1).millis(), EPOCH - 1);
    }

    proptest! {
        #[test]
        fn every_time_survives_the_round_trip(millis in 0..=Timestamp::MAX.millis()) {
            let time = Timestamp::from_millis(millis).unwrap();
            prop_assert_eq!(round_trip(time), time);
        }
    }
}
