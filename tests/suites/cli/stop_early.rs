//! Signals while the service is being started: SIGTERM and SIGINT end it in order, SIGHUP is kept until it serves; as
//! process 1 of a container too, where a signal without a handler is lost.
//!
//! The start is held up where it reads the store's `format`, as on a file system that does not answer: there is a FIFO.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::suites::cli::program::stderr;
use crate::support::process::{Fixture, Service, binary};

/// Longer than any of this takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A fixture with a store that holds one login, and whose `format` can be held back.
struct HeldStore {
    fixture: Fixture,
    format: String,
}

impl HeldStore {
    fn new() -> Self {
        let fixture = Fixture::new();
        let mut service = fixture.serve();
        assert_eq!(service.put("12345678").unwrap(), 204);
        service.signal("TERM");
        assert_eq!(service.wait(TIMEOUT).code(), Some(0));
        let format = fs::read_to_string(fixture.path("store/format")).unwrap();
        Self { fixture, format }
    }

    /// Puts the FIFO in the place of the file.
    fn hold(&self) {
        fs::remove_file(self.fixture.path("store/format")).unwrap();
        let made = Command::new("mkfifo").arg(self.fixture.path("store/format")).status().unwrap();
        assert!(made.success());
    }

    /// Puts the file back.
    fn restore(&self) {
        self.fixture.write("format", &self.format);
        fs::rename(self.fixture.path("format"), self.fixture.path("store/format")).unwrap();
    }

    /// Waits until somebody reads the FIFO; it is read to its end once this is dropped.
    fn reached(&self) -> File {
        let until = Instant::now() + TIMEOUT;
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap());
        loop {
            match options.open(self.fixture.path("store/format")) {
                Ok(file) => return file,
                Err(error) => assert!(Instant::now() < until, "nothing reads the format file: {error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn serve(&self) -> Command {
        let mut command = binary();
        command.args(["serve", "--config", &self.fixture.config()]).stderr(Stdio::piped());
        command
    }

    /// The store is whole and has its login.
    fn is_whole(&self) {
        self.restore();
        let output = binary().args(["verify", "--config", &self.fixture.config()]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(self.fixture.serve().get("/v1/Login?cvrNummer=12345678").0, 200);
    }
}

/// Waits for the end of a process, and kills it when it does not end.
fn end_of(mut child: Child) -> (Option<i32>, String) {
    let until = Instant::now() + TIMEOUT;
    while child.try_wait().unwrap().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), stderr(&output).to_owned())
}

#[test]
fn a_stop_while_the_store_is_being_opened_exits_0() {
    for signal in ["TERM", "INT"] {
        let held = HeldStore::new();
        held.hold();
        let child = held.serve().spawn().unwrap();
        let reached = held.reached();
        crate::support::process::signal(&child, signal);
        let (code, log) = end_of(child);
        assert_eq!(code, Some(0), "SIG{signal}: {log}");
        assert!(log.contains("stopped before the start was done"), "{log}");
        drop(reached);
        held.is_whole();
    }
}

#[test]
fn a_reload_while_the_store_is_being_opened_is_kept() {
    let held = HeldStore::new();
    held.hold();
    let child = held.serve().spawn().unwrap();
    let mut reached = held.reached();
    crate::support::process::signal(&child, "HUP");
    reached.write_all(held.format.as_bytes()).unwrap();
    drop(reached);
    let service = Service::of(child, held.fixture.token());
    service.wait_for_log("SIGHUP: access table, keys and audit file are reloaded");
}

#[test]
fn a_stop_at_any_moment_of_the_start_exits_0_and_harms_nothing() {
    let fixture = Fixture::new();
    for round in 0..20_u64 {
        let mut command = binary();
        command.args(["serve", "--config", &fixture.config()]).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let until = Instant::now() + TIMEOUT;
        while !handles_sigterm(&fs::read_to_string(&status).unwrap()) {
            assert!(Instant::now() < until, "it never handles SIGTERM");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(round * 5));
        crate::support::process::signal(&child, "TERM");
        let (code, log) = end_of(child);
        assert_eq!(code, Some(0), "round {round}: {log}");
    }
    assert_eq!(fixture.serve().put("12345678").unwrap(), 204);
}

/// Whether `/proc/PID/status` says that SIGTERM is caught.
fn handles_sigterm(status: &str) -> bool {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (15 - 1)) != 0
}

/// The only child of this process.
fn child_of(parent: &Child) -> Pid {
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    let until = Instant::now() + TIMEOUT;
    loop {
        if let Ok(pid) = fs::read_to_string(&children).unwrap().trim().parse() {
            return Pid::from_raw(pid).unwrap();
        }
        assert!(Instant::now() < until, "unshare has no child");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn process_1_takes_the_signals_while_the_store_is_being_opened() {
    if !rustix::process::geteuid().is_root() {
        let line = "left out: signals to `serve` as process 1, because a PID namespace needs root";
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    for signal in [Signal::TERM, Signal::INT] {
        let held = HeldStore::new();
        held.hold();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
        command.arg(env!("CARGO_BIN_EXE_virksomhedslogin")).args([
            "serve",
            "--config",
            &held.fixture.config(),
        ]);
        command.env_remove("VIRKSOMHEDSLOGIN_CONFIG").env_remove("RUST_LOG");
        let parent = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let reached = held.reached();
        let first = child_of(&parent);
        kill_process(first, Signal::HUP).unwrap();
        kill_process(first, signal).unwrap();
        let (code, log) = end_of(parent);
        assert_eq!(code, Some(0), "{signal:?}: {log}");
        assert!(log.contains("stopped before the start was done"), "{log}");
        drop(reached);
        held.is_whole();
    }
}
