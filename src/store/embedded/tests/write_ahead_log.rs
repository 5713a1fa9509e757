//! The WAL: whatever is applied when, nothing is lost, and a missing row is damage.

use super::*;

#[test]
fn crash_copy_holds_every_login_whatever_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let before = filled(dir.path(), 300);
    let store = open(dir.path()).unwrap();
    let mut model: BTreeMap<_, _> = before.iter().map(|record| (record.cvr, record.login)).collect();
    // More batches than the WAL has slots, some of companies that are known, with pauses in which steps are applied.
    for round in 0..3 * wal::SLOTS as u32 {
        let (company, at) = (cvr(round % 97 * 5), time(i64::from(round) + 1_000));
        wait(store.record(company, at)).unwrap();
        let login = LoginSpan::at(at);
        model.entry(company).and_modify(|known| *known = known.merge(login)).or_insert(login);
        if round % 20 == 7 {
            thread::sleep(Duration::from_millis(u64::from(round % 3) * 6));
            let crashed = tempfile::tempdir().unwrap();
            copy(dir.path(), crashed.path());
            let expected: Vec<_> = model.iter().map(|(&cvr, &login)| Record { cvr, login }).collect();
            for _ in 0..2 {
                assert_eq!(contents(&open(crashed.path()).unwrap()), expected, "after {round}");
            }
        }
    }
}

#[test]
fn the_disk_stops_growing_when_the_wal_goes_round() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let mut at = 0;
    let mut bytes_after = |laps: u64| {
        for _ in 0..laps * wal::SLOTS {
            at += 1;
            // Batches of two rows, as a crowd makes them.
            let batch: Vec<_> = (0..300).map(|number| store.record(cvr(number * 3), time(at))).collect();
            assert!(wait(futures_util::future::join_all(batch)).iter().all(Result::is_ok));
        }
        store.disk_bytes().unwrap().unwrap()
    };
    let (half, end) = (bytes_after(8), bytes_after(8));
    assert!(end <= half + half / 4, "{half} bytes after 8 laps, {end} after 16");
}

#[test]
fn missing_row_of_the_wal_is_damage() {
    for slot in [3u64, 5] {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).unwrap().close());
        let layout = Layout::open(dir.path(), false, |_, _| panic!("it is there")).unwrap();
        let (loaded, _) = recovery::open(&layout, &Arc::default()).unwrap();
        let mut snapshot = loaded.snapshot.clone();
        for sequence in 1..=5u32 {
            let diff = [record(sequence, 1, 1)];
            snapshot = snapshot.with(&diff).numbered(u64::from(sequence));
            let row = wal::WalRow { checkpoint: snapshot.checkpoint(), changes: &diff };
            loaded.tree.append(&row).unwrap();
        }
        loaded.tree.wal.remove(slot.to_be_bytes()).unwrap();
        loaded.tree.sync().unwrap();
        drop((loaded, layout));
        match open(dir.path()) {
            // The newest is missed by the high-water mark alone, and only when it was acknowledged, which it was not here.
            Ok(store) => assert_eq!((slot, contents(&store).len()), (5, 4)),
            Err(error) => assert_eq!((slot, error.exit_code()), (3, 3), "{error}"),
        }
    }
}
