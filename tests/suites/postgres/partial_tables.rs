//! Tables that are partly there, as a database that commits each statement on its own leaves them while they
//! are being made, or when that was interrupted.

use std::time::Duration;

use crate::suites::postgres::instances::{command, done, fixture, until_ready};
use crate::suites::postgres::refusals::assert_refused;
use crate::support::cluster::{Cluster, ROLE};

const CHECK_ONLY: (&str, &str) = ("VIRKSOMHEDSLOGIN__STORE__CREATE_SCHEMA", "false");

/// The statements of the manual that make the tables, in their order.
fn statements() -> Vec<&'static str> {
    let manual = include_str!("../../../docs/POSTGRES.md");
    let block = manual.split("```sql\n").find(|block| block.starts_with("CREATE TABLE")).unwrap();
    let statements = block.split("```").next().unwrap().split_inclusive(';');
    statements.filter(|statement| !statement.trim().is_empty()).collect()
}

fn run(cluster: &Cluster, database: &str, statement: &str) {
    cluster.sql(database, &format!("SET ROLE {ROLE}; {statement}"));
}

#[test]
fn interrupted_creation_is_completed() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    for made in 1..statements().len() {
        let database = cluster.create_database();
        statements()[..made].iter().for_each(|statement| run(&cluster, &database, statement));
        let fixture = fixture(&cluster.url(&database));
        let reported = done(command(&fixture, &["check"]));
        assert!(reported.contains("will be made"), "{made}: {reported}");
        let service = fixture.serve();
        until_ready(&service, Duration::from_secs(30));
        assert_eq!(service.put("12345678").unwrap(), 204, "{made}");
    }
}

#[test]
fn creation_by_somebody_else_is_waited_for() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let (first, rest) = statements().split_first().map(|(first, rest)| (*first, rest.to_vec())).unwrap();
    run(&cluster, &database, first);
    let service = fixture.serve_with(&[CHECK_ONLY]);
    let (status, text) = service.management("/readyz");
    assert!(status == 503 && text.contains("virksomhedslogin_writer"), "{status} {text}");
    let mut check = command(&fixture, &["check"]);
    check.envs([CHECK_ONLY]);
    let printed = done(check);
    assert!(printed.contains("virksomhedslogin_writer"), "{printed}");
    for statement in rest {
        assert_eq!(service.management("/readyz").0, 503);
        run(&cluster, &database, statement);
    }
    until_ready(&service, Duration::from_secs(30));
    assert_eq!(service.put("12345678").unwrap(), 204);
}

/// Half of the tables because the rest was dropped is no interrupted creation: no empty table takes the place of logins.
#[test]
fn table_that_was_dropped_is_not_created_again() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve();
    assert_eq!(service.put("12345678").unwrap(), 204);
    drop(service);
    for take in
        ["ALTER TABLE virksomhedslogin_login RENAME TO elsewhere", "DROP TABLE virksomhedslogin_schema"]
    {
        cluster.sql(&database, take);
        assert_refused(take, &fixture, &[], 3, &["virksomhedslogin_login"]);
        let tables = cluster.sql(&database, "SELECT to_regclass('virksomhedslogin_login')::text");
        assert_eq!(tables, [[""]], "{take}");
    }
}
