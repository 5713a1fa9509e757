//! A record as bytes: the CVR number, big endian (4), then first and last login in milliseconds, big endian (8 + 8).
//!
//! The first four are the row's key in sled, the rest its value. Bytes that no record has are damage.

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::record::Record;

/// Bytes of a record.
pub(super) const ROW: usize = KEY + VALUE;
const KEY: usize = 4;
const VALUE: usize = 16;

pub(super) fn key(cvr: Cvr) -> [u8; KEY] {
    cvr.number().to_be_bytes()
}

pub(super) fn value(login: LoginSpan) -> [u8; VALUE] {
    let mut bytes = [0; VALUE];
    bytes[..8].copy_from_slice(&login.first().millis().to_be_bytes());
    bytes[8..].copy_from_slice(&login.last().millis().to_be_bytes());
    bytes
}

/// The record with this key and value.
pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Record> {
    let cvr = Cvr::from_number(u32::from_be_bytes(key.try_into().ok()?)).ok()?;
    let (first, last) = value.split_first_chunk()?;
    let time = |bytes| Timestamp::from_millis(i64::from_be_bytes(bytes)).ok();
    let login = LoginSpan::new(time(*first)?, time(last.try_into().ok()?)?).ok()?;
    Some(Record { cvr, login })
}

/// The record in these bytes.
pub(super) fn read_row(bytes: &[u8; ROW]) -> Option<Record> {
    read(&bytes[..KEY], &bytes[KEY..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(record: &Record) -> [u8; ROW] {
        [&key(record.cvr)[..], &value(record.login)].concat().try_into().unwrap()
    }

    proptest! {
        #[test]
        fn every_record_reads_back(
            number in 0u32..100_000_000, one in 0i64..=253_402_300_799_999, other in 0i64..=253_402_300_799_999
        ) {
            let time = |millis| Timestamp::from_millis(millis).unwrap();
            let login = LoginSpan::new(time(one.min(other)), time(one.max(other))).unwrap();
            let record = Record { cvr: Cvr::from_number(number).unwrap(), login };
            prop_assert_eq!(read_row(&row(&record)), Some(record));
            prop_assert_eq!(read(&key(record.cvr), &value(login)), Some(record));
        }

        #[test]
        fn record_is_written_as_it_was_read(bytes in prop::array::uniform20(any::<u8>())) {
            if let Some(record) = read_row(&bytes) {
                prop_assert_eq!(row(&record), bytes);
            }
        }

        #[test]
        fn keys_are_in_the_order_of_companies(one in 0u32..100_000_000, other in 0u32..100_000_000) {
            let cvr = |number| Cvr::from_number(number).unwrap();
            prop_assert_eq!(key(cvr(one)).cmp(&key(cvr(other))), one.cmp(&other));
        }
    }

    #[test]
    fn bytes_of_no_record_are_rejected() {
        let good = value(LoginSpan::at(Timestamp::from_millis(5).unwrap()));
        assert!(read(&[0, 0, 0, 1], &good).is_some());
        assert_eq!(read(&[0, 0, 1], &good), None);
        assert_eq!(read(&[0, 0, 0, 0, 1], &good), None);
        assert_eq!(read(&[255; 4], &good), None);
        assert_eq!(read(&[0, 0, 0, 1], &good[..15]), None);
        assert_eq!(read(&[0, 0, 0, 1], &[255; 16]), None);
        let mut turned = good;
        turned[7] = 6;
        assert_eq!(read(&[0, 0, 0, 1], &turned), None);
    }
}
