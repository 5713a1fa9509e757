//! Callers without a good token: what they cost, and what they leave behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use crate::suites::api::harness::{Answer, TestApp, spawn_app, spawn_app_with};

/// The calls that one address may have refused at once, unless configured otherwise.
const BURST: usize = 1_000;
/// And in each second.
const PER_SECOND: usize = 50;

fn connect(app: &TestApp) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(&app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    BufReader::new(stream)
}

/// Sends this request and reads its answer, which has a length or comes in chunks: the status.
fn context(stream: &mut BufReader<TcpStream>, request: &str) -> u16 {
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut status, mut length, mut is_chunked) = (0, 0, false);
    loop {
        let line = line(stream);
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap();
        } else if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.trim().parse().unwrap();
        } else if line.starts_with("transfer-encoding: chunked") {
            is_chunked = true;
        } else if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    while is_chunked {
        let size = usize::from_str_radix(line(stream).trim(), 16).unwrap();
        stream.read_exact(&mut vec![0; size + 2]).unwrap();
        is_chunked = size > 0;
    }
    status
}

fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}

/// Sends this request so often on one connection, one after the other: how often each status came.
fn flood(app: &TestApp, request: &str, times: usize) -> Vec<(u16, usize)> {
    let mut stream = connect(app);
    let mut counted: Vec<(u16, usize)> = Vec::new();
    for _ in 0..times {
        let status = context(&mut stream, request);
        match counted.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => counted.push((status, 1)),
        }
    }
    counted
}

fn count(counted: &[(u16, usize)], status: u16) -> usize {
    counted.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count)
}

/// Calls without a token until one is beyond the bucket, which fills meanwhile.
fn until_limited(app: &TestApp) -> Answer {
    let mut answers = (0..2 * BURST).map(|_| app.as_anonymous().get_logins());
    answers.find(|answer| answer.status == 429).expect("a client that never stops is limited")
}

/// The shortest of some answers to this request, so that what else the machine does is not counted.
fn shortest(app: &TestApp, request: &str, status: u16) -> Duration {
    let mut stream = connect(app);
    let once = |_| {
        let started = Instant::now();
        assert_eq!(context(&mut stream, request), status);
        started.elapsed()
    };
    (0..15).map(once).min().unwrap()
}

/// A query of names that all stand twice, and one of the same length with a single name.
fn queries() -> [String; 2] {
    let names: Vec<_> = (0..6_000).map(|number| format!("{number:x}")).collect();
    let twice = [names.join("&"), names.join("&")].join("&");
    let one = "a".repeat(twice.len());
    [twice, one]
}

#[test]
fn a_query_is_not_read_before_the_token() {
    let app = spawn_app();
    let [twice, one] = queries();
    let request = |query: &str| format!("GET /v1/Login?{query} HTTP/1.1\r\nHost: x\r\n\r\n");
    let (twice, one) = (shortest(&app, &request(&twice), 401), shortest(&app, &request(&one), 401));
    assert!(twice < one * 4, "{twice:?} for many names, {one:?} for one");
}

#[test]
fn many_parameters_are_refused_without_being_compared() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    let [twice, one] = queries();
    for path in ["/v1/Login", "/v1/Logins"] {
        let request = |query: &str| {
            format!("GET {path}?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
        };
        let status = if path == "/v1/Login" { 400 } else { 200 };
        let (twice, one) = (shortest(&app, &request(&twice), 400), shortest(&app, &request(&one), status));
        assert!(twice < one * 4, "{path}: {twice:?} for many names, {one:?} for one");
    }
}

#[test]
fn a_400_lists_at_most_twenty_faults() {
    let app = spawn_app();
    let names: String = (0..30).map(|number| format!("&n{number}=1&n{number}=2")).collect();
    let answer = app.as_org(Star).send("GET", &format!("/v1/Login?cvrNummer=1{names}"), &[], None);
    assert_eq!((answer.problem().0, answer.faulty_fields().len()), (400, 20));
    let members: String = (0..1_000).map(|number| format!(r#""{number}":1,"{number}":1,"#)).collect();
    let answer =
        app.as_org(Star).put("/v1/Login/12345678", &format!("{{{}}}", members.trim_end_matches(',')));
    assert_eq!((answer.problem().0, answer.faulty_fields().len()), (400, 20));
    let names: String = (0..65).map(|number| format!("n{number}&")).collect();
    let answer = app.as_org(Star).send("GET", &format!("/v1/Logins?{names}"), &[], None);
    assert_eq!((answer.problem().0, answer.faulty_fields()), (400, vec!["request".to_owned()]));
}

#[test]
fn refused_calls_beyond_the_burst_are_429_and_one_line_a_second() {
    let app = spawn_app();
    for request in [
        "GET /v1/Login?cvrNummer=12345678 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/Logins HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\n\r\n",
    ] {
        let (before, started) = (app.audit().len(), Instant::now());
        let counted = flood(&app, request, 2 * BURST);
        let (reported, too_many) = (count(&counted, 401), count(&counted, 429));
        assert_eq!(reported + too_many, 2 * BURST, "{counted:?}");
        // The bucket fills meanwhile.
        let most = BURST + PER_SECOND * (started.elapsed().as_secs() as usize + 1);
        assert!(reported <= most && too_many > 0, "{counted:?}");
        assert!(
            app.audit().len() - before < reported + 30,
            "{} lines for {reported}",
            app.audit().len() - before
        );
        // A good caller from the same address is served meanwhile.
        assert_eq!(app.as_org(Star).get_logins().status, 200);
        assert_eq!(app.as_org(JobCenter).set_login("12345678").problem(), (403, "4575".to_owned()));
    }
    let refused = until_limited(&app);
    assert_eq!(refused.problem(), (429, "1100".to_owned()));
    assert!(refused.header("retry-after").is_some());
    // Every 429 is counted, and summed up in the audit log within a second or so.
    let until = Instant::now() + Duration::from_secs(10);
    while summed_up(&app) != limited(&app) {
        assert!(Instant::now() < until, "{} of {}", summed_up(&app), limited(&app));
        std::thread::sleep(Duration::from_millis(100));
    }
    let line = app.audit().into_iter().rfind(|line| line.get("antal").is_some()).expect("a summary");
    assert_eq!(
        (&line["udfald"], &line["status"], &line["fejlkode"], &line["metode"]),
        (&json!("afvist"), &json!(429), &json!("1100"), &json!(null))
    );
    assert_eq!(line["remote"], app.remote());
}

/// The calls that the audit log sums up.
fn summed_up(app: &TestApp) -> u64 {
    app.audit().iter().filter_map(|line| line["antal"].as_u64()).sum()
}

/// The calls that were answered 429.
fn limited(app: &TestApp) -> u64 {
    let scrape = app.management("/metrics");
    let counted = scrape.text().lines().filter(|line| {
        line.starts_with("virksomhedslogin_requests_total{") && line.contains("status=\"429\"")
    });
    counted.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn unknown_paths_and_verbs_share_the_bucket_with_refused_tokens() {
    let app = spawn_app();
    for (request, status) in [
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("DELETE /v1/Logins HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ] {
        let counted = flood(&app, request, 2 * BURST);
        assert!(count(&counted, 429) > 0, "{counted:?}");
        assert_eq!(count(&counted, status) + count(&counted, 429), 2 * BURST, "{counted:?}");
    }
    until_limited(&app);
    // The documentation is public and stays so.
    assert_eq!(count(&flood(&app, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 20), 200), 20);
}

#[test]
fn without_a_limit_every_refused_call_has_its_line() {
    let app = spawn_app_with("limits.refused_per_second = 0\n");
    let counted = flood(&app, "GET /v1/Logins HTTP/1.1\r\nHost: x\r\n\r\n", 2 * BURST);
    assert_eq!(counted, [(401, 2 * BURST)]);
    assert_eq!(app.audit().len(), 2 * BURST);
}

#[test]
fn claims_of_any_length_leave_a_line_of_bounded_length() {
    let app = spawn_app();
    let long = "x\u{202e}".repeat(1_000);
    for claim in ["sub", "client_id", "organisationType", "organisationCode", "cvr"] {
        app.as_org(Star).with(claim, json!(long)).get_logins();
    }
    app.as_org(Star).with("adgang", json!(vec![long.as_str(); 3])).get_logins();
    app.as_org(Star).with("adgang", json!(vec!["x"; 4_000])).get_logins();
    let lines = std::fs::read_to_string(app.directory.path().join("audit.ndjson")).unwrap();
    assert_eq!(lines.lines().count(), 7);
    for line in lines.lines() {
        assert!(line.len() < 5_000, "{} bytes: {line}", line.len());
        assert!(!line.contains('\u{202e}'), "{line}");
    }
}
