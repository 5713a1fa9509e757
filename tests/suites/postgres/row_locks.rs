//! A row that somebody else has locked delays its own company, and the others for less than a second.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::suites::postgres::instances::{Caller, command, done, fixture};
use crate::suites::postgres::pgbouncer::Bouncer;
use crate::support::cluster::{Cluster, wait_until};
use crate::support::logins::listed;

/// Longer than the lock is held, so that the locked companies are recorded in the end.
const DEADLINE: (&str, &str) = ("VIRKSOMHEDSLOGIN__STORE__DEADLINE_SECONDS", "8");
const LOCK_HELD: Duration = Duration::from_secs(4);
/// The longest that a write may wait for the lock on another company's row.
const OTHERS_WAIT: Duration = Duration::from_secs(1);
/// A row that is there, and one that the lock's owner is just inserting.
const LOCKED: [&str; 2] = ["50000000", "50000001"];
const WRITERS: u32 = 16;
/// How often a batch of all writers is sent until every half of it is through.
const HALVES: u32 = 2 * WRITERS.ilog2();

/// Holds the rows for [`LOCK_HELD`]; says when it has them.
fn hold_locks(cluster: &Cluster, database: &str) {
    let [known, new] = LOCKED;
    let sql = format!(
        "BEGIN; SELECT 1 FROM virksomhedslogin_login WHERE cvr_number = {known} FOR UPDATE;
         INSERT INTO virksomhedslogin_login VALUES ({new}, now(), now());
         SELECT pg_sleep({}); COMMIT",
        LOCK_HELD.as_secs()
    );
    cluster.sql(database, &sql);
}

fn is_locked(cluster: &Cluster, database: &str) -> bool {
    let sql =
        format!("SELECT 1 FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'");
    !cluster.sql("postgres", &sql).is_empty()
}

/// How much longer than asked for a thread that sleeps and writes a page was kept waiting by a busy machine.
fn longest_stall(over: &AtomicBool) -> Duration {
    let (nap, mut longest) = (Duration::from_millis(5), Duration::ZERO);
    let mut file = tempfile::tempfile().unwrap();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        std::thread::sleep(nap);
        file.write_all(&[0; 8192]).unwrap();
        longest = longest.max(began.elapsed() - nap);
    }
    longest
}

/// Sends the write of a company; how long the answer took.
fn timed_put(caller: &Caller, cvr: &str) -> (u16, Duration) {
    let began = Instant::now();
    (caller.put(cvr), began.elapsed())
}

fn assert_others_go_on(name: &str, cluster: &Cluster, url: &str, database: &str, prepared: &str) {
    let fixture = fixture(url);
    let service = fixture.serve_with(&[DEADLINE, ("VIRKSOMHEDSLOGIN__STORE__PREPARED_STATEMENTS", prepared)]);
    assert_eq!(service.put(LOCKED[0]).unwrap(), 204);
    let (caller, over) = (&Caller::of(&service), &AtomicBool::new(false));
    let (others, locked, stall) = std::thread::scope(|scope| {
        let stall = scope.spawn(|| longest_stall(over));
        let lock = scope.spawn(|| hold_locks(cluster, database));
        assert!(
            wait_until(Duration::from_secs(5), || is_locked(cluster, database)),
            "{name}: nothing is locked"
        );
        let others: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let mut answers = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let cvr = 10_000_000 + writer * 100_000 + answers.len() as u32;
                        answers.push(timed_put(caller, &format!("{cvr:08}")));
                    }
                    answers
                })
            })
            .collect();
        let locked: Vec<_> = (0..6)
            .map(|number: usize| {
                std::thread::sleep(Duration::from_millis(300));
                scope.spawn(move || timed_put(caller, LOCKED[number % LOCKED.len()]))
            })
            .collect();
        lock.join().unwrap();
        let locked: Vec<_> = locked.into_iter().map(|call| call.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        let others: Vec<_> = others.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        (others, locked, stall.join().unwrap())
    });
    let mut took: Vec<_> = others.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    let (usual, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    eprintln!(
        "{name}: {} other writes, usually {usual:.2?}, the slowest {slowest:.2?}; locked {locked:.2?}",
        others.len()
    );
    assert!(others.iter().all(|(status, _)| *status == 204), "{name}: another company's write failed");
    // A batch with a locked row is sent in halves, and each of them takes as long as a write does on this machine now.
    let most = OTHERS_WAIT + stall + usual * HALVES;
    assert!(slowest <= most, "{name}: another company waited {slowest:?} of at most {most:?}");
    assert!(locked.iter().all(|(status, _)| *status == 204), "{name}: {locked:?}");
    assert_eq!(listed(&service).len(), others.len() + LOCKED.len(), "{name}");
}

#[test]
fn locked_row_delays_no_other_company() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    for prepared in ["false", "true"] {
        let database = cluster.create_database();
        let name = format!("prepared_statements = {prepared}");
        assert_others_go_on(&name, &cluster, &cluster.url(&database), &database, prepared);
    }
}

#[test]
fn locked_row_delays_no_other_company_behind_pgbouncer() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let Some(bouncer) = Bouncer::start(&cluster) else { return };
    let database = cluster.create_database();
    assert_others_go_on("PgBouncer", &cluster, &bouncer.url(&database), &database, "false");
}

#[test]
fn locked_rows_in_a_large_batch_delay_no_other_company() {
    const CALLS: usize = 300;
    const LOCKED_ONE_IN: usize = 100;
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve_with(&[DEADLINE]);
    let rows = format!(
        "INSERT INTO virksomhedslogin_login SELECT n, now(), now() FROM generate_series(0, {}) n",
        CALLS - 1
    );
    cluster.sql(&database, &rows);
    let caller = &Caller::of(&service);
    let answers: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            let lock = format!(
                "BEGIN; SELECT 1 FROM virksomhedslogin_login WHERE cvr_number % {LOCKED_ONE_IN} = 0 FOR UPDATE;
                 SELECT pg_sleep({}); COMMIT",
                LOCK_HELD.as_secs()
            );
            cluster.sql(&database, &lock);
        });
        assert!(wait_until(Duration::from_secs(5), || is_locked(&cluster, &database)));
        let call = |number: usize| scope.spawn(move || timed_put(caller, &format!("{number:08}")));
        let calls: Vec<_> = (0..CALLS).map(call).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|(status, _)| *status == 204), "{answers:?}");
    let others = answers.iter().enumerate().filter(|(number, _)| number % LOCKED_ONE_IN != 0);
    let slowest = others.map(|(_, (_, took))| *took).max().unwrap();
    eprintln!(
        "{CALLS} calls at once, one in {LOCKED_ONE_IN} locked: the slowest of the others {slowest:.2?}"
    );
    assert!(slowest <= OTHERS_WAIT, "another company waited {slowest:?}");
}

#[test]
fn import_waits_for_a_locked_row_and_delays_no_login() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve_with(&[DEADLINE]);
    // Before the locked row in the order in which an import takes its locks.
    for cvr in ["40000000", LOCKED[0]] {
        assert_eq!(service.put(cvr).unwrap(), 204);
    }
    fixture.write(
        "import.csv",
        &format!(
            "cvrNummer,tidligsteLoginTidspunkt,senesteLogintidspunkt\n\
             40000000,2020-01-01T00:00:00.000Z,2020-01-01T00:00:00.000Z\n\
             {},2020-01-01T00:00:00.000Z,2020-01-01T00:00:00.000Z\n",
            LOCKED[0]
        ),
    );
    let file = fixture.path("import.csv").display().to_string();
    std::thread::scope(|scope| {
        scope.spawn(|| hold_locks(&cluster, &database));
        assert!(wait_until(Duration::from_secs(5), || is_locked(&cluster, &database)));
        let import = scope.spawn(|| done(command(&fixture, &["import", &file])));
        let (caller, began, mut slowest) = (Caller::of(&service), Instant::now(), Duration::ZERO);
        while began.elapsed() < LOCK_HELD {
            let (status, took) = timed_put(&caller, "40000000");
            assert_eq!(status, 204);
            slowest = slowest.max(took);
        }
        eprintln!("beside an import that waits for a lock: the slowest login {slowest:.2?}");
        assert!(slowest <= OTHERS_WAIT, "a login waited {slowest:?}");
        assert_eq!(import.join().unwrap(), "read: 2\nskipped: 0\nchanged: 2\n");
    });
}
