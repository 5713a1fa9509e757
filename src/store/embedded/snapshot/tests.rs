//! Snapshots beside a plain map, and what their blocks promise.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn record(number: u32, first: i64, last: i64) -> Record {
    let time = |millis| Timestamp::from_millis(millis).unwrap();
    Record {
        cvr: Cvr::from_number(number).unwrap(),
        login: LoginSpan::new(time(first.min(last)), time(first.max(last))).unwrap(),
    }
}

fn check(snapshot: &Snapshot, model: &BTreeMap<Cvr, LoginSpan>) {
    let expected: Vec<_> = model.iter().map(|(&cvr, &login)| Record { cvr, login }).collect();
    assert_eq!(snapshot.records().collect::<Vec<_>>(), expected);
    let built = expected.chunks(1_000).fold(Snapshot::default(), Snapshot::with);
    assert_eq!(built.version(), snapshot.version());
    assert_eq!(built.latest(), snapshot.latest());
    assert_eq!(built.records().collect::<Vec<_>>(), expected);
    for (key, block) in snapshot.blocks_from(0).chain(built.blocks_from(0)) {
        assert!(!block.records().is_empty() && block.records().len() <= Block::CAPACITY);
        assert!(key <= block.records()[0].cvr.number());
    }
    for record in &expected {
        let number = record.cvr.number();
        for near in [number.saturating_sub(1), number, number + 1, (number * 7) % 99_999_999] {
            let cvr = Cvr::from_number(near).unwrap();
            assert_eq!(snapshot.get(cvr), model.get(&cvr).copied(), "{cvr}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn blocks_agree_with_a_plain_map(
        batches in prop::collection::vec(
            prop::collection::vec((0u32..3_000, 0i64..50, 0i64..50), 1..700), 1..8),
        spread in prop::sample::select(vec![1u32, 33_333]),
    ) {
        let mut model = BTreeMap::new();
        let mut snapshot = Snapshot::default();
        for batch in batches {
            let before = (snapshot.clone(), model.clone());
            let logins: Vec<_> =
                batch.iter().map(|&(number, first, last)| record(number * spread, first, last)).collect();
            for login in &logins {
                model.entry(login.cvr)
                    .and_modify(|known: &mut LoginSpan| *known = known.merge(login.login))
                    .or_insert(login.login);
            }
            let diff = snapshot.diff(logins.clone());
            snapshot = snapshot.with(&diff);
            check(&snapshot, &model);
            check(&before.0, &before.1);
            prop_assert!(snapshot.diff(logins).is_empty());
            prop_assert_eq!(before.0.version() == snapshot.version(), before.1 == model);
        }
    }
}

#[test]
fn missing_company_is_not_found() {
    let snapshot = Snapshot::default().with(&[record(5, 1, 2), record(7, 1, 2)]);
    for number in [0, 4, 6, 8, 99_999_999] {
        assert_eq!(snapshot.get(Cvr::from_number(number).unwrap()), None);
    }
}

#[test]
fn changed_block_loses_its_cached_encodings() {
    let snapshot = Snapshot::default().with(&[record(5, 1, 2)]);
    let block = snapshot.blocks().next().unwrap();
    block.cached_encodings(0).unwrap().set((*b"fragment").into()).unwrap();
    let changed = snapshot.clone().with(&[record(6, 1, 2)]);
    assert!(changed.blocks().next().unwrap().cached_encodings(0).unwrap().get().is_none());
    assert!(block.cached_encodings(0).unwrap().get().is_some());
}
