//! The service under a role that may do nothing but what `docs/POSTGRES.md` grants it.

use crate::suites::postgres::cluster_load::Load;
use crate::suites::postgres::instances::{Instances, command, done};
use crate::support::cluster::{Cluster, PASSWORD, PASSWORD_IN_URL, ROLE};
use crate::support::history::History;
use crate::support::logins::listed;

use std::time::Duration;

/// The role of the manual's grants.
const SERVICE: &str = "virksomhedslogin";

/// The SQL of the manual that begins with these words.
fn documented(words: &str) -> &'static str {
    let manual = include_str!("../../../docs/POSTGRES.md");
    let blocks = manual.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.into_iter().find(|block| block.starts_with(words)).expect("the manual prints it")
}

#[test]
fn documented_rights_suffice_and_create_no_tables() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
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
        let instances = Instances::start_with(&url, 1, &[("VIRKSOMHEDSLOGIN__STORE__CREATE_SCHEMA", create)]);
        let mut history = History::default();
        let load = Load::start(&instances, &history, 8, 4);
        assert!(load.wait_for(100, Duration::from_secs(15)), "the writers write");
        let answers = load.finish(&instances, &mut history);
        assert!(!answers.keys().any(|answer| answer.ends_with("503")), "{answers:?}");
        let found = listed(instances.running().next().unwrap());
        if create == "false" {
            history.assert(&found, "create_schema = false");
        }
        let exported = done(command(&instances.fixture, &["export"]));
        assert_eq!(exported.lines().count(), found.len() + 1);
        instances.fixture.write("again.ndjson", &exported);
        let file = instances.fixture.path("again.ndjson").display().to_string();
        let imported = done(command(&instances.fixture, &["import", &file]));
        assert_eq!(imported, format!("read: {}\nskipped: 0\nchanged: 0\n", found.len()));
        done(command(&instances.fixture, &["verify"]));
        done(command(&instances.fixture, &["check"]));
    }
}
