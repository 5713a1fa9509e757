//! A record as bytes: the company big endian (4), then first and latest login in milliseconds, big endian (8 + 8).
//!
//! The first four are the row's key in sled, the rest its value. Reading is strict: bytes that no record has are damage.

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// How many bytes a record takes.
pub(super) const ROW: usize = KEY + VALUE;
const KEY: usize = 4;
const VALUE: usize = 16;

/// The row's key.
pub(super) fn key(cvr: Cvr) -> [u8; KEY] {
    cvr.number().to_be_bytes()
}

/// The row's value.
pub(super) fn value(login: LoginSpan) -> [u8; VALUE] {
    let mut bytes = [0; VALUE];
    bytes[..8].copy_from_slice(&login.first().millis().to_be_bytes());
    bytes[8..].copy_from_slice(&login.last().millis().to_be_bytes());
    bytes
}

/// Key and value together.
pub(super) fn row(record: &Record) -> [u8; ROW] {
    let mut bytes = [0; ROW];
    bytes[..KEY].copy_from_slice(&key(record.cvr));
    bytes[KEY..].copy_from_slice(&value(record.login));
    bytes
}

/// The record with this key and value, if any record has them.
pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Record> {
    let key: [u8; KEY] = key.try_into().ok()?;
    let value: &[u8; VALUE] = value.try_into().ok()?;
    let (first, last) = split::<8>(value);
    let moment = |bytes| Timestamp::from_millis(i64::from_be_bytes(bytes)).ok();
    let login = LoginSpan::new(moment(first)?, moment(split::<8>(last).0)?).ok()?;
    Some(Record { cvr: Cvr::from_number(u32::from_be_bytes(key)).ok()?, login })
}

/// The record in these bytes, if any record has them.
pub(super) fn read_row(bytes: &[u8; ROW]) -> Option<Record> {
    read(&bytes[..KEY], &bytes[KEY..])
}

/// The first `N` bytes and the rest. Fewer than `N` are filled up with zeros; callers have checked the length.
pub(super) fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (head, rest) = bytes.split_at(N.min(bytes.len()));
    let mut taken = [0; N];
    taken[..head.len()].copy_from_slice(head);
    (taken, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_record_reads_back(
            number in 0u32..100_000_000, one in 0i64..=253_402_300_799_999, other in 0i64..=253_402_300_799_999
        ) {
            let moment = |millis| Timestamp::from_millis(millis).unwrap();
            let login = LoginSpan::new(moment(one.min(other)), moment(one.max(other))).unwrap();
            let record = Record { cvr: Cvr::from_number(number).unwrap(), login };
            prop_assert_eq!(read_row(&row(&record)), Some(record));
            prop_assert_eq!(read(&key(record.cvr), &value(login)), Some(record));
        }

        #[test]
        fn bytes_that_read_are_the_bytes_that_are_written(bytes in prop::array::uniform20(any::<u8>())) {
            if let Some(record) = read_row(&bytes) {
                prop_assert_eq!(row(&record), bytes);
            }
        }

        #[test]
        fn the_order_of_keys_is_the_order_of_companies(one in 0u32..100_000_000, other in 0u32..100_000_000) {
            let cvr = |number| Cvr::from_number(number).unwrap();
            prop_assert_eq!(key(cvr(one)).cmp(&key(cvr(other))), one.cmp(&other));
        }
    }

    #[test]
    fn bytes_that_no_record_has_are_refused() {
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
