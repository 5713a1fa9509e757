//! Three instances on one database: one dies, one ends in order, then the database dies.

use std::time::{Duration, Instant};

use crate::suites::postgres::cluster_load::Load;
use crate::suites::postgres::instances::Instances;
use crate::support::cluster::Cluster;
use crate::support::history::History;
use crate::support::logins::listed;
use crate::support::run_length::long;

const TIMEOUT: Duration = Duration::from_secs(15);

#[test]
fn killing_an_instance_and_then_the_database_loses_nothing() {
    let (rounds, pause) = if long() { (6, Duration::from_secs(8)) } else { (1, Duration::from_secs(1)) };
    let Some(cluster) = Cluster::start(&[]) else { return };
    let mut instances = Instances::start(&cluster.url(&cluster.create_database()), 3);
    let mut history = History::default();
    for round in 0..rounds {
        let load = Load::start(&instances, &history, 40, 23);
        assert!(load.wait_for(200, TIMEOUT), "the writers write");
        std::thread::sleep(pause);
        instances.kill(round % 3);
        assert!(load.wait_for(100, TIMEOUT), "the other instances go on");
        std::thread::sleep(pause);
        instances.start_again(round % 3);
        assert!(load.wait_for(100, TIMEOUT), "all go on");
        instances.end((round + 1) % 3);
        instances.start_again((round + 1) % 3);
        assert!(load.wait_for(100, TIMEOUT), "all go on");
        instances.without_database(|| {
            cluster.stop_immediate();
            std::thread::sleep(pause);
            cluster.start_again();
        });
        let began = Instant::now();
        assert!(load.wait_for(1, TIMEOUT), "the writers write again");
        let back = began.elapsed();
        let ready = instances.until_ready(TIMEOUT);
        assert!(load.wait_for(200, TIMEOUT), "and go on");
        std::thread::sleep(pause);
        let answers = load.finish(&instances, &mut history);
        for (number, service) in instances.running().enumerate() {
            history.assert(&listed(service), &format!("round {round}, through instance {number}"));
        }
        eprintln!(
            "three instances, round {round}: {} acknowledged, none lost; {answers:?}; after the database's return \
             writing in {back:.1?}, all ready in {ready:.1?} more",
            history.acknowledged
        );
    }
}
