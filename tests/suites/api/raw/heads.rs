//! How long a head may be.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::{get, listen, send};
use crate::suites::api::harness::{TestApp, spawn_app};
use crate::support::cluster::wait_until;
use virksomhedslogin::testing::OrganisationType::Star;

/// Sends a request to nowhere with these headers, alone and behind a good one.
fn statuses(app: &TestApp, headers: &str) -> (Vec<u16>, Vec<u16>) {
    let request = get("/nowhere", headers).replace(super::AUTH, "");
    let good = get("/nowhere", "").replace(super::AUTH, "");
    let alone = send(app, request.as_bytes(), 1);
    let behind = send(app, format!("{good}{request}").as_bytes(), 2);
    (alone.statuses(), behind.statuses())
}

#[test]
fn empty_line_before_a_head_may_arrive_in_pieces() {
    let app = spawn_app();
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in ["\r", "\n", "\r\n", "GET /nowhere HTTP/1.1\r", "\nHost: x\r\n\r", "\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    stream.write_all(get("/nowhere", "").replace(super::AUTH, "").as_bytes()).unwrap();
    assert_eq!(listen(&mut stream, 2).statuses(), [404, 404]);
}

#[test]
fn head_of_64_kib_is_too_long_wherever_it_is_long() {
    let app = spawn_app();
    for length in [64_000, 65_400] {
        assert_eq!(statuses(&app, &format!("X: {}\r\n", "v".repeat(length))), (vec![404], vec![404, 404]));
        assert_eq!(statuses(&app, &format!("{}: x\r\n", "n".repeat(length))), (vec![404], vec![404, 404]));
    }
    for length in [65_535, 65_536, 65_537, 70_000, 131_072, 300_000] {
        let lines = format!("X: {}\r\n", "v".repeat(900)).repeat(length / 900 + 1);
        for headers in
            [format!("{}: x\r\n", "n".repeat(length)), format!("X: {}\r\n", "v".repeat(length)), lines]
        {
            assert_eq!(statuses(&app, &headers), (vec![431], vec![404, 431]), "{length} {}", &headers[..9]);
        }
    }
    let counted = r#"virksomhedslogin_unread_requests_total{reason="head_too_large"} 36"#;
    let is_counted = || app.management("/metrics").text().lines().any(|line| line == counted);
    // A connection is closed first and counted then.
    assert!(wait_until(Duration::from_secs(10), is_counted), "{}", app.management("/metrics").text());
    // Nothing of it is left to the next one.
    assert_eq!(app.as_org(Star).get_logins().status, 200);
}
