//! What the management listener takes, from whom, and what an export leaves behind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use virksomhedslogin::testing::OrganisationType::Star;

use crate::suites::api::harness::{START, TestApp, spawn_app};

const PATHS: [&str; 5] = ["/livez", "/readyz", "/metrics", "/export", "/nowhere"];

/// The answer to these bytes, until the connection is closed.
fn raw(app: &TestApp, request: &str) -> String {
    let mut stream = TcpStream::connect(&app.management).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The answer to a GET with these header lines.
fn get(app: &TestApp, path: &str, headers: &str) -> String {
    raw(app, &format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}")).parse().unwrap()
}

fn assert_refused(answer: &str, what: &str) {
    assert_eq!(status(answer), 421, "{what}: {answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{what}: {answer}");
    assert!(answer.contains(r#""status":421,"fejlkode":"1014""#), "{what}: {answer}");
    assert!(!answer.contains("virksomhedslogin_") && !answer.contains("antal"), "{what}: {answer}");
}

#[test]
fn host_that_is_a_name_is_421_on_every_path() {
    let app = spawn_app();
    app.as_org(Star).set_login("12345678");
    for path in PATHS {
        for host in ["evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.nip.io"] {
            assert_refused(&get(&app, path, &format!("Host: {host}\r\n")), &format!("{path} {host}"));
        }
        let expected = if path == "/nowhere" { 404 } else { 200 };
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "192.0.2.1:9090", "[::1]", "[::1]:9090"] {
            assert_eq!(status(&get(&app, path, &format!("Host: {host}\r\n"))), expected, "{path} {host}");
        }
    }
}

#[test]
fn host_may_be_absent_in_http_1_0_alone() {
    let app = spawn_app();
    assert_eq!(status(&raw(&app, "GET /readyz HTTP/1.0\r\n\r\n")), 200);
    assert_refused(&raw(&app, "GET /readyz HTTP/1.0\r\nHost: evil.example\r\n\r\n"), "HTTP/1.0");
    for headers in ["", "Host: localhost\r\nHost: localhost\r\n", "Host: localhost\r\nHost: evil.example\r\n"]
    {
        let answer = get(&app, "/export", headers);
        assert!([400, 421].contains(&status(&answer)), "{headers:?}: {answer}");
    }
}

#[test]
fn host_in_the_target_counts() {
    let app = spawn_app();
    for target in ["http://evil.example/export", "http://user@127.0.0.1/export"] {
        let answer = get(&app, target, "Host: 127.0.0.1\r\n");
        assert!([400, 421].contains(&status(&answer)), "{target}: {answer}");
    }
    assert_refused(&get(&app, "http://evil.example/export", "Host: 127.0.0.1\r\n"), "target");
    assert_eq!(status(&get(&app, "http://127.0.0.1/livez", "Host: 127.0.0.1\r\n")), 200);
}

#[test]
fn web_pages_are_421() {
    let app = spawn_app();
    for path in PATHS {
        for header in [
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
            "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site",
            "Origin: https://evil.example",
            "Origin: null",
            "Origin: http://127.0.0.1:3000",
        ] {
            let answer = get(&app, path, &format!("Host: 127.0.0.1:9090\r\n{header}\r\n"));
            assert_refused(&answer, &format!("{path} {header}"));
        }
    }
    for header in ["Sec-Fetch-Site: none", "Sec-Fetch-Site: same-origin", "Origin: http://127.0.0.1:9090"] {
        let answer = get(&app, "/livez", &format!("Host: 127.0.0.1:9090\r\n{header}\r\n"));
        assert_eq!(status(&answer), 200, "{header}: {answer}");
    }
}

#[test]
fn export_leaves_an_audit_line_let_in_or_not() {
    let app = spawn_app();
    assert_eq!(status(&get(&app, "/export", "Host: localhost\r\nx-requestId: backup-1\r\n")), 200);
    raw(&app, "HEAD /export HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_refused(&get(&app, "/export", "Host: evil.example\r\n"), "export");
    for request in ["POST /export", "OPTIONS /export", "GET /readyz", "GET /metrics", "GET /nowhere"] {
        raw(&app, &format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    }
    assert_refused(&get(&app, "/readyz", "Host: evil.example\r\n"), "readyz");
    let lines = app.audit();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(
        lines[0],
        json!({
            "tid": START, "requestId": "backup-1", "metode": "Export", "udfald": "tilladt", "status": 200,
            "fejlkode": null, "aarsag": "server.management asks for no token", "cvrNummer": null,
            "traceId": lines[0]["traceId"], "sub": null, "clientId": null, "organisationType": null,
            "organisationCode": null, "adgang": [], "aktoerCvr": null, "remote": "127.0.0.1",
        })
    );
    let seen = |line: &Value| {
        ["metode", "udfald", "status", "fejlkode"].map(|name| line[name].to_string()).join(" ")
    };
    assert_eq!(seen(&lines[1]), r#""Export" "tilladt" 200 null"#);
    assert_eq!(seen(&lines[2]), r#""Export" "afvist" 421 "1014""#);
    assert!(lines[2]["aarsag"].as_str().unwrap().contains("Host"), "{}", lines[2]);
}

#[test]
fn management_is_not_counted_as_calls() {
    let app = spawn_app();
    get(&app, "/export", "Host: evil.example\r\n");
    let metrics = app.management("/metrics");
    let counted = |line: &&str| line.starts_with("virksomhedslogin_requests_total{") && !line.ends_with(" 0");
    assert_eq!(metrics.text().lines().filter(counted).count(), 0);
}
