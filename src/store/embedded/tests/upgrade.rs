//! Stores that an earlier version wrote: nothing is lost, and their large rows are never written again.

use super::*;
use crate::store::embedded::batch_record::{self, BATCH};

/// A store as format version 1 left it: 40 batches of 2,048 logins that are not applied yet, each as one row.
fn version_1(path: &Path) -> Vec<Record> {
    let before = filled(path, 300);
    let layout = Layout::open(path, false, |_, _| panic!("it is there")).unwrap();
    let id = *layout.store();
    let (Loaded { tree, mut snapshot, .. }, _) = recovery::open(&layout, &Arc::default()).unwrap();
    drop(tree);
    let db = sled::open(layout.sled()).unwrap();
    for name in db.tree_names().into_iter().filter(|name| name.starts_with(b"wal-")) {
        db.drop_tree(name).unwrap();
    }
    let wal = db.open_tree("journal").unwrap();
    for batch in 0..40u32 {
        let changes: Vec<_> =
            (0..2_048).map(|at| record(before.len() as u32 * 7 + batch * 2_048 + at, 1, 2)).collect();
        let sequence = snapshot.sequence() + 1;
        snapshot = snapshot.with(&changes).numbered(sequence);
        let slot = (snapshot.sequence() % 16_384).to_be_bytes();
        wal.insert(slot, batch_record::encode(BATCH, &id, &snapshot.checkpoint(), &changes)).unwrap();
    }
    db.flush().unwrap();
    drop((wal, db));
    fs::rename(path.join("sled-v2"), path.join("sled-v1")).unwrap();
    fs::write(path.join("format"), files::format_text(1, &id)).unwrap();
    snapshot.records().collect()
}

fn blobs(sled: &Path) -> usize {
    fs::read_dir(sled.join("blobs")).unwrap().count()
}

#[test]
fn store_of_format_version_1_is_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let records = version_1(dir.path());
    assert!(blobs(&dir.path().join("sled-v1")) > 0, "the rows of version 1 did not fit into sled's log");
    // Left by an upgrade that a crash cut off.
    copy(&dir.path().join("sled-v1"), &dir.path().join("sled-v2"));
    fs::write(dir.path().join("sled-v2/db"), "half").unwrap();
    for round in 0..3u32 {
        let store = open(dir.path()).unwrap();
        assert_eq!(snapshot(&store).len(), records.len() as u64 + u64::from(round));
        assert!(records.iter().all(|record| get(&store, record.cvr) == Some(record.login)));
        wait(store.record(cvr(90_000_000 + round), time(9))).unwrap();
        assert!(store.close());
        assert_eq!(blobs(&dir.path().join("sled-v2")), 0);
        assert!(!dir.path().join("sled-v1").exists());
        if round == 0 {
            // Left by an upgrade that a crash cut off behind the new format file.
            copy(&dir.path().join("sled-v2"), &dir.path().join("sled-v1"));
        }
    }
    assert!(fs::read_to_string(dir.path().join("format")).unwrap().contains("\nversion 2\n"));
}

#[test]
fn wal_with_another_number_of_slots_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = version_1(dir.path());
    drop(open(dir.path()).unwrap());
    // A later version with fewer slots wrote this one.
    let layout = Layout::open(dir.path(), false, |_, _| panic!("it is there")).unwrap();
    let id = *layout.store();
    let (Loaded { tree, mut snapshot, .. }, _) = recovery::open(&layout, &Arc::default()).unwrap();
    drop((tree, layout));
    let db = sled::open(dir.path().join("sled-v2")).unwrap();
    let wal = db.open_tree("wal-5").unwrap();
    for at in 0..5u32 {
        let changes = [record(95_000_000 + at, 3, 4)];
        let sequence = snapshot.sequence() + 1;
        snapshot = snapshot.with(&changes).numbered(sequence);
        wal.insert(
            (snapshot.sequence() % 5).to_be_bytes(),
            batch_record::encode(BATCH, &id, &snapshot.checkpoint(), &changes),
        )
        .unwrap();
        records.extend(changes);
    }
    db.flush().unwrap();
    drop((wal, db));
    let store = open(dir.path()).unwrap();
    for at in 0..2 * wal::SLOTS as u32 {
        wait(store.record(cvr(96_000_000 + at), time(9))).unwrap();
        records.push(record(96_000_000 + at, 9, 9));
    }
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    assert_eq!(contents(&open(crashed.path()).unwrap()), records);
}
