//! Bodies that the answer does not wait for: little more of them is read, and the connection is closed.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use super::{AUTH, get, listen, put};
use crate::suites::api::harness::{TestApp, spawn_app, spawn_app_with};

/// What the buffers of the system on both sides may take beyond what is read.
const BUFFERS: usize = 24 << 20;

/// What became of a connection whose body does not end.
#[derive(Debug)]
struct Ended {
    answer: String,
    sent: usize,
    after: Duration,
}

/// Sends a head and then pieces of its body, one every `pause`, until the connection is closed.
fn send_without_end(app: &TestApp, head: &str, piece: &[u8], pause: Duration) -> Ended {
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    reader.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer);
        (String::from_utf8_lossy(&answer).into_owned(), Instant::now())
    });
    let (started, mut sent) = (Instant::now(), 0);
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    while started.elapsed() < Duration::from_secs(8) && !reader.is_finished() {
        match stream.write(piece) {
            Ok(length) => sent += length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        std::thread::sleep(pause);
    }
    let (answer, ended) = reader.join().unwrap();
    Ended { answer, sent, after: ended - started }
}

/// Heads whose answer does not wait for the body, and that answer.
fn heads(app: &TestApp, framing: &str) -> Vec<(String, u16)> {
    let bearer = |token: Option<String>| format!("Authorization: Bearer {}\r\n", token.unwrap());
    let (star, job_center) = (bearer(app.as_org(Star).token()), bearer(app.as_org(JobCenter).token()));
    let login = put(framing, "");
    let other = |verb: &str, target: &str| get(target, framing).replacen("GET", verb, 1);
    vec![
        (login.replace(AUTH, ""), 401),
        (login.replace(AUTH, &job_center), 403),
        (login.replace(AUTH, &star), 413),
        (login.replace(AUTH, &star).replace("application/json", "text/plain"), 415),
        (login.replace(AUTH, &star).replace("/12345678", "/1234567x"), 413),
        (other("GET", "/v1/Logins").replace(AUTH, &star), 200),
        (other("GET", "/v1/Login").replace(AUTH, &star), 400),
        (other("GET", "/nowhere").replace(AUTH, ""), 404),
        (other("POST", "/v1/Logins").replace(AUTH, &star), 405),
        (other("OPTIONS", "/v1/Logins").replace(AUTH, ""), 204),
        (other("GET", "/").replace(AUTH, ""), 200),
    ]
}

/// Each of these heads, with a body that goes on as this does.
fn hold_without_end(framing: &str, piece: &[u8], pause: Duration) {
    let app = spawn_app();
    let heads = heads(&app, framing);
    std::thread::scope(|scope| {
        let tried: Vec<_> = heads
            .iter()
            .map(|(head, status)| (head, status, scope.spawn(|| send_without_end(&app, head, piece, pause))))
            .collect();
        for (head, status, tried) in tried {
            let ended = tried.join().unwrap();
            assert!(ended.answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head} {ended:?}");
            assert_eq!(ended.answer.matches("HTTP/1.1 ").count(), 1, "{head} {ended:?}");
            assert!(ended.answer.contains("\r\nconnection: close\r\n"), "{head} {ended:?}");
            assert!(ended.after < Duration::from_secs(8), "{head} {ended:?}");
            assert!(ended.sent < BUFFERS, "{head} {ended:?}");
        }
    });
}

#[test]
fn endless_chunks_are_not_read_after_the_answer() {
    let piece = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    hold_without_end("Transfer-Encoding: chunked\r\n", piece.as_bytes(), Duration::ZERO);
}

#[test]
fn endless_length_is_not_read_after_the_answer() {
    hold_without_end("Content-Length: 99999999999\r\n", &[b'x'; 65_536], Duration::ZERO);
}

#[test]
fn endless_body_on_a_surplus_connection_is_not_read() {
    let app = spawn_app_with("limits.connections = 16\n");
    let mut within: Vec<_> = (0..16).map(|_| TcpStream::connect(&app.address).unwrap()).collect();
    for stream in &mut within {
        stream.write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(listen(stream, 1).statuses(), [404]);
    }
    let piece = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    let head = put("Transfer-Encoding: chunked\r\n", "").replace(AUTH, "");
    let ended = send_without_end(&app, &head, piece.as_bytes(), Duration::ZERO);
    assert!(ended.answer.starts_with("HTTP/1.1 503 "), "{ended:?}");
    assert!(ended.after < Duration::from_secs(8) && ended.sent < BUFFERS, "{ended:?}");
}

#[test]
fn body_trickling_after_the_answer_ends_the_connection() {
    let app = spawn_app();
    for (framing, piece) in [("Transfer-Encoding: chunked", "1\r\nx\r\n"), ("Content-Length: 9999", "x")] {
        let head = put(&format!("{framing}\r\n"), "").replace(AUTH, "");
        let ended = send_without_end(&app, &head, piece.as_bytes(), Duration::from_millis(100));
        assert!(ended.answer.starts_with("HTTP/1.1 401 "), "{framing} {ended:?}");
        assert!(ended.answer.contains("\r\nconnection: close\r\n"), "{framing} {ended:?}");
        assert!((1..8).contains(&ended.after.as_secs()), "{framing} {ended:?}");
    }
}
