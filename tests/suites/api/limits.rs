//! Clients that hold on to connections, come in crowds, or call without end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use virksomhedslogin::testing::OrganisationType::{AKasse, JobCenter, Star};

use crate::suites::api::harness::{Answer, TestApp, spawn_app, spawn_app_with};
use crate::suites::api::raw::{AUTH, BODY, listen, put};

/// A service that waits for a second only.
const IMPATIENT: &str = "limits.request_timeout_seconds = 1\nlimits.write_timeout_seconds = 2\n";

fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(&app.address).unwrap()
}

/// Sends a byte now and then until the connection is closed: how long that took.
fn trickle(stream: &mut TcpStream, byte: u8) -> Duration {
    let started = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    while started.elapsed() < Duration::from_secs(15) {
        let mut answer = [0; 4096];
        match stream.read(&mut answer) {
            Ok(0) => return started.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if stream.write_all(&[byte]).is_err() {
                    return started.elapsed();
                }
            }
            Err(_) => return started.elapsed(),
        }
    }
    panic!("still open after {:?}", started.elapsed());
}

#[test]
fn a_head_that_trickles_is_cut_off_in_every_request() {
    let app = spawn_app_with(IMPATIENT);
    let mut first = connect(&app);
    first.write_all(b"GET /v1/Logins HTTP/1.1\r\nHost: x\r\nX-A: ").unwrap();
    assert!(trickle(&mut first, b'a') < Duration::from_secs(12));

    let mut later = connect(&app);
    later.write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(listen(&mut later, 1).statuses(), [404]);
    later.write_all(b"GET /v1/Logins HTTP/1.1\r\nHost: x\r\nX-A: ").unwrap();
    assert!(trickle(&mut later, b'a') < Duration::from_secs(12));
}

#[test]
fn a_body_that_trickles_is_a_408_and_the_end_of_the_connection() {
    let app = spawn_app_with(IMPATIENT);
    let token = app.as_org(Star).token().unwrap();
    for (header, begin) in [("Content-Length: 9999", "{"), ("Transfer-Encoding: chunked", "fff\r\n{")] {
        let head =
            put(&format!("{header}\r\n"), begin).replace(AUTH, &format!("Authorization: Bearer {token}\r\n"));
        let mut stream = connect(&app);
        stream.write_all(head.as_bytes()).unwrap();
        let started = Instant::now();
        let heard = listen(&mut stream, 1);
        assert_eq!(heard.statuses(), [408], "{header}");
        assert!(heard.answers[0].head.contains("connection: close"), "{header}: {heard:?}");
        assert!(heard.answers[0].body.contains(r#""fejlkode":"1014""#), "{heard:?}");
        trickle(&mut stream, b' ');
        assert!(started.elapsed() < Duration::from_secs(10), "{header}: {:?}", started.elapsed());
    }
    let line = app.audit().pop().unwrap();
    assert_eq!((&line["status"], &line["udfald"]), (&json!(408), &json!("tilladt")));
    assert_eq!(app.as_org(Star).get_logins().text(), r#"{"virksomheder":[]}"#);
}

#[test]
fn what_comes_after_a_408_is_no_request() {
    let app = spawn_app_with(IMPATIENT);
    let token = app.as_org(Star).token().unwrap();
    let head = put("Transfer-Encoding: chunked\r\n", "1\r\n{")
        .replace(AUTH, &format!("Authorization: Bearer {token}\r\n"));
    let mut stream = connect(&app);
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(listen(&mut stream, 1).statuses(), [408]);
    stream.write_all(b"\r\n0\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let heard = listen(&mut stream, 1);
    assert_eq!((heard.statuses(), heard.closed), (vec![], true));
}

#[test]
fn unread_chunks_do_not_hold_a_connection() {
    let app = spawn_app_with(IMPATIENT);
    let mut stream = connect(&app);
    stream
        .write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n")
        .unwrap();
    assert!(trickle(&mut stream, b'a') < Duration::from_secs(12));
    let mut endless = connect(&app);
    endless.write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;").unwrap();
    assert!(trickle(&mut endless, b'a') < Duration::from_secs(12));
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off() {
    let app = spawn_app_with(IMPATIENT);
    let token = app.as_org(Star).token().unwrap();
    let request = format!("GET /v1/Logins HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    app.as_org(Star).set_logins(0..2_000);
    let mut stream = connect(&app);
    // More answers than the system's buffers on both sides hold.
    stream.write_all(request.repeat(16).as_bytes()).unwrap();
    let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
    for _ in 0..20 {
        let _ = stream.write(request.as_bytes());
    }
    std::thread::sleep(Duration::from_secs(6));
    let (mut taken, mut piece) = (0, vec![0; 1 << 20]);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let ended = loop {
        match stream.read(&mut piece) {
            Ok(0) => break true,
            Ok(length) => taken += length,
            Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    assert!(ended && taken < 36 * 2_000 * 130, "{taken}");
}

#[test]
fn one_connection_more_than_allowed_is_answered_and_closed() {
    let app = spawn_app_with("limits.connections = 16\n");
    let token = app.as_org(Star).token().unwrap();
    let request = format!("GET /v1/Logins HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut within: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = connect(&app);
            stream.write_all(request.as_bytes()).unwrap();
            assert_eq!(listen(&mut stream, 1).statuses(), [200]);
            stream
        })
        .collect();
    for _ in 0..20 {
        let mut surplus = connect(&app);
        surplus.write_all(request.as_bytes()).unwrap();
        let heard = listen(&mut surplus, 1);
        let answer = &heard.answers[0];
        assert_eq!((heard.statuses(), heard.closed), (vec![503], true));
        assert!(answer.head.contains("retry-after: 2\r\n") && answer.head.contains("connection: close"));
        assert!(answer.body.contains(r#""fejlkode":"1100""#), "{}", answer.body);
    }
    // Those who were there before are served on, and health is asked elsewhere.
    for stream in &mut within {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(listen(stream, 1).statuses(), [200]);
    }
    assert_eq!(app.management("/readyz").status, 200);
    drop(within);
    let until = Instant::now() + Duration::from_secs(5);
    while app.as_org(Star).get_logins().status != 200 {
        assert!(Instant::now() < until, "there is room again");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_calls_too_often_learns_when_to_go_on() {
    let app = spawn_app_with("limits.requests_per_second = 1\nlimits.burst = 3\n");
    // The bucket fills meanwhile, so that on a slow machine it takes some calls more to empty it.
    let until_refused = |call: &dyn Fn() -> Answer| {
        let answers: Vec<_> = (0..50).map(|_| call()).collect();
        answers.into_iter().find(|answer| answer.status == 429).expect("a client that never stops is refused")
    };
    for _ in 0..3 {
        assert_eq!(app.as_org(Star).get_logins().status, 200);
    }
    let refused = until_refused(&|| app.as_org(Star).get_logins());
    assert_eq!(refused.problem(), (429, "1100".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let line = app.audit().into_iter().rfind(|line| line["status"] == 429).unwrap();
    assert_eq!(
        (&line["udfald"], &line["status"], &line["fejlkode"]),
        (&json!("afvist"), &json!(429), &json!("1100"))
    );
    assert_eq!(line["aarsag"], "the client_id calls more often than it may");
    assert_eq!(line["clientId"], "client-1");
    // Counted by client, whatever it is let in to: also for a method that it may not call, and before that is looked at.
    until_refused(&|| app.as_org(JobCenter).set_login("12345678"));
    // Not counted: a call without a good token, and one that is no method's.
    assert_eq!(app.as_anonymous().get_logins().status, 401);
    assert_eq!(app.as_org(Star).send("GET", "/nowhere", &[], None).status, 404);
    // Others have buckets of their own, by client_id or else by sub.
    assert_eq!(app.as_org(AKasse).with("client_id", json!("client-2")).get_logins().status, 200);
    assert_eq!(app.as_org(AKasse).with("client_id", json!(null)).get_logins().status, 200);
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(app.as_org(Star).get_logins().status, 200, "after Retry-After");
}

#[test]
fn without_a_limit_no_client_is_refused() {
    let app = spawn_app();
    for _ in 0..200 {
        assert_eq!(app.as_org(Star).get_logins().status, 200);
    }
}

/// Good requests, one after another on connections of their own: the slowest but one of a hundred.
fn p99(app: &TestApp, token: &str) -> Duration {
    let request = format!(
        "GET /v1/Login?cvrNummer=00000001 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let mut times: Vec<_> = (0..300)
        .map(|_| {
            let started = Instant::now();
            assert!(app.raw(request.as_bytes()).starts_with("HTTP/1.1 200 "));
            started.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() * 99 / 100]
}

/// This process' memory in use, in bytes.
fn memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
fn five_hundred_slow_heads_and_slow_readers_delay_no_other() {
    let app = spawn_app_with("limits.request_timeout_seconds = 60\n");
    let token = app.as_org(Star).token().unwrap();
    app.as_org(Star).set_logins(0..2_000);
    let before = memory();
    let mut slow: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = connect(&app);
            stream.write_all(b"GET /v1/Logins HTTP/1.1\r\nHost: x\r\n").unwrap();
            stream
        })
        .collect();
    let list =
        format!("GET /v1/Logins HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").repeat(16);
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(&app);
            stream.write_all(list.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Until the systems' buffers are full and nothing waits for anything but the readers.
    std::thread::sleep(Duration::from_secs(1));
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        slow.iter_mut().for_each(|stream| stream.write_all(b"X-A: b\r\n").unwrap());
        readers.iter().for_each(|mut stream| assert!(stream.read(&mut [0; 100]).unwrap() > 0));
        slowest = slowest.max(p99(&app, &token));
    }
    let grown = memory().saturating_sub(before);
    // Generous: this is a debug build beside other tests. `e2e/load/run` measures a build alone.
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    // A slow head holds two buffers of 8 KiB, a slow reader some pieces of its list.
    assert!(grown < 160 << 20, "{} KiB", grown >> 10);
    println!("p99 {slowest:?}, grown by {} KiB", grown >> 10);
    assert_eq!(app.as_org(Star).put("/v1/Login/00000001", &BODY.replace("12345678", "00000001")).status, 204);
}
