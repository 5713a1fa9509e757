//! The commands that end by themselves: what they print and how they exit.

use crate::suites::cli::program::{run, stderr, stdout};
use crate::support::process::Fixture;

#[test]
fn check_accepts_a_good_site_and_lists_every_fault_of_a_bad_one() {
    let fixture = Fixture::new();
    let good = run(&["check", "--config", &fixture.config()]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    assert!(!crate::suites::cli::program::exists(&fixture.path("store")), "check makes nothing");

    fixture.write("access.toml", "version = 1\n[GetLogin]\nKommune = [\"AlleBorgere\"]\n");
    fixture.write("jwks.json", r#"{"keys":[]}"#);
    let mut text = std::fs::read_to_string(fixture.config()).unwrap();
    text.push_str("server.wrokers = 3\nstore.deadline_seconds = 61\n");
    fixture.write("virksomhedslogin.toml", &text);
    let bad = run(&["check", "--config", &fixture.config()]);
    assert_eq!(bad.status.code(), Some(2));
    let reported = format!("{}{}", stdout(&bad), stderr(&bad));
    for part in ["server.wrokers", "store.deadline_seconds", "Kommune", "jwks.json"] {
        assert!(reported.contains(part), "{part} in\n{reported}");
    }
}

#[test]
fn explain_names_the_rule_or_the_lack_of_one() {
    let fixture = Fixture::new();
    let explain = |organisation: &str, mode: &str| {
        run(&[
            "explain",
            "--config",
            &fixture.config(),
            "--method",
            "GetLogin",
            "--organisation",
            organisation,
            "--adgang",
            mode,
        ])
    };
    let let_in = explain("JobCenter", "EgneBorgere");
    assert_eq!(let_in.status.code(), Some(0));
    assert!(stdout(&let_in).contains("GetLogin.JobCenter allows EgneBorgere"), "{}", stdout(&let_in));
    let refused = explain("A-kasse", "EgneBorgere");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).contains("GetLogin.A-kasse does not allow EgneBorgere"), "{}", stdout(&refused));
    assert_eq!(explain("Kommune", "EgneBorgere").status.code(), Some(1));
    let unknown = run(&[
        "explain",
        "--config",
        &fixture.config(),
        "--method",
        "Get",
        "--organisation",
        "STAR",
        "--adgang",
        "x",
    ]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn health_asks_readiness() {
    let fixture = Fixture::new();
    let service = fixture.serve();
    let url = format!("http://{}", service.management);
    assert_eq!(run(&["health", "--url", &url]).status.code(), Some(0));
    drop(service);
    assert_eq!(run(&["health", "--url", &url]).status.code(), Some(1));
    assert_eq!(run(&["health", "--url", "nonsense"]).status.code(), Some(2));
}

#[test]
fn openapi_prints_the_document_that_is_kept_in_the_repository() {
    let output = run(&["openapi"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")).unwrap();
    assert!(
        stdout(&output) == kept,
        "docs/openapi.json is not what the code says. If the change is meant, renew it and look at the difference:\n\
         cargo run -- openapi > docs/openapi.json"
    );
}

#[test]
fn every_help_ends_with_an_example() {
    for command in [
        "serve",
        "dev",
        "check",
        "explain",
        "export",
        "import",
        "verify",
        "openapi",
        "man",
        "completions",
        "health",
    ] {
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let text = stdout(&output).trim_end();
        let example = text.rsplit("Example:").next().unwrap();
        assert!(
            text.contains("Example:") && example.contains(&format!("virksomhedslogin {command}")),
            "{command}: {text}"
        );
    }
}

#[test]
fn bad_usage_is_exit_code_2() {
    for arguments in [&["serve"][..], &["nonsense"], &["check", "--config", "/nowhere/at/all.toml"], &[]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn version_has_number_and_commit() {
    let output = run(&["--version"]);
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], format!("virksomhedslogin {}", env!("CARGO_PKG_VERSION")));
    let commit = lines[1].strip_prefix("commit: ").unwrap();
    let is_hash = [40, 64].contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(commit == "unknown" || is_hash, "{commit}");
    let short = run(&["-V"]);
    assert_eq!(stdout(&short), format!("virksomhedslogin {}\n", env!("CARGO_PKG_VERSION")));
}
