//! The primary dies under load, and its synchronous standby takes over.

use std::time::{Duration, Instant};

use crate::suites::postgres::cluster_load::Load;
use crate::suites::postgres::instances::{Instances, SHORT_DEADLINE, until_ready};
use crate::support::cluster::{Cluster, PASSWORD_IN_URL, ROLE};
use crate::support::history::History;
use crate::support::list_copy::{ListCopy, Statuses};
use crate::support::logins::listed;
use crate::support::run_length::long;

const BACK_WITHIN: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(15);

/// Load on two instances; the primary goes, and the standby is promoted.
fn take_over(name: &str, settings: &[&str], prepared: &str, go: impl FnOnce(&Cluster)) {
    let Some(primary) = Cluster::start(settings) else { return };
    let standby = primary.standby("second");
    let database = primary.create_database();
    let url = format!(
        "postgresql://{ROLE}:{PASSWORD_IN_URL}@127.0.0.1:{},127.0.0.1:{}/{database}?target_session_attrs=read-write",
        primary.port, standby.port
    );
    let variables = [SHORT_DEADLINE, ("VIRKSOMHEDSLOGIN__STORE__PREPARED_STATEMENTS", prepared)];
    let (mut instances, mut history) = (Instances::start_with(&url, 2, &variables), History::default());
    let load = Load::start(&instances, &history, 16, 8);
    assert!(load.wait_for(200, TIMEOUT), "the writers write");
    std::thread::sleep(Duration::from_secs(if long() { 30 } else { 1 }));
    let mut copy = ListCopy::default();
    let service = instances.running().next().unwrap();
    assert_eq!(copy.poll(&service.address, &service.token), Some(200));
    let (mut began, mut written) = (Instant::now(), Duration::ZERO);
    instances.without_database(|| {
        go(&primary);
        std::thread::sleep(Duration::from_millis(500));
        standby.promote();
        began = Instant::now();
        assert!(
            load.wait_for(1, BACK_WITHIN),
            "{name}: nothing is written {BACK_WITHIN:?} after the promotion"
        );
        written = began.elapsed();
    });
    instances.running().for_each(|service| {
        until_ready(service, BACK_WITHIN.saturating_sub(began.elapsed()));
    });
    let ready = began.elapsed();
    assert!(load.wait_for(200, TIMEOUT), "{name}: the writers go on");
    let answers = load.finish(&instances, &mut history);
    for (number, service) in instances.running().enumerate() {
        let metrics = service.management("/metrics").1;
        let outages =
            metrics.lines().find_map(|line| line.strip_prefix("virksomhedslogin_database_outages_total "));
        assert!(
            outages.is_some_and(|count| count != "0"),
            "{name}: outages through instance {number}: {outages:?}"
        );
        history.assert(&listed(service), &format!("{name}: after the promotion, through instance {number}"));
    }
    // The standby may lack what the primary showed, so its history is another one.
    let mut statuses = Statuses::new();
    copy.is_right(instances.running().next().unwrap(), &mut statuses, name);
    assert_eq!(statuses, [(200, 1)].into(), "{name}: tags of the primary");
    eprintln!(
        "{name}: {} acknowledged, none lost; {answers:?}; writing {written:.1?} and all ready {ready:.1?} after the \
         standby's promotion",
        history.acknowledged
    );
}

#[test]
fn promoted_standby_has_every_acknowledged_login() {
    take_over("primary killed", &[], "false", Cluster::kill_9);
}

/// What a machine that is gone, or hangs, looks like to those who had connections to it.
#[test]
fn a_primary_that_stands_still_is_left_for_the_standby() {
    take_over("primary standing still", &["fsync=off"], "true", Cluster::pause);
}
