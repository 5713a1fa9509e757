//! When the audit line cannot be written: no answer, no death, and everything is well again when the sink is.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::suites::cli::program::stderr;
use crate::support::process::{Fixture, Service, binary};

const REFUSED: &str = r#""status":503,"fejlkode":"1100""#;

fn is_refused(service: &Service) {
    for path in ["/v1/Logins", "/v1/Login?cvrNummer=12345678"] {
        let (status, body) = service.get(path);
        assert!(
            status == 503 && body.contains(REFUSED) && !body.contains("LoginTidspunkt"),
            "{status} {body}"
        );
    }
    assert_eq!(service.put("12345678").unwrap(), 503);
}

fn lives(service: &mut Service) {
    assert_eq!(service.child.try_wait().unwrap(), None, "the process lives on");
}

fn start(fixture: &Fixture, audit: &str) -> Service {
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]).env("VIRKSOMHEDSLOGIN__AUDIT__FILE", audit);
    Service::start(command, fixture.token())
}

#[test]
fn closed_stdout_pipe_ends_the_answers_not_the_process() {
    let fixture = Fixture::new();
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]).env("VIRKSOMHEDSLOGIN__AUDIT__FILE", "-");
    let mut service = Service::start_with(command, fixture.token(), Stdio::piped());
    assert_eq!(service.get("/v1/Logins").0, 200);
    drop(service.child.stdout.take());
    for _ in 0..3 {
        is_refused(&service);
    }
    lives(&mut service);
    // What needs no audit line is answered.
    assert_eq!(service.get("/nowhere").0, 404);
}

#[test]
fn a_pipe_whose_reader_comes_back_heals_by_itself() {
    let fixture = Fixture::new();
    let pipe = fixture.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    let reader = || OpenOptions::new().read(true).custom_flags(nonblocking as i32).open(&pipe).unwrap();
    let first = reader();
    let mut service = start(&fixture, "pipe");
    assert_eq!(service.put("12345678").unwrap(), 204);
    drop(first);
    is_refused(&service);
    lives(&mut service);
    let _second = reader();
    assert_eq!(service.get("/v1/Logins").0, 200);
    assert_eq!(service.put("12345678").unwrap(), 204);
}

#[test]
fn a_full_disk_is_refused_until_sighup_opens_another_file() {
    let fixture = Fixture::new();
    symlink("/dev/full", fixture.path("audit.link")).unwrap();
    let mut service = start(&fixture, "audit.link");
    is_refused(&service);
    lives(&mut service);
    std::fs::remove_file(fixture.path("audit.link")).unwrap();
    is_refused(&service);
    service.signal("HUP");
    let until = Instant::now() + Duration::from_secs(5);
    while service.get("/v1/Logins").0 != 200 {
        assert!(Instant::now() < until, "the new file takes lines");
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = std::fs::read_to_string(fixture.path("audit.link")).unwrap();
    assert!(text.lines().all(|line| line.starts_with("{\"tid\":") && line.ends_with('}')), "{text}");
    // What was recorded while nothing could be audited is there: SetLogin may be repeated.
    assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200);
}

#[test]
fn unopenable_audit_file_stops_start_and_cancels_reload() {
    let fixture = Fixture::new();
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]);
    let refused = command.env("VIRKSOMHEDSLOGIN__AUDIT__FILE", "nowhere/audit.ndjson").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("audit.file: ") && stderr(&refused).contains("nowhere/audit.ndjson"));

    std::fs::create_dir(fixture.path("audit")).unwrap();
    let mut service = start(&fixture, "audit/audit.ndjson");
    assert_eq!(service.get("/v1/Logins").0, 200);
    std::fs::rename(fixture.path("audit"), fixture.path("moved")).unwrap();
    service.signal("HUP");
    service.wait_for_log("audit.file: ");
    assert_eq!(service.get("/v1/Logins").0, 200, "the file that is open goes on");
    assert_eq!(
        File::open(fixture.path("moved/audit.ndjson"))
            .map(|file| std::io::read_to_string(file).unwrap().lines().count())
            .unwrap(),
        2
    );
    lives(&mut service);
}
