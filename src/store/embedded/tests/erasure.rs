//! Taking companies out: in one step, for good, and not for one that can be continued.

use super::*;
use crate::store::Selection;

/// A record with a latest login that no other bytes of a store resemble.
const SECRET: i64 = 0x1122_3344_5566;

fn erase(store: &Store, numbers: &[u32]) -> u64 {
    let which = Selection::of(numbers.iter().map(|number| cvr(*number)).collect());
    let companies = store.select(&which).unwrap();
    store.erase(&companies, &which, |_| Ok(())).unwrap()
}

/// Whether the store's files have the bytes of this time.
fn has_bytes(root: &Path, millis: i64) -> bool {
    let (mut found, needle) = (false, millis.to_be_bytes());
    files::walk(root, &mut |path, is_directory| {
        found |= !is_directory && fs::read(path)?.windows(needle.len()).any(|bytes| bytes == needle);
        Ok(())
    })
    .unwrap();
    found
}

#[test]
fn erased_companies_leave_every_read_and_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let before = filled(dir.path(), 1_000);
    let store = open(dir.path()).unwrap();
    wait(store.record(cvr(1), time(SECRET))).unwrap();
    assert!(has_bytes(dir.path(), SECRET));
    let old = snapshot(&store);
    assert_eq!(erase(&store, &[1, 7, 14, 99_999_999]), 3);
    let left: Vec<_> =
        before.iter().filter(|record| ![7, 14].contains(&record.cvr.number())).copied().collect();
    assert_eq!((contents(&store), get(&store, cvr(7))), (left.clone(), None));
    assert_eq!(snapshot(&store).sequence(), old.sequence() + 1);
    let knows_old = |store: &Store| {
        let mut list = store.list_blocking().unwrap();
        store.restrict_to_changes(&mut list, &[old.version()])
    };
    assert!(!knows_old(&store), "a feed cannot name what is gone");
    // It can be written as before, and is found again.
    wait(store.record(cvr(7), time(9_000))).unwrap();
    assert_eq!(get(&store, cvr(7)), Some(record_at(7, 9_000).login));
    assert!(store.close());
    assert!(!has_bytes(dir.path(), SECRET));
    assert!(!dir.path().join(files::NEXT_SLED).exists());
    let store = open(dir.path()).unwrap();
    assert_eq!(snapshot(&store).len(), left.len() as u64 + 1);
    assert!(!knows_old(&store));
}

#[test]
fn erasing_nothing_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let before = filled(dir.path(), 10);
    let store = open(dir.path()).unwrap();
    let version = snapshot(&store).version();
    assert_eq!(erase(&store, &[99_999_999]), 0);
    assert_eq!((contents(&store), snapshot(&store).version()), (before, version));
}

#[test]
fn company_whose_audit_line_fails_stays() {
    let dir = tempfile::tempdir().unwrap();
    let before = filled(dir.path(), 10);
    let store = open(dir.path()).unwrap();
    let failed =
        store.erase(&[cvr(7)], &Selection::of(vec![cvr(7)]), |_| Err(io::ErrorKind::StorageFull.into()));
    assert!(failed.is_err());
    assert_eq!(contents(&store), before);
}

#[test]
fn erasure_that_a_crash_cut_off_is_done_or_not() {
    let (dir, erased) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = filled(dir.path(), 300);
    copy(dir.path(), erased.path());
    let store = open(erased.path()).unwrap();
    erase(&store, &[7]);
    let after = contents(&store);
    assert!(store.close());
    let (present, next) = (files::SLED, files::NEXT_SLED);

    // Before the exchange: the new one is unfinished.
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    copy(&erased.path().join(present), &crashed.path().join(next));
    fs::write(crashed.path().join(next).join("db"), "half").unwrap();
    let store = open(crashed.path()).unwrap();
    assert_eq!(contents(&store), before);
    assert!(!crashed.path().join(next).exists());

    // After it: the old one is not removed, and the high-water mark is that of before.
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    fs::rename(crashed.path().join(present), crashed.path().join(next)).unwrap();
    copy(&erased.path().join(present), &crashed.path().join(present));
    let version = snapshot(&open(dir.path()).unwrap()).version();
    let store = open(crashed.path()).unwrap();
    assert_eq!(contents(&store), after);
    assert!(!crashed.path().join(next).exists());
    let mut list = store.list_blocking().unwrap();
    assert!(!store.restrict_to_changes(&mut list, &[version]));
}

#[test]
fn store_whose_new_database_cannot_be_made_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let before = filled(dir.path(), 10);
    let store = open(dir.path()).unwrap();
    // In the way of the new one, and no directory.
    fs::write(dir.path().join(files::NEXT_SLED), "").unwrap();
    let which = Selection::of(vec![cvr(7)]);
    assert!(store.erase(&[cvr(7)], &which, |_| Ok(())).is_err());
    assert_eq!(contents(&store), before);
    fs::remove_file(dir.path().join(files::NEXT_SLED)).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while wait(store.record(cvr(7), time(9_000))).is_err() {
        assert!(Instant::now() < until, "it is repaired");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(erase(&store, &[7]), 1);
}
