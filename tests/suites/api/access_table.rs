//! Every method × organisation type × access mode × scope, against the table as the contract prints it. A method or
//! an organisation type without a row here fails the build of the expectation.

use serde_json::{Value, json};
use virksomhedslogin::testing::{AccessMode, Method, OrganisationType};

use crate::suites::api::harness::{TestApp, spawn_app};

const READ: &str = "virksomhedsinstats.login.read";
const WRITE: &str = "virksomhedsinstats.login.write";

/// The shipped table, written down a second time on purpose.
fn marks(method: Method, organisation: OrganisationType) -> &'static [&'static str] {
    match (method, organisation) {
        (Method::GetLogin, OrganisationType::AKasse) => &["AlleBorgere"],
        (Method::GetLogin, OrganisationType::JobCenter) => {
            &["AlleBorgere", "EgneBorgere", "TidligereEgneBorgere"]
        }
        (Method::GetLogin, OrganisationType::Star) => &["AlleBorgere"],
        (Method::SetLogin, OrganisationType::AKasse) => &[],
        (Method::SetLogin, OrganisationType::JobCenter) => &[],
        (Method::SetLogin, OrganisationType::Star) => &["AlleBorgere"],
        (Method::GetLogins, OrganisationType::AKasse) => &["AlleBorgere"],
        (Method::GetLogins, OrganisationType::JobCenter) => &["AlleBorgere", "EgneBorgere"],
        (Method::GetLogins, OrganisationType::Star) => &["AlleBorgere"],
    }
}

fn needed_scope(method: Method) -> &'static str {
    match method {
        Method::GetLogin | Method::GetLogins => READ,
        Method::SetLogin => WRITE,
    }
}

fn app_with_a_company() -> TestApp {
    let app = spawn_app();
    assert_eq!(app.as_org(OrganisationType::Star).set_login("12345678").status, 204);
    app
}

#[test]
fn every_cell_of_the_table_is_enforced() {
    let app = app_with_a_company();
    let scopes = [
        READ,
        WRITE,
        "virksomhedsinstats.login.read virksomhedsinstats.login.write",
        "",
        "andet",
        "virksomhedsstats.login.read",
    ];
    let mut calls = 0;
    for method in Method::ALL {
        for organisation in OrganisationType::ALL {
            for mode in AccessMode::ALL {
                for scope in scopes {
                    let caller = app
                        .as_org(organisation)
                        .with("scope", json!(scope))
                        .with("adgang", json!(mode.name()));
                    let answer = caller.call(method);
                    let has_scope = scope.split(' ').any(|part| part == needed_scope(method));
                    let expected = match (has_scope, marks(method, organisation).contains(&mode.name())) {
                        (false, _) => (403, "1013".to_owned()),
                        (true, false) => (403, "4575".to_owned()),
                        (true, true) => (if method == Method::SetLogin { 204 } else { 200 }, String::new()),
                    };
                    let reported =
                        if answer.status < 400 { (answer.status, String::new()) } else { answer.problem() };
                    assert_eq!(reported, expected, "{method} {organisation} {mode} {scope:?}");
                    calls += 1;
                }
            }
        }
    }
    assert_eq!(calls, 3 * 3 * 8 * 6);
}

#[test]
fn whatever_the_table_does_not_name_exactly_is_denied() {
    let app = app_with_a_company();
    let star = app.as_org(OrganisationType::Star);
    let denied: [(&str, Value); 28] = [
        ("organisationType", json!("star")),
        ("organisationType", json!("STAR ")),
        ("organisationType", json!(" STAR")),
        ("organisationType", json!("ＳＴＡＲ")),
        ("organisationType", json!("Kommune")),
        ("organisationType", json!("")),
        ("organisationType", json!(8)),
        ("organisationType", json!(["STAR", "STAR"])),
        ("organisationType", json!([])),
        ("organisationType", json!([["STAR"]])),
        ("organisationType", Value::Null),
        ("organisationCode", json!("")),
        ("organisationCode", json!("123456789012345678901")),
        ("organisationCode", json!(-1)),
        ("organisationCode", json!(101.0)),
        ("organisationCode", json!(["101", "102"])),
        ("organisationCode", Value::Null),
        ("adgang", json!("alleborgere")),
        ("adgang", json!("AlleBorgere ")),
        ("adgang", json!("AlleBorgere EgneBorgere")),
        ("adgang", json!([])),
        ("adgang", json!(["Ukendt"])),
        ("adgang", json!(["AlleBorgere", 1])),
        ("adgang", json!({"AlleBorgere": true})),
        ("adgang", Value::Null),
        ("cvr", json!(12_345_678)),
        ("cvr", json!("1234567")),
        ("cvr", json!(["12345678", "12345678"])),
    ];
    for (claim, value) in denied {
        for method in Method::ALL {
            let reported = star.clone().with(claim, value.clone()).call(method).problem();
            assert_eq!(reported, (403, "4575".to_owned()), "{claim} = {value}");
        }
    }
}

#[test]
fn one_allowed_mode_among_others_is_enough() {
    let app = app_with_a_company();
    let modes = json!(["Ukendt", "SystemAlleBorgere", "EgneBorgere"]);
    let caller = app.as_org(OrganisationType::JobCenter).with("adgang", modes);
    assert_eq!(caller.call(Method::GetLogins).status, 200);
    assert_eq!(caller.call(Method::SetLogin).problem(), (403, "4575".to_owned()));
}

#[test]
fn claims_may_come_in_the_shapes_of_other_issuers() {
    let app = app_with_a_company();
    for (claim, value) in [
        ("organisationType", json!(["STAR"])),
        ("organisationCode", json!(101)),
        ("organisationCode", json!(u64::MAX)),
        ("organisationCode", json!(["101"])),
        ("organisationCode", json!([101])),
        ("cvr", json!(["12345678"])),
        ("scope", json!([READ, WRITE])),
        ("scope", json!([format!("{READ} {WRITE}")])),
    ] {
        let caller = app.as_org(OrganisationType::Star).with(claim, value.clone());
        assert_eq!(caller.call(Method::GetLogin).status, 200, "{claim} = {value}");
    }
}

#[test]
fn a_scope_of_another_type_is_a_missing_scope() {
    let app = app_with_a_company();
    for scope in [
        json!([READ, 1]),
        json!([[READ]]),
        json!(1),
        json!({}),
        Value::Null,
        json!("VIRKSOMHEDSINSTATS.LOGIN.READ"),
    ] {
        let caller = app.as_org(OrganisationType::Star).with("scope", scope.clone());
        let answer = caller.call(Method::GetLogin);
        assert_eq!(answer.problem(), (403, "1013".to_owned()), "{scope}");
        assert_eq!(
            answer.header("www-authenticate"),
            Some(
                r#"Bearer realm="virksomhedslogin", error="insufficient_scope", scope="virksomhedsinstats.login.read""#
            )
        );
    }
}

#[test]
fn scope_is_checked_before_table_and_table_before_request() {
    let app = app_with_a_company();
    let stranger = app.as_org(OrganisationType::AKasse).with("adgang", json!("Ukendt"));
    let bad = "/v1/Login/x";
    assert_eq!(app.as_anonymous().put(bad, "{").problem(), (401, "1012".to_owned()));
    assert_eq!(stranger.clone().with("scope", json!("")).put(bad, "{").problem(), (403, "1013".to_owned()));
    assert_eq!(stranger.put(bad, "{").problem(), (403, "4575".to_owned()));
    assert_eq!(app.as_org(OrganisationType::Star).put(bad, "{").problem(), (400, "1014".to_owned()));
    // No caller without access learns which companies exist.
    let unknown = stranger.get_login("00000001");
    let known = stranger.get_login("12345678");
    assert_eq!((unknown.status, unknown.problem()), (known.status, known.problem()));
}
