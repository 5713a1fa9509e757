//! `Expect: 100-continue` (RFC 9110 §10.1.1): a body is asked for once, and only when it is wanted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use super::{AUTH, BODY, get, put};
use crate::suites::api::harness::{TestApp, spawn_app};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Reads until there is this text.
fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut text, until) = (String::new(), Instant::now() + Duration::from_secs(20));
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    while Instant::now() < until && !text.contains(wanted) {
        let mut piece = [0; 65_536];
        if let Ok(length) = stream.read(&mut piece) {
            text += std::str::from_utf8(&piece[..length]).unwrap();
        }
    }
    text
}

fn held_back(app: &TestApp, more: &str) -> String {
    let token = app.as_org(Star).token().unwrap();
    put(&format!("Expect: 100-continue\r\n{more}"), "")
        .replace(AUTH, &format!("Authorization: Bearer {token}\r\n"))
}

#[test]
fn wanted_body_is_asked_for_once() {
    let app = spawn_app();
    let length = BODY.len();
    let chunk = format!("{length:x}\r\n{BODY}\r\n0\r\n\r\n");
    let mut stream = TcpStream::connect(&app.address).unwrap();
    for (framing, body) in [
        (format!("Content-Length: {length}\r\n"), BODY),
        ("Transfer-Encoding: chunked\r\n".to_owned(), &chunk),
    ] {
        for _ in 0..2 {
            stream.write_all(held_back(&app, &framing).as_bytes()).unwrap();
            assert_eq!(read_until(&mut stream, CONTINUE), CONTINUE, "{framing}");
            stream.write_all(body.as_bytes()).unwrap();
            let answer = read_until(&mut stream, "\r\n\r\n");
            assert!(answer.starts_with("HTTP/1.1 204 ") && !answer.contains("connection: close"), "{answer}");
        }
    }
}

#[test]
fn impatient_client_gets_one_interim_answer_before_its_own() {
    let app = spawn_app();
    let framing = format!("Content-Length: {}\r\n", BODY.len());
    let text = format!(
        "{}{}{BODY}{}{BODY}",
        get("/nowhere", "").replace(AUTH, ""),
        held_back(&app, &framing),
        held_back(&app, &format!("{framing}Connection: close\r\n"))
    );
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answers = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.read_to_string(&mut answers).unwrap();
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["404", "100", "204", "100", "204"], "{answers}");
}

#[test]
fn body_is_not_asked_for_when_the_head_decides() {
    let app = spawn_app();
    let length = format!("Content-Length: {}\r\n", BODY.len());
    let job_center = app.as_org(JobCenter).token().unwrap();
    let star = app.as_org(Star).token().unwrap();
    let plain = put(&format!("Expect: 100-continue\r\n{length}"), "")
        .replace(AUTH, &format!("Authorization: Bearer {star}\r\n"));
    let expecting = format!("{length}Expect: 100-continue\r\n");
    let cases = [
        (plain.replace(&star, "x"), 401),
        (plain.replace(&star, &job_center), 403),
        (held_back(&app, "Content-Length: 16385\r\n"), 413),
        (plain.replace("application/json", "text/plain"), 415),
        (held_back(&app, "Transfer-Encoding: chunked\r\n").replace("application/json", "text/plain"), 415),
        (get("/nowhere", &expecting).replace(AUTH, ""), 404),
        (get("/v1/Logins", &expecting).replace("GET", "POST").replace(AUTH, ""), 405),
        (get("/v1/Logins", &expecting).replace("GET", "OPTIONS").replace(AUTH, ""), 204),
        (get("/v1/Logins", &expecting).replace(AUTH, &format!("Authorization: Bearer {star}\r\n")), 200),
    ];
    let check = |(head, status): &(String, u16)| {
        let answer = app.raw(head.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head} {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{head} {answer}");
    };
    // At the same time: the service waits a second for each body that does not come.
    std::thread::scope(|scope| cases.iter().for_each(|case| drop(scope.spawn(|| check(case)))));
    // HTTP/1.0 knows no interim answers.
    let old = plain.replace("HTTP/1.1", "HTTP/1.0") + BODY;
    assert!(app.raw(old.as_bytes()).starts_with("HTTP/1.0 204 "));
    assert!(app.audit().iter().all(|line| line["status"] != 499), "{:?}", app.audit());
}
