//! Through PgBouncer in transaction mode, where the next statement may come to another connection.

use std::time::{Duration, Instant};

use crate::suites::postgres::cluster_load::Load;
use crate::suites::postgres::instances::{Instances, command, done};
use crate::suites::postgres::pgbouncer::Bouncer;
use crate::support::cluster::Cluster;
use crate::support::history::History;
use crate::support::logins::listed;
use crate::support::run_length::long;

const TIMEOUT: Duration = Duration::from_secs(15);

#[test]
fn transaction_pooler_suffices_and_may_restart_under_load() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let Some(mut bouncer) = Bouncer::start(&cluster) else { return };
    let url = bouncer.url(&cluster.create_database());
    let (mut instances, mut history) = (Instances::start(&url, 2), History::default());
    let load = Load::start(&instances, &history, 24, 12);
    assert!(load.wait_for(200, TIMEOUT), "the writers write");
    std::thread::sleep(Duration::from_secs(if long() { 20 } else { 1 }));
    // A statement that looks for something on another connection than it was left on fails, and is answered 503.
    let answers = load.finish(&instances, &mut history);
    assert!(!answers.keys().any(|answer| answer.ends_with("503")), "{answers:?}");
    let load = Load::start(&instances, &history, 24, 12);
    assert!(load.wait_for(100, TIMEOUT), "the writers write");
    instances.without_database(|| {
        bouncer.stop();
        std::thread::sleep(Duration::from_secs(1));
        assert!(bouncer.start_again());
    });
    let began = Instant::now();
    assert!(load.wait_for(1, TIMEOUT), "the writers write again");
    let back = began.elapsed();
    instances.until_ready(TIMEOUT);
    assert!(load.wait_for(200, TIMEOUT), "and go on");
    let answers = load.finish(&instances, &mut history);
    let mut count = 0;
    for (number, service) in instances.running().enumerate() {
        let logins = listed(service);
        count = logins.len();
        history.assert(&logins, &format!("through instance {number}"));
    }
    let beside = done(command(&instances.fixture, &["export"]));
    assert_eq!(beside.lines().count(), count + 1, "the rows and the trailer");
    for service in instances.running() {
        let from = format!("http://{}", service.management);
        assert!(
            done(command(&instances.fixture, &["export", "--from", &from])) == beside,
            "the same from a service"
        );
    }
    let verified = done(command(&instances.fixture, &["verify"]));
    assert!(verified.starts_with(&format!("records: {count}\n")), "{verified}");
    eprintln!(
        "PgBouncer: {} acknowledged, none lost; {answers:?}; writing {back:.1?} after its return",
        history.acknowledged
    );
}
