//! What the log says of connections: whose they are, in every line and in every format.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::wait_until;
use crate::support::process::{Fixture, Service, binary};

/// Everything that comes back for these bytes until the connection is closed.
fn send(service: &Service, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn serve(format: &str) -> (Fixture, Service) {
    let fixture = Fixture::new();
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]);
    command.env("VIRKSOMHEDSLOGIN__LOG__FORMAT", format);
    command.env("VIRKSOMHEDSLOGIN__LIMITS__REQUEST_TIMEOUT_SECONDS", "1");
    let service = Service::start(command, fixture.token());
    (fixture, service)
}

#[test]
fn each_refused_request_is_one_line_with_its_client_address() {
    let (_site, mut service) = serve("json");
    let name = "n".repeat(65_536);
    for (bytes, status) in [
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{name}: x\r\n\r\n"), "431"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\n".to_owned(), "408"),
        ("GET /v1/Logins HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(), "401"),
    ] {
        let answer = send(&service, bytes.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    service.signal("TERM");
    service.wait(Duration::from_secs(20));
    let log = service.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{log}")))
        .collect();
    // Of several workers; each logs when its connection has ended.
    let mut reasons: Vec<_> = lines.iter().filter_map(|line| line["reason"].as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["head_too_large", "malformed", "malformed", "timed_out"], "{log}");
    let of_clients: Vec<_> =
        lines.iter().filter(|line| line["target"] == "virksomhedslogin::request").collect();
    assert_eq!(of_clients.len(), 5, "{log}");
    assert!(of_clients.iter().all(|line| line["remote"] == "127.0.0.1"), "{log}");
    assert!(!log.contains("actix"), "{log}");
}

#[test]
fn call_with_an_audit_line_is_logged_at_debug_unless_it_failed() {
    let failed = ["GET /v1/Login 404", "GET /nowhere 404"];
    let all = ["PUT /v1/Login/12345678 204", "GET /v1/Logins 200", "GET /export 200", failed[0], failed[1]];
    for (level, expected) in [("info", &failed[..]), ("virksomhedslogin::request=debug", &all[..])] {
        let fixture = Fixture::new();
        let variables = [("RUST_LOG", level), ("VIRKSOMHEDSLOGIN__LOG__FORMAT", "json")];
        let mut service = fixture.serve_with(&variables);
        assert_eq!(service.put("12345678").unwrap(), 204);
        assert_eq!(service.get("/v1/Logins").0, 200);
        assert_eq!(service.management("/export").0, 200);
        assert_eq!(service.get("/v1/Login?cvrNummer=87654321").0, 404);
        assert_eq!(service.get("/nowhere").0, 404);
        service.signal("TERM");
        service.wait(Duration::from_secs(20));
        let log = service.log();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let requests: Vec<_> = lines
            .filter(|line| line["target"] == "virksomhedslogin::request")
            .map(|line| format!("{} {}", line["message"].as_str().unwrap(), line["status"]))
            .collect();
        assert_eq!(requests, expected, "{log}");
    }
}

#[test]
fn flood_of_refused_requests_is_summed_up() {
    let (_site, mut service) = serve("text");
    for _ in 0..200 {
        assert!(send(&service, b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    }
    std::thread::sleep(Duration::from_millis(200));
    assert!(send(&service, b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let counted = "virksomhedslogin_unread_requests_total{reason=\"malformed\"} 201\n";
    // A connection is closed first and counted then.
    let is_counted = || service.management("/metrics").1.contains(counted);
    assert!(wait_until(Duration::from_secs(10), is_counted), "{}", service.management("/metrics").1);
    service.signal("TERM");
    service.wait(Duration::from_secs(20));
    let log = service.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("a request could not be read")).collect();
    assert!(lines.len() < 150, "{}", lines.len());
    let number = |line: &&str| line.rsplit_once("notLogged=").unwrap().1.parse::<usize>().unwrap();
    assert_eq!(lines.iter().map(number).sum::<usize>() + lines.len(), 201, "{log}");
}
