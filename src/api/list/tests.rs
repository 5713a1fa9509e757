//! Every coding reads back as the list's text, whatever the store holds.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use actix_web::HttpResponse;
use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use flate2::read::DeflateDecoder;
use proptest::prelude::*;

use super::compressed::cache;
use super::deflate::deflate;
use super::fairness::{CHUNK, SHARE};
use super::fragment::Joiner;
use super::text::{CLOSE, OPEN, write_rows};
use crate::api::encoding::Coding;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::interchange::{self, ROW};
use crate::store::{Block, Record, RecordStream, Snapshot};
use crate::telemetry::metrics::Counter;

fn record(number: u32, one: i64, other: i64) -> Record {
    let timestamp = |millis| Timestamp::from_millis(millis).unwrap();
    let login = LoginSpan::new(timestamp(one.min(other)), timestamp(one.max(other))).unwrap();
    Record { cvr: Cvr::from_number(number).unwrap(), login }
}

/// Timestamps that a careless encoder would get wrong, and any other.
fn timestamp() -> impl Strategy<Value = i64> {
    const LAST: i64 = 253_402_300_799_999;
    let edges = [
        "1970-01-01T00:00:00.000Z",
        "1999-12-31T23:59:59.999Z",
        "2000-01-01T00:00:00.000Z",
        "2026-11-23T08:15:30.123Z",
        "2026-11-23T08:15:30.124Z",
        "2026-11-23T08:15:31.123Z",
        "2026-12-23T08:15:30.123Z",
        "2027-11-23T08:15:30.123Z",
        "2099-12-31T23:59:59.999Z",
        "2100-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
    ]
    .map(|text| Timestamp::parse(text).unwrap().millis());
    prop_oneof![
        4 => prop::sample::select(edges.to_vec()),
        1 => 0..=LAST,
        2 => 1_700_000_000_000..1_800_000_000_000i64,
    ]
}

/// Stores of all sizes, with companies close together and far apart.
fn records(most: usize) -> impl Strategy<Value = Vec<Record>> {
    let row = (
        prop_oneof![3 => 0u32..400, 1 => 0u32..100_000_000, 1 => 99_999_000u32..100_000_000],
        timestamp(),
        timestamp(),
    );
    prop::collection::vec(row, 0..most).prop_map(|rows| {
        let mut records: Vec<_> =
            rows.into_iter().map(|(number, one, other)| record(number, one, other)).collect();
        records.sort_by_key(|record| record.cvr);
        records.dedup_by_key(|record| record.cvr);
        records
    })
}

/// The list written in the identityest way there is.
fn expected(records: impl Iterator<Item = Record>) -> Vec<u8> {
    let rows: Vec<String> = records
        .map(|record| {
            format!(
                r#"{{"cvrNummer":"{}","tidligsteLoginTidspunkt":"{}","senesteLogintidspunkt":"{}"}}"#,
                record.cvr,
                record.login.first(),
                record.login.last()
            )
        })
        .collect();
    format!(r#"{{"virksomheder":[{}]}}"#, rows.join(",")).into_bytes()
}

fn body(snapshot: Snapshot, coding: Coding) -> BoxBody {
    super::answer(
        &mut HttpResponse::Ok(),
        RecordStream::InMemory(snapshot),
        coding,
        false,
        Counter::default(),
    )
    .into_body()
}

fn sent(body: impl MessageBody) -> Vec<u8> {
    actix_web::rt::System::new()
        .block_on(async { body::to_bytes(body).await.unwrap_or_else(|_| panic!("the body fails")) })
        .to_vec()
}

fn check(snapshot: &Snapshot) {
    let text = expected(snapshot.records());
    assert_eq!(sent(body(snapshot.clone(), Coding::Identity)), text);
    assert_eq!(super::text::length(snapshot), text.len() as u64);
    // Twice: first with the fragments encoded, then with them cached.
    for _ in 0..2 {
        let gzip = sent(body(snapshot.clone(), Coding::Gzip));
        let mut read = Vec::new();
        // One member and nothing behind it.
        let mut member = flate2::bufread::GzDecoder::new(&gzip[..]);
        member.read_to_end(&mut read).unwrap();
        assert!(member.into_inner().is_empty());
        assert_eq!(read, text);
        let zstd = sent(body(snapshot.clone(), Coding::Zstd));
        assert_eq!(zstd::stream::decode_all(&zstd[..]).unwrap(), text);
    }
}

#[test]
fn lists_of_sizes_around_the_block_edges_read_back() {
    for length in [0, 1, 2, 3, 191, 192, 193, 255, 256, 257, 513, 5_000] {
        let records: Vec<_> =
            (0..length).map(|number| record(number * 7, i64::from(number), 1 << 40)).collect();
        check(&Snapshot::default().with(&records));
    }
}

#[test]
fn the_years_1970_and_9999_and_equal_rows_read_back() {
    let last = Timestamp::MAX.millis();
    let records: Vec<_> = (0..700)
        .map(|number| match number % 7 {
            0 => record(number, 0, 0),
            1 => record(number, 0, last),
            2 => record(number, last, last),
            _ => record(number, 1_764_000_000_000, 1_764_000_000_000),
        })
        .collect();
    check(&Snapshot::default().with(&records));
}

#[test]
fn fragment_refers_only_to_constants_of_the_row_before() {
    let records: Vec<_> =
        (0..40).map(|number| record(number * 3, 1_764_000_000_000, 1_764_000_000_000)).collect();
    let mut text = Vec::new();
    write_rows(false, &records, &mut text);
    let rows = text.as_chunks::<ROW>().0;
    let mut fragment = Vec::new();
    deflate(rows, &mut fragment);
    for before in
        [record(0, 0, 0), record(99_999_999, Timestamp::MAX.millis(), Timestamp::MAX.millis()), records[0]]
    {
        let mut stream = Vec::new();
        let mut row = Vec::new();
        write_rows(false, &[before], &mut row);
        stream.extend_from_slice(&[0, ROW as u8, 0, !(ROW as u8), 0xff]);
        stream.extend_from_slice(&row);
        stream.extend_from_slice(&fragment);
        // A last, empty block.
        stream.extend_from_slice(&[3, 0]);
        let mut read = Vec::new();
        DeflateDecoder::new(&stream[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, [row, text.clone()].concat());
    }
}

#[test]
fn compressed_row_of_random_logins_takes_less_than_31_bytes() {
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let rows = 20_000;
    let records: Vec<_> = (0..rows)
        .map(|row| {
            let mut timestamp = || 1_420_000_000_000 + (random(345_600_000) * 1_000 + random(1_000)) as i64;
            record(25_000_000 + row * 100 + (row * 31) % 97, timestamp(), timestamp())
        })
        .collect();
    let snapshot = Snapshot::default().with(&records);
    for coding in [Coding::Gzip, Coding::Zstd] {
        let bytes = sent(body(snapshot.clone(), coding)).len();
        assert!(bytes < rows as usize * 31, "{coding:?}: {} bytes a row", bytes as f64 / f64::from(rows));
    }
}

#[test]
fn change_discards_only_the_fragment_of_its_block() {
    let records: Vec<_> = (0..2_000).map(|number| record(number * 5, 1, 2)).collect();
    let snapshot = Snapshot::default().with(&records);
    let made = |snapshot: &Snapshot| {
        snapshot.blocks().filter(|block| cache(block, Coding::Gzip).unwrap().get().is_some()).count()
    };
    assert_eq!(made(&snapshot), 0);
    check(&snapshot);
    assert_eq!(made(&snapshot), snapshot.blocks().count());
    let changed = snapshot.clone().with(&[record(1_000, 1, 3), record(9_995, 1, 3)]);
    assert_eq!(made(&changed), changed.blocks().count() - 2);
    check(&changed);
}

#[test]
fn head_encodes_nothing() {
    let records: Vec<_> = (0..2_000).map(|number| record(number * 5, 1, 2)).collect();
    let snapshot = Snapshot::default().with(&records);
    for (coding, size) in [
        (Coding::Identity, BodySize::Sized(super::text::length(&snapshot))),
        (Coding::Gzip, BodySize::Stream),
        (Coding::Zstd, BodySize::Stream),
    ] {
        let answer = super::answer(
            &mut HttpResponse::Ok(),
            RecordStream::InMemory(snapshot.clone()),
            coding,
            true,
            Counter::default(),
        );
        assert_eq!(answer.body().size(), size);
        assert!(sent(answer.into_body()).is_empty());
    }
    for coding in [Coding::Gzip, Coding::Zstd] {
        assert!(snapshot.blocks().all(|block| cache(block, coding).unwrap().get().is_none()));
    }
}

/// The length of the chunk that one poll returns, or nothing while the list yields.
fn poll_once(body: &mut (impl MessageBody + Unpin)) -> Option<usize> {
    match Pin::new(body).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(chunk))) => Some(chunk.len()),
        Poll::Ready(_) => panic!("the list is at its end"),
        Poll::Pending => None,
    }
}

/// How many bytes the body sends before it yields.
fn until_yield(body: &mut (impl MessageBody + Unpin)) -> usize {
    std::iter::from_fn(|| poll_once(body)).sum()
}

#[test]
fn list_yields_after_its_share() {
    let timestamp = |seed: i64| (1 << 40) + seed * 7_919_777_777 % 300_000_000_000;
    let records: Vec<_> = (0..60_000)
        .map(|number| record(number * 5, timestamp(number.into()), timestamp(i64::from(number) + 70_000)))
        .collect();
    let snapshot = Snapshot::default().with(&records);
    sent(body(snapshot.clone(), Coding::Gzip));
    let share = SHARE..SHARE + CHUNK + Block::CAPACITY * ROW;
    let mut identity = body(snapshot.clone(), Coding::Identity);
    let mut compressed = body(snapshot, Coding::Gzip);
    for _ in 0..2 {
        assert!(share.contains(&until_yield(&mut identity)));
        assert!(share.contains(&until_yield(&mut compressed)));
    }
}

#[actix_rt::test]
async fn list_pauses_while_others_are_answered() {
    let records: Vec<_> = (0..20_000).map(|number| record(number * 5, 1, 2)).collect();
    let mut list = body(Snapshot::default().with(&records), Coding::Identity);
    assert!(until_yield(&mut list) >= SHARE);
    // No other response: polled again, it goes on.
    assert!(until_yield(&mut list) >= SHARE);
    super::count_response();
    assert!(until_yield(&mut list) >= SHARE);
    assert_eq!(until_yield(&mut list), 0);
    // The timer wakes it, and it goes on to its end.
    let rest = std::future::poll_fn(|context| match Pin::new(&mut list).poll_next(context) {
        Poll::Ready(chunk) => Poll::Ready(chunk.map_or(0, |chunk| chunk.map_or(0, |chunk| chunk.len()))),
        Poll::Pending => Poll::Pending,
    });
    assert!(tokio::time::timeout(std::time::Duration::from_secs(10), rest).await.unwrap() > 0);
}

#[test]
fn first_bytes_wait_for_no_fragment_and_the_worker_encodes_none() {
    let records: Vec<_> = (0..20_000).map(|number| record(number * 5, 1, 2)).collect();
    for coding in [Coding::Gzip, Coding::Zstd] {
        let snapshot = Snapshot::default().with(&records);
        let mut compressed = body(snapshot.clone(), coding);
        assert_eq!(poll_once(&mut compressed), Some(Joiner::new(coding).opening().len()));
        assert!(snapshot.blocks().all(|block| cache(block, coding).unwrap().get().is_none()));
    }
}

#[test]
fn object_has_its_changing_parts_where_the_encoder_expects_them() {
    let mut object = Vec::new();
    interchange::write_object(&mut object, &record(12_345_678, 0, Timestamp::MAX.millis()));
    assert_eq!(object.len(), interchange::OBJECT);
    assert_eq!(object[interchange::CVR_AT..][..8], *b"12345678");
    assert_eq!(object[interchange::FIRST_AT..][..24], *b"1970-01-01T00:00:00.000Z");
    assert_eq!(object[interchange::LAST_AT..][..24], *b"9999-12-31T23:59:59.999Z");
    assert_eq!(OPEN.len() + CLOSE.len(), br#"{"virksomheder":[]}"#.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_list_reads_back_before_and_after_a_change(records in records(900), changes in records(20)) {
        let snapshot = Snapshot::default().with(&records);
        check(&snapshot);
        let diff = snapshot.diff(changes.to_vec());
        let changed = snapshot.clone().with(&diff);
        check(&changed);
        check(&snapshot);
    }
}
