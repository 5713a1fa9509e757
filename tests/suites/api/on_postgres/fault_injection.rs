//! The store while somebody interferes: callers that do not wait, hosts that are silent, tables and rights that are changed.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use virksomhedslogin::testing::{Address, Backend, Database, OpenError, Options, Store};

use super::stores::{cluster, get, now, read, record, version, write};
use crate::support::cluster::{Cluster, PASSWORD, PASSWORD_IN_URL, ROLE, wait_until};

const TIMEOUT: Duration = Duration::from_secs(20);

fn opened(url: &str, deadline: u64, set: impl FnOnce(&mut Database)) -> Result<Store, OpenError> {
    let mut database = Database {
        address: Address::new(url, None, &Default::default()).unwrap(),
        create_schema: true,
        connections: 10,
        prepared_statements: false,
    };
    set(&mut database);
    let place = Backend::Database(Box::new(database));
    Store::open(&Options::at(place, Duration::from_secs(deadline)))
}

/// The store's sessions in this database that wait for a lock; not the one that compacts the writers after the start.
fn waiting(cluster: &Cluster, database: &str) -> Vec<Vec<String>> {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND wait_event_type = 'Lock' AND \
         application_name = 'virksomhedslogin' AND query NOT LIKE 'DELETE FROM virksomhedslogin_writer%'"
    );
    cluster.sql("postgres", &sql)
}

#[test]
fn impatient_callers_start_no_further_probes() {
    let Some(cluster) = cluster() else { return };
    let database = cluster.create_database();
    let store = opened(&cluster.url(&database), 60, |_| ()).unwrap();
    now(store.ready()).unwrap();
    let lock = cluster.begin(&database, "LOCK TABLE virksomhedslogin_writer IN EXCLUSIVE MODE");
    for _ in 0..6 {
        let asked = now(async { tokio::time::timeout(Duration::from_millis(100), store.ready()).await });
        assert!(asked.is_err(), "{asked:?}");
    }
    assert!(wait_until(TIMEOUT, || !waiting(&cluster, &database).is_empty()), "it waits");
    assert_eq!(waiting(&cluster, &database).len(), 1, "one probe at a time");
    lock.commit();
    now(store.ready()).unwrap();
}

#[test]
fn the_third_host_is_found_at_the_start_when_two_are_silent() {
    let Some(cluster) = cluster() else { return };
    // They take connections, and say nothing.
    let silent = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = [0, 1].map(|at: usize| silent[at].local_addr().unwrap().port());
    let url = format!(
        "postgresql://{ROLE}:{PASSWORD_IN_URL}@127.0.0.1:{one},127.0.0.1:{two},127.0.0.1:{}/{}",
        cluster.port,
        cluster.create_database()
    );
    let store = opened(&url, 12, |_| ()).unwrap();
    assert!(wait_until(TIMEOUT, || store.unavailable().is_none()), "{:?}", store.unavailable());
    write(&store, 7, 5);
}

#[test]
fn prepared_statements_survive_a_change_of_the_tables() {
    let Some(cluster) = cluster() else { return };
    let database = cluster.create_database();
    let store = opened(&cluster.url(&database), 5, |database| database.prepared_statements = true).unwrap();
    let use_it = || {
        // Several at once, and before anything else: whichever connection a list comes to has read one before.
        let lists = [(); 3].map(|()| store.list_blocking().unwrap());
        for list in lists {
            assert_eq!(read(list).len(), 1);
        }
        assert!(get(&store, 7).is_some());
        write(&store, 7, 5);
    };
    write(&store, 7, 5);
    use_it();
    for table in
        ["virksomhedslogin_login ALTER COLUMN last_login", "virksomhedslogin_writer ALTER COLUMN latest"]
    {
        cluster.sql(&database, &format!("ALTER TABLE {table} TYPE timestamptz"));
        use_it();
    }
}

/// For a snapshot from before it, a table that is rewritten is empty.
#[test]
fn list_waiting_for_a_table_rewrite_shows_its_rows() {
    let Some(cluster) = cluster() else { return };
    let database = cluster.create_database();
    let store = opened(&cluster.url(&database), 60, |_| ()).unwrap();
    write(&store, 7, 5);
    let listed = version(&store);
    for (table, column) in [("virksomhedslogin_login", "last_login"), ("virksomhedslogin_writer", "latest")] {
        cluster.sql(&database, &format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE timestamptz"));
        let rewritten = format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE timestamptz(3)");
        let rewrite = cluster.begin(&database, &rewritten);
        let listing = std::thread::scope(|scope| {
            let listing = scope.spawn(|| store.list_blocking().unwrap());
            assert!(wait_until(TIMEOUT, || !waiting(&cluster, &database).is_empty()), "it waits");
            rewrite.commit();
            listing.join().unwrap()
        });
        assert!(listing.version().is_same_content(&listed), "{table}");
        assert_eq!(read(listing), [record(7, 5, 5)], "{table}");
    }
}

#[test]
fn list_idle_beyond_the_database_limit_is_cut_off_alone() {
    let Some(cluster) = cluster() else { return };
    let database = cluster.create_database();
    let timeout = "SET idle_in_transaction_session_timeout = '2s'";
    cluster.sql("postgres", &format!("ALTER DATABASE {database} {timeout}"));
    let store = opened(&cluster.url(&database), 5, |_| ()).unwrap();
    write(&store, 7, 5);
    let idle = store.list_blocking().unwrap();
    let ended = || cluster.log().contains("idle-in-transaction timeout");
    assert!(wait_until(TIMEOUT, ended), "{}", cluster.log());
    assert!(idle.read(|_| Ok::<_, ()>(())).is_err(), "it is not whole");
    assert!(store.unavailable().is_none());
    assert_eq!(read(store.list_blocking().unwrap()), [record(7, 5, 5)]);
}

#[test]
fn a_statement_that_is_sent_again_leaves_a_mark_of_its_own() {
    let Some(cluster) = cluster() else { return };
    let database = cluster.create_database();
    let store = opened(&cluster.url(&database), 60, |_| ()).unwrap();
    let lock = cluster.begin(&database, "LOCK TABLE virksomhedslogin_login IN EXCLUSIVE MODE");
    std::thread::scope(|scope| {
        scope.spawn(|| write(&store, 7, 5));
        let mut first = Vec::new();
        let is_waiting = || {
            first = waiting(&cluster, &database);
            !first.is_empty()
        };
        assert!(wait_until(TIMEOUT, is_waiting), "it waits");
        cluster.sql("postgres", &format!("SELECT pg_terminate_backend({})", first[0][0]));
        let is_sent_again = || waiting(&cluster, &database).iter().any(|session| *session != first[0]);
        assert!(wait_until(TIMEOUT, is_sent_again), "it is sent again");
        lock.commit();
    });
    let marks = cluster.sql(&database, "SELECT batch FROM virksomhedslogin_writer WHERE batch > 0");
    assert_eq!(marks.len(), 1);
    assert!(marks[0][0].parse::<u64>().unwrap() >= 2, "{marks:?}");
}

#[test]
fn unreadable_table_is_reported_as_forbidden_not_foreign() {
    let Some(cluster) = cluster() else { return };
    let database = cluster.create_database();
    let url = cluster.url(&database);
    drop(opened(&url, 5, |_| ()).unwrap());
    let role = format!("half_{:08x}", fastrand::u32(..));
    cluster.sql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
    for (table, lacking) in [("login", "schema"), ("schema", "writer")] {
        cluster
            .sql(&database, &format!("GRANT SELECT, INSERT, UPDATE ON virksomhedslogin_{table} TO {role}"));
        let refused = opened(&cluster.url_as(&role, PASSWORD_IN_URL, &database), 5, |_| ()).unwrap_err();
        assert!(matches!(refused, OpenError::Forbidden { .. }), "{refused}");
        assert!(refused.to_string().contains(&format!("virksomhedslogin_{lacking}")), "{refused}");
    }
}

#[test]
fn old_writer_rows_are_merged_into_one_without_loss() {
    let Some(cluster) = cluster() else { return };
    let database = cluster.create_database();
    let store = opened(&cluster.url(&database), 5, |_| ()).unwrap();
    for at in 0..5 {
        write(&store, 7, at);
    }
    store.import([record(8, 1, 9)], |_| ()).unwrap();
    let (before, sequence) = (version(&store), store.list_blocking().unwrap().sequence());
    cluster.sql(&database, "UPDATE virksomhedslogin_writer SET written = written - INTERVAL '8 days'");
    let second = opened(&cluster.url(&database), 5, |_| ()).unwrap();
    let marks = || cluster.sql(&database, "SELECT id FROM virksomhedslogin_writer WHERE batch > 0");
    assert!(wait_until(TIMEOUT, || marks().len() == 1), "{:?}", marks());
    assert!(marks()[0][0].ends_with("/compacted"), "{:?}", marks());
    let after = version(&second);
    assert!(!after.is_same_content(&before), "never what it was before");
    for store in [&store, &second] {
        let listing = store.list_blocking().unwrap();
        assert_eq!(listing.sequence(), sequence);
        assert!(listing.version().is_same_content(&after));
        assert_eq!(listing.latest().unwrap().millis(), 9);
    }
    write(&store, 7, 10);
    assert!(!version(&second).is_same_content(&after));
}

#[test]
fn call_waiting_for_a_silent_host_goes_on_when_it_answers() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let store = opened(&cluster.url(&database), 15, |_| ()).unwrap();
    write(&store, 7, 5);
    // New connections are then needed.
    cluster.sql(
        "postgres",
        &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"),
    );
    cluster.signal_all(Signal::STOP);
    let back_for = std::thread::scope(|scope| {
        let written = scope.spawn(|| {
            write(&store, 8, 5);
            Instant::now()
        });
        std::thread::sleep(Duration::from_secs(4));
        cluster.signal_all(Signal::CONT);
        let back = Instant::now();
        written.join().unwrap().saturating_duration_since(back)
    });
    assert!(back_for < Duration::from_secs(5), "{back_for:?}");
}
