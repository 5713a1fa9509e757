//! What a database may be set to: to answer before it has written (`synchronous_commit = off`), and other things.

use std::time::Duration;

use crate::suites::postgres::cluster_load::Load;
use crate::suites::postgres::instances::Instances;
use crate::support::cluster::Cluster;
use crate::support::history::History;
use crate::support::logins::listed;
use crate::support::run_length::long;

const TIMEOUT: Duration = Duration::from_secs(15);

/// Whether a row that this database said it had committed outlives its immediate end.
fn keeps_a_row(cluster: &Cluster, database: &str, number: u32) -> bool {
    cluster.sql(database, &format!("INSERT INTO others VALUES ({number})"));
    cluster.stop_immediate();
    cluster.start_again();
    !cluster.sql(database, &format!("SELECT 1 FROM others WHERE a = {number}")).is_empty()
}

#[test]
fn logins_are_durable_whatever_the_database_settings() {
    // What is not written by the one who commits is written ten seconds later.
    let settings = ["fsync=off", "wal_writer_delay=10s", "wal_writer_flush_after=1GB"];
    let Some(cluster) = Cluster::start(&settings) else { return };
    let database = cluster.create_database();
    cluster.sql("postgres", &format!("ALTER DATABASE {database} SET synchronous_commit = off"));
    cluster.sql(&database, "SET synchronous_commit = on; CREATE TABLE others (a int)");
    // The writer may come by at that very time, but not every time.
    assert!(
        (0..4).any(|number| !keeps_a_row(&cluster, &database, number)),
        "this database loses nothing, so that nothing is shown here"
    );
    let (mut instances, mut history) = (Instances::start(&cluster.url(&database), 1), History::default());
    for round in 0..if long() { 20 } else { 3 } {
        let load = Load::start(&instances, &history, 4, 1);
        assert!(load.wait_for(30, TIMEOUT), "the writers write");
        instances.without_database(|| {
            cluster.stop_immediate();
            cluster.start_again();
        });
        instances.until_ready(TIMEOUT);
        let answers = load.finish(&instances, &mut history);
        history.assert(&listed(instances.running().next().unwrap()), &format!("round {round}: {answers:?}"));
    }
    eprintln!("synchronous_commit = off: {} acknowledged, none lost", history.acknowledged);
}

#[test]
fn other_database_settings_change_no_answer_and_no_time() {
    const SETTINGS: [&str; 8] = [
        "timezone = 'Asia/Tokyo'",
        "datestyle = 'SQL, DMY'",
        "intervalstyle = 'sql_standard'",
        "standard_conforming_strings = off",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_isolation = 'repeatable read'",
        "idle_session_timeout = '300ms'",
        "idle_in_transaction_session_timeout = '20s'",
    ];
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    for setting in SETTINGS {
        let database = cluster.create_database();
        cluster.sql("postgres", &format!("ALTER DATABASE {database} SET {setting}"));
        let (instances, mut history) = (Instances::start(&cluster.url(&database), 2), History::default());
        for _ in 0..if setting.starts_with("idle") { 2 } else { 1 } {
            let load = Load::start(&instances, &history, 6, 3);
            assert!(load.wait_for(100, TIMEOUT), "{setting}: the writers write");
            let answers = load.finish(&instances, &mut history);
            assert!(!answers.keys().any(|answer| answer.ends_with("503")), "{setting}: {answers:?}");
            instances.running().for_each(|service| history.assert(&listed(service), setting));
            // Until sessions have been idle for too long.
            std::thread::sleep(Duration::from_millis(400));
        }
    }
}
