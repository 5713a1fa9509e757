//! The audit file under an operator's hands: torn, deleted, replaced, opened to others, on a full disk.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::suites::cli::program::{run, stdout};
use crate::support::process::{Fixture, Service, binary};

/// Longer than any of this takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(fixture: &Fixture, audit: &str) -> Service {
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]).env("VIRKSOMHEDSLOGIN__AUDIT__FILE", audit);
    Service::start(command, fixture.token())
}

/// How many lines of the file are whole, and those that are not.
fn lines(path: &Path) -> (usize, Vec<String>) {
    let text = fs::read_to_string(path).unwrap();
    let (whole, torn): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| serde_json::from_str::<Value>(line).is_ok());
    (whole.len(), torn.into_iter().map(str::to_owned).collect())
}

/// Takes the last bytes off, as a power cut does.
fn tear(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 10).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn torn_last_line_spoils_no_other_after_a_start() {
    let fixture = Fixture::new();
    let audit = fixture.path("audit.ndjson");
    let mut service = fixture.serve();
    assert_eq!(service.get("/v1/Logins").0, 200);
    service.child.kill().unwrap();
    service.child.wait().unwrap();
    tear(&audit);
    let service = fixture.serve();
    assert_eq!(service.get("/v1/Logins").0, 200);
    assert_eq!(service.get("/v1/Logins").0, 200);
    let (whole, torn) = lines(&audit);
    assert_eq!((whole, torn.len()), (2, 1), "{torn:?}");
}

#[test]
fn torn_last_line_spoils_no_other_after_sighup() {
    let fixture = Fixture::new();
    let audit = fixture.path("audit.ndjson");
    let service = fixture.serve();
    assert_eq!(service.get("/v1/Logins").0, 200);
    tear(&audit);
    service.signal("HUP");
    service.wait_for_log("are reloaded");
    assert_eq!(service.get("/v1/Logins").0, 200);
    let (whole, torn) = lines(&audit);
    assert_eq!((whole, torn.len()), (1, 1), "{torn:?}");
}

#[test]
fn torn_last_line_on_standard_output_spoils_no_other() {
    let fixture = Fixture::new();
    let path = fixture.path("output.ndjson");
    fixture.write("output.ndjson", "{\"tid\":\"torn");
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]).env("VIRKSOMHEDSLOGIN__AUDIT__FILE", "-");
    let output = OpenOptions::new().append(true).open(&path).unwrap();
    let service = Service::start_with(command, fixture.token(), output.into());
    assert_eq!(service.get("/v1/Logins").0, 200);
    assert_eq!(lines(&path).0, 1, "{}", fs::read_to_string(&path).unwrap());
}

#[test]
fn deleted_audit_file_is_made_again_before_the_next_answer() {
    let fixture = Fixture::new();
    let audit = fixture.path("audit.ndjson");
    let service = fixture.serve();
    for _ in 0..3 {
        fs::remove_file(&audit).ok();
        assert_eq!(service.get("/v1/Logins").0, 200);
        assert_eq!(lines(&audit), (1, vec![]), "the line is in the new file");
    }
    assert_eq!(mode(&audit), 0o600);
    service.wait_for_log("it is opened again");
    assert_eq!(service.management("/readyz").0, 200);
}

#[test]
fn renamed_audit_file_is_noticed_without_sighup_or_loss() {
    let fixture = Fixture::new();
    let audit = fixture.path("audit.ndjson");
    let service = fixture.serve();
    let mut calls = 0;
    let mut files: Vec<PathBuf> = vec![audit.clone()];
    for round in 0..2 {
        assert_eq!(service.get("/v1/Logins").0, 200);
        calls += 1;
        let renamed = fixture.path(&format!("audit.{round}"));
        fs::rename(&audit, &renamed).unwrap();
        files.push(renamed);
        until("a new file is made within seconds", || {
            assert_eq!(service.get("/v1/Logins").0, 200);
            calls += 1;
            audit.exists()
        });
    }
    service.wait_for_log("it is opened again");
    assert_eq!(service.get("/v1/Logins").0, 200);
    let counted: usize = files.iter().map(|file| lines(file).0).sum();
    assert_eq!(counted, calls + 1);
}

#[test]
fn replaced_audit_file_is_noticed_without_a_call() {
    let fixture = Fixture::new();
    let audit = fixture.path("audit.ndjson");
    let service = fixture.serve();
    fs::rename(&audit, fixture.path("audit.1")).unwrap();
    fixture.write("audit.ndjson", "{\"tid\":\"torn");
    service.wait_for_log("it is opened again");
    assert_eq!(service.get("/v1/Logins").0, 200);
    let (whole, torn) = lines(&audit);
    assert_eq!((whole, torn.len()), (1, 1), "{torn:?}");
}

#[test]
fn missing_audit_directory_is_503_and_not_ready_until_back() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("audit")).unwrap();
    let service = start(&fixture, "audit/audit.ndjson");
    assert_eq!(service.get("/v1/Logins").0, 200);
    fs::remove_dir_all(fixture.path("audit")).unwrap();
    let (status, body) = service.get("/v1/Logins");
    assert!(status == 503 && body.contains("\"fejlkode\":\"1100\""), "{status} {body}");
    let (status, body) = service.management("/readyz");
    assert!(status == 503 && body.contains("\"audit\":"), "{status} {body}");
    fs::create_dir(fixture.path("audit")).unwrap();
    until("it is ready again", || service.management("/readyz").0 == 200);
    assert_eq!(service.get("/v1/Logins").0, 200);
    assert_eq!(lines(&fixture.path("audit/audit.ndjson")), (1, vec![]));
}

#[test]
fn audit_file_open_to_others_is_narrowed() {
    let fixture = Fixture::new();
    let audit = fixture.path("audit.ndjson");
    for (given, kept) in [(0o666, 0o640), (0o664, 0o640), (0o644, 0o640), (0o640, 0o640), (0o600, 0o600)] {
        fixture.write("audit.ndjson", "");
        fs::set_permissions(&audit, Permissions::from_mode(given)).unwrap();
        let checked = run(&["check", "--config", &fixture.config()]);
        let noted = stdout(&checked).contains("note: audit.file: ");
        assert_eq!((checked.status.code(), noted), (Some(0), given != kept), "{}", stdout(&checked));
        assert_eq!(mode(&audit), given, "check changes nothing");
        let service = fixture.serve();
        assert_eq!(mode(&audit), kept, "{given:o}");
        fs::set_permissions(&audit, Permissions::from_mode(0o604)).unwrap();
        until("it is narrowed while the service runs", || mode(&audit) == 0o600);
        let messages = 1 + usize::from(given != kept);
        until("each time is logged", || service.log().matches("open to others").count() == messages);
    }
}

/// A small disk in memory, unmounted with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&path).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn full_audit_disk_is_503_and_not_ready_until_there_is_room() {
    let fixture = Fixture::new();
    let Some(disk) = SmallDisk::mount(fixture.path("disk")) else {
        let _ = writeln!(std::io::stderr(), "left out: a full disk, because mounting a tmpfs needs root");
        return;
    };
    let audit = disk.0.join("audit.ndjson");
    let mut service = start(&fixture, "disk/audit.ndjson");
    assert_eq!(service.get("/v1/Logins").0, 200);
    assert_eq!(service.management("/readyz").0, 200);
    for round in 0..3 {
        // What a write leaves of the last page differs from round to round.
        let filler = disk.0.join("filler");
        let _ = fs::write(&filler, vec![1; 64 << 10]);
        let mut calls = 0;
        until("the disk is full", || {
            calls += 1;
            service.get("/v1/Logins").0 == 503
        });
        let (status, body) = service.management("/readyz");
        assert!(status == 503 && body.contains("\"audit\":"), "{round}: {status} {body}");
        assert_eq!(service.child.try_wait().unwrap(), None);
        fs::remove_file(&filler).unwrap();
        until("it is ready without a call", || service.management("/readyz").0 == 200);
        assert_eq!(service.get("/v1/Logins").0, 200);
    }
    let (whole, torn) = lines(&audit);
    assert!(whole >= 4 && torn.len() <= 3, "{whole} {torn:?}");
    assert!(!fs::read_to_string(&audit).unwrap().contains("}{"));
}

#[test]
fn full_disk_is_not_ready_before_a_call_fails() {
    let fixture = Fixture::new();
    let Some(disk) = SmallDisk::mount(fixture.path("disk")) else {
        let _ = writeln!(std::io::stderr(), "left out: a full disk, because mounting a tmpfs needs root");
        return;
    };
    let service = start(&fixture, "disk/audit.ndjson");
    assert_eq!(service.management("/readyz").0, 200);
    let _ = fs::write(disk.0.join("filler"), vec![1; 64 << 10]);
    until("the full disk is noticed", || service.management("/readyz").0 == 503);
    fs::remove_file(disk.0.join("filler")).unwrap();
    until("there is room again", || service.management("/readyz").0 == 200);
}

/// System calls so far that wrote to a file; a socket is sent to.
fn writes(service: &Service) -> u64 {
    let counts = fs::read_to_string(format!("/proc/{}/io", service.child.id())).unwrap();
    let found = counts.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap();
    found.parse().unwrap()
}

#[test]
fn calls_that_are_ready_together_share_a_write() {
    const CALLS: usize = 60;
    let fixture = Fixture::new();
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]);
    command
        .env("VIRKSOMHEDSLOGIN__AUDIT__FILE", "audit.ndjson")
        .env("VIRKSOMHEDSLOGIN__SERVER__WORKERS", "1");
    command.env("RUST_LOG", "virksomhedslogin::server=info");
    let service = Service::start(command, fixture.token());
    // Answered without the store.
    let request = format!(
        "GET /v1/Login?cvrNummer=x HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        service.address, service.token
    );
    let answer = |stream: &mut TcpStream| {
        let mut text = [0; 4096];
        let length = stream.read(&mut text).unwrap();
        assert!(text[..length].starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&text[..length]));
    };
    let mut streams: Vec<_> = (0..CALLS).map(|_| TcpStream::connect(&service.address).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(request.as_bytes()).unwrap();
        answer(stream);
    }
    let before = writes(&service);
    service.signal("STOP");
    streams.iter_mut().for_each(|stream| stream.write_all(request.as_bytes()).unwrap());
    service.signal("CONT");
    streams.iter_mut().for_each(answer);
    let made = writes(&service) - before;
    assert!(made < CALLS as u64 / 2, "{made} writes for {CALLS} calls");
    assert_eq!(lines(&fixture.path("audit.ndjson")).0, 2 * CALLS);
}
