//! The list in every content coding: negotiated, and the same text whichever it is. A single login is never compressed.

use std::io::Read;

use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use crate::suites::api::harness::{Answer, TestApp, spawn_app};

const ONE: &str = "/v1/Login?cvrNummer=00000037";
const LIST: &str = "/v1/Logins";

/// A service that knows 2,000 companies.
fn spawn_filled() -> TestApp {
    let app = spawn_app();
    for start in (0..2_000).step_by(100) {
        app.clock.advance_millis(i64::from(start) * 7_919);
        app.as_org(Star).set_logins((start..start + 100).map(|number| number * 37));
    }
    app
}

fn read(app: &TestApp, path: &str, accepted: &str) -> Answer {
    app.as_org(JobCenter).send("GET", path, &[("Accept-Encoding", accepted)], None)
}

/// The text of an answer, which must be in this coding.
fn text(answer: &Answer, coding: &str) -> Vec<u8> {
    assert_eq!(answer.header("content-encoding").unwrap_or("identity"), coding);
    assert_eq!(answer.header("vary"), Some("Accept-Encoding, A-IM"));
    match coding {
        "gzip" => {
            let mut text = Vec::new();
            // One member: what comes behind the first would not be read.
            let mut member = flate2::bufread::GzDecoder::new(&answer.body[..]);
            member.read_to_end(&mut text).unwrap();
            assert!(member.into_inner().is_empty());
            text
        }
        "zstd" => zstd::stream::decode_all(&answer.body[..]).unwrap(),
        _ => answer.body.clone(),
    }
}

#[test]
fn every_coding_carries_the_same_text_before_and_after_a_change() {
    let app = spawn_filled();
    for _ in 0..2 {
        let plain = read(&app, LIST, "identity");
        let text_of = text(&plain, "identity");
        let mut tags = vec![plain.header("etag").unwrap().to_owned()];
        for coding in ["gzip", "zstd"] {
            // Made, and then found.
            for _ in 0..2 {
                let answer = read(&app, LIST, coding);
                assert_eq!(text(&answer, coding), text_of, "{coding}");
                assert!(answer.body.len() * 4 < text_of.len());
                tags.push(answer.header("etag").unwrap().to_owned());
            }
        }
        assert!(tags.iter().all(|tag| *tag == tags[0]), "one tag whatever the coding: {tags:?}");
        app.clock.advance_millis(1_001);
        for cvr in ["00000037", "00037000", "99999999"] {
            assert_eq!(app.as_org(Star).set_login(cvr).status, 204);
        }
    }
}

#[test]
fn empty_list_and_list_of_one_are_whole_in_every_coding() {
    let app = spawn_app();
    for expected in [
        r#"{"virksomheder":[]}"#,
        r#"{"virksomheder":[{"cvrNummer":"00000037","tidligsteLoginTidspunkt":"2026-11-23T08:15:30.123Z","senesteLogintidspunkt":"2026-11-23T08:15:30.123Z"}]}"#,
    ] {
        for coding in ["identity", "gzip", "zstd"] {
            let text = text(&read(&app, LIST, coding), coding);
            assert_eq!(String::from_utf8(text).unwrap(), expected, "{coding}");
        }
        app.as_org(Star).set_login("00000037");
    }
}

#[test]
fn the_weights_decide_and_then_what_is_cheaper_to_serve() {
    let app = spawn_app();
    app.as_org(Star).set_login("00000037");
    for (accepted, coding) in [
        ("deflate, gzip;q=0.5", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("gzip;q=0.5, zstd", "zstd"),
        ("zstd", "zstd"),
        ("br", "identity"),
        ("gzip;q=0", "identity"),
    ] {
        text(&read(&app, LIST, accepted), coding);
    }
    let unasked = app.as_org(JobCenter).raw_get(LIST);
    assert!(!unasked.to_ascii_lowercase().contains("content-encoding"), "{unasked}");
}

#[test]
fn a_single_login_is_never_compressed() {
    let app = spawn_app();
    app.as_org(Star).set_login("00000037");
    let plain = read(&app, ONE, "identity");
    for coding in ["gzip", "zstd"] {
        let answer = read(&app, ONE, coding);
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), (None, None));
        assert_eq!((&answer.body, answer.header("etag")), (&plain.body, plain.header("etag")));
    }
}

#[test]
fn head_names_the_coding_and_makes_no_body() {
    let app = spawn_filled();
    for path in [ONE, LIST] {
        for coding in ["identity", "gzip", "zstd"] {
            let get = read(&app, path, coding);
            let head = app.as_org(JobCenter).send("HEAD", path, &[("Accept-Encoding", coding)], None);
            assert_eq!((head.status, head.body.len()), (200, 0));
            for name in
                ["content-type", "content-encoding", "content-length", "etag", "cache-control", "vary"]
            {
                assert_eq!(head.header(name), get.header(name), "{path} {coding} {name}");
            }
        }
    }
}

#[test]
fn a_tag_of_one_coding_serves_every_other() {
    let app = spawn_filled();
    for coding in ["gzip", "zstd"] {
        let tag = read(&app, LIST, coding).header("etag").unwrap().to_owned();
        let conditional = |accepted| {
            let headers = [("Accept-Encoding", accepted), ("If-None-Match", tag.as_str())];
            app.as_org(JobCenter).send("GET", LIST, &headers, None).status
        };
        assert_eq!(conditional(coding), 304);
        assert_eq!(conditional("identity"), 304);
    }
}
