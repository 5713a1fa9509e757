//! A row that somebody else has locked delays its own company, and the others for less than a second.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::suites::postgres::instances::{Caller, command, done, fixture};
use crate::suites::postgres::pgbouncer::Bouncer;
use crate::support::cluster::Cluster;
use crate::support::logins::listed;
use crate::support::transaction::Transaction;

/// Shorter than the fixture's deadline, so that the locked companies are recorded in the end.
const LOCK_HELD: Duration = Duration::from_secs(5);
/// How long a write may wait for the lock on another company's row.
const OTHERS_WAIT: Duration = Duration::from_secs(1);
/// Half of the time for which the lock is held: longer than any write waits.
const NONE_WAITS: Duration = Duration::from_millis(2_500);
/// A row that is there, and one that the lock's owner is just inserting.
const LOCKED: [&str; 2] = ["50000000", "50000001"];
const WRITERS: u32 = 16;
/// How often a batch of all writers is sent until every half of it is through.
const HALVES: u32 = 2 * WRITERS.ilog2();

/// Locks the rows; they are held for [`LOCK_HELD`].
fn lock_rows(cluster: &Cluster, database: &str) -> Transaction {
    let [known, new] = LOCKED;
    let statements = format!(
        "SELECT 1 FROM virksomhedslogin_login WHERE cvr_number = {known} FOR UPDATE;
         INSERT INTO virksomhedslogin_login VALUES ({new}, now(), now())"
    );
    cluster.begin(database, &statements)
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

/// All were recorded: one in a hundred may be late on a busy machine, and none waited for half of the lock's time. Adds what
/// this machine takes longer, by the usual time of an answer.
fn assert_others_in_time(name: &str, answers: &[(u16, Duration)], slower: impl Fn(Duration) -> Duration) {
    assert!(answers.iter().all(|(status, _)| *status == 204), "{name}: another company's write failed");
    let mut took: Vec<_> = answers.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let (usual, late, slowest) = (at(50), at(99), at(100));
    eprintln!("{name}: {} other writes, usually {usual:.2?}, the slowest {slowest:.2?}", took.len());
    let slower = slower(usual);
    assert!(
        late <= OTHERS_WAIT + slower && slowest <= NONE_WAITS + slower,
        "{name}: other companies waited {late:?}, one {slowest:?}; {slower:?} is this machine's"
    );
}

fn assert_others_go_on(name: &str, cluster: &Cluster, url: &str, database: &str, prepared: &str) {
    let fixture = fixture(url);
    let service = fixture.serve_with(&[("VIRKSOMHEDSLOGIN__STORE__PREPARED_STATEMENTS", prepared)]);
    assert_eq!(service.put(LOCKED[0]).unwrap(), 204);
    let (caller, over) = (&Caller::of(&service), &AtomicBool::new(false));
    let (others, locked, stall) = std::thread::scope(|scope| {
        let stall = scope.spawn(|| longest_stall(over));
        let (lock, began) = (lock_rows(cluster, database), Instant::now());
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
        std::thread::sleep(LOCK_HELD.saturating_sub(began.elapsed()));
        lock.commit();
        let locked: Vec<_> = locked.into_iter().map(|call| call.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        let others: Vec<_> = others.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        (others, locked, stall.join().unwrap())
    });
    eprintln!("{name}: locked {locked:.2?}");
    // A batch with a locked row is sent in halves, and each of them takes as long as a write does on this machine now.
    assert_others_in_time(name, &others, |usual| stall + usual * HALVES);
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
    let service = fixture.serve();
    let rows = format!(
        "INSERT INTO virksomhedslogin_login SELECT n, now(), now() FROM generate_series(0, {}) n",
        CALLS - 1
    );
    cluster.sql(&database, &rows);
    let caller = &Caller::of(&service);
    let at_once = || -> Vec<_> {
        std::thread::scope(|scope| {
            let call = |number: usize| scope.spawn(move || timed_put(caller, &format!("{number:08}")));
            let calls: Vec<_> = (0..CALLS).map(call).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        })
    };
    let unlocked = at_once().into_iter().map(|(_, took)| took).max().unwrap();
    let over = AtomicBool::new(false);
    let (answers, stall) = std::thread::scope(|scope| {
        let rows =
            format!("SELECT 1 FROM virksomhedslogin_login WHERE cvr_number % {LOCKED_ONE_IN} = 0 FOR UPDATE");
        let lock = cluster.begin(&database, &rows);
        let stall = scope.spawn(|| longest_stall(&over));
        scope.spawn(|| {
            std::thread::sleep(LOCK_HELD);
            lock.commit();
        });
        let answers = at_once();
        over.store(true, Ordering::Relaxed);
        (answers, stall.join().unwrap())
    });
    let (locked, others): (Vec<_>, Vec<_>) =
        answers.into_iter().enumerate().partition(|(number, _)| number % LOCKED_ONE_IN == 0);
    assert!(locked.iter().all(|(_, (status, _))| *status == 204), "{locked:?}");
    let others: Vec<_> = others.into_iter().map(|(_, answer)| answer).collect();
    // All are sent once more in halves, at this machine's speed.
    assert_others_in_time("a large batch", &others, |_| stall + unlocked * 2);
}

#[test]
fn import_waits_for_a_locked_row_and_delays_no_login() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve();
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
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        let lock = lock_rows(&cluster, &database);
        let import = scope.spawn(|| done(command(&fixture, &["import", &file])));
        let stall = scope.spawn(|| longest_stall(over));
        let (caller, began, mut answers) = (Caller::of(&service), Instant::now(), Vec::new());
        while began.elapsed() < LOCK_HELD {
            answers.push(timed_put(&caller, "40000000"));
        }
        over.store(true, Ordering::Relaxed);
        lock.commit();
        let stall = stall.join().unwrap();
        assert_others_in_time("beside an import that waits for a lock", &answers, |_| stall);
        assert_eq!(import.join().unwrap(), "read: 2\nskipped: 0\nchanged: 2\n");
    });
}
