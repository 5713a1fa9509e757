//! The store on PostgreSQL by itself: two on one database are two instances of the service.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use virksomhedslogin::testing::Cvr;
use virksomhedslogin::testing::LoginSpan;
use virksomhedslogin::testing::Timestamp;
use virksomhedslogin::testing::{
    Address, Backend, Database, Imported, Options, Record, RecordStream, Store, StoreError, Version,
};

use crate::support::cluster::{Cluster, wait_until};

const DEADLINE: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(20);

/// One server for all tests that run at the same time; it ends with the last of them.
pub(super) fn cluster() -> Option<Arc<Cluster>> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return Some(cluster);
    }
    let cluster = Arc::new(Cluster::start(&["fsync=off"])?);
    *shared = Arc::downgrade(&cluster);
    Some(cluster)
}

fn open(url: &str, connections: usize) -> Store {
    let address = Address::new(url, None, &Default::default()).unwrap();
    let place = Backend::Database(Box::new(Database {
        address,
        create_schema: true,
        connections,
        prepared_statements: false,
    }));
    let store = Store::open(&Options::at(place, DEADLINE)).unwrap();
    assert!(store.unavailable().is_none());
    store
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

pub(super) fn record(cvr: u32, first: i64, last: i64) -> Record {
    let login = LoginSpan::at(time(first)).merge(LoginSpan::at(time(last)));
    Record { cvr: Cvr::from_number(cvr).unwrap(), login }
}

/// Waits for the store, on a runtime of its own.
pub(super) fn now<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

pub(super) fn write(store: &Store, cvr: u32, at: i64) {
    now(store.record(Cvr::from_number(cvr).unwrap(), time(at))).unwrap();
}

pub(super) fn get(store: &Store, cvr: u32) -> Option<LoginSpan> {
    now(store.get(Cvr::from_number(cvr).unwrap())).unwrap()
}

pub(super) fn read(listing: RecordStream) -> Vec<Record> {
    let mut records = Vec::new();
    listing
        .read(|page| {
            records.extend_from_slice(page);
            Ok::<_, ()>(())
        })
        .unwrap();
    records
}

pub(super) fn version(store: &Store) -> Version {
    store.list_blocking().unwrap().version()
}

#[test]
fn instances_give_each_state_one_version_of_its_own() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.url(&cluster.create_database());
    let stores = [open(&url, 8), open(&url, 8)];
    let mut seen = Vec::new();
    let mut is_new = |what: &str, new: bool| {
        let versions = [version(&stores[0]), version(&stores[1])];
        // Their places may differ: a transaction of another test that runs at the time moves them.
        assert!(versions[0].is_same_content(&versions[1]), "{what}: {versions:?}");
        if new {
            let known = seen.iter().any(|seen: &Version| seen.is_same_content(&versions[0]));
            assert!(!known, "{what}: a version comes back");
            seen.push(versions[0].clone());
        } else {
            let last = seen.last().unwrap();
            assert!(last.is_same_content(&versions[0]), "{what} says something new: {last:?}, {versions:?}");
        }
    };
    is_new("empty", true);
    for (at, store) in stores.iter().cycle().take(6).enumerate() {
        let at = i64::try_from(at).unwrap();
        write(store, 7, 1_000 + at);
        is_new("a later login", true);
        write(store, 7, 500);
        is_new("an earlier login, sent once", at == 0);
    }
    write(&stores[1], 7, 900);
    is_new("a login between first and last", false);
    let rows = [record(7, 500, 1_005)];
    assert_eq!(stores[1].import(rows, |_| ()).unwrap(), Imported { read: 1, changed: 0 });
    is_new("an import of what is known", false);
    assert_eq!(stores[0].import([record(8, 0, 0)], |_| ()).unwrap().changed, 1);
    is_new("an import", true);
    now(stores[0].ready()).unwrap();
    is_new("a probe", false);
    drop(stores);
    let third = open(&url, 8);
    let last = seen.last().unwrap();
    assert!(version(&third).is_same_content(last), "an instance that was not there before");
}

#[test]
fn what_one_instance_records_the_other_reads_at_once() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.url(&cluster.create_database());
    let (one, other) = (open(&url, 8), open(&url, 8));
    for number in 0..200 {
        let (writer, reader) = if number % 2 == 0 { (&one, &other) } else { (&other, &one) };
        assert_eq!(get(reader, number), None);
        write(writer, number, 5);
        assert_eq!(get(reader, number), Some(LoginSpan::at(time(5))));
    }
    assert_eq!(read(other.list_blocking().unwrap()), read(one.list_blocking().unwrap()));
}

#[test]
fn a_list_is_one_snapshot_whatever_is_written_while_it_is_read() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.url(&cluster.create_database());
    let (one, other) = (open(&url, 8), open(&url, 8));
    // Odd numbers, so that new companies come between those on every page.
    let before: Vec<_> = (0..20_000).map(|number| record(number * 2 + 1, 1_000, 1_000)).collect();
    assert_eq!(one.import(before.clone(), |_| ()).unwrap().changed, 20_000);
    let (version, listing) = (version(&one), one.list_blocking().unwrap());
    assert_eq!(listing.version(), version);
    let (mut found, mut pages) = (Vec::new(), 0);
    listing
        .read(|page| {
            let last = page.last().unwrap().cvr.number();
            for number in [1, last - 1, last, last + 1, 39_998, 39_999] {
                write(&other, number, 2_000 + pages);
            }
            pages += 1;
            found.extend_from_slice(page);
            Ok::<_, ()>(())
        })
        .unwrap();
    assert!(pages > 3, "{pages} pages");
    assert!(found == before, "{} records", found.len());
    assert!(read(one.list_blocking().unwrap()).len() > before.len());
}

#[test]
fn list_dropped_half_way_releases_its_connection() {
    let Some(cluster) = cluster() else { return };
    let database = cluster.create_database();
    let store = open(&cluster.url(&database), 6);
    let rows: Vec<_> = (0..20_000).map(|number| record(number, 0, 0)).collect();
    store.import(rows, |_| ()).unwrap();
    for at in 0..50 {
        let listing = store.list_blocking().unwrap();
        match at % 3 {
            0 => drop(listing),
            1 => assert!(listing.read(|_| Err("enough")).is_err()),
            _ => {
                let mut pages = 0;
                let stopped = listing.read(|_| {
                    pages += 1;
                    if pages == 3 { Err("enough") } else { Ok(()) }
                });
                assert!(stopped.is_err());
            }
        }
    }
    assert_eq!(read(store.list_blocking().unwrap()).len(), 20_000);
    let held = || {
        let sql = format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND state LIKE '%in tran%'"
        );
        cluster.sql("postgres", &sql).len()
    };
    assert!(wait_until(TIMEOUT, || held() == 0), "{} transactions stay open", held());
    let status = store.status().database.unwrap();
    assert!(status.open <= 6 && status.retries == 0, "{status:?}");
}

#[test]
fn lists_beyond_the_connections_are_refused_and_writes_go_on() {
    let Some(cluster) = cluster() else { return };
    let store = open(&cluster.url(&cluster.create_database()), 8);
    write(&store, 1, 1);
    let mut held = Vec::new();
    let refused = loop {
        let began = Instant::now();
        match store.list_blocking() {
            Ok(listing) => held.push(listing),
            Err(error) => break (error, began.elapsed()),
        }
        assert!(held.len() <= 8, "there are no more connections");
    };
    assert_eq!(refused.0, StoreError::Full);
    assert!(refused.1 < DEADLINE * 2, "{:?}", refused.1);
    assert!(!held.is_empty());
    let refused_while_used = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let refused = now(store.list()).map(|_| ());
            refused_while_used.store(refused == Err(StoreError::Full), Ordering::Release);
        });
        for number in 0..100 {
            write(&store, number, 2);
            assert!(get(&store, number).is_some());
        }
        now(store.ready()).unwrap();
    });
    assert!(refused_while_used.load(Ordering::Acquire));
    drop(held.pop());
    let rows = read(store.list_blocking().unwrap());
    assert_eq!(rows.len(), 100, "there is room again");
    held.into_iter().for_each(|listing| assert_eq!(read(listing).len(), 1, "of the time at which it began"));
}

#[test]
fn import_merges_duplicates_and_is_idempotent() {
    let Some(cluster) = cluster() else { return };
    let store = open(&cluster.url(&cluster.create_database()), 8);
    // Twice in one batch, in another order, and again in a later one.
    let rows: Vec<_> = (0..3)
        .flat_map(|round| (0..3_000).rev().map(move |number| (round, number)))
        .flat_map(|(round, number)| {
            let at = 10 * (round + 1);
            [record(number, 1_000 - at, 1_000), record(number, 1_000, 1_000 + at)]
        })
        .collect();
    let imported = store.import(rows.clone(), |_| ()).unwrap();
    assert_eq!(imported.read, 18_000);
    assert!(imported.changed >= 3_000, "{imported:?}");
    let (expected, version) = ((0..3_000).map(|number| record(number, 970, 1_030)), version(&store));
    assert!(read(store.list_blocking().unwrap()).into_iter().eq(expected));
    assert_eq!(store.import(rows, |_| ()).unwrap(), Imported { read: 18_000, changed: 0 });
    assert_eq!(store.list_blocking().unwrap().version(), version);
}

#[test]
fn company_recorded_by_many_at_once_has_first_and_last() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.url(&cluster.create_database());
    let stores = [open(&url, 8), open(&url, 8)];
    std::thread::scope(|scope| {
        for at in 0..8 {
            let store = &stores[usize::try_from(at).unwrap() % 2];
            scope.spawn(move || {
                for number in 0..50 {
                    write(store, 7, 1_000 + at * 50 + (number * 7) % 50);
                    write(store, 8, 2_000 - at * 50 - number);
                }
            });
        }
    });
    let expected = [record(7, 1_000, 1_399), record(8, 1_601, 2_000)];
    stores.iter().for_each(|store| assert_eq!(read(store.list_blocking().unwrap()), expected));
}

#[test]
fn the_ends_of_time_and_of_the_numbers_survive() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.url(&cluster.create_database());
    let store = open(&url, 8);
    let (first, last) = (Timestamp::MIN.millis(), Timestamp::MAX.millis());
    let recorded = [record(0, first, last), record(99_999_999, first, last)];
    for cvr in [0, 99_999_999] {
        write(&store, cvr, first);
        write(&store, cvr, last);
    }
    let imported = [record(1, first, first), record(99_999_998, last, last)];
    assert_eq!(store.import(imported, |_| ()).unwrap().changed, 2);
    let expected = [recorded[0], imported[0], imported[1], recorded[1]];
    for store in [store, open(&url, 8)] {
        let listing = store.list_blocking().unwrap();
        assert_eq!(listing.latest(), Some(Timestamp::MAX));
        assert_eq!(read(listing), expected);
        for record in expected {
            assert_eq!(get(&store, record.cvr.number()), Some(record.login));
        }
    }
}
