//! The store as a whole, on real sled in a temporary directory.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use futures_util::FutureExt;

use super::*;
use crate::domain::clock::ClockLimits;
use crate::domain::timestamp::Timestamp;
use crate::store::metrics::Operation;
use crate::store::options::Progress;
use crate::store::{Engine, Imported, Options, RecordStream, Store};

mod damage;
mod erasure;
mod opening;
mod upgrade;
mod write_ahead_log;

fn options(path: &Path) -> Options {
    Options::new(path, Duration::from_secs(20))
}

fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(&options(path))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn cvr(number: u32) -> Cvr {
    Cvr::from_number(number).unwrap()
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn record(number: u32, first: i64, last: i64) -> Record {
    Record { cvr: cvr(number), login: LoginSpan::new(time(first), time(last)).unwrap() }
}

/// A company that logged in once.
pub(super) fn record_at(number: u32, millis: i64) -> Record {
    record(number, millis, millis)
}

fn snapshot(store: &Store) -> Snapshot {
    match store.list_blocking().unwrap() {
        RecordStream::InMemory(snapshot) => snapshot,
        RecordStream::Paged(paged) => panic!("not from memory: {paged:?}"),
    }
}

fn get(store: &Store, cvr: Cvr) -> Option<LoginSpan> {
    store.get(cvr).now_or_never().unwrap().unwrap()
}

fn contents(store: &Store) -> Vec<Record> {
    snapshot(store).records().collect()
}

/// Copies a store as a crash would leave it: without closing it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A closed store with these many companies, written in several batches.
fn filled(path: &Path, companies: u32) -> Vec<Record> {
    let store = open(path).unwrap();
    let records: Vec<_> = (0..companies).map(|number| record(number * 7, 5, i64::from(number) + 6)).collect();
    for batch in records.chunks(companies.div_ceil(5) as usize) {
        store.import(batch.iter().copied(), |_| ()).unwrap();
    }
    assert!(store.close());
    records
}

#[test]
fn recorded_logins_are_read_listed_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!((get(&store, cvr(1)), snapshot(&store).len()), (None, 0));
    let empty = snapshot(&store);
    wait(async {
        for (number, at) in [(1, 50), (2, 10), (1, 40), (1, 45), (1, 90)] {
            store.record(cvr(number), time(at)).await.unwrap();
        }
        store.ready().await.unwrap();
    });
    let expected = vec![record(1, 40, 90), record(2, 10, 10)];
    assert_eq!(contents(&store), expected);
    assert_eq!(get(&store, cvr(1)), Some(expected[0].login));
    let listed = snapshot(&store);
    assert_eq!(listed.latest(), Some(time(90)));
    assert_eq!((empty.len(), listed.len(), listed.sequence()), (0, 2, 4));
    assert_ne!(empty.version(), listed.version());
    assert!(store.close() && store.close());
    assert_eq!(wait(store.record(cvr(3), time(1))), Err(StoreError::Closing));
    assert_eq!(wait(store.ready()), Err(StoreError::Closing));
    assert_eq!(contents(&store), expected);
    let store = Store::open_existing(&options(dir.path())).unwrap();
    assert_eq!(contents(&store), expected);
    let again = snapshot(&store);
    assert_eq!((again.version(), again.sequence()), (listed.version(), 4));
    assert_eq!(again.latest(), listed.latest());
}

#[test]
fn many_writers_agree_with_a_map() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).unwrap());
    let writers: Vec<_> = (0..8u32)
        .map(|writer| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                wait(async {
                    for round in 0..60u32 {
                        let (number, at) =
                            ((writer + round * 3) % 40, (writer * 1_000 + round * 7 % 100) as i64);
                        store.record(cvr(number), time(at)).await.unwrap();
                        let login = get(&store, cvr(number)).unwrap();
                        assert!(login.first() <= time(at) && login.last() >= time(at));
                    }
                });
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let mut model = BTreeMap::new();
    for writer in 0..8u32 {
        for round in 0..60u32 {
            let (number, at) = ((writer + round * 3) % 40, (writer * 1_000 + round * 7 % 100) as i64);
            let login = LoginSpan::at(time(at));
            model
                .entry(cvr(number))
                .and_modify(|known: &mut LoginSpan| *known = known.merge(login))
                .or_insert(login);
        }
    }
    let expected: Vec<_> = model.into_iter().map(|(cvr, login)| Record { cvr, login }).collect();
    assert_eq!(contents(&store), expected);
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    assert_eq!(contents(&open(crashed.path()).unwrap()), expected);
}

#[test]
fn import_may_be_repeated_and_counts_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let records: Vec<_> = (0..5_000).map(|number| record(number * 3, 5, 9)).collect();
    let mut progress = Vec::new();
    let imported = store.import(records.iter().copied(), |done| progress.push(done)).unwrap();
    assert_eq!(imported, Imported { read: 5_000, changed: 5_000 });
    assert_eq!(progress, [2048, 4096, 5_000]);
    let sequence = snapshot(&store).sequence();
    let again = store.import(records.iter().rev().copied(), |_| ()).unwrap();
    assert_eq!(again, Imported { read: 5_000, changed: 0 });
    assert_eq!(snapshot(&store).sequence(), sequence);
    let later = store.import([record(3, 1, 1), record(4, 2, 2), record(4, 3, 3)], |_| ()).unwrap();
    assert_eq!(later, Imported { read: 3, changed: 2 });
    assert_eq!(get(&store, cvr(3)).unwrap(), record(3, 1, 9).login);
    assert_eq!(get(&store, cvr(4)).unwrap(), record(4, 2, 3).login);
}

#[test]
fn last_batch_is_finished_from_the_checkpoint() {
    let base = tempfile::tempdir().unwrap();
    let before = filled(base.path(), 300);
    let batch =
        [record(0, 1, 900), record(3, 2, 2), record(7, 5, 70), record(14, 4, 8), record(90_000, 1, 1)];
    for written in 0..=batch.len() {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let layout = Layout::open(dir.path(), false, |_, _| panic!("it is there")).unwrap();
        let (loaded, _) = recovery::open(&layout, &Arc::default()).unwrap();
        let diff = loaded.snapshot.diff(batch.to_vec());
        let sequence = loaded.snapshot.sequence() + 1;
        let next = loaded.snapshot.with(&diff).numbered(sequence);
        loaded.tree.write_checkpoint(&next.checkpoint(), &diff).unwrap();
        loaded.tree.insert_records(&diff[..written]).unwrap();
        loaded.tree.sync().unwrap();
        drop((loaded.tree, layout));
        for _ in 0..2 {
            let store = open(dir.path()).unwrap();
            let found = snapshot(&store);
            assert_eq!(
                (found.len(), found.checkpoint()),
                (before.len() as u64 + 2, next.checkpoint()),
                "{written} rows"
            );
            assert_eq!(contents(&store), next.records().collect::<Vec<_>>());
            assert_eq!(found.sequence(), next.sequence());
        }
    }
}

#[test]
fn database_replaced_by_an_older_copy_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 100);
    let old = tempfile::tempdir().unwrap();
    copy(&dir.path().join("sled-v2"), old.path());
    let store = open(dir.path()).unwrap();
    wait(store.record(cvr(99_999_999), time(7))).unwrap();
    assert!(store.close());
    drop(store);
    fs::remove_dir_all(dir.path().join("sled-v2")).unwrap();
    copy(old.path(), &dir.path().join("sled-v2"));
    for _ in 0..2 {
        let error = open(dir.path()).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let text = error.to_string();
        assert!(text.contains("older copy") && text.contains("virksomhedslogin import"), "{text}");
    }
}

#[test]
fn parts_of_two_stores_are_damage() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(one.path(), 10);
    filled(other.path(), 10);
    for part in ["witness", "format"] {
        let mixed = tempfile::tempdir().unwrap();
        copy(one.path(), mixed.path());
        fs::copy(other.path().join(part), mixed.path().join(part)).unwrap();
        assert_eq!(open(mixed.path()).unwrap_err().exit_code(), 3, "{part}");
    }
}

#[test]
fn changed_record_is_damage() {
    let base = tempfile::tempdir().unwrap();
    filled(base.path(), 50);
    type Harm = fn(&sled::Tree);
    let harms: [(&str, Harm); 7] = [
        ("removed", |tree| drop(tree.remove(7u32.to_be_bytes()).unwrap())),
        ("added", |tree| drop(tree.insert(8u32.to_be_bytes(), &[0; 16]).unwrap())),
        ("changed", |tree| drop(tree.insert(7u32.to_be_bytes(), &[0; 16]).unwrap())),
        ("bad value", |tree| drop(tree.insert(7u32.to_be_bytes(), &[255; 16]).unwrap())),
        ("bad key", |tree| drop(tree.insert([1], &[0; 16]).unwrap())),
        ("no key", |tree| drop(tree.insert([], &[0; 16]).unwrap())),
        ("key above every company", |tree| drop(tree.insert([255; 5], &[0; 16]).unwrap())),
    ];
    for (harm, doing) in harms {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let db = sled::open(dir.path().join("sled-v2")).unwrap();
        doing(&db.open_tree("records").unwrap());
        db.flush().unwrap();
        drop(db);
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{harm}: {error}");
    }
}

#[test]
fn half_written_snapshot_file_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let records = filled(dir.path(), 100);
    let left = dir.path().join("sled-v2/snap.00000000000FFFFF.generating");
    fs::write(&left, "half").unwrap();
    assert_eq!(contents(&open(dir.path()).unwrap()), records);
    assert!(!left.exists());
}

#[test]
fn second_opening_fails_until_the_first_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }) && error.exit_code() == 1);
    store.close();
    open(dir.path()).unwrap();
}

#[test]
fn writes_fail_while_the_directory_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (dir.path().join("store"), dir.path().join("elsewhere"));
    let store = open(&path).unwrap();
    wait(store.record(cvr(1), time(5))).unwrap();
    fs::rename(&path, &elsewhere).unwrap();
    assert!(matches!(wait(store.record(cvr(2), time(5))), Err(StoreError::Failing(_))));
    assert!(matches!(wait(store.ready()), Err(StoreError::Failing(_))));
    assert_eq!(contents(&store), [record(1, 5, 5)]);
    assert!(!path.exists());
    fs::rename(&elsewhere, &path).unwrap();
    let began = Instant::now();
    while wait(store.record(cvr(3), time(5))).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not return");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(get(&store, cvr(1)), Some(record(1, 5, 5).login));
    assert!(store.close());
    drop(store);
    assert!(get(&open(&path).unwrap(), cvr(3)).is_some());
}

#[test]
fn write_into_a_deleted_directory_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = open(&path).unwrap();
    wait(store.record(cvr(1), time(5))).unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert!(matches!(wait(store.record(cvr(2), time(5))), Err(StoreError::Failing(_))));
    thread::sleep(Duration::from_millis(1500));
    assert!(matches!(wait(store.record(cvr(2), time(5))), Err(StoreError::Failing(_))));
    assert_eq!(contents(&store), [record(1, 5, 5)]);
    assert!(store.close());
    assert!(!path.exists());
}

#[test]
fn stuck_committer_ends_writes_at_the_deadline() {
    let engine = Embedded {
        live_view: Arc::new(LiveView::from_pointee(Snapshot::default().with(&[record(1, 5, 5)]))),
        changes: Arc::new(Mutex::new(ChangeLog::new(0))),
        queue: Arc::default(),
        root: PathBuf::new(),
        deadline: Duration::from_millis(30),
        ended: Mutex::new(mpsc::channel().1),
    };
    let engine = Engine::Embedded(engine);
    let stuck = Store { engine, clock: ClockLimits::NONE, metrics: Arc::default() };
    wait(async {
        assert_eq!(stuck.record(cvr(2), time(5)).await, Err(StoreError::Deadline));
        assert_eq!(stuck.ready().await, Err(StoreError::Deadline));
        let answers: Vec<_> = (0..4095).map(|_| Box::pin(stuck.record(cvr(2), time(5)))).collect();
        let (answers, rejected) =
            (futures_util::future::join_all(answers).await, stuck.record(cvr(2), time(5)).await);
        assert!(answers.iter().all(|answer| answer == &Err(StoreError::Deadline)));
        assert_eq!(rejected, Err(StoreError::Full));
    });
    assert_eq!(get(&stuck, cvr(1)), Some(record(1, 5, 5).login));
    let status = stuck.status();
    assert_eq!((status.waiting, status.capacity, status.takes_writes), (4096, 4096, true));
    let counted: Vec<_> = status.errors.into_iter().filter(|(.., count)| *count > 0).collect();
    let (record, probe) = (Operation::Record, Operation::Probe);
    assert_eq!(counted, [(record, "queue_full", 1), (record, "deadline", 4096), (probe, "deadline", 1)]);
}

#[test]
fn opening_reports_its_progress() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 100);
    let options = options(dir.path());
    Store::open_existing(&options).unwrap();
    let Progress { done, total } = &*options.progress;
    let read = |counter: &AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((read(done), read(total)), (100, 100));
}

#[test]
fn ended_committer_leaves_no_write_waiting() {
    let queue = Arc::new(Queue::default());
    let ending = Arc::clone(&queue);
    let write = |answer| Request::Write(record(1, 5, 5), answer);
    let (answer, mut answered) = oneshot::channel();
    queue.enqueue(write(answer)).unwrap();
    thread::spawn(move || until_it_ends(&ending, || panic!("for the test"))).join().unwrap();
    assert_eq!(answered.try_recv(), Ok(Err(StoreError::Failing("the committer has ended".to_owned()))));
    assert!(!queue.takes_writes());
    assert_eq!(queue.enqueue(write(oneshot::channel().0)), Err(StoreError::Closing));
}

#[test]
fn locked_database_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let file = fs::File::open(dir.path().join("sled-v2").join("db")).unwrap();
    file.lock().unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert_eq!(error.exit_code(), 1);
    drop(file);
    assert_eq!(snapshot(&open(dir.path()).unwrap()).len(), 3);
}
