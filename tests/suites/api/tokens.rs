//! The token as the API sees it; the table of hostile tokens stands beside the code that reads them.

use serde_json::{Value, json};
use virksomhedslogin::testing::OrganisationType::Star;
use virksomhedslogin::testing::Timestamp;

use crate::suites::api::harness::{AUDIENCE, START, spawn_app, spawn_app_with};

#[test]
fn a_token_must_name_issuer_audience_expiry_and_caller() {
    let app = spawn_app();
    let refused = [
        ("iss", json!("https://sts.example.dk/")),
        ("iss", Value::Null),
        ("aud", json!("another")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("exp", json!(1)),
        ("exp", json!("4000000000")),
        ("exp", Value::Null),
        ("exp", json!(1e300)),
        ("nbf", json!(3_999_999_999_i64)),
        ("iat", json!(3_999_999_999_i64)),
        ("sub", json!(1)),
    ];
    for (claim, value) in refused {
        let answer = app.as_org(Star).with(claim, value.clone()).get_logins();
        assert_eq!(answer.problem(), (401, "1012".to_owned()), "{claim} = {value}");
    }
    let unnamed = app.as_org(Star).with("sub", Value::Null).with("client_id", Value::Null);
    assert_eq!(unnamed.get_logins().problem(), (401, "1012".to_owned()));
    assert_eq!(app.as_org(Star).with("sub", Value::Null).get_logins().status, 200);
    assert_eq!(app.as_org(Star).with("aud", json!(["x", AUDIENCE])).get_logins().status, 200);
}

#[test]
fn a_token_is_good_until_its_expiry_and_leeway_have_passed() {
    let app = spawn_app();
    let start = Timestamp::parse(START).unwrap().millis() / 1_000;
    let caller = app.as_org(Star).with("exp", json!(start + 60));
    assert_eq!(caller.get_logins().status, 200);
    app.clock.advance_millis(89_000);
    assert_eq!(caller.get_logins().status, 200);
    app.clock.advance_millis(1_000);
    assert_eq!(caller.get_logins().status, 401);
}

#[test]
fn a_token_in_the_query_is_ignored_or_beside_a_header_an_error() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    let path = format!("/v1/Logins?access_token={token}");
    assert_eq!(app.as_anonymous().send("GET", &path, &[], None).problem(), (401, "1012".to_owned()));
    let both = app.as_org(Star).send("GET", &path, &[], None);
    assert_eq!(both.problem(), (400, "1014".to_owned()));
    let challenge = Some(r#"Bearer realm="virksomhedslogin", error="invalid_request""#);
    assert_eq!(both.header("www-authenticate"), challenge);
    let authorization = format!("Bearer {token}");
    let twice = app.as_org(Star).send("GET", "/v1/Logins", &[("Authorization", &authorization)], None);
    assert_eq!(twice.problem(), (400, "1014".to_owned()));
    assert_eq!(twice.header("www-authenticate"), challenge);
}

#[test]
fn the_scheme_is_read_in_any_case() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let authorization = format!("{scheme} {token}");
        let answer = app.as_anonymous().send("GET", "/v1/Logins", &[("Authorization", &authorization)], None);
        assert_eq!(answer.status, 200, "{scheme}");
    }
}

#[test]
fn numbered_organisation_types_are_read_when_they_are_mapped() {
    let app = spawn_app_with("token.organisation_types = { \"8\" = \"JobCenter\", \"2\" = \"A-kasse\" }");
    for (value, status) in [
        (json!(8), 200),
        (json!("8"), 200),
        (json!(2), 200),
        (json!("JobCenter"), 200),
        (json!("STAR"), 200),
        (json!(9), 403),
        (json!(8.5), 403),
        (json!("08"), 403),
    ] {
        let answer = app.as_org(Star).with("organisationType", value.clone()).get_logins();
        assert_eq!(answer.status, status, "{value}");
    }
}

#[test]
fn claims_may_have_other_names() {
    let app = spawn_app_with(
        "token.claims = { scope = \"scp\", organisation_type = \"orgtype\", organisation_code = \"orgcode\", access = \"mode\" }",
    );
    let star = app
        .as_org(Star)
        .with("scp", json!(["virksomhedsinstats.login.read"]))
        .with("orgtype", json!("STAR"))
        .with("orgcode", json!("1"))
        .with("mode", json!("AlleBorgere"));
    assert_eq!(star.get_logins().status, 200);
    assert_eq!(app.as_org(Star).get_logins().problem(), (403, "1013".to_owned()));
}

#[test]
fn tokens_of_other_types_and_without_a_near_end_are_refused() {
    let app = spawn_app();
    let start = Timestamp::parse(START).unwrap().millis() / 1_000;
    let day = 86_400;
    for (changes, status) in [
        (vec![("iat", json!(start)), ("exp", json!(start + day))], 200),
        (vec![("iat", json!(start)), ("exp", json!(start + day + 1))], 401),
        (vec![("exp", json!(start + day + 30))], 200),
        (vec![("exp", json!(start + day + 31))], 401),
        (vec![("iat", json!(start)), ("exp", json!(253_402_300_799_i64))], 401),
    ] {
        let caller = app.as_org(Star);
        let caller = changes.iter().fold(caller, |caller, (claim, value)| caller.with(claim, value.clone()));
        assert_eq!(caller.get_logins().status, status, "{changes:?}");
    }
    let unlimited = spawn_app_with("token.max_lifetime_seconds = 0\n");
    assert_eq!(unlimited.as_org(Star).with("exp", json!(253_402_300_799_i64)).get_logins().status, 200);
    // The signer writes at+jwt.
    assert_eq!(
        spawn_app_with("token.types = [\"application/AT+JWT\"]\n").as_org(Star).get_logins().status,
        200
    );
    assert_eq!(spawn_app_with("token.types = [\"JWT\", \"\"]\n").as_org(Star).get_logins().status, 401);
}
