//! Tables that are partly there, as a database without transactions for them (CockroachDB, YugabyteDB) leaves them while
//! they are being made, or when that was interrupted.

use std::time::Duration;

use crate::fleet::{command, done, ready, site, until_ready};
use crate::postgres::{self, Cluster, Durability, ROLE};
use crate::process::stdout;
use crate::refusals::assert_refused;
use crate::site::serve;

const CHECK_ONLY: (&str, &str) = ("VIRKSOMHEDSLOGIN__STORE__CREATE_SCHEMA", "false");

/// The statements of the manual that make the tables, in their order.
fn statements() -> Vec<&'static str> {
    let manual = include_str!("../../docs/POSTGRES.md");
    let block = manual.split("```sql\n").find(|block| block.starts_with("CREATE TABLE")).unwrap();
    let statements = block.split("```").next().unwrap().split_inclusive(';');
    statements.filter(|statement| !statement.trim().is_empty()).collect()
}

fn run(cluster: &Cluster, database: &str, statement: &str) {
    cluster.sql(database, &format!("SET ROLE {ROLE}; {statement}"));
}

#[test]
fn interrupted_creation_is_completed() {
    if !postgres::available() {
        return;
    }
    let cluster = Cluster::start(Durability::Quick);
    for made in 1..statements().len() {
        let database = cluster.create_database();
        statements()[..made].iter().for_each(|statement| run(&cluster, &database, statement));
        let site = site(&cluster.url(&database));
        let told = done(command(&site, &["check"]));
        assert!(told.contains("will be made"), "{made}: {told}");
        let service = serve(&site, &[]);
        until_ready(&service, Duration::from_secs(5));
        assert_eq!(service.put("12345678").unwrap(), 204, "{made}");
    }
}

#[test]
fn creation_by_somebody_else_is_waited_for() {
    if !postgres::available() {
        return;
    }
    let cluster = Cluster::start(Durability::Quick);
    let database = cluster.create_database();
    let site = site(&cluster.url(&database));
    let (first, rest) = statements().split_first().map(|(first, rest)| (*first, rest.to_vec())).unwrap();
    run(&cluster, &database, first);
    let service = serve(&site, &[CHECK_ONLY]);
    let (status, text) = ready(&service);
    assert!(status == 503 && text.contains("virksomhedslogin_writer"), "{status} {text}");
    let mut check = command(&site, &["check"]);
    check.envs([CHECK_ONLY]);
    let output = crate::fleet::ended(check);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("virksomhedslogin_writer"), "{}", stdout(&output));
    for statement in rest {
        assert_eq!(ready(&service).0, 503);
        run(&cluster, &database, statement);
    }
    until_ready(&service, Duration::from_secs(5));
    assert_eq!(service.put("12345678").unwrap(), 204);
}

/// Half of the tables because the rest was taken away is no interrupted creation: no empty table takes the place of logins.
#[test]
fn table_that_was_taken_away_is_not_created_again() {
    if !postgres::available() {
        return;
    }
    let cluster = Cluster::start(Durability::Quick);
    let database = cluster.create_database();
    let site = site(&cluster.url(&database));
    let service = serve(&site, &[]);
    assert_eq!(service.put("12345678").unwrap(), 204);
    drop(service);
    for take in
        ["ALTER TABLE virksomhedslogin_login RENAME TO elsewhere", "DROP TABLE virksomhedslogin_schema"]
    {
        cluster.sql(&database, take);
        assert_refused(take, &site, &[], 3, &["virksomhedslogin_login"]);
        let tables = cluster.sql(&database, "SELECT to_regclass('virksomhedslogin_login')::text");
        assert_eq!(tables, [[""]], "{take}");
    }
}
