//! Clients of HTTP/1.0 and 1.1 side by side: what one of them sends changes nothing for the others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use virksomhedslogin::testing::OrganisationType::Star;

use super::{listen, send};
use crate::suites::api::harness::spawn_app;

/// More connections than the service has workers, so that every worker gets some.
const CONNECTIONS: usize = 8;

#[test]
fn http_1_0_client_leaves_keep_alive_connections_alone() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    let mut kept: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(&app.address).unwrap()).collect();
    for round in 0..3 {
        for _ in 0..CONNECTIONS {
            let old = send(&app, b"GET /nowhere HTTP/1.0\r\n\r\n", 1);
            assert_eq!((old.statuses(), old.closed), (vec![404], true));
        }
        for (number, stream) in kept.iter_mut().enumerate() {
            let request = format!(
                "GET /v1/Login?cvrNummer=12345678 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let heard = listen(stream, 1);
            assert_eq!((heard.statuses(), heard.closed), (vec![404], false), "{round}, {number}");
            let head = &heard.answers[0].head;
            assert!(head.starts_with("HTTP/1.1 ") && !head.contains("connection:"), "{head}");
        }
    }
}

#[test]
fn http_1_0_keep_alive_works_beside_a_client_that_closes() {
    let app = spawn_app();
    let mut kept: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(&app.address).unwrap()).collect();
    for _ in 0..3 {
        for stream in &mut kept {
            stream.write_all(b"GET /nowhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
            let heard = listen(stream, 1);
            assert_eq!((heard.statuses(), heard.closed), (vec![404], false));
            assert!(heard.answers[0].head.contains("connection: keep-alive"), "{heard:?}");
        }
        let closing = send(&app, b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 1);
        assert_eq!((closing.statuses(), closing.closed), (vec![404], true));
    }
}

#[test]
fn pipelined_requests_are_answered_each_in_its_own_way() {
    let app = spawn_app();
    let get = "GET /v1/Logins HTTP/1.1\r\nHost: x\r\n\r\n";
    for (behind, version, is_empty, closes) in [
        ("HEAD /v1/Logins HTTP/1.1\r\nHost: x\r\n\r\n", "1.1", true, false),
        ("GET /v1/Logins HTTP/1.0\r\n\r\n", "1.0", false, true),
        ("GET /v1/Logins HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "1.1", false, true),
    ] {
        let mut stream = TcpStream::connect(&app.address).unwrap();
        stream.write_all(format!("{get}{behind}").as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(if closes { 20 } else { 2 }))).unwrap();
        let mut text = Vec::new();
        let closed = stream.read_to_end(&mut text).is_ok();
        let text = String::from_utf8(text).unwrap();
        let (first, second) = text[1..].split_at(text[1..].find("HTTP/1.").unwrap());
        assert!(first.starts_with("TTP/1.1 401 ") && first.ends_with('}'), "{behind}: {text}");
        assert!(second.starts_with(&format!("HTTP/{version} 401 ")), "{behind}: {text}");
        assert_eq!((second.ends_with("\r\n\r\n"), closed), (is_empty, closes), "{behind}: {text}");
    }
}
