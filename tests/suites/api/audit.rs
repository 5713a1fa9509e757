//! One call, one line, whatever a client sends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::SockRef;
use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use crate::suites::api::harness::spawn_app;
use crate::suites::api::raw::{AUTH, put};

/// What could end a line, or hide one: C0, DEL, and the line ends of Unicode.
const CONTROLS: [char; 37] = {
    let mut all = ['\0'; 37];
    let mut at = 0;
    while at < 32 {
        all[at] = at as u8 as char;
        at += 1;
    }
    all[32] = '\x7f';
    all[33] = '\u{85}';
    all[34] = '\u{2028}';
    all[35] = '\u{2029}';
    all[36] = '\u{9b}';
    all
};

#[test]
fn no_claim_and_no_parameter_breaks_a_line() {
    let app = spawn_app();
    let mut calls = 0;
    for control in CONTROLS {
        let forged = format!("a{control}{{\"metode\":\"SetLogin\",\"udfald\":\"tilladt\"}}{control}b");
        let short = format!("1{control}2");
        for (claim, value) in [
            ("sub", json!(forged)),
            ("client_id", json!(forged)),
            ("organisationType", json!(forged)),
            ("organisationCode", json!(short)),
            ("adgang", json!([forged, "AlleBorgere"])),
            ("adgang", json!(forged)),
            ("cvr", json!(forged)),
            ("scope", json!(forged)),
        ] {
            app.as_org(JobCenter).with(claim, value).get_login("12345678");
            calls += 1;
        }
        let encoded: String = control.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in [
            format!("/v1/Login?cvrNummer=1{encoded}2"),
            format!("/v1/Login?cvrNummer=12345678&{encoded}={encoded}"),
            format!("/v1/Logins?{encoded}"),
        ] {
            app.as_org(Star).send("GET", &path, &[], None);
            calls += 1;
        }
        app.as_org(Star).put(
            &format!("/v1/Login/{encoded}"),
            &format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":{}}}}}"#, json!(forged)),
        );
        calls += 1;
    }
    // A header cannot hold most of them; what it can hold is no request id.
    app.as_org(Star).send("GET", "/v1/Logins", &[("x-requestId", "a\u{2028}b")], None);
    app.as_org(Star).send("GET", "/v1/Logins", &[("traceparent", "\u{85}")], None);
    calls += 2;

    let text = std::fs::read_to_string(app.directory.path().join("audit.ndjson")).unwrap();
    assert_eq!(text.matches('\n').count(), calls);
    let hidden = |letter: char| letter != '\n' && CONTROLS[..36].contains(&letter);
    assert!(!text.contains(hidden), "{:?}", text.lines().find(|line| line.contains(hidden)));
    let lines = app.audit();
    assert_eq!(lines.len(), calls);
    for control in CONTROLS {
        let forged = format!("a{control}{{\"metode\":\"SetLogin\",\"udfald\":\"tilladt\"}}{control}b");
        assert!(lines.iter().any(|line| line["sub"] == forged), "{control:?} is logged as it was");
    }
    assert!(lines.iter().all(|line| line["metode"] != "SetLogin" || line["status"] == 400));
}

#[test]
fn a_call_that_is_given_up_has_its_line() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    let head = put("Content-Length: 48\r\nExpect: 100-continue\r\n", "")
        .replace(AUTH, &format!("Authorization: Bearer {token}\r\n"));
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; 4096];
    let length = stream.read(&mut asked).unwrap();
    assert!(asked[..length].starts_with(b"HTTP/1.1 100 "), "the body is waited for");
    assert!(app.audit().is_empty());
    // Closed with a reset.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let until = Instant::now() + Duration::from_secs(5);
    while app.audit().is_empty() {
        assert!(Instant::now() < until, "the line is written");
        std::thread::sleep(Duration::from_millis(10));
    }
    let lines = app.audit();
    let seen = ["metode", "udfald", "status", "fejlkode", "cvrNummer", "clientId"]
        .map(|name| lines[0][name].to_string());
    // The handler may learn that the body has broken off before its call is given up.
    let outcomes = ["499 null", r#"400 "1014""#];
    let expected = outcomes.map(|outcome| format!(r#""SetLogin" "tilladt" {outcome} "12345678" "client-1""#));
    assert!(lines.len() == 1 && expected.contains(&seen.join(" ")), "{lines:?}");
    assert_eq!(app.as_org(Star).get_logins().text(), r#"{"virksomheder":[]}"#);
}
