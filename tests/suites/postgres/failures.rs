//! A statement that fails: what is sent again, and what it leaves behind for others.

use std::time::Duration;

use crate::suites::postgres::instances::{Caller, fixture};
use crate::support::cluster::{Cluster, ROLE, wait_until};

#[test]
fn canceled_statements_are_sent_again() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve();
    let caller = &Caller::of(&service);
    assert_eq!(caller.put("12345678"), 204);
    std::thread::scope(|scope| {
        let lock = cluster.begin(&database, "LOCK TABLE virksomhedslogin_login IN ACCESS EXCLUSIVE MODE");
        let write = scope.spawn(|| caller.put("12345678"));
        let read = scope.spawn(|| caller.get("12345678"));
        let cancel = format!(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}' AND wait_event_type = 'Lock'"
        );
        let mut canceled = 0;
        let canceled_both = wait_until(Duration::from_secs(15), || {
            canceled += cluster.sql("postgres", &cancel).len();
            canceled >= 4
        });
        lock.commit();
        assert!(canceled_both, "{canceled} statements were canceled");
        assert_eq!((write.join().unwrap(), read.join().unwrap()), (204, 200));
    });
}

/// Raises this error at the first three tries; a sequence is not rolled back.
fn fail_three_times(cluster: &Cluster, database: &str, sqlstate: &str) {
    let sql = format!(
        "DROP SEQUENCE IF EXISTS tries; CREATE SEQUENCE tries; GRANT ALL ON SEQUENCE tries TO {ROLE};
         CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('tries') <= 3 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '{sqlstate}'; END IF;
             RETURN NEW;
         END $$;
         CREATE OR REPLACE TRIGGER fails BEFORE INSERT ON virksomhedslogin_login
         FOR EACH ROW EXECUTE FUNCTION fails()"
    );
    cluster.sql(database, &sql);
}

#[test]
fn errors_that_pass_are_retried_within_the_deadline() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve();
    for (number, sqlstate) in ["57014", "55P03", "53200", "53400", "58030"].iter().enumerate() {
        fail_three_times(&cluster, &database, sqlstate);
        assert_eq!(service.put(&format!("1234567{number}")).unwrap(), 204, "{sqlstate}\n{}", service.log());
        assert_eq!(cluster.sql(&database, "SELECT last_value FROM tries"), [["4"]], "{sqlstate}");
    }
}

#[test]
fn failed_tidying_leaves_no_transaction_open() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    drop(fixture.serve());
    let raises = "CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;";
    let old = "INSERT INTO virksomhedslogin_writer VALUES ('old', 1, NULL, now() - INTERVAL '8 days')";
    let trigger = "CREATE TRIGGER raises BEFORE DELETE ON virksomhedslogin_writer FOR EACH ROW EXECUTE FUNCTION raises()";
    cluster.sql(&database, &format!("{raises} {old}; {trigger}"));
    let service = fixture.serve();
    assert!(wait_until(Duration::from_secs(5), || service.log().contains("not today")), "{}", service.log());
    let open = format!(
        "SELECT state FROM pg_stat_activity WHERE usename = '{ROLE}' AND state LIKE 'idle in transaction%'"
    );
    assert!(
        wait_until(Duration::from_secs(5), || cluster.sql("postgres", &open).is_empty()),
        "a transaction is open"
    );
    assert_eq!(service.put("12345678").unwrap(), 204);
}

#[test]
fn unreadable_row_fails_its_own_look_up_alone() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve();
    assert_eq!(service.put("12345678").unwrap(), 204);
    cluster.sql(
        &database,
        "ALTER TABLE virksomhedslogin_login DROP CONSTRAINT virksomhedslogin_login_last_login_check",
    );
    cluster.sql(&database, "INSERT INTO virksomhedslogin_login VALUES (87654321, now(), 'infinity')");
    let caller = &Caller::of(&service);
    std::thread::scope(|scope| {
        let lookups = ["12345678", "87654321"].map(|cvr| {
            std::array::from_fn::<_, 8, _>(|_| {
                scope.spawn(move || (0..50).map(|_| caller.get(cvr)).collect::<Vec<_>>())
            })
        });
        let [readable, unreadable] =
            lookups.map(|threads| threads.map(|thread| thread.join().unwrap()).concat());
        assert!(readable.iter().all(|status| *status == 200), "{readable:?}");
        assert!(unreadable.iter().all(|status| *status == 503), "{unreadable:?}");
    });
}
