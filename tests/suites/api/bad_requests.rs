//! Requests that break a rule: each with every fault it has, and nothing written.

use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use crate::suites::api::harness::{Answer, spawn_app};

const BODY: &str = r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#;
const NUMBER: &str = "VirksomhedsLoginDto.cvrNummer";

fn is_a_400(answer: &Answer, fields: &[&str], what: &str) {
    assert_eq!(answer.problem(), (400, "1014".to_owned()), "{what}");
    assert_eq!(answer.faulty_fields(), fields, "{what}");
}

#[test]
fn a_bad_query_is_reported_field_by_field() {
    let app = spawn_app();
    for (query, fields) in [
        ("", &["cvrNummer"][..]),
        ("?cvrNummer=1234567", &["cvrNummer"]),
        ("?cvrNummer=123456789", &["cvrNummer"]),
        ("?cvrNummer=%EF%BC%91%EF%BC%92345678", &["cvrNummer"]),
        ("?cvrNummer=12345678&CvrNummer=12345678", &["cvrNummer"]),
        ("?cvrNummer=12345678&x=1&x=2", &["x"]),
        ("?cvrNummer=%FF", &["cvrNummer"]),
    ] {
        is_a_400(&app.as_org(JobCenter).send("GET", &format!("/v1/Login{query}"), &[], None), fields, query);
    }
}

#[test]
fn a_bad_put_is_reported_field_by_field_and_writes_nothing() {
    let app = spawn_app();
    let long_id = "x".repeat(47);
    for (path, body, id, fields) in [
        ("/v1/Login/1234567", BODY, "id", &["cvrNummer"][..]),
        ("/v1/Loginx", BODY, "id", &["cvrNummer"]),
        ("/v1/Login/%EF%BC%91", BODY, "id", &["cvrNummer"]),
        ("/v1/Login%2F12345678", BODY, "id", &["cvrNummer"]),
        ("/v1/Login/12345678", "", "id", &["request"]),
        ("/v1/Login/12345678", "{", "id", &["request"]),
        ("/v1/Login/12345678", "[]", "id", &["request"]),
        ("/v1/Login/12345678", "{}", "id", &["VirksomhedsLoginDto"]),
        ("/v1/Login/12345678", r#"{"VirksomhedsLoginDto":{"cvrNummer":12345678}}"#, "id", &[NUMBER]),
        ("/v1/Login/12345678", r#"{"VirksomhedsLoginDto":{"cvrNummer":"87654321"}}"#, "id", &[NUMBER]),
        ("/v1/Login/12345678", BODY, long_id.as_str(), &["x-requestId"]),
        (
            "/v1/Login/x",
            r#"{"VirksomhedsLoginDto":{"cvrNummer":"y"}}"#,
            long_id.as_str(),
            &["x-requestId", "cvrNummer", NUMBER],
        ),
    ] {
        let headers = [("Content-Type", "application/json"), ("x-requestId", id)];
        let answer = app.as_org(Star).send("PUT", path, &headers, Some(body.as_bytes()));
        is_a_400(&answer, fields, &format!("{path} {body}"));
    }
    assert_eq!(app.as_org(Star).get_logins().text(), r#"{"virksomheder":[]}"#);
}

#[test]
fn only_json_is_read() {
    let app = spawn_app();
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data"]
    {
        let headers = [("Content-Type", media_type)];
        let answer = app.as_org(Star).send("PUT", "/v1/Login/12345678", &headers, Some(BODY.as_bytes()));
        assert_eq!(answer.problem(), (415, "1014".to_owned()), "{media_type}");
    }
    let untyped = app.as_org(Star).send("PUT", "/v1/Login/12345678", &[], Some(BODY.as_bytes()));
    assert_eq!(untyped.problem(), (415, "1014".to_owned()));
    assert_eq!(untyped.header("accept"), Some("application/json"));
}

#[test]
fn a_content_coding_is_named_as_the_reason() {
    let app = spawn_app();
    let put = |coding: &str, media_type: &str| {
        let headers = [("Content-Type", media_type), ("Content-Encoding", coding)];
        app.as_org(Star).send("PUT", "/v1/Login/12345678", &headers, Some(BODY.as_bytes()))
    };
    for coding in ["gzip", "br", "identity, gzip", "x", "gzip, identity"] {
        for media_type in ["application/json", "text/plain"] {
            let answer = put(coding, media_type);
            assert_eq!(answer.problem(), (415, "1014".to_owned()), "{coding}");
            assert!(answer.text().contains("Content-Encoding"), "{}", answer.text());
            assert_eq!(answer.header("accept-encoding"), Some("identity"));
        }
    }
    for coding in ["identity", "Identity", "", "identity, identity", " , "] {
        assert_eq!(put(coding, "application/json").status, 204, "{coding}");
    }
}

#[test]
fn unknown_properties_may_hold_any_json() {
    let app = spawn_app();
    let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
    for value in [
        "1e999",
        "-1e999",
        "1E-999",
        "0.1e+400",
        &"9".repeat(400),
        r#""\ud800""#,
        r#"{"\udc00":"\ud83d"}"#,
        &deep,
        "-0",
    ] {
        let login = format!(r#"{{"x":{value},"cvrNummer":"12345678","X":[{value}]}}"#);
        let body = format!(r#"{{"x":{value},"VirksomhedsLoginDto":{login}}}"#);
        assert_eq!(app.as_org(Star).put("/v1/Login/12345678", &body).status, 204, "{value}");
    }
    for (name, status) in [(r#""\ud800""#, 204), (r#""\u0063vrNummer""#, 400)] {
        let body = format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"12345678",{name}:0}}}}"#);
        assert_eq!(app.as_org(Star).put("/v1/Login/12345678", &body).status, status, "{name}");
    }
}

#[test]
fn what_is_no_json_is_a_400_wherever_it_stands() {
    let app = spawn_app();
    let put = |body: &[u8]| {
        let headers = [("Content-Type", "application/json")];
        app.as_org(Star).send("PUT", "/v1/Login/12345678", &headers, Some(body))
    };
    let deep = "[".repeat(200) + &"]".repeat(200);
    for value in [
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "0x1",
        "NaN",
        "Infinity",
        "-Infinity",
        "tru",
        "'a'",
        r#""\x""#,
        r#""\u12""#,
        "\"\n\"",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "[",
        "1 2",
        "/* */1",
        "",
        &deep,
    ] {
        let body = format!(r#"{{"x":{value},"VirksomhedsLoginDto":{{"cvrNummer":"12345678"}}}}"#);
        is_a_400(&put(body.as_bytes()), &["request"], value);
    }
    is_a_400(
        &put(&[br#"{"x":""#, &b"\xff"[..], br#"","VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#].concat()),
        &["request"],
        "not UTF-8",
    );
    is_a_400(&put(format!("{BODY}{BODY}").as_bytes()), &["request"], "two values");
    for (value, field) in [("1e999", NUMBER), (r#""\ud800""#, NUMBER), ("12345678", NUMBER)] {
        let body = format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":{value}}}}}"#);
        is_a_400(&put(body.as_bytes()), &[field], value);
    }
    is_a_400(&put(br#"{"VirksomhedsLoginDto":1e999}"#), &["VirksomhedsLoginDto"], "no object");
    assert_eq!(app.as_org(Star).get_logins().text(), r#"{"virksomheder":[]}"#);
}

#[test]
fn a_byte_order_mark_before_the_body_is_skipped() {
    let app = spawn_app();
    assert_eq!(app.as_org(Star).put("/v1/Login/12345678", &format!("\u{feff}{BODY}")).status, 204);
    for body in ["\u{feff}", "\u{feff}\u{feff}{}", " \u{feff}{}", "{}\u{feff}"] {
        is_a_400(
            &app.as_org(Star).put("/v1/Login/12345678", body),
            &["request"],
            &body.escape_unicode().to_string(),
        );
    }
}

#[test]
fn a_repeated_query_parameter_is_refused_by_every_method() {
    let app = spawn_app();
    for (verb, path) in
        [("GET", "/v1/Login?cvrNummer=12345678&"), ("GET", "/v1/Logins?"), ("PUT", "/v1/Login/12345678?")]
    {
        let body = (verb == "PUT").then_some(BODY.as_bytes());
        let headers = [("Content-Type", "application/json")];
        let answer = app.as_org(Star).send(verb, &format!("{path}x=1&x=2"), &headers, body);
        is_a_400(&answer, &["x"], path);
    }
    assert_eq!(app.as_org(Star).get_logins().text(), r#"{"virksomheder":[]}"#);
}

#[test]
fn a_body_may_fill_16_kib_and_not_a_byte_more() {
    let app = spawn_app();
    let padded = |length: usize| format!("{BODY}{}", " ".repeat(length - BODY.len()));
    assert_eq!(app.as_org(Star).put("/v1/Login/12345678", &padded(16 * 1024)).status, 204);
    let answer = app.as_org(Star).put("/v1/Login/12345678", &padded(16 * 1024 + 1));
    assert_eq!(answer.problem(), (413, "1014".to_owned()));
}

#[test]
fn accept_is_not_negotiated() {
    let app = spawn_app();
    let answer = app.as_org(Star).send("GET", "/v1/Logins", &[("Accept", "application/xml")], None);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
}

#[test]
fn the_request_id_comes_back_as_it_was_sent() {
    let app = spawn_app();
    let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8-012345678";
    for (path, status) in [("/v1/Logins", 200), ("/v1/Login?cvrNummer=1", 400), ("/nowhere", 404)] {
        let answer = app.as_org(Star).send("GET", path, &[("x-requestId", id)], None);
        assert_eq!((answer.status, answer.header("x-requestid")), (status, Some(id)));
    }
    let made_up = app.as_org(Star).get_logins();
    assert_eq!(made_up.header("x-requestid").map(str::len), Some(36));
    let refused = app.as_org(Star).send("GET", "/v1/Logins", &[("x-requestId", "\u{e6}")], None);
    is_a_400(&refused, &["x-requestId"], "an id that is not ASCII");
    assert_eq!(refused.header("x-requestid").map(str::len), Some(36));
    let twice =
        app.as_org(Star).send("GET", "/v1/Logins", &[("x-requestId", "a"), ("x-requestId", "a")], None);
    is_a_400(&twice, &["x-requestId"], "an id sent twice");
}
