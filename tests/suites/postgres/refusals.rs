//! What `serve` refuses to start with, and `check` reports beforehand in the same words.

use crate::suites::postgres::instances::{command, ended, fixture};
use crate::support::cluster::{Cluster, PASSWORD, PASSWORD_IN_URL, ROLE};

use crate::support::process::Fixture;

const WRONG: &str = "forkert-kodeord";

/// `check` and `serve` end with this code and say these words, and no password.
pub(super) fn assert_refused(
    name: &str,
    fixture: &Fixture,
    variables: &[(&str, &str)],
    code: i32,
    words: &[&str],
) {
    let reported = ["check", "serve"].map(|what| {
        let mut command = command(fixture, &[what]);
        command.envs(variables.iter().copied()).env("RUST_LOG", "trace");
        let output = ended(command);
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{name}: {what}: {text}");
        words.iter().for_each(|word| assert!(text.contains(word), "{name}: {what}: no {word} in {text}"));
        for secret in [PASSWORD, PASSWORD_IN_URL, WRONG] {
            assert!(!text.contains(secret), "{name}: {what}: the password in {text}");
        }
        text
    });
    let reason =
        reported[1].rsplit_once("error: ").unwrap_or_else(|| panic!("{name}: {}", reported[1])).1.trim();
    assert!(reported[0].contains(reason), "{name}: serve says\n{reason}\nand check\n{}", reported[0]);
    eprintln!("{name}: {reason}");
}

#[test]
fn a_database_that_does_not_let_in_is_told_with_exit_code_1() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let refused = |name: &str, url: &str, variables: &[(&str, &str)], words: &[&str]| {
        assert_refused(name, &fixture(url), variables, 1, words);
    };
    refused("wrong password", &cluster.url_as(ROLE, WRONG, &database), &[], &["28P01"]);
    refused("unknown role", &cluster.url_as("nobody", WRONG, &database), &[], &["28P01"]);
    refused("unknown database", &cluster.url("elsewhere"), &[], &["elsewhere", "3D000"]);
    let check_only = [("VIRKSOMHEDSLOGIN__STORE__CREATE_SCHEMA", "false")];
    refused("no tables", &cluster.url(&database), &check_only, &["tables", "store.create_schema"]);
    // Tables that may not be made are no tables.
    cluster.sql("postgres", &format!("CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'"));
    let guest = cluster.url_as("guest", PASSWORD_IN_URL, &database);
    refused("no right to make them", &guest, &[], &["may not create"]);
    let owner = fixture(&cluster.url(&database));
    drop(owner.serve());
    refused("no right to use them", &guest, &check_only, &["virksomhedslogin_schema", "grant"]);
}

#[test]
fn foreign_tables_are_exit_code_3_and_stay_as_they_are() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let foreign = [
        "CREATE TABLE virksomhedslogin_login (name text, visits int)",
        "CREATE TABLE virksomhedslogin_login (cvr_number int4 PRIMARY KEY, first_login timestamptz(3) NOT NULL)",
        "CREATE TABLE virksomhedslogin_schema (version int4); INSERT INTO virksomhedslogin_schema VALUES (999)",
    ];
    for statements in foreign {
        let database = cluster.create_database();
        cluster.sql(&database, &format!("SET ROLE {ROLE}; {statements}"));
        let tables = || {
            cluster.sql(
                &database,
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' \
                 ORDER BY 1, 2",
            )
        };
        let before = tables();
        assert_refused(statements, &fixture(&cluster.url(&database)), &[], 3, &["virksomhedslogin_"]);
        assert_eq!(tables(), before, "{statements}");
    }
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let mut service = fixture.serve();
    assert_eq!(service.put("12345678").unwrap(), 204);
    crate::support::logins::kill(&mut service);
    cluster.sql(&database, "UPDATE virksomhedslogin_schema SET version = 999");
    assert_refused("a later version", &fixture, &[], 3, &["999"]);
    for what in ["export", "verify"] {
        assert_eq!(ended(command(&fixture, &[what])).status.code(), Some(3), "{what}");
    }
    cluster.sql(&database, "UPDATE virksomhedslogin_schema SET version = 1");
    assert_eq!(fixture.serve().get("/v1/Login?cvrNummer=12345678").0, 200, "and nothing was touched");
}

#[test]
fn implausible_connection_string_is_exit_code_2() {
    let malformed = [
        ("a port that is none", "postgresql://{}@127.0.0.1:fem/logins"),
        ("an unknown parameter", "postgresql://{}@127.0.0.1/logins?sslmod=disable"),
        ("no connection string", "mysql://{}@127.0.0.1/logins"),
        ("TLS that may be turned off on the way", "postgresql://{}@db.example.dk/logins?sslmode=prefer"),
        (
            "a certificate that is not there",
            "postgresql://{}@db.example.dk/logins?sslrootcert=/nowhere/ca.pem",
        ),
    ];
    for (name, url) in malformed {
        let url = url.replace("{}", &format!("{ROLE}:{PASSWORD_IN_URL}"));
        assert_refused(name, &fixture(&url), &[], 2, &["store.url"]);
    }
}
