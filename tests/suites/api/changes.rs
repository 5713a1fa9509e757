//! GetLogins with `A-IM: feed`: what changed since the state that the caller has, and nothing that it lacks.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;
use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use crate::suites::api::harness::{Answer, TestApp, spawn_app};
use crate::support::test_store;

const LIST: &str = "/v1/Logins";

fn read(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    app.as_org(JobCenter).send("GET", LIST, headers, None)
}

/// Asks for what changed since the list with this tag.
fn poll(app: &TestApp, tag: &str) -> Answer {
    read(app, &[("A-IM", "feed"), ("If-None-Match", tag)])
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").unwrap().to_owned()
}

fn log_in(app: &TestApp, companies: &[&str]) {
    app.clock.advance_millis(1);
    companies.iter().for_each(|cvr| assert_eq!(app.as_org(Star).set_login(cvr).status, 204));
}

fn companies(body: &Value) -> Vec<String> {
    let rows = body["virksomheder"].as_array().unwrap();
    rows.iter().map(|row| row["cvrNummer"].as_str().unwrap().to_owned()).collect()
}

/// The answer is a 226 that names exactly these companies. On a database that other tests use, it may also name some that
/// changed while their transactions ran.
fn assert_changed(answer: &Answer, expected: &[&str]) {
    let mut found = companies(&answer.json());
    if std::env::var_os(test_store::VARIABLE).is_some() {
        found.retain(|cvr| expected.contains(&cvr.as_str()));
    }
    assert_eq!((answer.status, found), (226, expected.iter().map(|cvr| (*cvr).to_owned()).collect()));
}

/// What a client keeps: the list, and the tag that names it.
struct Copy {
    tag: String,
    rows: BTreeMap<String, Value>,
}

impl Copy {
    fn new() -> Self {
        Self { tag: r#""""#.to_owned(), rows: BTreeMap::new() }
    }

    /// Brings it up to date, and returns the status.
    fn poll(&mut self, app: &TestApp) -> u16 {
        let answer = poll(app, &self.tag);
        match answer.status {
            200 => self.rows.clear(),
            226 | 304 => {}
            status => panic!("{status}: {}", answer.text()),
        }
        if answer.status != 304 {
            let body = answer.json();
            for row in body["virksomheder"].as_array().unwrap() {
                self.rows.insert(row["cvrNummer"].as_str().unwrap().to_owned(), row.clone());
            }
        }
        self.tag = tag(&answer);
        answer.status
    }

    fn list(&self) -> Vec<Value> {
        self.rows.values().cloned().collect()
    }
}

#[test]
fn changes_alone_are_sent_to_a_caller_that_has_the_rest() {
    let app = spawn_app();
    log_in(&app, &["00000001", "12345678", "87654321"]);
    let first = read(&app, &[]);
    assert_eq!((first.status, first.header("im")), (200, None));
    assert_eq!(first.header("vary"), Some("Accept-Encoding, A-IM"));
    log_in(&app, &["87654321", "00000000"]);
    let changes = poll(&app, &tag(&first));
    assert_eq!((changes.status, changes.header("im")), (226, Some("feed")));
    assert_eq!(changes.header("vary"), Some("Accept-Encoding, A-IM"));
    assert_eq!(changes.header("content-type"), Some("application/json"));
    assert_changed(&changes, &["00000000", "87654321"]);
    let whole = read(&app, &[]);
    assert_eq!(tag(&changes), tag(&whole));
    for rows in changes.json()["virksomheder"].as_array().unwrap() {
        assert!(whole.json()["virksomheder"].as_array().unwrap().contains(rows));
    }
    let unchanged = poll(&app, &tag(&changes));
    assert_eq!((unchanged.status, unchanged.header("im"), unchanged.body.len()), (304, None, 0));
    assert_eq!(unchanged.header("vary"), Some("Accept-Encoding, A-IM"));
    assert_eq!(tag(&unchanged), tag(&changes));
    let audited: Vec<_> = app.audit().iter().filter_map(|line| line["status"].as_u64()).collect();
    assert_eq!(audited[audited.len() - 3..], [226, 200, 304]);
}

#[test]
fn unknown_tag_brings_everything() {
    let app = spawn_app();
    log_in(&app, &["00000001", "12345678"]);
    let present = tag(&read(&app, &[]));
    let (content, _) = present.trim_matches(['W', '/', '"']).split_once('.').unwrap();
    log_in(&app, &["12345678"]);
    for unknown in [
        r#""""#.to_owned(),
        r#"W/"x""#.to_owned(),
        format!(r#"W/"{content}""#),
        format!(r#"W/"{content}.0.0""#),
        format!(r#"W/"{content}.ffffffffffffffff.ffffffffffffffff""#),
        format!(r#"W/"{content}.x.y""#),
    ] {
        let answer = poll(&app, &unknown);
        assert_eq!((answer.status, answer.header("im")), (200, None), "{unknown}");
        assert_eq!(companies(&answer.json()).len(), 2, "{unknown}");
    }
    assert_eq!(read(&app, &[("A-IM", "feed")]).status, 200, "no tag");
    assert_eq!(read(&app, &[("If-None-Match", &present)]).status, 200, "not asked for");
    assert_eq!(read(&app, &[("A-IM", "feed;q=0"), ("If-None-Match", &present)]).status, 200, "refused");
    assert_eq!(read(&app, &[("A-IM", "vcdiff"), ("If-None-Match", &present)]).status, 200, "another");
    assert_eq!(poll(&app, &present).status, 226);
}

#[test]
fn of_several_tags_the_oldest_known_counts_and_the_present_one_ends_it() {
    let app = spawn_app();
    log_in(&app, &["00000001"]);
    let oldest = tag(&read(&app, &[]));
    log_in(&app, &["00000002"]);
    let newer = tag(&read(&app, &[]));
    log_in(&app, &["00000003"]);
    let behind_foreign_ones = format!("{}{oldest}", r#""x", "#.repeat(1000));
    for list in [format!("{newer}, {oldest}"), format!(r#""x", {oldest},{newer}"#), behind_foreign_ones] {
        let answer = poll(&app, &list);
        assert_changed(&answer, &["00000002", "00000003"]);
    }
    let strong = newer.trim_start_matches("W/");
    let answer = read(
        &app,
        &[("A-IM", "vcdiff"), ("A-IM", "Feed"), ("If-None-Match", r#""x""#), ("If-None-Match", strong)],
    );
    assert_changed(&answer, &["00000003"]);
    let present = tag(&answer);
    assert_eq!(poll(&app, &format!("{oldest}, {present}")).status, 304);
    assert_eq!(poll(&app, "*").status, 304);
}

#[test]
fn one_tag_serves_every_coding_and_head() {
    let app = spawn_app();
    log_in(&app, &["00000001", "12345678"]);
    let tags = ["identity", "gzip", "zstd"].map(|coding| tag(&read(&app, &[("Accept-Encoding", coding)])));
    assert!(tags.iter().all(|tag| *tag == tags[0]), "{tags:?}");
    log_in(&app, &["12345678"]);
    let ask = |verb, coding| {
        let headers = [("A-IM", "feed"), ("If-None-Match", tags[0].as_str()), ("Accept-Encoding", coding)];
        app.as_org(JobCenter).send(verb, LIST, &headers, None)
    };
    let plain = ask("GET", "identity");
    let mut gunzipped = Vec::new();
    let gzip = ask("GET", "gzip");
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut gunzipped).unwrap();
    let zstd = ask("GET", "zstd");
    assert_eq!([&plain, &gzip, &zstd].map(|answer| answer.status), [226; 3]);
    assert_eq!(
        (gunzipped, zstd::stream::decode_all(&zstd.body[..]).unwrap()),
        (plain.body.clone(), plain.body.clone())
    );
    assert_eq!(
        (gzip.header("content-encoding"), zstd.header("content-encoding")),
        (Some("gzip"), Some("zstd"))
    );
    assert_eq!([tag(&gzip), tag(&zstd)], [tag(&plain), tag(&plain)]);
    let head = ask("HEAD", "identity");
    assert_eq!((head.status, head.header("im"), head.body.len()), (226, Some("feed"), 0));
    assert_eq!((tag(&head), head.header("vary")), (tag(&plain), plain.header("vary")));
}

#[test]
fn login_that_changes_nothing_leaves_the_tag() {
    let app = spawn_app();
    log_in(&app, &["00000001"]);
    let before = tag(&read(&app, &[]));
    assert_eq!(app.as_org(Star).set_login("00000001").status, 204);
    assert!([226, 304].contains(&poll(&app, &before).status));
}

#[test]
fn tag_from_before_a_restart_is_still_known() {
    let app = spawn_app();
    log_in(&app, &["00000001", "12345678"]);
    let before = tag(&read(&app, &[]));
    log_in(&app, &["12345678"]);
    let app = app.restart();
    log_in(&app, &["00000003"]);
    let answer = poll(&app, &before);
    assert_changed(&answer, &["00000003", "12345678"]);
}

/// The law, with copies of all ages and the service restarted on the way.
#[test]
fn copies_of_every_age_equal_the_list_after_each_poll() {
    let mut app = spawn_app();
    let mut copies: Vec<Copy> = (0..5).map(|_| Copy::new()).collect();
    let mut statuses = BTreeMap::new();
    for round in 0_u32..60 {
        for step in 0..round % 4 {
            log_in(&app, &[&format!("{:08}", (round * 7 + step * 13) % 40)]);
        }
        if round % 20 == 19 {
            app = app.restart();
        }
        for copy in
            copies.iter_mut().enumerate().filter(|(age, _)| (round as usize).is_multiple_of(age * 3 + 1))
        {
            *statuses.entry(copy.1.poll(&app)).or_insert(0) += 1;
            let expected = read(&app, &[]).json()["virksomheder"].as_array().unwrap().clone();
            assert_eq!(copy.1.list(), expected, "round {round}, copy {}", copy.0);
        }
    }
    assert_eq!(statuses.get(&200), Some(&5), "only the first poll of each is whole: {statuses:?}");
    assert!(statuses[&226] > 30 && statuses[&304] > 5, "{statuses:?}");
}
