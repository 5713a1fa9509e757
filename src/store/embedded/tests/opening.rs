//! A database that cannot be opened now, although nothing of it is lost.

use super::*;

#[test]
fn database_that_is_being_closed_is_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let records = filled(dir.path(), 10);
    let held = fs::File::open(dir.path().join("sled-v2/db")).unwrap();
    held.lock().unwrap();
    let holder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        drop(held);
    });
    assert_eq!(contents(&open(dir.path()).unwrap()), records);
    holder.join().unwrap();
}

#[test]
fn disk_that_stands_still_at_opening_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let records = filled(dir.path(), 10);
    let sled = dir.path().join("sled-v2");
    // sled opens the newest of its snapshots; opening a pipe without a writer never returns.
    let newest = sled.join("snap.FFFFFFFFFFFFFFFF");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &newest,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("no progress for "), "{error}");
    assert!(!error.to_string().contains("restore"), "{error}");
    let other = tempfile::tempdir().unwrap();
    fs::remove_file(newest).unwrap();
    copy(dir.path(), other.path());
    assert_eq!(contents(&open(other.path()).unwrap()), records);
}

#[test]
fn companies_at_the_ends_of_all_parts_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let firsts = (0..=recovery::PARTS).map(recovery::first_of);
    let near = firsts.flat_map(|first| first.saturating_sub(2)..(first + 2).min(Cvr::MAX.number() + 1));
    let numbers: std::collections::BTreeSet<_> = near.chain([Cvr::MAX.number()]).collect();
    let records: Vec<_> = numbers.into_iter().map(|number| record(number, 5, 6)).collect();
    let store = open(dir.path()).unwrap();
    // The last batch of all is in its checkpoint too, from which a start would add what it did not find.
    let (last, most) = records.split_last().unwrap();
    store.import(most.iter().copied(), |_| ()).unwrap();
    store.import([*last], |_| ()).unwrap();
    assert!(store.close());
    let store = open(dir.path()).unwrap();
    assert_eq!(contents(&store), records);
    assert!(records.iter().all(|record| get(&store, record.cvr) == Some(record.login)));
}
