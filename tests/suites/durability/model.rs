//! Random sequences of record, crash, reopen, import and export against a plain map, on both stores.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use virksomhedslogin::testing::Cvr;
use virksomhedslogin::testing::LoginSpan;
use virksomhedslogin::testing::Timestamp;
use virksomhedslogin::testing::interchange;
use virksomhedslogin::testing::{Address, Backend, Database, Options, Record, Store};

use crate::suites::durability::restart::{TIMEOUT, copy, open};
use crate::support::cluster::Cluster;
use crate::support::run_length::long;

#[derive(Debug, Clone)]
enum Step {
    Record(u32, i64),
    /// The process is gone without a word: what its files hold at this time is opened.
    Crash,
    Reopen,
    Import(Vec<(u32, i64, i64)>),
    /// Exported, and imported into an empty store that takes the place of this one.
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row =
        (0u32..30, 0i64..100, 0i64..100).prop_map(|(cvr, one, other)| (cvr, one.min(other), one.max(other)));
    let step = prop_oneof![
        10 => (0u32..30, 0i64..100).prop_map(|(cvr, at)| Step::Record(cvr, at)),
        2 => Just(Step::Crash),
        1 => Just(Step::Reopen),
        2 => prop::collection::vec(row, 0..40).prop_map(Step::Import),
        1 => Just(Step::Restore),
    ];
    prop::collection::vec(step, 1..40)
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn record(cvr: u32, first: i64, last: i64) -> Record {
    Record { cvr: Cvr::from_number(cvr).unwrap(), login: LoginSpan::new(time(first), time(last)).unwrap() }
}

/// Stores that take each other's place, each of them empty at first.
trait Stores: Sized {
    fn store(&self) -> &Store;
    /// The process is gone, and another opens what it left.
    fn crash(&mut self);
    fn reopen(&mut self);
    /// Opens an empty store in the place of this one.
    fn begin_again(&mut self);
}

/// Each in a database of its own.
struct Databases<'a> {
    cluster: &'a Cluster,
    url: String,
    store: Store,
}

impl<'a> Databases<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let url = cluster.url(&cluster.create_database());
        Self { cluster, store: open_database(&url), url }
    }
}

fn open_database(url: &str) -> Store {
    let address = Address::new(url, None, &Default::default()).unwrap();
    let place = Backend::Database(Box::new(Database {
        address,
        create_schema: true,
        connections: 6,
        prepared_statements: false,
    }));
    Store::open(&Options::at(place, TIMEOUT)).unwrap()
}

impl Stores for Databases<'_> {
    fn store(&self) -> &Store {
        &self.store
    }

    /// Another instance opens it, before the one that is gone has been missed.
    fn crash(&mut self) {
        self.store = open_database(&self.url);
    }

    fn reopen(&mut self) {
        assert!(self.store.close());
        self.store = open_database(&self.url);
    }

    fn begin_again(&mut self) {
        *self = Self::new(self.cluster);
    }
}

/// Each in a directory of its own.
struct Directories {
    directory: TempDir,
    made: u32,
    store: Store,
}

impl Directories {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = open(&directory.path().join("0"));
        Self { directory, made: 0, store }
    }

    fn here(&self) -> PathBuf {
        self.directory.path().join(self.made.to_string())
    }
}

impl Stores for Directories {
    fn store(&self) -> &Store {
        &self.store
    }

    fn crash(&mut self) {
        let before = self.here();
        self.made += 1;
        copy(&before, &self.here());
        self.store = open(&self.here());
    }

    fn reopen(&mut self) {
        assert!(self.store.close());
        self.store = open(&self.here());
    }

    fn begin_again(&mut self) {
        self.made += 1;
        self.store = open(&self.here());
    }
}

fn restore(stores: &mut impl Stores) {
    let mut file = Vec::new();
    interchange::export(stores.store().list_blocking().unwrap(), Default::default(), &mut file, |_| ())
        .unwrap();
    stores.begin_again();
    let format = interchange::Format::Ndjson { trailer: true };
    let records = interchange::read(&file[..], format, |_| ()).unwrap().accept(false).unwrap();
    stores.store().import(records, |_| ()).unwrap();
}

fn merge(model: &mut BTreeMap<u32, LoginSpan>, record: Record) {
    let known = model.entry(record.cvr.number()).or_insert(record.login);
    *known = known.merge(record.login);
}

#[test]
fn any_sequence_of_operations_agrees_with_a_plain_map() {
    agrees_with_a_plain_map(Directories::new);
}

#[test]
fn any_sequence_agrees_with_a_plain_map_on_postgresql_too() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    agrees_with_a_plain_map(|| Databases::new(&cluster));
}

fn agrees_with_a_plain_map<S: Stores>(new: impl Fn() -> S) {
    let cases = if long() { 200 } else { 12 };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runner
        .run(&steps(), |steps| {
            let (mut stores, mut model) = (new(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Record(cvr, at) => {
                        let record = record(cvr, at, at);
                        runtime.block_on(stores.store().record(record.cvr, time(at))).unwrap();
                        merge(&mut model, record);
                    }
                    Step::Crash => stores.crash(),
                    Step::Reopen => stores.reopen(),
                    Step::Import(rows) => {
                        let records: Vec<_> =
                            rows.into_iter().map(|(cvr, first, last)| record(cvr, first, last)).collect();
                        stores.store().import(records.iter().copied(), |_| ()).unwrap();
                        records.into_iter().for_each(|record| merge(&mut model, record));
                    }
                    Step::Restore => restore(&mut stores),
                }
                let mut found = BTreeMap::new();
                let read = stores.store().list_blocking().unwrap().read(|rows| {
                    found.extend(rows.iter().map(|row| (row.cvr.number(), row.login)));
                    Ok::<_, ()>(())
                });
                prop_assert!(read.is_ok());
                prop_assert_eq!(&found, &model);
            }
            Ok(())
        })
        .unwrap();
    eprintln!("model: {cases} random sequences");
}
