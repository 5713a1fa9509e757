//! The request line and the header lines (RFC 9112 §2, §3, §5).

use super::{AUTH, Closed, GoesOn, get, hold, row};
use crate::suites::api::harness::spawn_app;
use virksomhedslogin::testing::OrganisationType::Star;

#[test]
fn a_header_that_is_none_is_refused() {
    let app = spawn_app();
    let with = |header: &str| get("/v1/Logins", &format!("{header}\r\n"));
    hold(
        &app,
        &[
            row("none", get("/v1/Logins", ""), 200, GoesOn),
            row("folded", with("X-A: b\r\n c"), 400, Closed),
            row("folded with a tab", with("X-A: b\r\n\tc"), 400, Closed),
            row("folded at once", format!("GET /v1/Logins HTTP/1.1\r\n Host: x\r\n{AUTH}\r\n"), 400, Closed),
            row("a space before the colon", with("X-A : b"), 400, Closed),
            row("a space in the name", with("X A: b"), 400, Closed),
            row("no colon", with("X-A"), 400, Closed),
            row("no name", with(": b"), 400, Closed),
            row("NUL in the value", with("X-A: b\0c"), 400, Closed),
            row("NUL in the name", with("X\0A: b"), 400, Closed),
            row("a control character", with("X-A: b\x01c"), 400, Closed),
            row("DEL", with("X-A: b\x7fc"), 400, Closed),
            row("a carriage return alone", with("X-A: b\rc"), 400, Closed),
            row("a letter outside ASCII in the name", with("X-\u{e6}: b"), 400, Closed),
            row("a letter outside ASCII in the value", with("X-A: \u{e6}"), 200, GoesOn),
            row("96 headers", with("X-A: b\r\n".repeat(94).trim_end()), 200, GoesOn),
            row("200 headers", with("X-A: b\r\n".repeat(200).trim_end()), 431, Closed),
            row("a head beyond 128 KiB", with(&format!("X-A: {}", "b".repeat(140_000))), 431, Closed),
        ],
    );
}

#[test]
fn exactly_one_host_is_named() {
    let app = spawn_app();
    let with = |headers: &str, version: &str| format!("GET /v1/Logins HTTP/{version}\r\n{headers}{AUTH}\r\n");
    hold(
        &app,
        &[
            row("none", with("", "1.1"), 400, Closed),
            row("two", with("Host: x\r\nHost: x\r\n", "1.1"), 400, Closed),
            row("two that differ", with("Host: x\r\nHost: y\r\n", "1.1"), 400, Closed),
            row("an empty one", with("Host:\r\n", "1.1"), 200, GoesOn),
            row("none in HTTP/1.0", with("", "1.0"), 200, Closed),
            row("two empty ones", with("Host:\r\nHost:\r\n", "1.1"), 400, Closed),
            row("two in HTTP/1.0", with("Host: x\r\nHost: x\r\n", "1.0"), 400, Closed),
        ],
    );
}

#[test]
fn a_host_that_is_none_is_refused_on_every_path() {
    let app = spawn_app();
    let with = |target: &str, host: &[u8]| {
        [format!("GET {target} HTTP/1.1\r\nHost: ").as_bytes(), host, format!("\r\n{AUTH}\r\n").as_bytes()]
            .concat()
    };
    let mut rows = Vec::new();
    for host in [
        "x",
        "X.example.dk",
        "x.",
        "a_b",
        "a-b.c",
        "127.0.0.1",
        "127.0.0.1:8080",
        "x:",
        "x:0",
        "x:65535",
        "[::1]",
        "[::1]:80",
        "app.1",
    ] {
        rows.push(row(host, with("/v1/Logins", host.as_bytes()), 200, GoesOn));
    }
    for host in [
        "a b<c>",
        "x/y",
        "a@b",
        "a@b:80",
        "\u{e6}.dk",
        ":80",
        "x:y",
        "x:-1",
        "x:65536",
        "x:1:2",
        "::1",
        "[::1",
        "[x]",
        "[::1]x",
        "[::1]:x",
        "[]",
        "a%41",
        "a!b",
        "a;b",
        "a%zz",
        "x,y",
        "x, y",
        "a?b",
        "a#b",
        "http://x",
        "a\\b",
        "a\"b",
        "a\tb",
    ] {
        rows.push(row(host, with("/v1/Logins", host.as_bytes()), 400, GoesOn));
    }
    rows.push(row("not UTF-8", with("/v1/Logins", b"\xff"), 400, GoesOn));
    for target in ["/", "/x", "/openapi.json", "/v1/Login/12345678"] {
        rows.push(row(target, with(target, b"a@b"), 400, GoesOn));
    }
    hold(&app, &rows);
}

#[test]
fn only_http_1_is_spoken() {
    let app = spawn_app();
    let line = |line: &str| format!("{line}\r\nHost: x\r\n{AUTH}\r\n");
    hold(
        &app,
        &[
            row("1.1", line("GET /v1/Logins HTTP/1.1"), 200, GoesOn),
            row(
                "1.0 with keep-alive",
                "GET /v1/Login?cvrNummer=12345678 HTTP/1.0\r\nConnection: keep-alive\r\n{auth}\r\n",
                404,
                GoesOn,
            ),
            row("1.0", "GET /v1/Logins HTTP/1.0\r\n{auth}\r\n", 200, Closed),
            row("1.2", line("GET /v1/Logins HTTP/1.2"), 400, Closed),
            row("2.0", line("GET /v1/Logins HTTP/2.0"), 400, Closed),
            row("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, Closed),
            row("0.9", "GET /v1/Logins\r\n", 400, Closed),
            row("small letters", line("GET /v1/Logins http/1.1"), 400, Closed),
            row("two spaces", line("GET  /v1/Logins HTTP/1.1"), 400, Closed),
            row("a tab", line("GET\t/v1/Logins HTTP/1.1"), 400, Closed),
            row("a word more", line("GET /v1/Logins x HTTP/1.1"), 400, Closed),
            row("a space first", line(" GET /v1/Logins HTTP/1.1"), 400, Closed),
            row("a small verb", line("get /v1/Logins HTTP/1.1"), 405, GoesOn),
            row("a verb of its own", line("BREW /v1/Logins HTTP/1.1"), 405, GoesOn),
            row("TLS", &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], 400, Closed),
            row("empty lines first", format!("\r\n\r\n{}", line("GET /v1/Logins HTTP/1.1")), 200, GoesOn),
            // RFC 9112 §2.2 leaves it to the recipient; nothing here depends on the carriage return.
            row("line feeds alone", line("GET /v1/Logins HTTP/1.1").replace("\r\n", "\n"), 200, GoesOn),
        ],
    );
}

#[test]
fn a_list_is_whole_for_those_who_know_no_chunks() {
    let app = spawn_app();
    app.as_org(Star).set_login("12345678");
    let list = app.as_org(Star).get_logins();
    let token = app.as_org(Star).token().unwrap();
    for (version, more) in [("1.0", ""), ("1.0", "Connection: keep-alive\r\n")] {
        let head = format!("GET /v1/Logins HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
        // Without a length, the end of the connection is waited for.
        let expected = if app.store.url().is_none() { 1 } else { 2 };
        let heard = super::send(&app, format!("{head}{more}\r\n").as_bytes(), expected);
        let answer = &heard.answers[0];
        assert_eq!((answer.status, answer.body.as_str()), (200, list.text()), "{version} {more}");
        assert!(!answer.head.contains("transfer-encoding"), "{}", answer.head);
        let ends_with_length = answer.head.contains("\r\ncontent-length: ");
        assert!(ends_with_length || heard.closed, "{version} {more}");
    }
}
