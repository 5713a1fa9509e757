//! Flipped bits and cut files: the service has all of it or ends with exit code 3.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use virksomhedslogin::testing::Cvr;
use virksomhedslogin::testing::LoginSpan;
use virksomhedslogin::testing::Record;
use virksomhedslogin::testing::Timestamp;

use crate::suites::durability::restart::{Dice, copy, files, open, try_start};
use crate::support::logins::Logins;
use crate::support::process::Fixture;
use crate::support::run_length::long;

const COMPANIES: u32 = 3_000;

/// A closed store that has been written in many batches and opened several times.
fn fill(path: &Path) -> Logins {
    let time = |millis| Timestamp::from_millis(millis).unwrap();
    let records: Vec<_> = (0..COMPANIES)
        .map(|number| {
            let login = LoginSpan::new(time(1_000), time(2_000 + i64::from(number))).unwrap();
            Record { cvr: Cvr::from_number(number * 31).unwrap(), login }
        })
        .collect();
    for third in records.chunks(records.len() / 3) {
        let store = open(path);
        for batch in third.chunks(100) {
            store.import(batch.iter().copied(), |_| ()).unwrap();
        }
        assert!(store.close());
    }
    records
        .iter()
        .map(|record| (record.cvr.number(), (record.login.first().millis(), record.login.last().millis())))
        .collect()
}

/// Every file in turn, the database in every second case; flips and cuts in turn.
fn hurt(store: &Path, case: u64, dice: &mut Dice) -> String {
    let all = files(store);
    let name = if case.is_multiple_of(2) { "sled-v2/db" } else { &all[(case / 2) as usize % all.len()] };
    let path = store.join(name);
    let mut bytes = fs::read(&path).unwrap();
    let at = dice.below(bytes.len() as u64) as usize;
    let what = if (case / 2 / all.len() as u64 + case / 4).is_multiple_of(2) && !bytes.is_empty() {
        let bit = dice.below(8);
        bytes[at] ^= 1 << bit;
        format!("case {case}: bit {bit} of byte {at} of {name} flipped")
    } else {
        bytes.truncate(at);
        format!("case {case}: {name} cut to {at} bytes")
    };
    fs::write(path, bytes).unwrap();
    what
}

#[test]
fn damage_ends_in_the_whole_store_or_in_exit_code_3() {
    let cases = if long() { 300 } else { 40 };
    let original = tempfile::TempDir::new().unwrap();
    let expected = fill(original.path());
    let (next, whole, refused, bad) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let fixture = Fixture::new();
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= cases {
                        break;
                    }
                    let _ = fs::remove_dir_all(fixture.path("store"));
                    copy(original.path(), &fixture.path("store"));
                    let mut dice = Dice((case + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                    dice.below(2);
                    let what = hurt(&fixture.path("store"), case, &mut dice);
                    match try_start(&fixture) {
                        Ok(found) if found == expected => whole.fetch_add(1, Ordering::Relaxed),
                        Ok(found) => {
                            bad.lock().unwrap().push(format!("{what}: served {} records", found.len()));
                            0
                        }
                        Err((Some(3), _)) => refused.fetch_add(1, Ordering::Relaxed),
                        Err((_, how)) => {
                            bad.lock().unwrap().push(format!("{what}: {how}"));
                            0
                        }
                    };
                }
            });
        }
    });
    let bad = bad.into_inner().unwrap();
    assert!(bad.is_empty(), "{bad:#?}");
    let (whole, refused) = (whole.into_inner(), refused.into_inner());
    assert!(whole > 0 && refused > 0, "{whole} whole, {refused} refused");
    eprintln!("damage: {cases} cases, {whole} times the whole store, {refused} times exit code 3");
}
