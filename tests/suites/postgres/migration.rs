//! From the embedded store to PostgreSQL and back, as the operator does it, while logins keep coming.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use virksomhedslogin::testing::Timestamp;

use crate::suites::postgres::instances::{command, done, fixture};
use crate::support::cluster::Cluster;
use crate::support::history::{BESIDE, History, Load};
use crate::support::logins::listed;
use crate::support::process::{Fixture, Service};
use crate::support::run_length::long;

/// How many companies are there from the beginning.
fn records() -> u32 {
    if long() { 100_000 } else { 20_000 }
}

/// The first of the companies that are there from the beginning, beside the history.
const OLD: u32 = BESIDE;
const FIRST: &str = "2026-01-02T03:04:05.678Z";
const LAST: &str = "2026-02-03T04:05:06.789Z";

fn old_records() -> String {
    let mut rows = String::new();
    for number in 0..records() {
        let cvr = OLD + number * 7;
        writeln!(
            rows,
            "{{\"cvrNummer\":\"{cvr:08}\",\"tidligsteLoginTidspunkt\":\"{FIRST}\",\"senesteLogintidspunkt\":\"{LAST}\"}}"
        )
        .unwrap();
    }
    let hash: String =
        Sha256::digest(&rows).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("{rows}{{\"antal\":{},\"sha256\":\"{hash}\"}}\n", records())
}

/// Takes an export, from a running service or the store itself, and merges it into another store.
fn carry(from: &Fixture, service: Option<&Service>, to: &Fixture) -> String {
    let file = to.path("carried.ndjson").display().to_string();
    let address = service.map(|service| format!("http://{}", service.management));
    let mut arguments = vec!["export", "--output", &file];
    arguments.extend(address.iter().flat_map(|address| ["--from", address]));
    done(command(from, &arguments));
    done(command(to, &["import", &file]))
}

/// What `verify` says that both kinds of store have: count, first and last login.
fn verified(fixture: &Fixture) -> Vec<String> {
    let text = done(command(fixture, &["verify"]));
    let reported: Vec<_> = text.lines().take(3).map(str::to_owned).collect();
    assert!(reported[0].starts_with("records: ") && reported[2].starts_with("last login: "), "{text}");
    reported
}

/// Everything acknowledged is there, and the old records are as they were.
fn assert_whole(service: &Service, history: &mut History, when: &str) {
    let found = listed(service);
    let old: Vec<_> = found.range(OLD..).map(|(_, login)| *login).collect();
    let millis = |text| Timestamp::parse(text).unwrap().millis();
    assert_eq!(old, vec![(millis(FIRST), millis(LAST)); records() as usize], "{when}");
    history.assert(&found, when);
}

/// Moves a service with its writers from one store to another: a first export while they write, the switch, and
/// what came in between.
fn moved(from: &Fixture, to: &Fixture, history: &mut History) {
    let began = Instant::now();
    let mut old = from.serve();
    let load = Load::start(&old, history);
    assert!(load.wait_for(50, Duration::from_secs(20)), "the writers write");
    let first = carry(from, Some(&old), to);
    assert!(load.wait_for(50, Duration::from_secs(20)), "and go on");
    let answers = load.finish(history);
    assert!(answers.keys().all(|status| *status == Some(204)), "{answers:?}");
    assert_whole(&old, history, "before the switch");
    old.signal("TERM");
    assert_eq!(old.wait(Duration::from_secs(20)).code(), Some(0));
    drop(old);
    let second = carry(from, None, to);
    assert_eq!(verified(from), verified(to));
    let new = to.serve();
    assert_whole(&new, history, "after the switch");
    eprintln!("moved in {:.1?}: {:?}, {:?}", began.elapsed(), first, second);
}

#[test]
fn a_store_moves_to_postgresql_and_back_and_loses_nothing() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let (embedded, shared, back) =
        (Fixture::new(), fixture(&cluster.url(&cluster.create_database())), Fixture::new());
    embedded.write("old.ndjson", &old_records());
    done(command(&embedded, &["import", &embedded.path("old.ndjson").display().to_string()]));
    let mut history = History::default();
    moved(&embedded, &shared, &mut history);
    moved(&shared, &back, &mut history);
    eprintln!("{} acknowledged on the way, none lost", history.acknowledged);
}
