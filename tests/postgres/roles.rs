//! The service under a role that may do nothing but what `docs/POSTGRES.md` grants it.

use crate::fleet::{Fleet, command, done};
use crate::history::History;
use crate::load::Load;
use crate::postgres::{self, Cluster, Durability, PASSWORD, PASSWORD_IN_URL, ROLE};
use crate::site::listed;

use std::time::Duration;

/// The role of the manual's grants.
const SERVICE: &str = "virksomhedslogin";

/// The SQL of the manual that begins with these words.
fn documented(words: &str) -> &'static str {
    let manual = include_str!("../../docs/POSTGRES.md");
    let blocks = manual.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.into_iter().find(|block| block.starts_with(words)).expect("the manual prints it")
}

#[test]
fn the_rights_that_are_documented_are_enough_and_none_of_them_makes_tables() {
    if !postgres::available() {
        return;
    }
    let cluster = Cluster::start(Durability::Quick);
    let database = cluster.create_database();
    cluster.sql(&database, &format!("SET ROLE {ROLE}; {}", documented("CREATE TABLE")));
    cluster.sql("postgres", &format!("CREATE ROLE {SERVICE} LOGIN PASSWORD '{PASSWORD}'"));
    cluster.sql(&database, documented("GRANT SELECT"));
    let denied =
        cluster.try_sql(&database, &format!("SET ROLE {SERVICE}; CREATE TABLE more (a int)")).unwrap_err();
    assert!(denied.contains("permission denied"), "{denied}");
    let denied = cluster
        .try_sql(&database, &format!("SET ROLE {SERVICE}; DELETE FROM virksomhedslogin_login"))
        .unwrap_err();
    assert!(denied.contains("permission denied"), "{denied}");

    let url = cluster.url_as(SERVICE, PASSWORD_IN_URL, &database);
    // Where nothing is missing, `create_schema` needs no rights either.
    for create in ["false", "true"] {
        let fleet = Fleet::start_with(&url, 1, &[("VIRKSOMHEDSLOGIN__STORE__CREATE_SCHEMA", create)]);
        let mut history = History::default();
        let load = Load::start(&fleet, &history, 8, 4);
        assert!(load.wait_for(100, Duration::from_secs(15)), "the writers write");
        let answers = load.finish(&fleet, &mut history);
        assert!(!answers.keys().any(|answer| answer.ends_with("503")), "{answers:?}");
        let found = listed(fleet.running().next().unwrap());
        if create == "false" {
            history.assert(&found, "create_schema = false");
        }
        let exported = done(command(&fleet.site, &["export"]));
        assert_eq!(exported.lines().count(), found.len() + 1);
        fleet.site.write("again.ndjson", &exported);
        let file = fleet.site.path("again.ndjson").display().to_string();
        let imported = done(command(&fleet.site, &["import", &file]));
        assert_eq!(imported, format!("read: {}\nskipped: 0\nchanged: 0\n", found.len()));
        done(command(&fleet.site, &["verify"]));
        done(command(&fleet.site, &["check"]));
    }
}
