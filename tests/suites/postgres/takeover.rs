//! Tables of an older build, taken over by this one while the old one still runs, and additions of a later build: the rules
//! of docs/POSTGRES.md.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::suites::postgres::erasure::poll;
use crate::suites::postgres::instances::{Caller, Instances, command, done, fixture, until_ready};
use crate::suites::postgres::refusals::assert_refused;
use crate::support::cluster::{Cluster, ROLE};
use crate::support::list_copy::{ListCopy, Statuses};
use crate::support::logins::listed;
use crate::support::process::Service;

const FIRST: &str = include_str!("../../fixtures/postgres/first_build.sql");
const STATEMENTS: &str = include_str!("../../fixtures/postgres/first_build_statements.sql");

/// The database, and the first build beside the present one: its statements.
struct FirstBuild<'a> {
    cluster: &'a Cluster,
    database: String,
    batch: AtomicU32,
}

impl<'a> FirstBuild<'a> {
    /// A database as the first build leaves it.
    fn new(cluster: &'a Cluster) -> Self {
        let database = cluster.create_database();
        cluster.sql(&database, &format!("SET ROLE {ROLE}; {FIRST}"));
        Self { cluster, database, batch: AtomicU32::new(0) }
    }

    /// Executes one of its statements, as it does: on a transaction of its own.
    fn execute(&self, statement: &str) -> Vec<Vec<String>> {
        self.cluster
            .sql(&self.database, &format!("SET ROLE {ROLE}; {STATEMENTS} COMMIT; EXECUTE {statement}"))
    }

    /// Records a login of now; returns how many companies changed.
    fn record(&self, company: u32) -> String {
        let batch = self.batch.fetch_add(1, Ordering::Relaxed) + 1;
        let now = "ARRAY[date_trunc('milliseconds', clock_timestamp())]";
        let record = format!("record(ARRAY[{company}], {now}, {now}, '0190-first/0', {batch})");
        self.execute(&record)[0][0].clone()
    }

    /// Companies that its list has, page by page.
    fn listed(&self) -> Vec<u32> {
        let (mut all, mut after) = (Vec::new(), -1_i64);
        loop {
            let page = self.execute(&format!("next_page({after}, 2)"));
            all.extend(page.iter().map(|row| row[0].parse::<u32>().unwrap()));
            match page.len() {
                2 => after = i64::from(*all.last().unwrap()),
                _ => return all,
            }
        }
    }
}

/// Both builds record and read what the other one recorded, and a copy kept by what changed misses nothing of either.
fn assert_side_by_side(first: &FirstBuild<'_>, service: &Service, copy: &mut ListCopy, companies: [u32; 2]) {
    let mut statuses = Statuses::new();
    let [old, new] = companies;
    copy.is_right(service, &mut statuses, "before");
    assert_eq!(first.record(old), "1");
    assert_eq!(service.get(&format!("/v1/Login?cvrNummer={old:08}")).0, 200);
    copy.is_right(service, &mut statuses, "after the first build's login");
    assert_eq!(service.put(&format!("{new:08}")).unwrap(), 204);
    assert_eq!(first.execute(&format!("look_up(ARRAY[{new}])")).len(), 1);
    copy.is_right(service, &mut statuses, "after the present build's login");
    assert!(statuses[&226] >= 2, "{statuses:?}");
    assert_eq!(first.execute("probe('0190-first/probe')"), [["1", ""]]);
    assert_eq!(first.listed(), listed(service).into_keys().collect::<Vec<_>>());
    let marks = first.execute("marks");
    assert!(marks.iter().any(|row| row[0] == "0190-first/0") && marks.len() >= 2, "{marks:?}");
}

#[test]
fn first_tables_are_taken_over_while_the_build_that_made_them_runs() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let first = FirstBuild::new(&cluster);
    assert_eq!((first.record(7), first.listed()), ("1".to_owned(), vec![0, 7, 12_345_678, 99_999_999]));
    let kept = "SELECT * FROM virksomhedslogin_login WHERE cvr_number <> 7 ORDER BY 1";
    let before = cluster.sql(&first.database, kept);
    let (stop, fixture) = (AtomicBool::new(false), fixture(&cluster.url(&first.database)));
    let until = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        // The take-over under load, which ends by itself when the test fails.
        let load = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) && Instant::now() < until {
                assert_eq!(first.record(7), "1");
            }
        });
        let reported = done(command(&fixture, &["check"]));
        let service = fixture.serve();
        until_ready(&service, Duration::from_secs(10));
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        assert_eq!(cluster.sql(&first.database, kept), before, "{reported}");
        assert_eq!(listed(&service).into_keys().collect::<Vec<_>>(), first.listed());
        let mut copy = ListCopy::default();
        assert_side_by_side(&first, &service, &mut copy, [8, 9]);
        // What a later build may add, and what it may not.
        cluster.sql(
            &first.database,
            &format!(
                "SET ROLE {ROLE};
                 ALTER TABLE virksomhedslogin_login ADD COLUMN added text NOT NULL DEFAULT '';
                 ALTER TABLE virksomhedslogin_writer ADD COLUMN added int8, ADD COLUMN more bool NOT NULL DEFAULT false;
                 ALTER TABLE virksomhedslogin_schema ADD COLUMN added int4 NOT NULL DEFAULT 2;
                 CREATE TABLE virksomhedslogin_added (id int4 NOT NULL PRIMARY KEY);
                 CREATE INDEX ON virksomhedslogin_login (last_login)"
            ),
        );
        done(command(&fixture, &["check"]));
        assert_side_by_side(&first, &service, &mut copy, [10, 11]);
    });
    cluster.sql(&first.database, "UPDATE virksomhedslogin_schema SET version = 2");
    assert_refused("tables of an incompatible build", &fixture, &[], 3, &["version 2"]);
}

/// A reader's tag from before an erasure is never continued, also when the first build, which knows of none, tidied up since.
#[test]
fn first_build_forgets_no_erasure() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let first = FirstBuild::new(&cluster);
    let instances = Instances::start(&cluster.url(&first.database), 1);
    let tag = poll(instances.running().next().unwrap(), "\"\"").1;
    done(command(&instances.fixture, &["erase", "12345678", "--yes"]));
    drop(instances);
    let age = "UPDATE virksomhedslogin_writer SET written = written - INTERVAL '8 days'";
    cluster.sql(&first.database, age);
    first.execute("fold('0190-first/folded')");
    let instances = Instances::start(&cluster.url(&first.database), 1);
    let service = instances.running().next().unwrap();
    assert_eq!(Caller::of(service).put("00000001"), 204);
    assert_eq!(poll(service, &tag).0, 200, "the reader would keep the erased company");
}
