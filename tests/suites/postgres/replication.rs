//! A commit whose wait for the synchronous standby was canceled: the server has it, the standby may not, so it is no 204.

use std::time::{Duration, Instant};

use crate::suites::postgres::instances::{Caller, fixture};
use crate::support::cluster::{Cluster, ROLE, wait_until};

/// Longer than the standby is down, so that every write can still succeed.
const DEADLINE: (&str, &str) = ("VIRKSOMHEDSLOGIN__STORE__DEADLINE_SECONDS", "40");
const STANDBY_AWAY: Duration = Duration::from_secs(2);
const WRITERS: usize = 4;

/// Ends the wait of every session of ours that waits for the standby, with this function; returns how many did.
fn end_waits(primary: &Cluster, function: &str) -> usize {
    let sql = format!(
        "SELECT {function}(pid) FROM pg_stat_activity WHERE usename = '{ROLE}' AND wait_event = 'SyncRep'"
    );
    primary.sql("postgres", &sql).len()
}

/// Writers wait for a standby that is down while their sessions are canceled: each is acknowledged only when the
/// standby is back and has its login.
fn assert_no_early_204(function: &str, prepared: &str) {
    let Some(primary) = Cluster::start(&["fsync=off"]) else { return };
    let standby = primary.standby("second");
    let database = primary.create_database();
    let fixture = fixture(&primary.url(&database));
    let service = fixture.serve_with(&[DEADLINE, ("VIRKSOMHEDSLOGIN__STORE__PREPARED_STATEMENTS", prepared)]);
    assert_eq!(service.put("11111110").unwrap(), 204);
    standby.pause();
    let caller = &Caller::of(&service);
    let (answers, resumed, ended) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let cvr = format!("{:08}", 11_111_110 + number);
                scope.spawn(move || (caller.put(&cvr), Instant::now()))
            })
            .collect();
        let (began, mut ended) = (Instant::now(), 0);
        while began.elapsed() < STANDBY_AWAY || (ended == 0 && began.elapsed() < STANDBY_AWAY * 5) {
            ended += end_waits(&primary, function);
            std::thread::sleep(Duration::from_millis(50));
        }
        let resumed = Instant::now();
        standby.resume();
        let answers: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        (answers, resumed, ended)
    });
    assert!(ended > 0, "{function}: no session waited for the standby");
    for (status, at) in &answers {
        let early = resumed.saturating_duration_since(*at);
        assert!(
            *status == 204 && early.is_zero(),
            "{function}: {status}, {early:?} before the standby was back"
        );
    }
    let count = || standby.sql(&database, "SELECT count(*) FROM virksomhedslogin_login")[0][0].clone();
    assert!(wait_until(Duration::from_secs(20), || count() == WRITERS.to_string()), "{}", count());
    eprintln!("{function}: {ended} waits ended, no acknowledgement before the standby was back");
}

#[test]
fn canceled_replication_wait_is_not_acknowledged() {
    assert_no_early_204("pg_cancel_backend", "false");
}

#[test]
fn terminated_replication_wait_is_not_acknowledged() {
    assert_no_early_204("pg_terminate_backend", "true");
}
