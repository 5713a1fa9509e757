//! Every way in which the service can no longer serve ends it with exit code 1, so that a supervisor starts it again.
//!
//! `thread_failure.c` makes a thread of the real binary fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use virksomhedslogin::testing::Signer;

use crate::suites::cli::check_machine::Unprivileged;
use crate::suites::cli::program::stderr;
use crate::suites::cli::supervised::Manager;
use crate::support::process::{Fixture, Service};

/// The shim, compiled once.
fn shim() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    &BUILT
        .get_or_init(|| {
            let directory = TempDir::new().unwrap();
            let library = directory.path().join("thread_failure.so");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites/cli/thread_failure.c");
            let cc = Command::new("cc")
                .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
                .args([&library, &source])
                .arg("-ldl")
                .output()
                .expect("these tests need a C compiler named cc");
            assert!(cc.status.success(), "{}", stderr(&cc));
            (directory, library)
        })
        .1
}

/// The threads of this process that have this name, oldest first. Linux keeps 15 characters of a name.
fn threads(service: &Service, name: &str) -> Vec<u32> {
    let tasks = format!("/proc/{}/task", service.child.id());
    let mut found: Vec<u32> = fs::read_dir(tasks)
        .unwrap()
        .map(|task| task.unwrap().path())
        .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name))
        .map(|task| task.file_name().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    found.sort_unstable();
    found
}

/// A running service of which a thread can be made to fail.
struct Fragile {
    fixture: Fixture,
    service: Service,
}

impl Fragile {
    fn start() -> Self {
        let fixture = Fixture::new();
        let manager = Manager::new(&fixture);
        let mut command = manager.command(&fixture);
        command.env("LD_PRELOAD", shim()).env("THREAD_FAILURE", fixture.path("failure"));
        command.env("VIRKSOMHEDSLOGIN__LOG__FORMAT", "json");
        let service = Service::start(command, fixture.token());
        assert_eq!(manager.next()[0], "READY=1");
        assert_eq!(service.put("12345678").unwrap(), 204);
        Self { fixture, service }
    }

    /// Lets the thread of this name and number fail, if it still runs.
    fn fail(&self, name: &str, number: usize, kind: &str) {
        let Some(thread) = threads(&self.service, name).get(number).copied() else { return };
        // Written whole at once: it is read all the time.
        self.fixture.write("failure.new", &format!("{kind} {thread}"));
        fs::rename(self.fixture.path("failure.new"), self.fixture.path("failure")).unwrap();
    }
}

/// Lets a thread of a running service fail, and returns the service's exit code and log.
fn end_after_failure(name: &str, number: usize, kind: &str) -> (Option<i32>, String) {
    let mut fragile = Fragile::start();
    fragile.fail(name, number, kind);
    let status = fragile.service.wait(Duration::from_secs(20));
    let log = fragile.service.log();
    // The command's last word is for the one who started it.
    for line in log.lines().filter(|line| !line.starts_with("error: ")) {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "a line that is no JSON: {line}");
    }
    (status.code(), log)
}

const WORKER: &str = "actix-rt|system";
const ACCEPTOR: &str = "actix-server ac";

#[test]
fn an_api_worker_that_dies_ends_the_service_with_code_1() {
    let (code, log) = end_after_failure(WORKER, 0, "epoll");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("a worker of the API has ended"), "{log}");
    assert!(log.contains("stopped"), "the store is closed in order: {log}");
}

#[test]
fn a_management_worker_that_dies_ends_the_service_with_code_1() {
    let (code, log) = end_after_failure(WORKER, 2, "epoll");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the worker of the management listener has ended"), "{log}");
}

#[test]
fn an_acceptor_that_dies_ends_the_service_with_code_1() {
    for number in [0, 1] {
        let (code, log) = end_after_failure(ACCEPTOR, number, "epoll");
        assert_eq!(code, Some(1), "{number}: {log}");
        assert!(log.contains("a thread that accepts connections has panicked"), "{number}: {log}");
        assert!(log.contains("\"message\":\"a thread panicked: "), "{number}: {log}");
    }
}

#[test]
fn a_store_writer_that_dies_ends_the_service_with_code_1() {
    for (name, part) in [
        ("store-committer", "the thread that writes to the store has ended"),
        ("store-flush", "the thread that wakes stuck flushes has ended"),
    ] {
        let mut fragile = Fragile::start();
        fragile.fail(name, 0, "clock");
        // The clock of the watchdog is needed while something is written.
        let until = Instant::now() + Duration::from_secs(20);
        while fragile.service.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "{name}: the process still runs");
            let _ = fragile.service.put("12345678");
            // The failure may have met a part of the work whose panic is an error of the store, and no more.
            if !fragile.fixture.path("failure").exists() {
                fragile.fail(name, 0, "clock");
            }
        }
        assert_eq!(fragile.service.wait(Duration::ZERO).code(), Some(1), "{name}");
        let log = fragile.service.log();
        assert!(log.contains(part), "{name}: {log}");
    }
}

#[test]
fn a_panic_of_the_main_thread_ends_the_service_with_code_1() {
    let (code, log) = end_after_failure("virksomhedslogi", 0, "epoll");
    assert_eq!(code, Some(1), "{log}");
}

#[test]
fn keys_are_still_read_after_their_thread_panicked() {
    let mut fragile = Fragile::start();
    fragile.fail("keys", 0, "clock");
    fragile.service.wait_for_log(r#""thread":"keys""#);
    fragile.fixture.signer = Signer::generate_es256("another").unwrap();
    fragile.fixture.write("jwks.json", &fragile.fixture.signer.jwks());
    fragile.service.token = fragile.fixture.token();
    let until = Instant::now() + Duration::from_secs(20);
    while fragile.service.put("12345678").unwrap() != 204 {
        assert!(Instant::now() < until, "the new key never serves");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// `serve` with this many workers below a limit of the system's.
fn limited(fixture: &Fixture, program: &Path, limit: &str, workers: u32) -> Command {
    let mut command = Command::new("prlimit");
    command.args([limit, "--"]).arg(program).args(["serve", "--config", &fixture.config()]);
    command.env("VIRKSOMHEDSLOGIN__SERVER__WORKERS", workers.to_string());
    command.env_remove("VIRKSOMHEDSLOGIN_CONFIG").env_remove("RUST_LOG");
    command
}

/// The service says what to raise, ends with code 1, and was never called ready.
fn cannot_start(mut command: Command, manager: &Manager) {
    let output = command.env("NOTIFY_SOCKET", &manager.path).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for word in ["error: not every worker serves", "TasksMax=", "LimitNOFILE=", "server.workers"] {
        assert!(stderr(&output).contains(word), "{word}: {}", stderr(&output));
    }
    while let Some(message) = manager.reported(Duration::from_millis(100)) {
        assert_ne!(message[0], "READY=1");
    }
}

#[test]
fn too_few_open_files_for_the_workers_are_a_failed_start() {
    let fixture = Fixture::new();
    let manager = Manager::new(&fixture);
    let program = Path::new(env!("CARGO_BIN_EXE_virksomhedslogin"));
    cannot_start(limited(&fixture, program, "--nofile=1024", 256), &manager);
}

#[test]
fn too_few_threads_for_the_workers_are_a_failed_start() {
    let user = Unprivileged::new();
    let manager = Manager::new(&user.fixture);
    fs::set_permissions(&manager.path, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = limited(&user.fixture, &user.program, "--nproc=512", 512);
    if user.root {
        command.uid(Unprivileged::USER).gid(Unprivileged::USER);
    }
    cannot_start(command, &manager);
}

#[test]
fn the_limit_of_open_files_is_raised_for_the_workers_too() {
    let fixture = Fixture::new();
    let program = Path::new(env!("CARGO_BIN_EXE_virksomhedslogin"));
    let mut command = limited(&fixture, program, "--nofile=1024:", 512);
    command.env("VIRKSOMHEDSLOGIN__LIMITS__CONNECTIONS", "16");
    let manager = Manager::new(&fixture);
    let service = Service::start(manager.of(command), fixture.token());
    assert_eq!(manager.next()[0], "READY=1");
    assert_eq!(service.put("12345678").unwrap(), 204);
}

#[test]
fn a_reload_that_gets_no_thread_is_refused_and_the_next_works() {
    let user = Unprivileged::new();
    let mut command = user.command("serve");
    command.stderr(Stdio::piped());
    let service = Service::of(command.spawn().unwrap(), user.fixture.token());
    assert_eq!(service.put("12345678").unwrap(), 204);
    let limit = |soft: &str| {
        let pid = service.child.id().to_string();
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &pid, &format!("--nproc={soft}:")]);
        if user.root {
            prlimit.uid(Unprivileged::USER).gid(Unprivileged::USER);
        }
        assert!(prlimit.status().unwrap().success());
    };
    limit("1");
    service.signal("HUP");
    service.wait_for_log("SIGHUP: nothing is changed: ");
    limit("4096");
    service.signal("HUP");
    service.wait_for_log("SIGHUP: access table, keys and audit file are reloaded");
}
