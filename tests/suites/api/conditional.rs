//! Preconditions (RFC 9110 §13): what names another state than the present one writes nothing and reads nothing.

use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use crate::suites::api::harness::{Answer, Caller, TestApp, spawn_app};

const ONE: &str = "/v1/Login?cvrNummer=12345678";
const LIST: &str = "/v1/Logins";
const WRITE: &str = "/v1/Login/12345678";
const BODY: &str = r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#;
const OTHER: &str = r#"W/"other""#;

fn read_if(app: &TestApp, path: &str, conditions: &[(&str, &str)]) -> Answer {
    app.as_org(JobCenter).send("GET", path, conditions, None)
}

fn write_if(caller: &Caller<'_>, conditions: &[(&str, &str)]) -> Answer {
    let headers = [&[("Content-Type", "application/json")], conditions].concat();
    caller.send("PUT", WRITE, &headers, Some(BODY.as_bytes()))
}

fn tag(app: &TestApp, path: &str, coding: &str) -> String {
    read_if(app, path, &[("Accept-Encoding", coding)]).header("etag").unwrap().to_owned()
}

fn is_a_412(answer: &Answer, what: &str) {
    assert_eq!(answer.problem(), (412, "1014".to_owned()), "{what}");
    assert_eq!(answer.header("etag"), None, "{what}");
}

#[test]
fn two_lines_of_a_precondition_are_one_list() {
    let app = spawn_app();
    let star = app.as_org(Star);
    assert_eq!(write_if(&star, &[]).status, 204);
    is_a_412(&write_if(&star, &[("If-Match", OTHER), ("If-Match", r#""y""#)]), "two lines");
    let present = tag(&app, ONE, "identity");
    assert_eq!(write_if(&star, &[("If-Match", OTHER), ("If-Match", &present)]).status, 204);
}

#[test]
fn a_write_goes_through_only_for_the_state_it_names() {
    let app = spawn_app();
    let star = app.as_org(Star);
    for absent in [OTHER, "*", r#""""#] {
        is_a_412(&write_if(&star, &[("If-Match", absent)]), absent);
        assert_eq!(star.get_login("12345678").status, 404, "{absent} wrote");
    }
    star.set_login("12345678");
    let before = tag(&app, ONE, "identity");
    app.clock.advance_millis(1);
    let strong = before.trim_start_matches("W/");
    let list = format!(r#"{strong}, "x""#);
    for other in [
        OTHER,
        "",
        r#""""#,
        "other",
        strong.trim_matches('"'),
        &tag(&app, LIST, "identity"),
        &format!("{strong} x"),
        &format!("x, {strong}"),
        &format!(r#""x";{strong}"#),
        r#""*""#,
    ] {
        is_a_412(&write_if(&star, &[("If-Match", other)]), other);
    }
    assert_eq!(tag(&app, ONE, "identity"), before, "a refused write is none");
    for (name, value) in [("weak", before.as_str()), ("strong", strong), ("a list", &list), ("any", "*")] {
        // The clock stands still from the second on, and so does the tag.
        let now = if name == "weak" { value.to_owned() } else { value.replace(strong, &present(&app)) };
        assert_eq!(write_if(&star, &[("If-Match", &now)]).status, 204, "{name}");
    }
    assert_ne!(tag(&app, ONE, "identity"), before);
    is_a_412(&write_if(&star, &[("If-Match", &before)]), "the state before");
}

fn present(app: &TestApp) -> String {
    tag(app, ONE, "identity").trim_start_matches("W/").to_owned()
}

#[test]
fn the_tag_of_any_coding_names_the_state() {
    let app = spawn_app();
    app.as_org(Star).set_login("12345678");
    for coding in ["identity", "gzip", "zstd"] {
        let (one, list) = (tag(&app, ONE, coding), tag(&app, LIST, coding));
        assert_eq!(write_if(&app.as_org(Star), &[("If-Match", &one)]).status, 204, "{one}");
        assert_eq!(read_if(&app, ONE, &[("If-Match", &one)]).status, 200, "{one}");
        assert_eq!(read_if(&app, LIST, &[("If-Match", &list)]).status, 200, "{list}");
    }
}

#[test]
fn a_read_of_another_state_is_a_412() {
    let app = spawn_app();
    assert_eq!(read_if(&app, LIST, &[("If-Match", "*")]).status, 200, "an empty list is one");
    app.as_org(Star).set_login("12345678");
    for path in [ONE, LIST] {
        let present = tag(&app, path, "identity");
        is_a_412(&read_if(&app, path, &[("If-Match", OTHER)]), path);
        assert_eq!(read_if(&app, path, &[("If-Match", "*")]).status, 200);
        let unchanged = [("If-Match", present.as_str()), ("If-None-Match", &present)];
        assert_eq!(read_if(&app, path, &unchanged).status, 304);
        let failed = [("If-Match", OTHER), ("If-None-Match", present.as_str())];
        is_a_412(&read_if(&app, path, &failed), "If-Match is looked at first");
        assert_eq!(app.as_org(JobCenter).send("HEAD", path, &[("If-Match", OTHER)], None).status, 412);
    }
}

#[test]
fn a_write_that_must_be_the_first_is_not_the_second() {
    let app = spawn_app();
    let star = app.as_org(Star);
    let first = [("If-None-Match", "*")];
    assert_eq!(write_if(&star, &first).status, 204);
    let before = present(&app);
    app.clock.advance_millis(1);
    is_a_412(&write_if(&star, &first), "the second");
    is_a_412(&write_if(&star, &[("If-None-Match", &before)]), "the present tag");
    assert_eq!(present(&app), before);
    assert_eq!(write_if(&star, &[("If-None-Match", OTHER)]).status, 204);
}

#[test]
fn a_precondition_is_looked_at_last() {
    let app = spawn_app();
    let other = [("If-Match", OTHER)];
    assert_eq!(write_if(&app.as_anonymous(), &other).status, 401);
    assert_eq!(write_if(&app.as_org(JobCenter), &other).status, 403);
    let typed = [("Content-Type", "application/json"), ("If-Match", OTHER)];
    for (body, status) in [("{", 400), (r#"{"VirksomhedsLoginDto":{"cvrNummer":"87654321"}}"#, 400)] {
        let answer = app.as_org(Star).send("PUT", WRITE, &typed, Some(body.as_bytes()));
        assert_eq!(answer.status, status, "{body}");
    }
    let text = [("Content-Type", "text/plain"), ("If-Match", OTHER)];
    assert_eq!(app.as_org(Star).send("PUT", WRITE, &text, Some(BODY.as_bytes())).status, 415);
    assert_eq!(read_if(&app, ONE, &other).problem(), (404, "120500".to_owned()));
    assert_eq!(read_if(&app, "/v1/Login?cvrNummer=x", &other).status, 400);
    for (verb, path, status) in [("OPTIONS", LIST, 204), ("DELETE", LIST, 405), ("GET", "/x", 404)] {
        assert_eq!(app.as_anonymous().send(verb, path, &other, None).status, status, "{verb} {path}");
    }
}

#[test]
fn a_304_carries_the_tag_and_an_error_never_does() {
    let app = spawn_app();
    app.as_org(Star).set_login("12345678");
    for path in [ONE, LIST, "/", "/openapi.json", "/swagger/"] {
        let present = tag(&app, path, "identity");
        // What curl sends when it has no tag yet.
        for none in [r#""""#, r#"W/"""#, "", OTHER] {
            let answer = read_if(&app, path, &[("If-None-Match", none)]);
            assert_eq!(
                (answer.status, answer.header("etag")),
                (200, Some(present.as_str())),
                "{path} {none}"
            );
        }
        for same in [&present, "*", &format!(r#""", {present}"#)] {
            let answer = read_if(&app, path, &[("If-None-Match", same)]);
            assert_eq!(
                (answer.status, answer.header("etag")),
                (304, Some(present.as_str())),
                "{path} {same}"
            );
            for name in ["content-type", "content-language", "content-encoding", "content-length"] {
                assert_eq!(answer.header(name), None, "{path} {name}");
            }
        }
        for (verb, conditions) in [("GET", &[("If-Match", OTHER)][..]), ("DELETE", &[])] {
            let answer = app.as_org(JobCenter).send(verb, path, conditions, None);
            assert!(answer.status >= 400, "{verb} {path}");
            assert_eq!(answer.header("etag"), None, "{verb} {path}");
        }
    }
    for path in ["/v1/Login?cvrNummer=00000000", "/v1/Login?cvrNummer=x", "/x"] {
        assert_eq!(read_if(&app, path, &[("If-None-Match", "*")]).header("etag"), None, "{path}");
    }
}
