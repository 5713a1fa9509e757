//! Raw bytes on the wire: chunked bodies, absolute forms, requests that break off.

use virksomhedslogin::testing::OrganisationType::Star;

use crate::suites::api::harness::spawn_app;

#[test]
fn a_chunked_body_is_read_and_capped_like_any_other() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    let head = format!(
        "PUT /v1/Login/12345678 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let body = r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#;
    let good = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert!(app.raw(good.as_bytes()).starts_with("HTTP/1.1 204 "));
    let large = format!("{head}{:x}\r\n{}\r\n0\r\n\r\n", 20_000, " ".repeat(20_000));
    assert!(app.raw(large.as_bytes()).starts_with("HTTP/1.1 413 "));
    let missing = format!("{head}0\r\n\r\n");
    assert!(app.raw(missing.as_bytes()).starts_with("HTTP/1.1 400 "));
}

#[test]
fn the_absolute_form_is_the_same_request() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    let request = format!(
        "GET http://example.dk/v1/Logins HTTP/1.1\r\nHost: example.dk\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    assert!(app.raw(request.as_bytes()).starts_with("HTTP/1.1 200 "));
}

#[test]
fn only_a_number_may_follow_the_path_of_a_method() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    for target in
        ["/v1/Logins%2f", "/v1/Logins;x", "/v1/Login%2F12345678", "/v1/Login/..%2fLogins", "/v1/Login/%00"]
    {
        let get = app.raw(format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes());
        assert!(get.starts_with("HTTP/1.1 405 "), "{target}: {get}");
        let body = r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#;
        let put = app.raw(
            format!(
                "PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
        assert!(put.starts_with("HTTP/1.1 400 "), "{target}: {put}");
    }
    assert_eq!(app.as_org(Star).get_logins().text(), r#"{"virksomheder":[]}"#);
}

#[test]
fn odd_targets_get_one_answer_and_reach_nothing() {
    let app = spawn_app();
    for target in
        ["*", "/v1/%2e%2e/v1/Logins", "/v1/../v1/Logins", "//v1/Logins", "/v1%2fLogins", "/v1/Login/1/../x"]
    {
        for verb in ["GET", "OPTIONS", "TRACE"] {
            if (verb, target) == ("OPTIONS", "*") {
                continue;
            }
            let answer = app
                .raw(format!("{verb} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{verb} {target}: {answer}");
            assert!(
                answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 "),
                "{verb} {target}: {answer}"
            );
        }
    }
}
