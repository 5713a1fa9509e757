//! Tables that look like ours and do not take our statements: `check`, the start and `/readyz` say so, since they try them.

use std::time::Duration;

use crate::suites::postgres::instances::{SHORT_DEADLINE, fixture, until_ready};
use crate::suites::postgres::refusals::assert_refused;
use crate::support::cluster::{Cluster, PASSWORD, PASSWORD_IN_URL, ROLE, wait_until};

const SERVICE: &str = "virksomhedslogin";
const IN_TIME: Duration = Duration::from_secs(20);

/// What is done to the tables, what takes it back, the exit code and a word of the reason.
struct Change {
    sql: &'static str,
    undo: &'static str,
    code: i32,
    reason: &'static str,
}

const CHANGES: [Change; 8] = [
    Change {
        sql: "ALTER TABLE virksomhedslogin_login DROP CONSTRAINT virksomhedslogin_login_pkey",
        undo: "ALTER TABLE virksomhedslogin_login ADD PRIMARY KEY (cvr_number)",
        code: 3,
        reason: "42P10",
    },
    Change {
        sql: "ALTER TABLE virksomhedslogin_writer DROP CONSTRAINT virksomhedslogin_writer_pkey",
        undo: "ALTER TABLE virksomhedslogin_writer ADD PRIMARY KEY (id)",
        code: 3,
        reason: "42P10",
    },
    Change {
        sql: "ALTER TABLE virksomhedslogin_login ADD COLUMN more int4 NOT NULL DEFAULT 0;
              ALTER TABLE virksomhedslogin_login ALTER COLUMN more DROP DEFAULT",
        undo: "ALTER TABLE virksomhedslogin_login DROP COLUMN more",
        code: 3,
        reason: "23502",
    },
    Change {
        sql: "ALTER TABLE virksomhedslogin_login ENABLE ROW LEVEL SECURITY",
        undo: "ALTER TABLE virksomhedslogin_login DISABLE ROW LEVEL SECURITY",
        code: 1,
        reason: "42501",
    },
    Change {
        sql: "CREATE RULE nothing AS ON INSERT TO virksomhedslogin_login DO INSTEAD NOTHING",
        undo: "DROP RULE nothing ON virksomhedslogin_login",
        code: 3,
        reason: "0A000",
    },
    Change {
        sql: "CREATE TRIGGER raises BEFORE INSERT OR UPDATE ON virksomhedslogin_login
              FOR EACH ROW EXECUTE FUNCTION raises()",
        undo: "DROP TRIGGER raises ON virksomhedslogin_login",
        code: 3,
        reason: "not today",
    },
    Change {
        sql: "CREATE TRIGGER swallows BEFORE INSERT OR UPDATE ON virksomhedslogin_login
              FOR EACH ROW EXECUTE FUNCTION swallows()",
        undo: "DROP TRIGGER swallows ON virksomhedslogin_login",
        code: 3,
        reason: "does not keep",
    },
    Change {
        sql: "REVOKE UPDATE (last_login), UPDATE ON virksomhedslogin_login FROM virksomhedslogin",
        undo: "GRANT UPDATE ON virksomhedslogin_login TO virksomhedslogin",
        code: 1,
        reason: "UPDATE",
    },
];

const FUNCTIONS: &str = "\
CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
CREATE FUNCTION swallows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;";

#[test]
fn tables_that_refuse_a_login_are_reported_before_a_call() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    drop(fixture(&cluster.url(&database)).serve());
    cluster.sql("postgres", &format!("CREATE ROLE {SERVICE} LOGIN PASSWORD '{PASSWORD}'"));
    let granted = "SELECT, INSERT, UPDATE, DELETE";
    let rights = ["login", "writer", "schema"]
        .map(|table| format!("GRANT {granted} ON virksomhedslogin_{table} TO {SERVICE};"));
    cluster.sql(&database, &format!("SET ROLE {ROLE}; {} RESET ROLE; {FUNCTIONS}", rights.concat()));
    let fixture = fixture(&cluster.url_as(SERVICE, PASSWORD_IN_URL, &database));
    let service = fixture.serve_with(&[SHORT_DEADLINE]);
    assert_eq!(service.put("12345678").unwrap(), 204);
    let rows = || cluster.sql(&database, "SELECT count(*) FROM virksomhedslogin_login")[0][0].clone();
    for Change { sql, undo, code, reason } in CHANGES {
        cluster.sql(&database, sql);
        assert_refused(sql, &fixture, &[], code, &[reason]);
        assert!(
            wait_until(IN_TIME, || service.management("/readyz").0 == 503),
            "{sql}: ready\n{}",
            service.log()
        );
        cluster.sql(&database, undo);
        until_ready(&service, IN_TIME);
        assert_eq!(service.put("12345678").unwrap(), 204, "{undo}");
        assert_eq!(rows(), "1", "{sql}: what was tried is not kept");
    }
}

#[test]
fn reads_go_on_while_a_table_is_locked_against_writes() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve_with(&[SHORT_DEADLINE]);
    assert_eq!(service.put("12345678").unwrap(), 204);
    let lock = cluster.begin(&database, "LOCK TABLE virksomhedslogin_login IN SHARE MODE");
    assert!(wait_until(IN_TIME, || service.management("/readyz").0 == 503), "the write was tried");
    assert_eq!(service.put("12345678").unwrap(), 503);
    let until = std::time::Instant::now() + Duration::from_secs(3);
    while std::time::Instant::now() < until {
        assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200, "{}", service.log());
    }
    lock.commit();
    until_ready(&service, IN_TIME);
}
