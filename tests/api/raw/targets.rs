//! What is asked for: no way of writing a path leads past the guard.

use super::{AUTH, Closed, GoesOn, get, hold, row};
use crate::harness::spawn_app;

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
        // A path segment with something behind `Login` is SetLogin's, which is not read.
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
            row("asterisk form", line("OPTIONS *"), 404, GoesOn),
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
