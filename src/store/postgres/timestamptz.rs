//! Our moments as the database's `timestamptz`: in binary, microseconds since 2000-01-01T00:00:00Z.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::domain::timestamp::Timestamp;

/// 2000-01-01T00:00:00Z in milliseconds since 1970.
const EPOCH: i64 = 946_684_800_000;
const MICROS: i64 = 1_000;

/// A moment on its way to or from the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64((self.0.millis() - EPOCH) * MICROS);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Moment {
    /// A part of a millisecond, which only somebody else can have written, is left out. What lies outside the years
    /// 1970 to 9999, `infinity` too, is an error.
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Timestamp::from_millis(micros.div_euclid(MICROS).saturating_add(EPOCH))?))
    }

    accepts!(TIMESTAMPTZ);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(moment: Timestamp) -> Timestamp {
        let mut bytes = BytesMut::new();
        assert!(matches!(Moment(moment).to_sql(&Type::TIMESTAMPTZ, &mut bytes), Ok(IsNull::No)));
        Moment::from_sql(&Type::TIMESTAMPTZ, &bytes).unwrap().0
    }

    #[test]
    fn the_ends_of_time_survive_and_what_lies_beyond_is_refused() {
        for moment in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(there_and_back(moment), moment);
        }
        let last = (Timestamp::MAX.millis() - EPOCH) * MICROS;
        for micros in [i64::MIN, i64::MAX, -EPOCH * MICROS - 1, last + 1_000] {
            assert!(Moment::from_sql(&Type::TIMESTAMPTZ, &micros.to_be_bytes()).is_err(), "{micros}");
        }
        assert!(Moment::from_sql(&Type::TIMESTAMPTZ, &[0; 4]).is_err());
    }

    #[test]
    fn a_part_of_a_millisecond_is_left_out() {
        let read = |micros: i64| Moment::from_sql(&Type::TIMESTAMPTZ, &micros.to_be_bytes()).unwrap().0;
        assert_eq!(read(1_999).millis(), EPOCH + 1);
        assert_eq!(read(-1).millis(), EPOCH - 1);
    }

    proptest! {
        #[test]
        fn every_moment_survives(millis in 0..=Timestamp::MAX.millis()) {
            let moment = Timestamp::from_millis(millis).unwrap();
            prop_assert_eq!(there_and_back(moment), moment);
        }
    }
}
