//! The management listener on a Unix socket, on addresses that are not loopback, and when no audit line can be written.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use crate::suites::cli::program::{run, stderr, stdout};
use crate::suites::cli::records::{import, list};
use crate::suites::cli::supervised::handed_over;
use crate::support::process::{Fixture, Service, binary};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The service with its management listener here.
fn start(fixture: &Fixture, management: &str, variables: &[(&str, &str)]) -> Service {
    let mut command = binary();
    command
        .args(["serve", "--config", &fixture.config()])
        .env("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", management);
    command.envs(variables.iter().copied());
    Service::start(command, fixture.token())
}

/// The answer on a Unix socket.
fn ask(path: &std::path::Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(format!("{request}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn unix_socket_serves_its_user_alone_and_the_commands() {
    let fixture = Fixture::new();
    let filled = import(&fixture, "list.ndjson", &list(2_000), &[]);
    assert_eq!(filled.status.code(), Some(0), "{}", stderr(&filled));
    let path = fixture.path("management.sock");
    // As a dead process leaves it.
    drop(UnixListener::bind(&path).unwrap());
    let mut service = start(&fixture, "unix:management.sock", &[]);
    let address = format!("unix:{}", path.display());
    assert_eq!(service.management, address);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let health = run(&["health", "--url", &address]);
    assert_eq!((health.status.code(), stdout(&health)), (Some(0), "ready\n"), "{}", stderr(&health));
    let exported = run(&["export", "--from", &address]);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    assert_eq!(stdout(&exported), list(2_000));
    assert!(ask(&path, "GET /metrics HTTP/1.1\r\nHost: localhost").contains("\nvirksomhedslogin_ready 1\n"));
    assert!(ask(&path, "GET /livez HTTP/1.1\r\nHost: evil.example").starts_with("HTTP/1.1 421 "));
    let audit = fs::read_to_string(fixture.path("audit.ndjson")).unwrap();
    assert!(audit.contains(r#""metode":"Export""#) && audit.contains(r#""remote":"unix""#), "{audit}");

    let mut check = binary();
    check.args(["check", "--config", &fixture.config()]);
    let check = check.env("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", &address).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    assert!(stdout(&check).contains("note: server.management: "), "{}", stdout(&check));
    if fixture.store.url().is_none() {
        let refused = run(&["export", "--config", &fixture.config()]);
        assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    }
    service.signal("TERM");
    assert_eq!(service.wait(TIMEOUT).code(), Some(0));
    let gone = run(&["health", "--url", &address]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains(&address), "{}", stderr(&gone));
    assert_eq!(run(&["health", "--url", "unix:"]).status.code(), Some(2));
}

#[test]
fn unix_socket_named_management_that_was_handed_over_is_served() {
    let fixture = Fixture::new();
    let path = fixture.path("handed.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let service = Service::start(handed_over(&fixture, "management", vec![socket.into()]), fixture.token());
    assert_eq!(service.management, format!("unix:{}", path.display()));
    assert!(ask(&path, "GET /readyz HTTP/1.1\r\nHost: localhost").starts_with("HTTP/1.1 200 "));
    assert_eq!(service.get("/v1/Logins").0, 200, "the API is on its own address");
}

#[test]
fn address_that_is_not_loopback_is_noted_and_warned_of() {
    let fixture = Fixture::new();
    let word = "is not a loopback address";
    for (address, exposed) in [
        ("0.0.0.0:0", true),
        ("[::]:0", true),
        ("127.0.0.1:0", false),
        ("[::1]:0", false),
        ("unix:m.sock", false),
    ] {
        let mut check = binary();
        check.args(["check", "--config", &fixture.config()]);
        let check = check.env("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", address).output().unwrap();
        assert_eq!(check.status.code(), Some(0), "{address}: {}", stderr(&check));
        assert_eq!(stdout(&check).contains(word), exposed, "{address}: {}", stdout(&check));
        let mut serve = binary();
        serve
            .args(["serve", "--config", &fixture.config()])
            .env("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", address);
        let log = fs::File::create(fixture.path("log")).unwrap();
        let mut child = serve.stdout(std::process::Stdio::null()).stderr(log).spawn().unwrap();
        let text = || fs::read_to_string(fixture.path("log")).unwrap();
        for _ in 0..1_000 {
            if text().contains("listens on ") {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        crate::support::process::signal(&child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", text());
        assert_eq!(text().contains(word), exposed, "{address}: {}", text());
        assert!(!exposed || text().contains("WARN"), "{}", text());
    }
    let any = TcpListener::bind("0.0.0.0:0").unwrap();
    let service = Service::start(handed_over(&fixture, "management", vec![any.into()]), fixture.token());
    assert!(service.management.starts_with("0.0.0.0:"), "{}", service.management);
}

#[test]
fn export_without_an_audit_line_is_503_and_tells_nothing() {
    let fixture = Fixture::new();
    let service = start(&fixture, "127.0.0.1:0", &[("VIRKSOMHEDSLOGIN__AUDIT__FILE", "/dev/full")]);
    let from = format!("http://{}", service.management);
    let mut response = crate::support::process::agent().get(format!("{from}/export")).call().unwrap();
    let body = response.body_mut().read_to_string().unwrap();
    assert_eq!(response.status(), 503, "{body}");
    assert!(response.headers().contains_key("retry-after") && !body.contains("antal"), "{body}");
    let exported = run(&["export", "--from", &from]);
    assert_eq!(exported.status.code(), Some(1));
    assert!(stderr(&exported).contains("503") && stdout(&exported).is_empty(), "{}", stderr(&exported));
    let (status, body) = service.management("/readyz");
    assert!(status == 503 && body.contains("\"audit\":"), "{status} {body}");
}

#[test]
fn commands_find_the_listener_by_a_name_too() {
    let fixture = Fixture::new();
    let service = fixture.serve();
    let port = service.management.rsplit_once(':').unwrap().1;
    let address = format!("http://localhost:{port}");
    for arguments in [["health", "--url", &address], ["export", "--from", &address]] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    }
}
