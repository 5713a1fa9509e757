//! Times that are plainly wrong: `import` warns of them, and `docs/OPERATIONS.md` says how to correct them.

use std::os::unix::fs::symlink;
use std::process::Command;

use virksomhedslogin::testing::Timestamp;
use virksomhedslogin::testing::{Clock, SystemClock};

use crate::suites::cli::program::{run, stderr, stdout};
use crate::suites::cli::records::{FIRST, LAST, import, row};
use crate::support::preload::shim;
use crate::support::process::{Fixture, Service, agent, binary};

const FAR: &str = "2062-11-23T08:15:30.123Z";

/// What `import` says of these rows, on standard error, after merging them.
fn imported(fixture: &Fixture, rows: &str) -> String {
    let output = import(fixture, "in.ndjson", rows, &["--no-trailer"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("read: "), "{}", stdout(&output));
    stderr(&output).to_owned()
}

#[test]
fn import_warns_of_times_in_the_future_and_takes_them() {
    let fixture = Fixture::new();
    let soon = SystemClock.now().shifted(20_000).to_string();
    assert_eq!(
        imported(&fixture, &(row(1, FIRST, LAST) + &row(2, FIRST, &soon))),
        "",
        "clocks differ a little"
    );

    let later = "2063-01-01T00:00:00.000Z";
    let reported = imported(&fixture, &(row(4, later, later) + &row(3, FIRST, FAR) + &row(1, FIRST, LAST)));
    let (words, rest) = reported.split_once(" (").unwrap_or_else(|| panic!("{reported}"));
    assert_eq!(words, "warning: 2 companies have a login later than this machine's clock");
    let (now, rest) = rest.split_once("), ").unwrap();
    assert!(SystemClock.now().millis() - Timestamp::parse(now).unwrap().millis() < 60_000, "{now}");
    assert_eq!(
        rest,
        format!(
            "the first of them 00000003 at {FAR}; no later login undoes that, see docs/OPERATIONS.md for how to correct it\n"
        )
    );
    let one = imported(&fixture, &row(5, later, later));
    assert!(one.starts_with("warning: 1 company has a login later than this machine's clock ("), "{one}");
}

#[test]
fn check_notes_a_wrong_clock_and_import_takes_its_times() {
    let fixture = Fixture::new();
    let trigger = fixture.path("trigger");
    std::fs::write(&trigger, "").unwrap();
    let shifted = |arguments: &[&str]| {
        let mut command = binary();
        command.args(arguments).env("LD_PRELOAD", shim()).env("POWERCUT_TRIGGER", &trigger);
        command.env("POWERCUT_CLOCK_SECONDS", "-190000000").output().unwrap()
    };
    fixture.write("in.ndjson", &row(1, FIRST, LAST));
    let file = fixture.path("in.ndjson").display().to_string();
    let output = shifted(&["import", "--config", &fixture.config(), "--no-trailer", &file]);
    assert_eq!(stdout(&output), "read: 1\nskipped: 0\nchanged: 1\n", "{}", stderr(&output));
    assert!(stderr(&output).starts_with("warning: 1 company has a login later than"), "{}", stderr(&output));
    let output = shifted(&["check", "--config", &fixture.config()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let reported = stdout(&output);
    assert!(reported.contains("note: the clock shows 2020-"), "{reported}");
    assert!(reported.contains("; the service would start and answer SetLogin with 503\n"), "{reported}");
    let right = run(&["check", "--config", &fixture.config()]);
    assert!(!stdout(&right).contains("clock"), "{}", stdout(&right));
}

/// The commands of the manual for the embedded store, as a script for this fixture.
fn correction(fixture: &Fixture) -> String {
    let manual = include_str!("../../../docs/OPERATIONS.md");
    let (_, section) = manual.split_once("\n## Correcting a wrong time\n").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let commands = block.split_once("```").unwrap().0;
    assert_eq!(commands.matches("/var/lib/virksomhedslogin").count(), 1, "{commands}");
    let directory = fixture.directory.path().display().to_string();
    // There is no systemd here, and the service's user is the one that runs the tests.
    format!(
        "set -eu\nPATH='{directory}/bin':$PATH\nsystemctl() {{ :; }}\nsudo() {{ shift 2; \"$@\"; }}\n\
         diff() {{ command diff \"$@\" || [ $? = 1 ]; }}\n{}",
        commands.replace("/var/lib/virksomhedslogin", &directory).replace("CONFIG", &fixture.config())
    )
}

/// The list's tag and its rows.
fn list(service: &Service) -> (String, String) {
    let request = agent().get(format!("http://{}/v1/Logins", service.address));
    let request = request.header("Authorization", format!("Bearer {}", service.token));
    let mut response = request.call().unwrap();
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    (tag, response.body_mut().read_to_string().unwrap())
}

#[test]
fn wrong_time_is_corrected_as_documented() {
    let fixture = Fixture::new();
    imported(&fixture, &(row(11_111_111, FIRST, LAST) + &row(12_345_678, FIRST, FAR)));
    let mut service = fixture.serve();
    let (tag, rows) = list(&service);
    assert!(rows.contains(FAR), "{rows}");
    service.signal("TERM");
    service.wait(std::time::Duration::from_secs(20));

    std::fs::create_dir(fixture.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_virksomhedslogin"), fixture.path("bin/virksomhedslogin")).unwrap();
    let output = Command::new("sh").args(["-c", &correction(&fixture)]).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let reported = stdout(&output);
    let changed: Vec<_> = reported.lines().filter(|line| line.starts_with(['<', '>'])).collect();
    assert_eq!(changed.len(), 3, "the company's row and the trailer: {reported}");
    assert!(reported.contains("read: 2\nskipped: 0\nchanged: 2\n"), "{reported}");
    // The store is new, and the audit file is not; that is all there is to warn of.
    let warned = stderr(&output);
    assert!(warned.lines().count() == 1 && warned.contains("there is no store at"), "{warned}");

    let service = fixture.serve();
    let (new_tag, rows) = list(&service);
    let right = row(11_111_111, FIRST, LAST).trim().to_owned() + "," + row(12_345_678, FIRST, FIRST).trim();
    assert_eq!(rows, format!("{{\"virksomheder\":[{right}]}}"));
    assert_ne!(new_tag, tag);
    assert_eq!(service.put("12345678").unwrap(), 204);
    let (_, login) = service.get("/v1/Login?cvrNummer=12345678");
    assert_eq!(login.matches(FIRST).count(), 1, "the login of now is the latest: {login}");
}
