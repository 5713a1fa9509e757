//! A disk that is full, fails, is removed or hangs, and a clock that is set back.
//!
//! Each time: writes get 507 or 503, reads go on, `/readyz` reports it, writes work again within ten seconds after the
//! cause is gone, and all acknowledged ones are there, also after a power cut.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::suites::durability::powercut::Forgetful;
use crate::suites::durability::restart::{metric, restarted};
use crate::support::history::{History, Load};
use crate::support::logins::{kill, listed};
use crate::support::process::{Fixture, Service};
use crate::support::run_length::long;

const BACK_WITHIN: Duration = Duration::from_secs(10);
/// The company of these tests' own calls, which the history leaves out.
const BESIDE: &str = "99999999";

/// Says so past the test runner, which keeps the words of a test that passes to itself.
fn left_out(what: &str) {
    let _ = writeln!(std::io::stderr(), "left out: {what}");
}

/// How many writes the store has refused with errors of this kind.
fn refused(service: &Service, kind: &str) -> f64 {
    metric(service, &format!("virksomhedslogin_store_errors_total{{operation=\"record\",kind=\"{kind}\"}}"))
}

/// Waits until a write is answered with this status; returns how long that took.
fn until_put(service: &Service, status: u16, at_most: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let answered = service.put(BESIDE).unwrap();
        if answered == status {
            return began.elapsed();
        }
        assert!(began.elapsed() < at_most, "a write is answered {answered}, not {status}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Load, the fault comes, stays a while and goes; the writers run on through all of it.
fn endure(
    name: &str,
    service: &Service,
    history: &mut History,
    refusal: u16,
    begin: impl FnOnce(),
    repair: impl FnOnce(),
) -> BTreeMap<Option<u16>, u64> {
    let load = Load::start(service, history);
    assert!(load.wait_for(50, Duration::from_secs(20)), "{name}: the writers write");
    begin();
    // The database may have room of its own inside its file for a while, when the disk is full.
    until_put(service, refusal, Duration::from_secs(20));
    std::thread::sleep(Duration::from_millis(1_200));
    let reported = service.management("/readyz");
    assert_eq!(reported.0, 503, "{name}: {}", reported.1);
    assert!(reported.1.contains("store"), "{name}: {}", reported.1);
    assert_eq!(service.put(BESIDE).unwrap(), refusal, "{name}");
    let kind = if refusal == 507 { "disk_full" } else { "failing" };
    assert!(refused(service, kind) >= 2.0, "{name}: refused writes are counted");
    let reported =
        ["virksomhedslogin_store_writable", "virksomhedslogin_ready"].map(|name| metric(service, name));
    assert_eq!(reported, [0.0, 0.0], "{name}: what Prometheus sees");
    assert_eq!(service.get("/v1/Login?cvrNummer=00000000").0, 200, "{name}: reads go on");
    assert!(listed(service).len() > 20, "{name}: lists go on");
    repair();
    let took = until_put(service, 204, BACK_WITHIN);
    assert!(load.wait_for(20, Duration::from_secs(10)), "{name}: the writers write again");
    assert_eq!(service.management("/readyz").0, 200, "{name}");
    let reported =
        ["virksomhedslogin_store_writable", "virksomhedslogin_ready"].map(|name| metric(service, name));
    assert_eq!(reported, [1.0, 1.0], "{name}: what Prometheus sees");
    let answers = load.finish(history);
    assert!(answers.keys().all(|status| [Some(204), Some(refusal)].contains(status)), "{name}: {answers:?}");
    eprintln!("{name}: {answers:?}, writing again after {took:.1?}");
    answers
}

/// Kills the service and looks at what it left.
fn assert_after_kill(fixture: &Fixture, mut service: Service, history: &mut History, name: &str) {
    history.assert(&listed(&service), name);
    kill(&mut service);
    history.assert(&restarted(fixture, name), name);
}

#[test]
fn failed_sync_is_reported_and_loses_nothing_at_a_power_cut() {
    for (error, refusal) in [("EIO", 503), ("ENOSPC", 507)] {
        let (disk, mut history) = (Forgetful::new(), History::default());
        let mut service = disk.serve(&[("POWERCUT_FAIL_FSYNC", error)]);
        endure(
            &format!("syncs fail with {error}"),
            &service,
            &mut history,
            refusal,
            || fs::write(disk.trigger(), "").unwrap(),
            || fs::remove_file(disk.trigger()).unwrap(),
        );
        history.assert(&listed(&service), error);
        kill(&mut service);
        disk.cut(None);
        history.assert(&restarted(&disk.fixture, error), error);
    }
}

/// Does this three times: once at least within this time, whatever else the machine does, and never for as long as the disk
/// hangs.
fn assert_in_time(what: &str, usual: Duration, act: impl Fn()) {
    let took = [(); 3].map(|()| {
        let began = Instant::now();
        act();
        began.elapsed()
    });
    let is_in_time = took.iter().any(|took| *took < usual) && took.iter().all(|took| *took < BACK_WITHIN);
    assert!(is_in_time, "{what}: {took:?}");
}

#[test]
fn stuck_disk_delays_writes_to_the_deadline_and_reads_never() {
    let (disk, mut history) = (Forgetful::new(), History::default());
    let variables = [("POWERCUT_FAIL_FSYNC", "HANG"), ("VIRKSOMHEDSLOGIN__STORE__DEADLINE_SECONDS", "1")];
    let mut service = disk.serve(&variables);
    let load = Load::start(&service, &history);
    assert!(load.wait_for(50, Duration::from_secs(20)));
    fs::write(disk.trigger(), "").unwrap();
    until_put(&service, 503, Duration::from_secs(10));
    assert_in_time("by the deadline", Duration::from_millis(1_900), || {
        assert_eq!(service.put(BESIDE).unwrap(), 503);
    });
    assert_in_time("a read waits for no disk", Duration::from_millis(500), || {
        assert_eq!(service.get("/v1/Login?cvrNummer=00000000").0, 200);
    });
    let reported = service.management("/readyz");
    assert!(reported.0 == 503 && reported.1.contains("store"), "{reported:?}");
    assert_in_time("a scrape waits for no sync", Duration::from_millis(1_900), || {
        assert!(refused(&service, "deadline") >= 3.0, "refused writes are counted");
    });
    fs::remove_file(disk.trigger()).unwrap();
    until_put(&service, 204, BACK_WITHIN);
    let answers = load.finish(&mut history);
    assert!(answers.keys().all(|status| [Some(204), Some(503)].contains(status)), "{answers:?}");
    history.assert(&listed(&service), "stuck disk");
    kill(&mut service);
    disk.cut(None);
    history.assert(&restarted(&disk.fixture, "stuck disk, then a power cut"), "stuck disk, then a power cut");
}

/// A store with one login, closed.
fn filled(disk: &Forgetful) {
    let mut service = disk.serve(&[]);
    assert_eq!(service.put(BESIDE).unwrap(), 204);
    service.signal("TERM");
    service.wait(BACK_WITHIN);
}

/// `serve` and `verify` end with exit code 1, these words and no advice that would lose data; afterwards all is there.
fn refused_without_loss(disk: &Forgetful, variables: &[(&str, &str)], words: &str) {
    fs::write(disk.trigger(), "").unwrap();
    for command in ["serve", "verify"] {
        let output = disk.run(&[command], variables);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {text}");
        assert!(text.contains(words) && !text.contains("damaged"), "{command}: {text}");
    }
    fs::remove_file(disk.trigger()).unwrap();
    let found = restarted(&disk.fixture, "after it");
    assert!(found.contains_key(&99_999_999), "{found:?}");
}

#[test]
fn read_error_at_the_start_is_no_damage() {
    use rustix::io::Errno;
    for errno in [Errno::IO, Errno::STALE, Errno::NODEV, Errno::NXIO, Errno::NFILE, Errno::UCLEAN] {
        let disk = Forgetful::new();
        filled(&disk);
        let number = errno.raw_os_error().to_string();
        let words = format!("os error {number}");
        // sled reports an error in the first bytes, and takes one behind them for the end of its log.
        for from in ["0", "1000"] {
            let variables = [("POWERCUT_FAIL_READ", number.as_str()), ("POWERCUT_FAIL_READ_FROM", from)];
            refused_without_loss(&disk, &variables, &words);
        }
    }
}

#[test]
fn clock_before_1970_is_no_damage() {
    let variables = [("POWERCUT_CLOCK_SECONDS", "-3000000000")];
    let disk = Forgetful::new();
    fs::write(disk.trigger(), "").unwrap();
    for command in ["check", "serve"] {
        let output = disk.run(&[command], &variables);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {text}");
        assert!(text.contains("this machine's clock shows a time before 1970"), "{command}: {text}");
    }
    fs::remove_file(disk.trigger()).unwrap();
    filled(&disk);
    refused_without_loss(&disk, &variables, "this machine's clock shows a time before 1970");
}

#[test]
fn sync_that_hangs_at_the_start_is_no_damage() {
    if !long() {
        left_out("syncs that hang at the start, because giving up takes a minute: part of the long run");
        return;
    }
    let disk = Forgetful::new();
    filled(&disk);
    let variables = [("POWERCUT_FAIL_FSYNC", "HANG")];
    fs::write(disk.trigger(), "").unwrap();
    let output = disk.run(&["serve"], &variables);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no progress for ") && !text.contains("damaged"), "{text}");
}

#[test]
fn read_only_file_system_stops_the_start_with_exit_code_1() {
    let fixture = Fixture::new();
    let directory = fixture.path("disk");
    let Some(_disk) = SmallDisk::mount(&directory) else {
        left_out("the read-only file system, because mounting a tmpfs needs root");
        return;
    };
    let store = directory.join("store");
    let variables = [("VIRKSOMHEDSLOGIN__STORE__PATH", store.to_str().unwrap())];
    let mut service = fixture.serve_with(&variables);
    assert_eq!(service.put(BESIDE).unwrap(), 204);
    kill(&mut service);
    let remounted =
        |how: &str| Command::new("mount").args(["-o", how]).arg(&directory).status().unwrap().success();
    assert!(remounted("remount,ro"));
    let refused = crate::support::process::binary()
        .args(["serve", "--config", &fixture.config()])
        .envs(variables)
        .output()
        .unwrap();
    let reported = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{reported}");
    assert!(reported.contains("Read-only file system") && reported.contains("disk/store"), "{reported}");
    assert!(remounted("remount,rw"));
    let service = fixture.serve_with(&variables);
    assert_eq!(service.get(&format!("/v1/Login?cvrNummer={BESIDE}")).0, 200);
}

/// A small disk of its own in memory; unmounted with this value.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(path: &Path) -> Option<SmallDisk<'_>> {
        fs::create_dir(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_reported_lived_through_and_loses_nothing() {
    let (fixture, mut history) = (Fixture::new(), History::default());
    let directory = fixture.path("disk");
    let Some(_disk) = SmallDisk::mount(&directory) else {
        left_out("the full disk, because mounting a tmpfs needs root");
        return;
    };
    let store = directory.join("store");
    let variables = [("VIRKSOMHEDSLOGIN__STORE__PATH", store.to_str().unwrap())];
    let mut service = fixture.serve_with(&variables);
    let filler = directory.join("filler");
    endure(
        "disk full",
        &service,
        &mut history,
        507,
        || drop(fs::write(&filler, vec![1; 17 << 20])),
        || fs::remove_file(&filler).unwrap(),
    );
    history.assert(&listed(&service), "disk full");
    kill(&mut service);
    history.assert(&listed(&fixture.serve_with(&variables)), "disk full, after kill -9");
}

#[test]
fn a_directory_renamed_is_reported_and_writes_return_with_it() {
    let (fixture, mut history) = (Fixture::new(), History::default());
    let service = fixture.serve();
    let (here, elsewhere) = (fixture.path("store"), fixture.path("elsewhere"));
    endure(
        "directory renamed",
        &service,
        &mut history,
        503,
        || fs::rename(&here, &elsewhere).unwrap(),
        || fs::rename(&elsewhere, &here).unwrap(),
    );
    assert_after_kill(&fixture, service, &mut history, "directory renamed");
}

#[test]
fn removed_directory_swallows_no_write_and_reads_go_on() {
    let (fixture, mut history) = (Fixture::new(), History::default());
    let service = fixture.serve();
    let load = Load::start(&service, &history);
    assert!(load.wait_for(50, Duration::from_secs(20)));
    fs::remove_dir_all(fixture.path("store")).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((service.put(BESIDE).unwrap(), service.management("/readyz").0), (503, 503));
    assert!(!load.wait_for(1, Duration::from_secs(2)), "nothing is acknowledged any more");
    load.finish(&mut history);
    history.assert(&listed(&service), "what was acknowledged before is still read");
}

#[test]
fn process_stopped_and_continued_under_load_loses_nothing() {
    let (fixture, mut history) = (Fixture::new(), History::default());
    let service = fixture.serve();
    let load = Load::start(&service, &history);
    for _ in 0..3 {
        assert!(load.wait_for(50, Duration::from_secs(20)));
        service.signal("STOP");
        std::thread::sleep(Duration::from_millis(700));
        service.signal("CONT");
        until_put(&service, 204, BACK_WITHIN);
    }
    let answers = load.finish(&mut history);
    assert!(answers.keys().all(|status| [Some(204), Some(503)].contains(status)), "{answers:?}");
    assert_after_kill(&fixture, service, &mut history, "stopped and continued");
}

#[test]
fn a_clock_set_back_an_hour_makes_no_last_login_fall() {
    let disk = Forgetful::new();
    let mut service = disk.serve(&[("POWERCUT_CLOCK_SECONDS", "-3600")]);
    assert_eq!(service.put("12345678").unwrap(), 204);
    let before = listed(&service)[&12_345_678];
    fs::write(disk.trigger(), "").unwrap();
    assert_eq!(service.put("12345678").unwrap(), 204);
    let (first, last) = listed(&service)[&12_345_678];
    assert_eq!(last, before.1);
    assert!(
        (3_590_000..=3_600_000).contains(&(before.0 - first)),
        "the earlier login is a first one: {first}"
    );
    fs::remove_file(disk.trigger()).unwrap();
    assert_eq!(service.put("12345678").unwrap(), 204);
    let after = listed(&service)[&12_345_678];
    assert!(after.0 == first && after.1 >= last);
    kill(&mut service);
    disk.cut(None);
    assert_eq!(restarted(&disk.fixture, "after the power cut")[&12_345_678], after);
}

#[test]
fn watchdog_is_not_fed_while_the_disk_hangs_and_only_then() {
    let disk = Forgetful::new();
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let fed = |at_most: Duration| {
        manager.set_read_timeout(Some(at_most)).unwrap();
        let mut message = [0; 1024];
        manager.recv(&mut message).is_ok_and(|length| message[..length].starts_with(b"WATCHDOG=1"))
    };
    for (error, starves) in [("HANG", true), ("EIO", false)] {
        let service = disk.serve(&[
            ("POWERCUT_FAIL_FSYNC", error),
            ("VIRKSOMHEDSLOGIN__STORE__DEADLINE_SECONDS", "1"),
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "2000000"),
        ]);
        assert!(!fed(Duration::from_secs(20)), "the first message says ready");
        assert!(fed(Duration::from_secs(20)) && fed(Duration::from_secs(20)), "{error}: fed at first");
        fs::write(disk.trigger(), "").unwrap();
        until_put(&service, 503, Duration::from_secs(10));
        // What was sent before the fault is read off; then there is silence for longer than the watchdog waits, or not.
        while manager.set_nonblocking(true).is_ok() && manager.recv(&mut [0; 1024]).is_ok() {}
        manager.set_nonblocking(false).unwrap();
        let silence = Duration::from_millis(if starves { 2_500 } else { 20_000 });
        assert_eq!(fed(silence), !starves, "{error}");
        assert_eq!(service.get("/v1/Login?cvrNummer=00000000").0, 404, "{error}: reads go on");
        fs::remove_file(disk.trigger()).unwrap();
        until_put(&service, 204, BACK_WITHIN);
        assert!(fed(Duration::from_secs(20)), "{error}: fed again");
    }
}
