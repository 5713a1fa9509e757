//! The servers of these tests do what they are believed to do.

use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::suites::postgres::pgbouncer::Bouncer;
use crate::support::cluster::{Cluster, ROLE};

/// Who a connection string leads to.
fn who(url: &str) -> Result<String, String> {
    who_within(url, Duration::from_secs(20))
}

fn who_within(url: &str, at_most: Duration) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        let rows = client.simple_query("SELECT current_user || ' of ' || current_database()").await?;
        Ok(rows.iter().find_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    };
    let limited = async { tokio::time::timeout(at_most, asked).await };
    let answered: Result<_, tokio_postgres::Error> =
        runtime.block_on(limited).map_err(|_| "no answer".to_owned())?;
    answered.map_err(|error| error.to_string()).map(Option::unwrap)
}

#[test]
fn server_requires_the_password_and_restarts_after_each_stop() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    assert_ne!(database, cluster.create_database());
    let url = cluster.url(&database);
    assert_eq!(who(&url).unwrap(), format!("{ROLE} of {database}"));
    assert_eq!(who(&cluster.url_over_socket(&database)).unwrap(), format!("{ROLE} of {database}"));
    assert!(who(&cluster.url_as(ROLE, "wrong", &database)).is_err());
    cluster.sql(&database, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)");
    let rows = || cluster.sql(&database, "SELECT a, b FROM t ORDER BY a");
    assert_eq!(rows(), [["1", "x"], ["2", ""]]);
    for stop in [Cluster::stop_immediate, Cluster::kill_9, Cluster::stop_fast] {
        stop(&cluster);
        assert!(who(&url).is_err());
        cluster.start_again();
        assert_eq!((rows().len(), who(&url).is_ok()), (2, true));
    }
    cluster.pause();
    let began = Instant::now();
    let silent = who_within(&url, Duration::from_secs(3));
    assert_eq!(silent, Err("no answer".to_owned()), "silent, not refused");
    assert!(began.elapsed() > Duration::from_secs(2));
    cluster.resume();
    assert!(who(&url).is_ok());
}

#[test]
fn a_standby_has_what_was_committed_and_becomes_the_primary() {
    let Some(primary) = Cluster::start(&[]) else { return };
    let standby = primary.standby("second");
    let database = primary.create_database();
    primary.sql(&database, "SET synchronous_commit = remote_apply; CREATE TABLE t (a int)");
    primary.sql(&database, "SET synchronous_commit = remote_apply; INSERT INTO t VALUES (7)");
    assert_eq!(standby.sql(&database, "SELECT a FROM t"), [["7"]]);
    assert!(standby.try_sql(&database, "INSERT INTO t VALUES (8)").unwrap_err().contains("read-only"));
    primary.kill_9();
    standby.promote();
    standby.sql(&database, "INSERT INTO t VALUES (8)");
    assert_eq!(standby.sql(&database, "SELECT count(*) FROM t"), [["2"]]);
}

#[test]
fn a_pgbouncer_leads_to_its_server_and_comes_back() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let Some(mut bouncer) = Bouncer::start(&cluster) else { return };
    let url = bouncer.url(&database);
    assert_eq!(who(&url).unwrap(), format!("{ROLE} of {database}"));
    bouncer.stop();
    assert!(who(&url).is_err());
    assert!(bouncer.start_again());
    assert_eq!(who(&url).unwrap(), format!("{ROLE} of {database}"));
}
