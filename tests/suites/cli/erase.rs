//! `erase`: what it takes out, what it asks, what it leaves in the audit file; and the windows of `export`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::suites::cli::program::{run, stderr, stdout};
use crate::suites::cli::records::{
    FIRST, LAST, assert_ended, command, exported, import, list, none, row, with_trailer,
};
use crate::support::process::{Fixture, Service, agent, binary};

const EARLY: &str = "2020-01-01T00:00:00.000Z";

/// Companies 1 and 2 logged in last in 2020, 3 and 4 in 2026.
fn register() -> Fixture {
    let fixture = Fixture::new();
    let rows =
        [row(1, EARLY, EARLY), row(2, EARLY, EARLY), row(3, EARLY, LAST), row(4, FIRST, LAST)].concat();
    assert_ended(&import(&fixture, "list.ndjson", &with_trailer(&rows), &[]), 0, &[]);
    fixture
}

fn erase(fixture: &Fixture, arguments: &[&str]) -> Output {
    command(fixture, "erase", arguments)
}

/// The numbers in an export.
fn companies(export: &str) -> Vec<u32> {
    let rows = export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter_map(|row| row["cvrNummer"].as_str()?.parse().ok()).collect()
}

/// The audit lines of erasures.
fn audited(fixture: &Fixture) -> Vec<Value> {
    let text = std::fs::read_to_string(fixture.path("audit.ndjson")).unwrap_or_default();
    // A kill may tear a line.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["metode"] == "Sletning").collect()
}

/// Runs the command on a terminal where this is typed.
fn on_a_terminal(fixture: &Fixture, arguments: &str, typed: &str) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_virksomhedslogin");
    let line = format!("{program} erase --config {} {arguments}", fixture.config());
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = terminal.spawn().expect("script (Debian: bsdutils)");
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), stdout(&output).to_owned())
}

/// Ends the service in order, so that it saves which companies changed.
fn stop(mut service: Service) {
    service.signal("TERM");
    assert_eq!(service.wait(Duration::from_secs(10)).code(), Some(0), "{}", service.log());
}

#[test]
fn named_companies_are_erased_after_their_audit_lines() {
    let fixture = register();
    let done = erase(&fixture, &["00000003", "00000001", "00000003", "99999999", "--yes"]);
    assert_ended(&done, 0, &["99999999 is not in the store\n"]);
    assert_eq!(stdout(&done), "found: 2\nnot found: 1\nerased: 2\n");
    assert_eq!(exported(&fixture), with_trailer(&(row(2, EARLY, EARLY) + &row(4, FIRST, LAST))));
    assert_ended(&command(&fixture, "verify", &[]), 0, &[]);
    let lines = audited(&fixture);
    let numbers: Vec<_> = lines.iter().map(|line| line["cvrNummer"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["00000001", "00000003"]);
    for line in &lines {
        assert_eq!(line["udfald"], "slettet");
        assert!(line["aarsag"].as_str().unwrap().contains("named by its number"), "{line}");
        assert!(line["tid"].as_str().unwrap().ends_with('Z'), "{line}");
        assert_eq!(line.as_object().unwrap().len(), 5, "{line}");
    }
    // Again: nothing is left to do, and nothing changes.
    let before = stdout(&command(&fixture, "verify", &[])).to_owned();
    let again = erase(&fixture, &["00000003", "00000001", "--yes"]);
    assert_ended(&again, 0, &["00000001 is not in the store", "00000003 is not in the store"]);
    assert_eq!(stdout(&again), "found: 0\nnot found: 2\nerased: 0\n");
    assert_eq!(stdout(&command(&fixture, "verify", &[])), before);
    assert_eq!(audited(&fixture).len(), 2);
}

#[test]
fn companies_without_a_recent_login_are_erased_by_age() {
    for (time, left) in [
        ("2020-01-01", &[1, 2, 3, 4][..]),
        ("2020-01-01T00:00:00.000Z", &[1, 2, 3, 4]),
        ("2020-01-01T01:00:00.001+01:00", &[3, 4]),
        ("2026-11-23", &[3, 4]),
        (LAST, &[3, 4]),
        ("2026-11-24", &[]),
    ] {
        let fixture = register();
        let dry = erase(&fixture, &["--last-before", time, "--dry-run"]);
        let found = 4 - left.len();
        assert_ended(&dry, 0, &[]);
        assert_eq!(stdout(&dry), format!("found: {found}\nnot found: 0\nerased: 0\n"), "{time}");
        assert_eq!(companies(&exported(&fixture)), [1, 2, 3, 4]);
        let done = erase(&fixture, &["--last-before", time, "--yes"]);
        assert_ended(&done, 0, &[]);
        assert_eq!(stdout(&done), format!("found: {found}\nnot found: 0\nerased: {found}\n"), "{time}");
        assert_eq!(companies(&exported(&fixture)), left, "{time}");
        assert_eq!(audited(&fixture).len(), found);
        assert_ended(&command(&fixture, "verify", &[]), 0, &[]);
    }
}

#[test]
fn nothing_is_erased_without_agreement() {
    let fixture = register();
    assert_ended(&erase(&fixture, &["00000001"]), 1, &["1 company would be erased", "--yes is needed"]);
    for (typed, code) in [("n\n", 1), ("\n", 1), ("yes please\n", 1), ("\u{4}", 1)] {
        let (status, shown) = on_a_terminal(&fixture, "00000001 00000002", typed);
        assert_eq!(status, Some(code), "{typed:?}: {shown}");
        assert!(shown.contains("Erase 2 companies? This cannot be undone. [y/N]"), "{shown}");
        assert!(shown.contains("nothing was erased"), "{shown}");
    }
    assert_eq!(companies(&exported(&fixture)), [1, 2, 3, 4]);
    assert!(audited(&fixture).is_empty());
    let (status, shown) = on_a_terminal(&fixture, "99999999", "");
    assert_eq!(status, Some(0), "nothing to ask about: {shown}");
    for (number, typed) in [("00000001", "y\n"), ("00000002", "yes\n")] {
        let (status, shown) = on_a_terminal(&fixture, number, typed);
        assert_eq!(status, Some(0), "{shown}");
        assert!(shown.contains("Erase 1 company?") && shown.contains("erased: 1"), "{shown}");
    }
    assert_eq!(companies(&exported(&fixture)), [3, 4]);
}

#[test]
fn bad_arguments_are_refused_with_code_2() {
    let fixture = Fixture::new();
    for (arguments, word) in [
        (&["--yes"][..], "<CVR"),
        (&["00000001", "--last-before", "2020-01-01", "--yes"], "cannot be used with"),
        (&["1234567", "--yes"], "exactly eight ASCII digits"),
        (&["--last-before", "2020-02-30", "--yes"], "RFC 3339"),
        (&["--last-before", "yesterday", "--yes"], "RFC 3339"),
    ] {
        assert_ended(&erase(&fixture, arguments), 2, &[word]);
    }
    assert_ended(&erase(&fixture, &["00000001", "--yes"]), 1, &[none(&fixture)]);
    assert!(!fixture.path("store").exists(), "it makes none");
    assert!(!fixture.path("audit.ndjson").exists(), "nor an audit file");
}

#[test]
fn audit_file_that_takes_no_line_keeps_every_company() {
    let fixture = register();
    let config = std::fs::read_to_string(fixture.path("virksomhedslogin.toml")).unwrap();
    fixture.write("virksomhedslogin.toml", &config.replace("\"audit.ndjson\"", "\"/dev/full\""));
    assert_ended(&erase(&fixture, &["00000001", "--yes"]), 1, &["No space left"]);
    fixture.write("virksomhedslogin.toml", &config.replace("\"audit.ndjson\"", "\"absent/audit.ndjson\""));
    assert_ended(&erase(&fixture, &["00000001", "--yes"]), 1, &["audit.file"]);
    fixture.write("virksomhedslogin.toml", &config.replace("\"audit.ndjson\"", "\"-\""));
    assert_eq!(companies(&exported(&fixture)), [1, 2, 3, 4]);
    let done = erase(&fixture, &["00000001", "--yes"]);
    let (line, summary) = stdout(&done).split_once('\n').unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap()["cvrNummer"], "00000001");
    assert_eq!(summary, "found: 1\nnot found: 0\nerased: 1\n");
}

#[test]
fn store_in_use_is_left_alone() {
    let fixture = register();
    let service = fixture.serve();
    assert_ended(&erase(&fixture, &["00000001", "--yes"]), 1, &["in use", "stop it first"]);
    drop(service);
    assert_eq!(companies(&exported(&fixture)), [1, 2, 3, 4]);
}

#[test]
fn feed_from_before_an_erasure_brings_everything_and_a_later_login_begins_again() {
    let fixture = register();
    let poll = |tag: &str| {
        let service = fixture.serve();
        let request = agent().get(format!("http://{}/v1/Logins", service.address));
        let request = request.header("Authorization", format!("Bearer {}", service.token));
        let mut answer = request.header("A-IM", "feed").header("If-None-Match", tag).call().unwrap();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        let body = answer.body_mut().read_to_string().unwrap();
        stop(service);
        (answer.status().as_u16(), tag, body)
    };
    let (_, before, _) = poll("\"\"");
    assert_eq!(poll(&before).0, 304, "a restart alone changes nothing");
    assert_ended(&erase(&fixture, &["00000003", "--yes"]), 0, &[]);
    let (status, after, body) = poll(&before);
    assert_eq!(status, 200);
    assert!(!body.contains("00000003"), "{body}");
    assert_eq!(poll(&after).0, 304);

    let service = fixture.serve();
    assert_eq!(service.get("/v1/Login?cvrNummer=00000003").0, 404);
    assert_eq!(service.put("00000003").unwrap(), 204);
    let (_, record) = service.get("/v1/Login?cvrNummer=00000003");
    assert!(!record.contains(EARLY), "a new record: {record}");
    stop(service);
    assert_eq!(poll(&after).0, 226);
    assert_ne!(poll(&before).0, 226);
}

#[test]
fn large_erasure_leaves_exactly_the_rest() {
    let fixture = Fixture::new();
    let text = list(5_000);
    assert_ended(&import(&fixture, "list.ndjson", &text, &[]), 0, &[]);
    let numbers: Vec<_> = (0..2_500).map(|number| format!("{:08}", number * 14)).collect();
    let mut arguments: Vec<_> = numbers.iter().map(String::as_str).collect();
    arguments.push("--yes");
    assert_ended(&erase(&fixture, &arguments), 0, &[]);
    let rest: String = (0..2_500).map(|number| row(number * 14 + 7, FIRST, LAST)).collect();
    assert_eq!(exported(&fixture), with_trailer(&rest));
    assert_ended(&command(&fixture, "verify", &[]), 0, &[]);
    assert_eq!(audited(&fixture).len(), 2_500);
    // A restore brings them back, and the same command erases again.
    assert_ended(&import(&fixture, "again.ndjson", &text, &[]), 0, &[]);
    assert_eq!(exported(&fixture), text);
    assert_ended(&erase(&fixture, &arguments), 0, &[]);
    assert_eq!(exported(&fixture), with_trailer(&rest));
}

#[test]
fn erasure_killed_at_any_time_is_completed_by_repeating_it() {
    let fixture = Fixture::new();
    let rows = (0..20_000).map(|number| row(number, EARLY, if number % 2 == 0 { EARLY } else { LAST }));
    assert_ended(&import(&fixture, "list.ndjson", &with_trailer(&rows.collect::<String>()), &[]), 0, &[]);
    let arguments = ["erase", "--config", &fixture.config(), "--last-before", "2021-01-01", "--yes"];
    let (mut wait, mut kills, mut left) = (Duration::from_millis(20), 0, 20_000);
    loop {
        let mut child = binary().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(wait);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        (kills, wait) = (kills + 1, wait * 4 / 3);
        // Whatever the time, what is there is whole, and what is gone has its line.
        assert_ended(&command(&fixture, "verify", &[]), 0, &[]);
        let there: BTreeSet<_> = companies(&exported(&fixture)).into_iter().collect();
        assert!((1..20_000).step_by(2).all(|number| there.contains(&number)));
        assert!(there.len() <= left, "none comes back");
        left = there.len();
        let reported: BTreeSet<u32> = audited(&fixture)
            .iter()
            .map(|line| line["cvrNummer"].as_str().unwrap().parse().unwrap())
            .collect();
        assert!((0..20_000).step_by(2).all(|number| there.contains(&number) || reported.contains(&number)));
    }
    assert!(kills > 3, "{kills}");
    let done = run(&arguments);
    assert_ended(&done, 0, &[]);
    assert!(stdout(&done).starts_with("found: 0\n"), "{}", stdout(&done));
    let rest: String = (0..10_000).map(|number| row(number * 2 + 1, EARLY, LAST)).collect();
    assert_eq!(exported(&fixture), with_trailer(&rest));
    assert_ended(&command(&fixture, "verify", &[]), 0, &[]);
}

#[test]
fn export_is_limited_to_a_window_of_latest_logins() {
    let fixture = register();
    let cases = [
        (&["--last-before", "2026-01-01"][..], &[1, 2][..]),
        (&["--last-since", "2020-01-01"], &[1, 2, 3, 4]),
        (&["--last-since", "2020-01-01T00:00:00.001Z"], &[3, 4]),
        (&["--last-since", LAST], &[3, 4]),
        (&["--last-before", LAST], &[1, 2]),
        (&["--last-since", "2020-01-01", "--last-before", "2020-01-02"], &[1, 2]),
        (&["--last-since", "2021-01-01", "--last-before", "2022-01-01"], &[]),
    ];
    let check = |output: &Output, expected: &[u32]| {
        assert_ended(output, 0, &[]);
        let text = stdout(output);
        assert_eq!(companies(text), expected);
        let rows = &text[..text.find("{\"antal").unwrap()];
        assert_eq!(text, with_trailer(rows), "the trailer is that of what was written");
    };
    for (window, expected) in cases {
        check(&command(&fixture, "export", window), expected);
    }
    let service = fixture.serve();
    let management = format!("http://{}", service.management);
    for (window, expected) in cases {
        check(&run(&[&["export", "--from", &management][..], window].concat()), expected);
    }
    drop(service);
    assert_ended(&run(&["export", "--last-since", "today", "--from", &management]), 2, &["RFC 3339"]);
    let unread = command(&fixture, "export", &["--last-before", "2026-13-01"]);
    assert_eq!(unread.status.code(), Some(2), "{}", stderr(&unread));
}
