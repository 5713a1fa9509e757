//! What the three methods answer when all is well, byte for byte.

use serde_json::json;
use virksomhedslogin::testing::OrganisationType::{AKasse, JobCenter, Star};
use virksomhedslogin::testing::Timestamp;

use crate::suites::api::harness::{START, spawn_app};

#[test]
fn a_login_is_recorded_and_read_back_byte_for_byte() {
    let app = spawn_app();
    let written = app.as_org(Star).set_login("12345678");
    assert_eq!((written.status, written.text()), (204, ""));
    assert_eq!(written.header("cache-control"), Some("no-store"));
    app.clock.advance_millis(2_669_877);
    assert_eq!(app.as_org(Star).set_login("12345678").status, 204);

    let read = app.as_org(JobCenter).get_login("12345678");
    assert_eq!(read.status, 200);
    insta::assert_snapshot!(read.text(), @r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678","tidligsteLoginTidspunkt":"2026-11-23T08:15:30.123Z","senesteLogintidspunkt":"2026-11-23T09:00:00.000Z"}}"#);
    assert_eq!(read.header("content-type"), Some("application/json"));
    assert_eq!(read.header("cache-control"), Some("private, no-cache"));
    assert_eq!(read.header("content-length"), Some(read.body.len().to_string().as_str()));
}

#[test]
fn an_empty_register_is_an_empty_list() {
    let app = spawn_app();
    let list = app.as_org(AKasse).get_logins();
    assert_eq!((list.status, list.text()), (200, r#"{"virksomheder":[]}"#));
}

#[test]
fn the_list_ascends_by_number_and_keeps_leading_zeros() {
    let app = spawn_app();
    for cvr in ["99999999", "00000000", "12345678", "00000042"] {
        assert_eq!(app.as_org(Star).set_login(cvr).status, 204);
    }
    let list = app.as_org(AKasse).get_logins();
    insta::assert_snapshot!(list.text(), @r#"{"virksomheder":[{"cvrNummer":"00000000","tidligsteLoginTidspunkt":"2026-11-23T08:15:30.123Z","senesteLogintidspunkt":"2026-11-23T08:15:30.123Z"},{"cvrNummer":"00000042","tidligsteLoginTidspunkt":"2026-11-23T08:15:30.123Z","senesteLogintidspunkt":"2026-11-23T08:15:30.123Z"},{"cvrNummer":"12345678","tidligsteLoginTidspunkt":"2026-11-23T08:15:30.123Z","senesteLogintidspunkt":"2026-11-23T08:15:30.123Z"},{"cvrNummer":"99999999","tidligsteLoginTidspunkt":"2026-11-23T08:15:30.123Z","senesteLogintidspunkt":"2026-11-23T08:15:30.123Z"}]}"#);
}

#[test]
fn clock_stepping_back_raises_no_first_and_lowers_no_last() {
    let app = spawn_app();
    let star = app.as_org(Star);
    star.set_login("12345678");
    app.clock.advance_millis(-3_600_000);
    star.set_login("12345678");
    app.clock.advance_millis(1_800_000);
    star.set_login("12345678");
    let read = app.as_org(Star).get_login("12345678").json();
    assert_eq!(
        read["VirksomhedsLoginDto"],
        json!({"cvrNummer": "12345678", "tidligsteLoginTidspunkt": "2026-11-23T07:15:30.123Z",
               "senesteLogintidspunkt": START})
    );
}

#[test]
fn a_timestamp_sent_by_the_caller_is_never_stored() {
    let app = spawn_app();
    let body = r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678","tidligsteLoginTidspunkt":"1999-01-01T00:00:00.000Z"}}"#;
    assert_eq!(app.as_org(Star).put("/v1/Login/12345678", body).status, 204);
    let read = app.as_org(Star).get_login("12345678").json();
    assert_eq!(read["VirksomhedsLoginDto"]["tidligsteLoginTidspunkt"], START);
}

#[test]
fn the_printed_path_without_a_slash_is_the_same_method() {
    let app = spawn_app();
    let body = r#"{"virksomhedsLoginDto":{"CvrNummer":"12345678"}}"#;
    assert_eq!(app.as_org(Star).put("/v1/Login12345678", body).status, 204);
    assert_eq!(app.as_org(Star).get_login("12345678").status, 200);
}

#[test]
fn head_answers_as_get_without_a_body() {
    let app = spawn_app();
    app.as_org(Star).set_login("12345678");
    for path in ["/v1/Login?cvrNummer=12345678", "/v1/Logins"] {
        let get = app.as_org(JobCenter).send("GET", path, &[], None);
        let head = app.as_org(JobCenter).send("HEAD", path, &[], None);
        assert_eq!((head.status, head.body.len()), (200, 0));
        for name in ["content-type", "content-length", "etag", "last-modified", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[test]
fn a_read_that_is_unchanged_is_a_304_until_the_next_login() {
    let app = spawn_app();
    let star = app.as_org(Star);
    star.set_login("12345678");
    for path in ["/v1/Login?cvrNummer=12345678", "/v1/Logins"] {
        let read = star.send("GET", path, &[], None);
        let tag = read.header("etag").unwrap().to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        let again = star.send("GET", path, &[("If-None-Match", &tag)], None);
        assert_eq!((again.status, again.text()), (304, ""));
        assert_eq!(again.header("etag"), Some(tag.as_str()));
        assert_eq!(again.header("cache-control"), Some("private, no-cache"));
        app.clock.advance_millis(1);
        star.set_login("12345678");
        let changed = star.send("GET", path, &[("If-None-Match", &tag)], None);
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), Some(tag.as_str()));
    }
}

#[test]
fn last_modified_is_the_latest_login_and_only_the_tag_validates() {
    let app = spawn_app();
    let star = app.as_org(Star);
    assert_eq!(star.get_logins().header("last-modified"), None, "an empty register never changed");
    star.set_login("12345678");
    for path in ["/v1/Login?cvrNummer=12345678", "/v1/Logins"] {
        let read = star.send("GET", path, &[], None);
        assert_eq!(read.header("last-modified"), Some("Mon, 23 Nov 2026 08:15:30 GMT"));
        let since = [("If-Modified-Since", "Mon, 23 Nov 2026 08:15:30 GMT")];
        assert_eq!(star.send("GET", path, &since, None).status, 200);
    }
    app.clock.advance_millis(-60_000);
    for path in ["/v1/Login?cvrNummer=12345678", "/v1/Logins"] {
        let read = star.send("GET", path, &[], None);
        assert_eq!(read.header("last-modified"), Some("Mon, 23 Nov 2026 08:14:30 GMT"), "not in the future");
    }
}

#[test]
fn the_tags_survive_a_restart() {
    let app = spawn_app();
    app.as_org(Star).set_login("12345678");
    let tags = |app: &crate::suites::api::harness::TestApp| {
        ["/v1/Login?cvrNummer=12345678", "/v1/Logins"].map(|path| {
            let tag = app.as_org(Star).send("GET", path, &[], None).header("etag").unwrap().to_owned();
            // A database adds its place in a history, which transactions in its other databases may move.
            let content = tag.split_once('.').filter(|_| app.store.url().is_some());
            content.map_or(tag.clone(), |(content, _)| content.to_owned())
        })
    };
    let before = tags(&app);
    let app = app.restart();
    assert_eq!(tags(&app), before);
}

#[test]
fn the_list_is_one_snapshot_whatever_its_size() {
    let app = spawn_app();
    app.as_org(Star).set_logins((0..1_200).map(|number| number * 83_333));
    let list = app.as_org(AKasse).get_logins().json();
    let numbers: Vec<String> = list["virksomheder"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["cvrNummer"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (0..1_200u32).map(|number| format!("{:08}", number * 83_333)).collect();
    assert_eq!(numbers, expected);
    assert_eq!(
        Timestamp::parse(list["virksomheder"][0]["senesteLogintidspunkt"].as_str().unwrap()),
        Timestamp::parse(START)
    );
}

#[test]
fn no_answer_grants_other_origins_anything() {
    let app = spawn_app();
    let answer = app.as_org(JobCenter).send("GET", "/v1/Logins", &[("Origin", "https://example.dk")], None);
    let preflight = [("Origin", "https://example.dk"), ("Access-Control-Request-Method", "GET")];
    let options = app.as_anonymous().send("OPTIONS", "/v1/Logins", &preflight, None);
    for answer in [answer, options] {
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("access-control-allow-methods"), None);
    }
}
