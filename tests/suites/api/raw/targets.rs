//! What is asked for: no way of writing a path leads past the guard.

use super::{AUTH, Closed, GoesOn, get, hold, row, send, send_to};
use crate::suites::api::harness::spawn_app;

#[test]
fn a_path_is_its_method_only_when_written_as_such() {
    let app = spawn_app();
    let with = |target: &str| get(target, "");
    let rows: Vec<_> = [
        ("/v1/Logins", 200),
        ("/v1/Logins?", 200),
        ("/v1/Logins?x", 200),
        // Unreserved characters may be encoded (RFC 3986 §6.2.2.2).
        ("/v1/%4Cogins", 200),
        ("//v1/Logins", 404),
        ("/v1//Logins", 404),
        ("/v1/Logins/", 404),
        ("/V1/Logins", 404),
        ("/v1/logins", 404),
        ("/v1/../v1/Logins", 404),
        ("/v1/./Logins", 404),
        ("/x/../v1/Logins", 404),
        ("/v1/%2e%2e/v1/Logins", 404),
        ("/v1/%2E/Logins", 404),
        ("/v1/..%2fv1/Logins", 404),
        ("/v1%2fLogins", 404),
        ("/v1%5cLogins", 404),
        ("/%2fv1/Logins", 404),
        ("/v1/%254cogins", 404),
        ("/swagger/../v1/Logins", 404),
        ("/swagger/..%2f..%2fetc%2fpasswd", 404),
        ("/assets/..%2fv1", 404),
        // A path segment with something behind `LoginSpan` is SetLogin's, which is not read.
        ("/v1/Logins;x", 405),
        ("/v1/Logins%00", 405),
        ("/v1/Logins%20", 405),
        ("/v1/Logins%2f", 405),
        ("/v1/Logins%3f", 405),
        ("/v1/Login/../Logins", 404),
        ("/v1/Login/..", 405),
    ]
    .into_iter()
    .map(|(target, status)| row(target, with(target), status, GoesOn))
    .collect();
    hold(&app, &rows);
}

#[test]
fn a_target_in_another_form_is_the_same_or_nothing() {
    let app = spawn_app();
    let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: x\r\n{AUTH}\r\n");
    hold(
        &app,
        &[
            row("absolute form", line("GET http://x/v1/Logins"), 200, GoesOn),
            row("absolute form, another host", line("GET http://other/v1/Logins"), 200, GoesOn),
            row("absolute form, a path beyond", line("GET http://x//v1/Logins"), 404, GoesOn),
            row("absolute form without a path", line("GET http://x/nowhere"), 404, GoesOn),
            row("absolute form over TLS before a proxy", line("GET https://x/v1/Logins"), 200, GoesOn),
            row("absolute form, capitals", line("GET HTTP://X/v1/Logins"), 200, GoesOn),
            row("absolute form, a user", line("GET http://a@b/v1/Logins"), 400, GoesOn),
            row("absolute form, a port that is none", line("GET http://x:y/v1/Logins"), 400, GoesOn),
            row("absolute form, an address that is none", line("GET http://[x]/v1/Logins"), 400, GoesOn),
            row("absolute form, no host", line("GET http://:80/v1/Logins"), 400, GoesOn),
            row("absolute form of something else", line("GET ftp://x/v1/Logins"), 400, GoesOn),
            row("asterisk form", line("OPTIONS *"), 204, GoesOn),
            row("asterisk form of another verb", line("GET *"), 404, GoesOn),
            row("authority form", line("CONNECT x:80"), 404, Closed),
            row("authority form of another verb", line("GET x:80"), 404, GoesOn),
            row("a path for CONNECT", line("CONNECT /v1/Logins"), 405, Closed),
            row("no slash", line("GET v1/Logins"), 400, Closed),
            row("a fragment", line("GET /v1/Logins#x"), 200, GoesOn),
            row("NUL", line("GET /v1/Logins\0"), 400, Closed),
            row("a control character", line("GET /v1/Logins\x01"), 400, Closed),
            row("DEL", line("GET /v1/Logins\x7f"), 400, Closed),
            row("62 KiB", line(&format!("GET /{}", "x".repeat(63_000))), 404, GoesOn),
            row("beyond 64 KiB", line(&format!("GET /{}", "x".repeat(66_000))), 431, Closed),
            row("beyond 128 KiB", line(&format!("GET /{}", "x".repeat(140_000))), 431, Closed),
            row("OPTIONS of a method", line("OPTIONS /v1/Logins"), 204, GoesOn),
            row("TRACE", line("TRACE /v1/Logins"), 405, GoesOn),
        ],
    );
}

#[test]
fn the_host_in_the_target_counts_and_not_the_other() {
    let app = spawn_app();
    let heard = send(&app, b"GET http://login.example.dk:81/ HTTP/1.1\r\nHost: other\r\n\r\n", 1);
    let page = &heard.answers[0].body;
    assert!(
        page.contains("http://login.example.dk:81/v1/Logins") && !page.contains("http://other"),
        "{page}"
    );
}

#[test]
fn options_of_everything_names_every_verb_of_the_listener() {
    let app = spawn_app();
    for (address, allow) in
        [(&app.address, "GET, HEAD, PUT, OPTIONS"), (&app.management, "GET, HEAD, OPTIONS")]
    {
        let heard = send_to(address, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 1);
        assert_eq!(heard.statuses(), [204]);
        assert!(
            heard.answers[0].head.contains(&format!("\r\nallow: {allow}\r\n")),
            "{}",
            heard.answers[0].head
        );
    }
}

#[test]
fn the_management_listener_refuses_a_host_that_is_none() {
    let app = spawn_app();
    for (target, host) in
        [("/livez", "a@b"), ("/export", "x/y"), ("/x", "\u{e6}"), ("http://a@b/export", "x")]
    {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(send_to(&app.management, request.as_bytes(), 1).statuses(), [400], "{target} {host}");
    }
}
