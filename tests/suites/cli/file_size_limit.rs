//! Files at the limit of their size (`ulimit -f`, `LimitFSIZE=`): the signal that comes with it ends no process.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::suites::cli::program::stderr;
use crate::suites::cli::records::{command, import, list};
use crate::support::process::{Fixture, Service, binary};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The binary with files of at most so many bytes.
fn limited(bytes: u64) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={bytes}:unlimited")).arg(env!("CARGO_BIN_EXE_virksomhedslogin"));
    command.env_remove("VIRKSOMHEDSLOGIN_CONFIG").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn limit(child: &Child, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lives(service: &mut Service) {
    assert_eq!(service.child.try_wait().unwrap(), None, "the process lives on");
}

#[test]
fn audit_file_at_its_limit_is_503_and_never_a_death() {
    let fixture = Fixture::new();
    let mut service = fixture.serve();
    assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 404);
    let length = fs::metadata(fixture.path("audit.ndjson")).unwrap().len();
    // In the middle of the next line, and then at once.
    limit(&service.child, Some(length + 100));
    for _ in 0..2 {
        assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 503);
        let (status, body) = service.management("/readyz");
        assert!(status == 503 && body.contains("\"audit\":"), "{body}");
        lives(&mut service);
    }
    limit(&service.child, None);
    until("it is ready without a call", || service.management("/readyz").0 == 200);
    assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 404);
    let text = fs::read_to_string(fixture.path("audit.ndjson")).unwrap();
    let whole = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    assert_eq!((text.lines().filter(whole).count(), text.lines().count()), (2, 3), "{text}");
}

#[test]
fn store_at_the_limit_refuses_writes_and_reads_go_on() {
    let fixture = Fixture::new();
    let mut serve = binary();
    serve.args(["serve", "--config", &fixture.config()]).env("VIRKSOMHEDSLOGIN__AUDIT__FILE", "/dev/null");
    let mut service = Service::start(serve, fixture.token());
    assert_eq!(service.put("12345678").unwrap(), 204);
    limit(&service.child, Some(4096));
    until("writes are rejected", || {
        let status = service.put("12345679").unwrap();
        assert!([204, 503, 507].contains(&status), "{status}");
        status != 204
    });
    lives(&mut service);
    let (status, body) = service.management("/readyz");
    assert!(status == 503 && body.contains("\"store\":"), "{status} {body}");
    assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200);
    limit(&service.child, None);
    until("writes return", || service.put("12345679").unwrap() == 204);
    service.signal("TERM");
    assert_eq!(service.wait(TIMEOUT).code(), Some(0));
    let verified = command(&fixture, "verify", &[]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
}

#[test]
fn start_under_the_limit_is_refused_and_is_no_damage() {
    let fixture = Fixture::new();
    let filled = import(&fixture, "list.ndjson", &list(2_000), &[]);
    assert_eq!(filled.status.code(), Some(0), "{}", stderr(&filled));
    for name in ["serve", "verify"] {
        let output = limited(4096).args([name, "--config", &fixture.config()]).output().unwrap();
        let reported = stderr(&output);
        assert!(output.status.code().is_some_and(|code| code < 2), "{name}: {:?} {reported}", output.status);
        assert!(!reported.contains("damaged"), "{name}: {reported}");
        if name == "serve" {
            assert_eq!(output.status.code(), Some(1), "{reported}");
        }
    }
    let verified = command(&fixture, "verify", &[]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
}

#[test]
fn import_under_the_limit_fails_and_can_be_repeated() {
    let fixture = Fixture::new();
    fixture.write("list.ndjson", &list(20_000));
    let file = fixture.path("list.ndjson").display().to_string();
    let output = limited(600_000).args(["import", "--config", &fixture.config(), &file]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{:?} {}", output.status, stderr(&output));
    let again = command(&fixture, "import", &[&file]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
}

#[test]
fn export_under_the_limit_fails_and_leaves_nothing() {
    let fixture = Fixture::new();
    let filled = import(&fixture, "list.ndjson", &list(2_000), &[]);
    assert_eq!(filled.status.code(), Some(0), "{}", stderr(&filled));
    let service = fixture.serve();
    let from = format!("http://{}", service.management);
    fs::create_dir(fixture.path("out")).unwrap();
    let path = fixture.path("out/export.ndjson");
    let output = limited(4096).args(["export", "--from", &from, "--output"]).arg(&path).output().unwrap();
    let reported = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{:?} {reported}", output.status);
    assert!(reported.contains("cannot be written to"), "{reported}");
    assert_eq!(fs::read_dir(fixture.path("out")).unwrap().count(), 0);
    let file = File::create(&path).unwrap();
    let output = limited(4096).args(["export", "--from", &from]).stdout(file).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{:?} {}", output.status, stderr(&output));
}

#[test]
fn log_at_its_limit_stops_nothing_and_resumes_on_a_new_line() {
    let fixture = Fixture::new();
    let path = fixture.path("log");
    let mut service = binary();
    service.args(["serve", "--config", &fixture.config()]);
    let log = File::options().append(true).create_new(true).open(&path).unwrap();
    let mut child = service.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let text = || fs::read_to_string(&path).unwrap();
    until("it listens", || text().contains("listens on "));
    let address = text().split("listens on ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let call = |path: &str| {
        let request = crate::support::process::agent().get(format!("http://{address}{path}"));
        request.call().unwrap().status().as_u16()
    };
    limit(&child, Some(text().len() as u64 + 20));
    for _ in 0..5 {
        assert_eq!(call("/lost"), 404);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.try_wait().unwrap(), None, "the process lives on");
    limit(&child, None);
    assert_eq!(call("/kept"), 404);
    until("the log goes on", || text().contains("/kept"));
    let kept = text().lines().find(|line| line.contains("/kept")).unwrap().to_owned();
    assert!(kept.contains("Z INFO"), "{kept}");
    assert_eq!(kept.matches("Z INFO").count(), 1, "a torn line spoils no other: {kept}");
    assert!(text().contains("log lines were dropped"), "losses are counted: {}", text());
    crate::support::process::signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn result_on_a_full_standard_output_is_a_failure() {
    let fixture = Fixture::new();
    let mut file = File::create(fixture.path("result")).unwrap();
    file.write_all(&[b'\n'; 100]).unwrap();
    for name in ["openapi", "man"] {
        let output = limited(100).arg(name).stdout(file.try_clone().unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {:?} {}", output.status, stderr(&output));
    }
}
