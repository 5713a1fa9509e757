//! A database that answers, but holds some statements up: a lock that somebody else has, a synchronous standby that is gone.

use std::time::{Duration, Instant};

use crate::suites::postgres::cluster_load::Load;
use crate::suites::postgres::instances::{DEADLINE, Instances, SHORT_DEADLINE, until_ready};
use crate::support::cluster::{Cluster, ROLE};
use crate::support::history::History;
use crate::support::logins::listed;
use crate::support::run_length::long;

const TIMEOUT: Duration = Duration::from_secs(15);
const BACK_WITHIN: Duration = Duration::from_secs(5);
const INSTANCES: usize = 2;
/// What `store.connections` lets all instances open, and a few that are just being given up.
const MOST_SESSIONS: usize = INSTANCES * 10 + 4;

/// How many sessions the service has at this server, given up ones included; beyond all bounds when it leaves none for others.
fn sessions(cluster: &Cluster) -> usize {
    let asked = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}'");
    cluster.try_sql("postgres", &asked).map_or(usize::MAX, |rows| rows[0][0].parse().unwrap())
}

/// Under load something holds statements up for a while: they are answered in time, what is left behind at the server is
/// bounded, and all goes on by itself.
fn endure(name: &str, cluster: &Cluster, database: &str, while_stuck: impl FnOnce(Duration)) {
    let stuck = Duration::from_secs(if long() { 25 } else { 6 });
    let (mut instances, mut history) =
        (Instances::start_with(&cluster.url(database), INSTANCES, &[SHORT_DEADLINE]), History::default());
    let load = Load::start(&instances, &history, 8, 4);
    assert!(load.wait_for(100, TIMEOUT), "{name}: the writers write");
    let (before, mut most) = (sessions(cluster), 0);
    instances.without_database(|| {
        std::thread::scope(|scope| {
            let held = scope.spawn(|| {
                let until = Instant::now() + stuck + Duration::from_secs(1);
                while Instant::now() < until {
                    most = most.max(sessions(cluster));
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
            while_stuck(stuck);
            held.join().unwrap();
        });
    });
    let began = Instant::now();
    assert!(load.wait_for(1, BACK_WITHIN), "{name}: nothing is written {BACK_WITHIN:?} after its end");
    let back = began.elapsed();
    instances.running().for_each(|service| {
        until_ready(service, BACK_WITHIN.saturating_sub(began.elapsed()));
    });
    assert!(load.wait_for(100, TIMEOUT), "{name}: the writers go on");
    let slowest = load.slowest();
    let answers = load.finish(&instances, &mut history);
    for service in instances.running() {
        history.assert(&listed(service), name);
    }
    eprintln!(
        "{name}: {} acknowledged, none lost; {answers:?}; slowest answer {slowest:.1?}; sessions {before} -> {most}; writing \
         again after {back:.1?}",
        history.acknowledged
    );
    assert!(most <= MOST_SESSIONS, "{name}: {before} sessions became {most}");
    // A second wait for the database would take as long again.
    assert!(slowest <= DEADLINE * 2, "{name}: an answer took {slowest:?}");
}

#[test]
fn a_lock_that_somebody_holds_on_the_table_is_lived_through() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    endure("table locked", &cluster, &database, |stuck| {
        let lock = cluster.begin(&database, "LOCK TABLE virksomhedslogin_login IN ACCESS EXCLUSIVE MODE");
        std::thread::sleep(stuck);
        lock.commit();
    });
}

#[test]
fn a_synchronous_standby_that_is_gone_is_lived_through() {
    let Some(primary) = Cluster::start(&["fsync=off"]) else { return };
    let standby = primary.standby("second");
    let database = primary.create_database();
    endure("standby gone", &primary, &database, |stuck| {
        standby.pause();
        std::thread::sleep(stuck);
        standby.resume();
    });
}
