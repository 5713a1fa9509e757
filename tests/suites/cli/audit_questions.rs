//! The questions of `docs/AUDIT.md`, asked as they stand there of a file that the real service wrote.

use std::fs;
use std::io::Write;
use std::process::Command;

use serde_json::{Value, json};

use crate::suites::cli::program::{run, shell, stderr, stdout};
use crate::support::process::{Fixture, ISSUER};

/// The `jq` lines of the document, in its order.
fn questions() -> Vec<String> {
    let text = include_str!("../../../docs/AUDIT.md");
    text.lines().filter(|line| line.starts_with("jq ")).map(str::to_owned).collect()
}

fn ask(fixture: &Fixture, line: &str) -> Vec<String> {
    let directory = fixture.directory.path().display();
    shell(&format!("cd '{directory}' && {line}")).lines().map(str::to_owned).collect()
}

fn rows(fixture: &Fixture, line: &str) -> Vec<Value> {
    ask(fixture, line).iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

#[test]
fn the_questions_of_the_document_are_answered() {
    if Command::new("jq").arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "left out: the questions of docs/AUDIT.md, because jq is not installed"
        );
        return;
    }
    let fixture = Fixture::new();
    let mut service = fixture.serve();
    let caller = |sub: &str, organisation: &str, acting: Option<&str>| {
        let mut claims = json!({
            "iss": ISSUER, "aud": "aud", "exp": 4_000_000_000_i64, "sub": sub, "client_id": format!("{sub}-client"),
            "scope": "virksomhedsinstats.login.read", "organisationType": organisation, "organisationCode": "101",
            "adgang": "AlleBorgere",
        });
        if let Some(cvr) = acting {
            claims["cvr"] = cvr.into();
        }
        fixture.signer.sign(&claims.to_string()).unwrap()
    };
    assert_eq!(service.put("12345678").unwrap(), 204);
    for (token, path, status) in [
        (caller("anna", "JobCenter", None), "/v1/Login?cvrNummer=12345678", 200),
        (caller("anna", "JobCenter", None), "/v1/Login?cvrNummer=87654321", 404),
        (caller("bo", "A-kasse", Some("11111111")), "/v1/Logins", 200),
        (caller("carl", "Kommune", None), "/v1/Login?cvrNummer=12345678", 403),
        (caller("carl", "Kommune", None), "/v1/Login?cvrNummer=12345678", 403),
        ("nonsense".to_owned(), "/v1/Login?cvrNummer=12345678", 401),
    ] {
        service.token = token;
        assert_eq!(service.get(path).0, status, "{path}");
    }
    run(&["export", "--from", &format!("http://{}", service.management)]);
    // As a full disk or a power cut leaves it, in the middle of the file.
    let audit = fixture.path("audit.ndjson");
    let whole = fs::read_to_string(&audit).unwrap();
    let lines: Vec<_> = whole.lines().collect();
    assert_eq!(lines.len(), 8);
    let torn = r#"{"tid":"2026-11-24T12:00:00.000Z","requ"#;
    fs::write(&audit, format!("{}\n{torn}\n{}\n", lines[..3].join("\n"), lines[3..].join("\n"))).unwrap();

    let [company, person, refused, third_party, broken] = questions().try_into().unwrap();
    let who: Vec<_> = rows(&fixture, &company)
        .iter()
        .map(|row| [&row[1], &row[2], &row[5], &row[7]].map(Value::to_string).join(" "))
        .collect();
    assert_eq!(
        who,
        [r#""GetLogin" 200 "anna" null"#, r#""GetLogins" 200 "bo" "11111111""#, r#""Export" 200 null null"#]
    );

    let seen = rows(&fixture, &person.replace("tester", "anna"));
    let seen: Vec<_> = seen.iter().map(|row| (row[2].as_str().unwrap(), row[4].as_u64().unwrap())).collect();
    assert_eq!(seen, [("12345678", 200), ("87654321", 404)]);
    let recorded = rows(&fixture, &person);
    assert_eq!(recorded.len(), 1);
    assert_eq!((&recorded[0][1], &recorded[0][4]), (&json!("SetLogin"), &json!(204)));

    let refused = ask(&fixture, &refused);
    let refused: Vec<Vec<&str>> =
        refused.iter().map(|row| row.trim().split(['\t', ' ']).take(3).collect()).collect();
    assert_eq!(refused, [["2", "carl-client", "carl"], ["1", "-", "-"]]);

    let third = rows(&fixture, &third_party);
    assert_eq!(third.len(), 1);
    assert_eq!((&third[0][1], &third[0][4]), (&json!("11111111"), &json!("bo")));
    assert_eq!(ask(&fixture, &broken), [torn]);
}

#[test]
fn the_document_names_every_member_of_a_line_in_its_order() {
    let fixture = Fixture::new();
    let service = fixture.serve();
    service.get("/v1/Logins");
    let line = fs::read_to_string(fixture.path("audit.ndjson")).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let members: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let text = include_str!("../../../docs/AUDIT.md");
    let reported: Vec<_> = text
        .lines()
        .filter_map(|row| row.strip_prefix("| `"))
        .map(|row| row.split('`').next().unwrap())
        .collect();
    assert_eq!(reported, members);
}

#[test]
fn the_document_asks_in_single_lines() {
    assert_eq!(questions().len(), 5);
    let output = Command::new("sh").args(["-n", "-c", &questions().join("\n")]).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}
