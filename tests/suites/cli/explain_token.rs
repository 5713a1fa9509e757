//! `explain --token`: what an operator learns of a refused token, and that the service says the same.

use std::io::Write;
use std::process::{Output, Stdio};

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::suites::cli::program::{run, stderr, stdout};
use crate::support::process::{Fixture, ISSUER, binary};

const READ: &str = "virksomhedsinstats.login.read";

/// Good claims with these changes; `null` takes one away.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "aud", "exp": 4_000_000_000_i64, "sub": "tester", "client_id": "program", "scope": READ,
        "organisationType": "JobCenter", "organisationCode": "101", "adgang": "AlleBorgere",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn explain(fixture: &Fixture, token: &str) -> Output {
    fixture.write("token", &format!("{token}\n"));
    let file = fixture.path("token").display().to_string();
    let output = run(&["explain", "--config", &fixture.config(), "--method", "GetLogin", "--token", &file]);
    for part in token.split('.').filter(|part| part.len() > 20) {
        assert!(!stdout(&output).contains(part) && !stderr(&output).contains(part), "the token is printed");
    }
    output
}

/// The findings of a refused token.
fn findings(fixture: &Fixture, token: &str) -> Vec<String> {
    let output = explain(fixture, token);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}{}", stderr(&output));
    let lines = text.strip_prefix("refused:\n").unwrap_or_else(|| panic!("{text}")).lines();
    lines.map_while(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

#[test]
fn good_token_is_let_in_and_its_values_are_shown() {
    let fixture = Fixture::new();
    let token = fixture.signer.sign(&claims(&json!({"cvr": "12345678"})).to_string()).unwrap();
    let output = explain(&fixture, &token);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    // The time of the test.
    let text: Vec<_> = stdout(&output).lines().map(|line| line.split("; now").next().unwrap()).collect();
    assert_eq!(
        text,
        [
            "let in: GetLogin.JobCenter allows AlleBorgere",
            "looked for, and found:",
            r#"  alg: "ES256" (token.algorithms: "RS256", "PS256", "ES256")"#,
            r#"  typ: "at+jwt" (token.types: "at+jwt", "jwt", "")"#,
            r#"  kid: "test""#,
            "  x5t#S256: missing",
            "  x5t: missing",
            r#"  iss: "https://sts.example.dk" (token.issuer: "https://sts.example.dk")"#,
            r#"  aud: "aud" (token.audience: "aud")"#,
            "  exp: 4000000000 (2096-10-02T07:06:40.000Z",
            "  nbf: missing",
            "  iat: missing",
            r#"  sub: "tester""#,
            r#"  token.claims.client_id (client_id): "program""#,
            "  token.claims.client_id (azp): missing",
            "  token.claims.client_id (appid): missing",
            r#"  token.claims.scope (scope): "virksomhedsinstats.login.read""#,
            r#"  token.claims.organisation_type (organisationType): "JobCenter""#,
            r#"  token.claims.organisation_code (organisationCode): "101""#,
            r#"  token.claims.acting_cvr (cvr): "12345678""#,
            r#"  token.claims.access (adgang): "AlleBorgere""#,
        ]
    );
}

#[test]
fn every_finding_is_reported_in_the_order_of_the_checks() {
    let fixture = Fixture::new();
    let changes = json!({
        "iss": "https://other.example.dk\u{202e}", "aud": ["x"], "exp": 1, "nbf": 253_402_300_800_i64, "sub": null,
        "client_id": "", "azp": 7, "scope": ["openid"], "organisationType": ["JobCenter", "STAR"],
        "organisationCode": 1.5, "cvr": 12_345_678, "adgang": null,
    });
    let token = fixture.signer.sign(&claims(&changes).to_string()).unwrap();
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"","kid":7,"crit":[]}"#);
    let forged = format!("{header}.{}", token.split_once('.').unwrap().1);
    assert_eq!(
        findings(&fixture, &forged),
        [
            r#"the alg is none of token.algorithms: "HS256""#,
            "the header has crit",
            "the typ is none of token.types",
            "the kid is not a string of at most 256 characters",
            r#"iss is "https://other.example.dk\u202e", not token.issuer: "https://sts.example.dk""#,
            "aud does not contain a configured audience",
            "the token has expired",
            "nbf is outside the years 1970 to 9999",
            "the client id (azp) is not a string",
            "neither sub nor a client id (client_id, azp, appid) is there",
            "the token lacks the scope virksomhedsinstats.login.read",
            "the claim for organisation type (organisationType) has the wrong JSON type",
            "the claim for organisation code (organisationCode) has the wrong JSON type",
            "the claim for acting CVR number (cvr) has the wrong JSON type",
            "the claim for access mode (adgang) is missing",
        ]
    );
}

#[test]
fn first_finding_is_what_the_service_says() {
    let fixture = Fixture::new();
    let mut service = fixture.serve();
    for changes in [
        json!({"iss": "https://other.example.dk", "exp": 1}),
        json!({"aud": null, "scope": null}),
        json!({"exp": 1, "organisationType": "x"}),
        json!({"iat": "now"}),
        json!({"sub": null, "client_id": null}),
        json!({"client_id": {}, "adgang": 1}),
        json!({"scope": null, "organisationType": null}),
        json!({"scope": "openid"}),
        json!({"scope": {"a": 1}}),
        json!({"organisationType": "Kommune", "adgang": "x"}),
        json!({"organisationCode": "1".repeat(21)}),
        json!({"cvr": "1234567"}),
        json!({"adgang": "AndenAktoerAlleBorgere"}),
        json!({"adgang": "AndenAktoerAlleBorgere", "cvr": "12345678"}),
        json!({"adgang": ["Gaesteadgang"]}),
        json!({"organisationType": "A-kasse", "adgang": "EgneBorgere"}),
    ] {
        service.token = fixture.signer.sign(&claims(&changes).to_string()).unwrap();
        let found = findings(&fixture, &service.token);
        assert!([401, 403].contains(&service.get("/v1/Login?cvrNummer=12345678").0), "{changes}");
        let audit = std::fs::read_to_string(fixture.path("audit.ndjson")).unwrap();
        let line: Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
        assert_eq!(line["aarsag"], json!(found[0]), "{changes}");
    }
    // A key of another name: the service asks for newer keys first.
    let stranger = Fixture::new();
    service.token = stranger.token();
    assert_eq!(findings(&fixture, &service.token), ["the signature is wrong"]);
}

#[test]
fn a_part_that_cannot_be_read_hides_no_finding_of_the_other() {
    let fixture = Fixture::new();
    let token = fixture.signer.sign(&claims(&json!({"exp": 1})).to_string()).unwrap();
    let (header, rest) = token.split_once('.').unwrap();
    assert_eq!(
        findings(&fixture, &format!("e30x.{rest}")),
        ["the header is not JSON", "the token has expired"]
    );
    let payload = findings(&fixture, &format!("{header}.W10.AA"));
    assert_eq!(payload, ["the payload is not a JSON object", "the signature is wrong"]);
    let unsigned =
        format!("{}.{}.", BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#), rest.split_once('.').unwrap().0);
    assert_eq!(
        findings(&fixture, &unsigned),
        [
            r#"the alg is none of token.algorithms: "none""#,
            "the token is not signed",
            "the token has expired"
        ]
    );
}

#[test]
fn bound_token_is_judged_as_if_the_certificate_were_shown() {
    let fixture = Fixture::new();
    let bound = json!({"cnf": {"x5t#S256": "A".repeat(43)}});
    let output = explain(&fixture, &fixture.signer.sign(&claims(&bound).to_string()).unwrap());
    assert_eq!(output.status.code(), Some(0));
    let note = "\nthe token is bound to a certificate (cnf): judged as if the client had shown it\n";
    assert!(stdout(&output).contains(note), "{}", stdout(&output));
}

#[test]
fn keys_that_cannot_be_read_are_a_finding() {
    let fixture = Fixture::new();
    let token = fixture.token();
    fixture.write("jwks.json", r#"{"keys":[]}"#);
    let found = findings(&fixture, &token);
    assert!(
        found[0].starts_with("there are no keys to check tokens with: the key set has no usable key"),
        "{found:?}"
    );
}

#[test]
fn token_comes_from_standard_input_too() {
    let fixture = Fixture::new();
    let mut command = binary();
    command.args(["explain", "--config", &fixture.config(), "--method", "SetLogin", "--token", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("  {}\r\n", fixture.token()).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).starts_with("let in: SetLogin.STAR allows AlleBorgere\n"), "{}", stdout(&output));
}

#[test]
fn what_is_no_token_ends_with_1_and_two_questions_with_2() {
    let fixture = Fixture::new();
    for text in ["", "\n", "nonsense", "a.b", "a.b.c", "Bearer a.b.c", &"A".repeat(20_000), "é.é.é"] {
        assert!(!findings(&fixture, text).is_empty(), "{text}");
    }
    std::fs::write(fixture.path("token"), [0xff, b'.', 0, b'.', 0xfe]).unwrap();
    let directory = fixture.directory.path().display().to_string();
    let file = fixture.path("token").display().to_string();
    let config = fixture.config();
    let explain = |more: &[&str]| {
        run(&[&["explain", "--config", &config, "--method", "GetLogin"], more].concat()).status.code()
    };
    assert_eq!(explain(&["--token", &file]), Some(1));
    assert_eq!(explain(&["--token", &directory]), Some(1));
    assert_eq!(explain(&["--token", "/nonexistent"]), Some(1));
    assert_eq!(explain(&["--token", &file, "--organisation", "STAR"]), Some(2));
    assert_eq!(explain(&["--token", &file, "--adgang", "AlleBorgere"]), Some(2));
    assert_eq!(explain(&["--token", &file, "--access-mode", "AlleBorgere"]), Some(2));
    assert_eq!(explain(&[]), Some(2));
}
