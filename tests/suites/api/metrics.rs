//! `/metrics`: what is counted is what happened, whatever callers send.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use virksomhedslogin::testing::OrganisationType::{AKasse, JobCenter, Star};

use crate::suites::api::harness::{TestApp, spawn_app};
use crate::support::cluster::wait_until;

/// Series, as the scrape writes it with its labels → value.
type Scrape = BTreeMap<String, f64>;

fn scrape(app: &TestApp) -> Scrape {
    let answer = app.management("/metrics");
    assert_eq!(answer.status, 200);
    parse(answer.text())
}

/// Reads a scrape and holds it to the format: HELP, then TYPE, then the samples of that metric and no other.
fn parse(text: &str) -> Scrape {
    let (mut found, mut metric, mut help) = (Scrape::new(), (String::new(), String::new()), String::new());
    let mut described = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').unwrap();
            assert!(!words.trim().is_empty(), "{line}");
            help = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, help, "HELP before TYPE");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(!described.contains(&name.to_owned()), "{name} is described twice");
            described.push(name.to_owned());
            metric = (name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let own = match metric.1.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"].map(|suffix| metric.0.clone() + suffix).to_vec(),
                _ => vec![metric.0.clone()],
            };
            assert!(own.contains(&name.to_owned()), "{line} under {metric:?}");
            let before = found.insert(series.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")));
            assert_eq!(before, None, "{series} stands twice");
        }
    }
    found
}

fn requests(method: &str, status: u16, code: &str, organisation: &str) -> String {
    format!(
        "virksomhedslogin_requests_total{{method=\"{method}\",status=\"{status}\",fejlkode=\"{code}\",\
         organisation_type=\"{organisation}\"}}"
    )
}

/// The series of this metric that are not 0.
fn counted(scrape: &Scrape, name: &str) -> BTreeMap<String, u64> {
    let of_it =
        scrape.iter().filter(|(series, value)| series.split('{').next() == Some(name) && **value > 0.0);
    of_it.map(|(series, value)| (series.clone(), *value as u64)).collect()
}

fn names(scrape: &Scrape) -> Vec<&str> {
    let mut names: Vec<&str> = scrape.keys().map(|series| series.split('{').next().unwrap()).collect();
    names.dedup();
    names
}

#[test]
fn a_scrape_is_prometheus_text_on_the_management_listener_alone() {
    let app = spawn_app();
    let answer = app.management("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(app.management_as("POST", "/metrics").status, 405);
    assert_eq!(app.as_org(Star).send("GET", "/metrics", &[], None).status, 404);
}

#[test]
fn polls_and_bytes_of_lists_are_counted_by_answer() {
    let app = spawn_app();
    let star = app.as_org(Star);
    star.set_login("12345678");
    let whole = star.get_logins();
    app.clock.advance_millis(1);
    star.set_login("87654321");
    let poll = |verb: &str, tag: &str, coding: &str| {
        let headers = [("A-IM", "feed"), ("If-None-Match", tag), ("Accept-Encoding", coding)];
        star.send(verb, "/v1/Logins", &headers, None)
    };
    let changes = ["identity", "gzip"].map(|coding| poll("GET", whole.header("etag").unwrap(), coding));
    poll("HEAD", whole.header("etag").unwrap(), "identity");
    poll("GET", changes[0].header("etag").unwrap(), "identity");

    let scrape = scrape(&app);
    for (status, count) in [(200, 1.0), (226, 3.0), (304, 1.0)] {
        assert_eq!(scrape.get(&requests("GetLogins", status, "-", "STAR")), Some(&count), "{status}");
    }
    let sent = changes.iter().map(|answer| answer.body.len()).sum::<usize>();
    let name = "virksomhedslogin_list_bytes_total";
    let expected = [("200", whole.body.len()), ("226", sent)];
    let expected = expected.map(|(status, bytes)| (format!("{name}{{status=\"{status}\"}}"), bytes as u64));
    assert_eq!(counted(&scrape, name), BTreeMap::from(expected));
    assert_eq!(scrape.get(&requests("GetLogins", 226, "-", "A-kasse")), Some(&0.0), "there from the start");
    assert!(!scrape.contains_key(&requests("GetLogin", 226, "-", "STAR")));
}

#[test]
fn answers_are_counted_by_label_and_scrapes_are_not() {
    let app = spawn_app();
    let (star, job_center) = (app.as_org(Star), app.as_org(JobCenter));
    star.set_login("12345678");
    star.set_login("12345678");
    let read = job_center.get_login("12345678");
    let tag = read.header("etag").unwrap();
    job_center.send("GET", "/v1/Login?cvrNummer=12345678", &[("If-None-Match", tag)], None);
    job_center.send("HEAD", "/v1/Login?cvrNummer=12345678", &[], None);
    job_center.get_login("87654321");
    job_center.get_login("abc");
    job_center.set_login("12345678");
    job_center.with("scope", json!("other")).get_logins();
    app.as_anonymous().get_logins();
    app.as_org(AKasse).get_logins();
    star.send("PUT", "/v1/Login/12345678", &[("Content-Type", "text/plain")], Some(b"x"));
    let large = vec![b' '; 20_000];
    star.send("PUT", "/v1/Login/12345678", &[("Content-Type", "application/json")], Some(&large));
    star.send("DELETE", "/v1/Logins", &[], None);
    star.send("OPTIONS", "/v1/Logins", &[], None);
    star.send("GET", "/nowhere", &[], None);
    star.send("GET", "/", &[], None);
    app.management("/readyz");

    let scrape = scrape(&app);
    let expected: BTreeMap<String, u64> = [
        ("SetLogin", 204, "-", "STAR", 2),
        ("GetLogin", 200, "-", "JobCenter", 2),
        ("GetLogin", 304, "-", "JobCenter", 1),
        ("GetLogin", 404, "120500", "JobCenter", 1),
        ("GetLogin", 400, "1014", "JobCenter", 1),
        ("SetLogin", 403, "4575", "JobCenter", 1),
        ("GetLogins", 403, "1013", "JobCenter", 1),
        ("GetLogins", 401, "1012", "none", 1),
        ("GetLogins", 200, "-", "A-kasse", 1),
        ("SetLogin", 415, "1014", "STAR", 1),
        ("SetLogin", 413, "1014", "STAR", 1),
        ("-", 405, "1014", "none", 1),
        ("-", 204, "-", "none", 1),
        ("-", 404, "1014", "none", 1),
        ("-", 200, "-", "none", 1),
    ]
    .map(|(method, status, code, organisation, count)| (requests(method, status, code, organisation), count))
    .into();
    assert_eq!(counted(&scrape, "virksomhedslogin_requests_total"), expected);

    let durations = |method: &str| {
        scrape[&format!("virksomhedslogin_request_duration_seconds_count{{method=\"{method}\"}}")] as u64
    };
    assert_eq!(["GetLogin", "SetLogin", "GetLogins", "-"].map(durations), [5, 5, 3, 4]);
    assert_eq!(
        counted(&scrape, "virksomhedslogin_auth_denials_total"),
        [("no_token", 1), ("organisation_not_allowed", 1), ("scope", 1)]
            .map(|(reason, count)| {
                (format!("virksomhedslogin_auth_denials_total{{reason=\"{reason}\"}}"), count)
            })
            .into()
    );
    assert_eq!(scrape["virksomhedslogin_commit_batch_logins_sum"], 2.0);
    let (of_embedded, of_database) = (
        ["store_records", "store_sequence", "store_disk_bytes", "fsync_duration_seconds_count"],
        ["database_connections", "database_connections_limit", "database_write_duration_seconds_count"],
    );
    let is_there = |name: &&str| scrape.contains_key(&format!("virksomhedslogin_{name}"));
    if app.store.url().is_none() {
        assert_eq!(scrape["virksomhedslogin_store_records"], 1.0);
        assert_eq!(
            scrape["virksomhedslogin_store_sequence"], 1.0,
            "the clock stood still: the second was no news"
        );
        assert!(scrape["virksomhedslogin_fsync_duration_seconds_count"] >= 2.0, "a login's and a probe's");
        assert!(scrape["virksomhedslogin_store_disk_bytes"] > 0.0);
        assert!(!of_database.iter().any(is_there), "{scrape:?}");
    } else {
        let connections = scrape["virksomhedslogin_database_connections"];
        assert!((1.0..=scrape["virksomhedslogin_database_connections_limit"]).contains(&connections));
        assert_eq!(scrape["virksomhedslogin_database_write_duration_seconds_count"], 2.0);
        assert!(!of_embedded.iter().any(is_there), "{scrape:?}");
    }
    assert_eq!(scrape["virksomhedslogin_ready"], 1.0);
    let lookups = counted(&scrape, "virksomhedslogin_token_cache_lookups_total");
    assert_eq!(lookups.values().sum::<u64>(), 12, "every call of a method with a token: {lookups:?}");
    assert!(scrape["process_resident_memory_bytes"] > 1e6 && scrape["process_open_fds"] > 5.0);
    assert!(scrape["process_start_time_seconds"] > 1.7e9 && scrape["process_cpu_seconds_total"] >= 0.0);
}

#[test]
fn every_refusal_has_a_reason_of_the_fixed_set() {
    let app = spawn_app();
    let before = scrape(&app).len();
    let star = app.as_org(Star);
    for _ in 0..2 {
        for token in ["Basic eA==", "Bearer", "Bearer x.y.z", "Bearer a.b"] {
            app.as_anonymous().send("GET", "/v1/Logins", &[("Authorization", token)], None);
        }
        app.as_anonymous().send("GET", "/v1/Logins?access_token=x", &[], None);
        star.clone().with("exp", json!(1)).get_logins();
        star.clone().with("exp", json!("soon")).get_logins();
        star.clone().with("nbf", json!(3_999_999_999_i64)).get_logins();
        star.clone().with("iss", json!("https://elsewhere.example.dk")).get_logins();
        star.clone().with("aud", json!("another")).get_logins();
        star.clone().with("adgang", json!("Ukendt")).get_logins();
        star.clone().with("adgang", json!("Gaesteadgang")).get_logins();
        star.clone().with("organisationCode", json!("")).get_logins();
    }
    for number in 0..30 {
        star.clone().with("organisationType", json!(format!("evil{number}\"\n}} 1"))).get_logins();
        star.clone().with("sub", json!(format!("caller {number}"))).get_logins();
        app.as_anonymous().send("GET", &format!("/path/{number}"), &[], None);
        app.as_anonymous().send(&format!("VERB{number}"), "/v1/Logins", &[], None);
        star.get_login(&format!("{:08}", 10_000_000 + number));
    }
    let scrape = scrape(&app);
    let reason =
        |name: &str| scrape[&format!("virksomhedslogin_auth_denials_total{{reason=\"{name}\"}}")] as u64;
    for (name, count) in [
        ("scheme", 2),
        ("malformed", 6),
        ("ambiguous_credentials", 2),
        ("expired", 2),
        ("claims", 2),
        ("not_yet_valid", 2),
        ("issuer", 2),
        ("audience", 2),
        ("access_mode_unknown", 2),
        ("access_mode_not_allowed", 2),
        ("organisation_claims", 2),
        ("organisation_unknown", 30),
    ] {
        assert_eq!(reason(name), count, "{name}");
    }
    assert_eq!(scrape[&requests("GetLogins", 403, "4575", "other")], 30.0);
    let new: Vec<_> = counted(&scrape, "virksomhedslogin_requests_total").into_keys().collect();
    assert!(scrape.len() <= before + 3, "unknown paths, other verbs, other organisations: {new:#?}");
    assert!(scrape.keys().all(|series| !series.contains("evil") && !series.contains("VERB")), "{new:#?}");
}

#[test]
fn keys_that_cannot_be_read_are_counted_and_taken_again() {
    let app = spawn_app();
    let first = scrape(&app);
    assert_eq!(first["virksomhedslogin_jwks_keys"], 1.0);
    assert_eq!(first["virksomhedslogin_jwks_refreshes_total"], 1.0);
    assert_eq!(first["virksomhedslogin_jwks_refresh_failures_total"], 0.0);
    let keys = app.directory.path().join("jwks.json");
    let good = std::fs::read_to_string(&keys).unwrap();
    let until = |name: &str, value: f64| {
        for _ in 0..200 {
            if scrape(&app)[name] >= value {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{name} is {} and not {value}", scrape(&app)[name]);
    };
    std::fs::write(&keys, "no keys").unwrap();
    until("virksomhedslogin_jwks_refresh_failures_total", 1.0);
    // A file that was not taken suggests to no one that the keys are fresh.
    until("virksomhedslogin_jwks_age_seconds", 5.0);
    assert_eq!(scrape(&app)["virksomhedslogin_jwks_keys"], 1.0, "the last good set stays");
    std::fs::write(&keys, good).unwrap();
    until("virksomhedslogin_jwks_refreshes_total", 2.0);
    let mut age = 0.0;
    let is_younger = || {
        let before = std::mem::replace(&mut age, scrape(&app)["virksomhedslogin_jwks_age_seconds"]);
        age < before
    };
    assert!(wait_until(std::time::Duration::from_secs(20), is_younger), "an unchanged file is looked at");
}

#[test]
fn an_audit_line_that_cannot_be_written_is_counted_with_its_503() {
    let app = crate::suites::api::harness::spawn_app_with("");
    let audit = app.directory.path().join("audit.ndjson");
    std::fs::remove_file(&audit).unwrap();
    std::os::unix::fs::symlink("/dev/full", &audit).unwrap();
    app.reload.run().unwrap();
    for _ in 0..3 {
        assert_eq!(app.as_org(JobCenter).get_logins().problem(), (503, "1100".to_owned()));
    }
    let scrape = scrape(&app);
    assert_eq!(scrape["virksomhedslogin_audit_failures_total"], 3.0);
    assert_eq!(scrape[&requests("GetLogins", 503, "1100", "JobCenter")], 3.0);
}

#[test]
fn scrapes_under_load_are_valid_and_only_ever_rise() {
    let app = spawn_app();
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|at| {
                let (app, stop) = (&app, &stop);
                scope.spawn(move || {
                    let (star, mut sent) = (app.as_org(Star), 0);
                    while !stop.load(Ordering::Relaxed) {
                        match at % 2 {
                            0 => assert_eq!(star.set_login(&format!("{:08}", at * 1_000 + sent)).status, 204),
                            _ => assert_eq!(star.get_logins().status, 200),
                        }
                        sent += 1;
                    }
                    sent
                })
            })
            .collect();
        let mut before = Scrape::new();
        for _ in 0..15 {
            let now = scrape(&app);
            assert_eq!(names(&now), names(&scrape(&app)));
            for (series, value) in &now {
                let rises = ["_total", "_bucket", "_count", "_sum"];
                if rises.iter().any(|suffix| series.split('{').next().unwrap().ends_with(suffix)) {
                    assert!(*value >= before.get(series).copied().unwrap_or(0.0), "{series} has fallen");
                }
            }
            assert_histograms(&now);
            before = now;
        }
        stop.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().unwrap()).sum::<u64>()
    });
    let counted: u64 = counted(&scrape(&app), "virksomhedslogin_requests_total").values().sum();
    assert_eq!(counted, sent);
}

/// Buckets are cumulative, end with +Inf, and that is the count.
fn assert_histograms(scrape: &Scrape) {
    let mut histograms: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, value) in scrape {
        if let Some((name, labels)) = series.split_once("_bucket{") {
            let (labels, bound) = labels.split_once("le=\"").unwrap();
            let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf").parse().unwrap();
            let key = format!("{name}_count{{{}}}", labels.trim_end_matches(',')).replace("{}", "");
            histograms.entry(key).or_default().push((bound, *value));
        }
    }
    assert_eq!(histograms.len(), 6, "{:?}", histograms.keys());
    for (count, mut buckets) in histograms {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(buckets.iter().is_sorted_by_key(|(_, count)| *count), "{count}: {buckets:?}");
        let last = buckets.last().unwrap();
        assert!(last.0.is_infinite() && last.1 == scrape[&count], "{count}: {buckets:?}");
    }
}

#[test]
fn the_build_is_reported() {
    let app = spawn_app();
    assert_eq!(scrape(&app)["virksomhedslogin_store_writable"], 1.0);
    let metrics = app.management("/metrics");
    let build = metrics.text().lines().find(|line| line.starts_with("virksomhedslogin_build_info{")).unwrap();
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(build.contains(&version) && build.contains("commit=\"") && build.ends_with("} 1"), "{build}");
}
