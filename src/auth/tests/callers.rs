//! Claims: which tokens are accepted for what they say, and what they say about the caller.

use std::time::Duration;

use serde_json::{Value, json};

use super::mint::*;
use crate::auth::findings::First;
use crate::auth::{AuthError, ClaimError, Rules, TokenError as Error};
use crate::domain::access::{AccessMode, AccessModes, OrganisationType};

fn outcome(rules: Rules, claims: &Value) -> Result<std::sync::Arc<crate::auth::Caller>, AuthError> {
    authenticate(&authenticator(rules, &all_keys()), &token_with_claims(claims))
}

/// The raw text stands where `"@"` stands in the claims: for numbers that serde_json would not write.
fn with_raw(name: &str, raw: &str) -> String {
    claims_with(json!({ name: "@" })).to_string().replace("\"@\"", raw)
}

#[test]
fn issuer_audience_and_caller_are_checked_exactly() {
    let wrong = |claim| Err(Error::WrongType(claim));
    let missing = |claim| Err(Error::Missing(claim));
    let issuer =
        |found: &str| Err(Error::Issuer { found: format!("{found:?}"), expected: format!("{ISSUER:?}") });
    let no_caller = || Err(Error::NoCaller("client_id, azp, appid".to_owned()));
    let client_id = || Err(Error::ClientId("client_id".to_owned()));
    let rows: Vec<(Value, Result<(), Error>)> = vec![
        (json!({}), Ok(())),
        (json!({"iss": null}), missing("iss")),
        (json!({"iss": format!("{ISSUER}/")}), issuer(&format!("{ISSUER}/"))),
        (json!({"iss": ISSUER.to_uppercase()}), issuer(&ISSUER.to_uppercase())),
        (json!({"iss": format!(" {ISSUER}")}), issuer(&format!(" {ISSUER}"))),
        (json!({"iss": ""}), issuer("")),
        (json!({"iss": [ISSUER]}), wrong("iss")),
        (json!({"iss": 1}), wrong("iss")),
        (json!({"aud": null}), missing("aud")),
        (json!({"aud": "another"}), Err(Error::Audience)),
        (json!({"aud": "Virksomhedslogin"}), Err(Error::Audience)),
        (json!({"aud": "another virksomhedslogin"}), Err(Error::Audience)),
        (json!({"aud": ""}), Err(Error::Audience)),
        (json!({"aud": []}), Err(Error::Audience)),
        (json!({"aud": ["another"]}), Err(Error::Audience)),
        (json!({"aud": ["another", AUDIENCE]}), Ok(())),
        (json!({"aud": [AUDIENCE]}), Ok(())),
        (json!({"aud": [AUDIENCE, AUDIENCE]}), Ok(())),
        (json!({"aud": [AUDIENCE, 1]}), wrong("aud")),
        (json!({"aud": [1, AUDIENCE]}), wrong("aud")),
        (json!({"aud": [[AUDIENCE]]}), wrong("aud")),
        (json!({"aud": {AUDIENCE: true}}), wrong("aud")),
        (json!({"aud": 7}), wrong("aud")),
        (json!({"sub": null}), Ok(())),
        (json!({"client_id": null}), Ok(())),
        (json!({"sub": null, "client_id": null}), no_caller()),
        (json!({"sub": "", "client_id": ""}), no_caller()),
        (json!({"sub": "", "client_id": null}), no_caller()),
        (json!({"sub": ""}), Ok(())),
        (json!({"sub": 7}), wrong("sub")),
        (json!({"sub": ["caller"]}), wrong("sub")),
        (json!({"client_id": 7}), client_id()),
        (json!({"client_id": {}}), client_id()),
    ];
    for (changes, expected) in rows {
        let outcome = outcome(rules(), &claims_with(changes.clone())).map(drop);
        assert_eq!(outcome, expected.map_err(AuthError::Token), "{changes}");
    }
    let null = with_raw("sub", "null");
    let token = token_of(Pair::P256A, "ES256", r#"{"alg":"ES256","kid":"p256-a"}"#, &null);
    let rejected = authenticate(&authenticator(rules(), &all_keys()), &token).map(drop);
    assert_eq!(rejected, Err(AuthError::Token(Error::WrongType("sub"))), "null is no string");
}

#[test]
fn times_hold_to_the_millisecond_within_the_leeway() {
    const OK: Result<(), Error> = Ok(());
    let out = |claim| Err(Error::OutOfRange(claim));
    let wrong = |claim| Err(Error::WrongType(claim));
    let rows: Vec<(&str, String, Result<(), Error>)> = vec![
        ("exp", (NOW - 29).to_string(), OK),
        ("exp", (NOW - 30).to_string(), Err(Error::Expired)),
        ("exp", (NOW - 31).to_string(), Err(Error::Expired)),
        ("exp", format!("{}.001", NOW - 30), OK),
        ("exp", format!("{}.999", NOW - 31), Err(Error::Expired)),
        ("exp", format!("{}.0", NOW + 1), OK),
        ("exp", format!("{}.5", NOW + 1), OK),
        ("exp", "1.8e9".to_owned(), OK),
        ("exp", "253402300799".to_owned(), OK),
        ("exp", "253402300800".to_owned(), out("exp")),
        ("exp", "1e300".to_owned(), out("exp")),
        ("exp", "9223372036854775807".to_owned(), out("exp")),
        ("exp", "9223372036854775808".to_owned(), out("exp")),
        ("exp", "18446744073709551615".to_owned(), out("exp")),
        ("exp", "18446744073709551616".to_owned(), out("exp")),
        ("exp", "-9223372036854775808".to_owned(), out("exp")),
        ("exp", "-1".to_owned(), out("exp")),
        ("exp", "-0.5".to_owned(), out("exp")),
        ("exp", "-0.0001".to_owned(), out("exp")),
        ("exp", "-1e300".to_owned(), out("exp")),
        ("exp", "0".to_owned(), Err(Error::Expired)),
        ("exp", "-0".to_owned(), Err(Error::Expired)),
        ("exp", format!("\"{}\"", NOW + 300), wrong("exp")),
        ("exp", "null".to_owned(), wrong("exp")),
        ("exp", "true".to_owned(), wrong("exp")),
        ("exp", format!("[{}]", NOW + 300), wrong("exp")),
        ("nbf", (NOW + 30).to_string(), OK),
        ("nbf", (NOW + 31).to_string(), Err(Error::NotYetValid)),
        ("nbf", format!("{}.001", NOW + 30), Err(Error::NotYetValid)),
        ("nbf", "0".to_owned(), OK),
        ("nbf", "-1".to_owned(), out("nbf")),
        ("nbf", "1e300".to_owned(), out("nbf")),
        ("nbf", "\"0\"".to_owned(), wrong("nbf")),
        ("nbf", "null".to_owned(), wrong("nbf")),
        ("iat", (NOW + 30).to_string(), OK),
        ("iat", (NOW + 31).to_string(), Err(Error::IssuedInFuture)),
        ("iat", format!("{}.001", NOW + 30), Err(Error::IssuedInFuture)),
        ("iat", "253402300800".to_owned(), out("iat")),
        ("iat", "-1".to_owned(), out("iat")),
        ("iat", "{}".to_owned(), wrong("iat")),
    ];
    let authenticator = authenticator(Rules { max_lifetime: Duration::ZERO, ..rules() }, &all_keys());
    for (name, raw, expected) in rows {
        let payload = with_raw(name, &raw);
        let token = token_of(Pair::P256A, "ES256", r#"{"alg":"ES256","kid":"p256-a"}"#, &payload);
        let outcome = authenticate(&authenticator, &token).map(drop);
        assert_eq!(outcome, expected.map_err(AuthError::Token), "{name}: {raw}");
    }
    for (name, expected) in [("exp", Err(Error::Missing("exp"))), ("nbf", OK), ("iat", OK)] {
        let outcome = outcome(rules(), &claims_with(json!({ name: null }))).map(drop);
        assert_eq!(outcome, expected.map_err(AuthError::Token), "no {name}");
    }
}

#[test]
fn a_token_lives_no_longer_than_is_allowed() {
    const DAY: i64 = 86_400;
    const OK: Result<(), Error> = Ok(());
    let long = || Err(Error::TooLongLived);
    for (iat, exp, max, expected) in [
        (Some(NOW.to_string()), (NOW + DAY).to_string(), DAY, OK),
        (Some(NOW.to_string()), (NOW + DAY + 1).to_string(), DAY, long()),
        (Some(NOW.to_string()), format!("{}.001", NOW + DAY), DAY, long()),
        (Some(format!("{NOW}.001")), format!("{}.001", NOW + DAY), DAY, OK),
        // The leeway is for two clocks; iat and exp are of one.
        (Some((NOW + 30).to_string()), (NOW + 30 + DAY).to_string(), DAY, OK),
        (Some((NOW + 30).to_string()), (NOW + 31 + DAY).to_string(), DAY, long()),
        (Some((NOW - DAY).to_string()), (NOW + 1).to_string(), DAY, long()),
        (Some((NOW - DAY).to_string()), NOW.to_string(), DAY, OK),
        (Some("0".to_owned()), (NOW + 300).to_string(), DAY, long()),
        (Some(NOW.to_string()), "253402300799".to_owned(), DAY, long()),
        (None, (NOW + DAY + 30).to_string(), DAY, OK),
        (None, format!("{}.001", NOW + DAY + 30), DAY, long()),
        (None, "253402300799".to_owned(), DAY, long()),
        (Some(NOW.to_string()), (NOW + 1).to_string(), 1, OK),
        (Some(NOW.to_string()), (NOW + 2).to_string(), 1, long()),
        (Some("0".to_owned()), "253402300799".to_owned(), 0, OK),
        (None, "253402300799".to_owned(), 0, OK),
    ] {
        let issued = iat.as_ref().map_or(json!({"iat": null}), |_| json!({"iat": "@iat"}));
        let mut claims = claims_with(issued);
        claims["exp"] = json!("@exp");
        let text = claims.to_string().replace("\"@exp\"", &exp);
        let payload = iat.as_ref().map_or(text.clone(), |iat| text.replace("\"@iat\"", iat));
        let token = token_of(Pair::P256A, "ES256", r#"{"alg":"ES256","kid":"p256-a"}"#, &payload);
        let rules = Rules { max_lifetime: Duration::from_secs(i64::unsigned_abs(max)), ..rules() };
        let outcome = authenticate(&authenticator(rules, &all_keys()), &token).map(drop);
        assert_eq!(outcome, expected.map_err(AuthError::Token), "iat {iat:?}, exp {exp}, at most {max} s");
    }
}

#[test]
fn a_token_ends_at_the_very_millisecond() {
    let claims = claims();
    let check = |now| crate::auth::claims::check(&claims, &rules(), now, &mut First).map(|good| good.ends);
    let ends = (NOW + 300 + 30) * 1_000;
    assert_eq!(check(ends - 1), Ok(ends));
    assert_eq!(check(ends), Err(Error::Expired));
}

const READ: &str = "virksomhedsinstats.login.read";

#[test]
fn a_scope_is_a_word_between_single_spaces_compared_exactly() {
    let missing = || Some(ClaimError::Missing("scope", "scope".into()));
    let wrong = || Some(ClaimError::WrongType("scope", "scope".into()));
    let rows: Vec<(Value, bool, Option<ClaimError>)> = vec![
        (json!({"scope": READ}), true, None),
        (json!({"scope": format!("openid {READ} other")}), true, None),
        (json!({"scope": format!("  {READ}  ")}), true, None),
        (json!({"scope": ""}), false, None),
        (json!({"scope": READ.to_uppercase()}), false, None),
        (json!({"scope": format!("{READ}s")}), false, None),
        (json!({"scope": "virksomhedsinstats.login"}), false, None),
        (json!({"scope": "virksomhedsinstats.login.*"}), false, None),
        (json!({"scope": format!("openid\t{READ}")}), false, None),
        (json!({"scope": format!("openid\n{READ}")}), false, None),
        (json!({"scope": format!("openid,{READ}")}), false, None),
        (json!({"scope": format!("openid\u{a0}{READ}")}), false, None),
        (json!({"scope": format!("{READ}\u{0}")}), false, None),
        (json!({"scope": READ.replace('i', "ı")}), false, None),
        (json!({"scope": null}), false, missing()),
        (json!({"scope": {READ: true}}), false, wrong()),
        (json!({"scope": 1}), false, wrong()),
        (json!({"scope": null, "scp": READ}), false, missing()),
    ];
    for (changes, carried, error) in rows {
        let caller = outcome(rules(), &claims_with(changes.clone())).unwrap();
        let scope_error = caller.scopes.as_ref().err().cloned();
        assert_eq!((caller.has_scope(READ), scope_error), (carried, error), "{changes}");
    }
}

fn modes(modes: &[AccessMode]) -> AccessModes {
    modes.iter().copied().collect()
}

#[test]
fn organisation_claims_are_read_exactly_and_errors_kept() {
    use AccessMode::{AlleBorgere, EgneBorgere};
    let job_center = |known: &[AccessMode]| Ok((OrganisationType::JobCenter, modes(known)));
    let claim = |what| match what {
        "organisation type" => "organisationType".into(),
        "organisation code" => "organisationCode".into(),
        "access mode" => "adgang".into(),
        _ => "cvr".into(),
    };
    let wrong = |what| Err(ClaimError::WrongType(what, claim(what)));
    let missing = |what| Err(ClaimError::Missing(what, claim(what)));
    let unknown = || Err(ClaimError::UnknownOrganisation);
    let rows = vec![
        (json!({}), job_center(&[AlleBorgere])),
        (json!({"organisationType": "STAR"}), Ok((OrganisationType::Star, modes(&[AlleBorgere])))),
        (json!({"organisationType": "A-kasse"}), Ok((OrganisationType::AKasse, modes(&[AlleBorgere])))),
        (json!({"organisationType": null}), missing("organisation type")),
        (json!({"organisationType": "jobcenter"}), unknown()),
        (json!({"organisationType": "JobCenter "}), unknown()),
        (json!({"organisationType": "JobCente\u{0155}"}), unknown()),
        (json!({"organisationType": ""}), unknown()),
        (json!({"organisationType": "8"}), unknown()),
        (json!({"organisationType": 8}), unknown()),
        (json!({"organisationType": 8.5}), wrong("organisation type")),
        (json!({"organisationType": true}), wrong("organisation type")),
        (json!({"organisationCode": null}), missing("organisation code")),
        (json!({"organisationCode": ""}), Err(ClaimError::CodeLength)),
        (json!({"organisationCode": "æ".repeat(20)}), job_center(&[AlleBorgere])),
        (json!({"organisationCode": "1".repeat(21)}), Err(ClaimError::CodeLength)),
        (json!({"organisationCode": 101.5}), wrong("organisation code")),
        (json!({"adgang": null}), missing("access mode")),
        (
            json!({"adgang": ["EgneBorgere", "Ukendt", "AlleBorgere"]}),
            job_center(&[AlleBorgere, EgneBorgere]),
        ),
        (json!({"adgang": "alleborgere"}), job_center(&[])),
        (json!({"adgang": "AlleBorgere EgneBorgere"}), job_center(&[])),
        (json!({"adgang": "AlleBorgere "}), job_center(&[])),
        (json!({"adgang": []}), job_center(&[])),
        (json!({"adgang": ["AlleBorgere", 1]}), wrong("access mode")),
        (json!({"adgang": 1}), wrong("access mode")),
        (json!({"adgang": {"AlleBorgere": true}}), wrong("access mode")),
        (json!({"cvr": "12345678"}), job_center(&[AlleBorgere])),
        (json!({"cvr": "1234567"}), Err(ClaimError::ParseCvrError)),
        (json!({"cvr": "١٢٣٤٥٦٧٨"}), Err(ClaimError::ParseCvrError)),
        (json!({"cvr": 12345678}), wrong("acting CVR number")),
    ];
    for (changes, expected) in rows {
        let caller = outcome(rules(), &claims_with(changes.clone())).unwrap();
        assert_eq!(caller.organisation().map_err(Clone::clone), expected, "{changes}");
    }
}

#[test]
fn a_mapped_number_and_its_string_are_the_same_and_plain_names_stay_valid() {
    let rules = || {
        let mut rules = rules();
        rules.organisation_types = [
            ("8".to_owned(), OrganisationType::JobCenter),
            ("2".to_owned(), OrganisationType::AKasse),
            ("STAR".to_owned(), OrganisationType::AKasse),
        ]
        .into();
        rules
    };
    for (claimed, expected) in [
        (json!(8), Ok(OrganisationType::JobCenter)),
        (json!("8"), Ok(OrganisationType::JobCenter)),
        (json!(2), Ok(OrganisationType::AKasse)),
        (json!("A-kasse"), Ok(OrganisationType::AKasse)),
        (json!("STAR"), Ok(OrganisationType::Star)),
        (json!("08"), Err(ClaimError::UnknownOrganisation)),
        (json!(" 8"), Err(ClaimError::UnknownOrganisation)),
        (json!(-8), Err(ClaimError::UnknownOrganisation)),
        (json!(8.0), Err(ClaimError::WrongType("organisation type", "organisationType".into()))),
    ] {
        let caller = outcome(rules(), &claims_with(json!({ "organisationType": claimed }))).unwrap();
        let organisation = caller.organisation().map(|(organisation, _)| organisation);
        assert_eq!(organisation.map_err(Clone::clone), expected, "{claimed}");
    }
}

#[test]
fn rejected_claims_are_kept_for_the_audit_log() {
    let caller = outcome(
        rules(),
        &claims_with(json!({
            "sub": "sub\n1", "organisationType": 99, "organisationCode": "x".repeat(30),
            "adgang": ["Ukendt", 7, "AlleBorgere"], "cvr": "no number",
        })),
    )
    .unwrap();
    assert_eq!(caller.subject.as_deref(), Some("sub\n1"));
    assert_eq!(caller.client_id.as_deref(), Some("client"));
    assert_eq!(caller.organisation_type.as_deref(), Some("99"));
    assert_eq!(caller.organisation_code, Some("x".repeat(30)));
    assert_eq!(caller.access, ["Ukendt", "AlleBorgere"]);
    assert_eq!(caller.acting_cvr.as_deref(), Some("no number"));
    assert_eq!(caller.organisation(), Err(&ClaimError::UnknownOrganisation));
}

#[test]
fn a_caller_weighs_what_it_holds() {
    let weight = |changes| outcome(rules(), &claims_with(changes)).unwrap().weight();
    let with = |scope: &str, modes: &[&str], code: &str| {
        weight(json!({ "scope": scope, "adgang": modes, "organisationCode": code }))
    };
    let least = with("a", &["b"], "c");
    assert!(least > size_of::<crate::auth::Caller>() + 2 * size_of::<String>());
    // What the audit log writes is kept a second time.
    assert_eq!(with("a", &["b"], "cdef"), least + 2 * 3);
    assert_eq!(with("abcd", &["b"], "c"), least + 3);
    assert_eq!(with("a", &["bcde"], "c"), least + 2 * 3);
    assert_eq!(with("a b", &["b"], "c"), least + 1 + size_of::<String>());
    assert_eq!(with("a", &["b", "cd"], "c"), least + 2 * 2 + size_of::<String>());
}

#[test]
fn every_claim_name_can_be_another() {
    let mut rules = rules();
    rules.claims = crate::auth::ClaimNames {
        organisation_type: "https://star.dk/org".into(),
        organisation_code: "code".into(),
        access: "modes".into(),
        scope: "scopes".into(),
        acting_cvr: "aktoer".into(),
        client_id: vec!["program".into()],
    };
    let renamed = claims_with(json!({
        "organisationType": null, "organisationCode": null, "adgang": null, "scope": null, "cvr": 1,
        "https://star.dk/org": "STAR", "code": "1", "modes": "AlleBorgere", "scopes": READ, "aktoer": "00000000",
        "client_id": 7, "program": "p",
    }));
    let caller = outcome(rules, &renamed).unwrap();
    assert!(caller.has_scope(READ));
    assert_eq!(caller.access, ["AlleBorgere"]);
    assert_eq!(caller.organisation(), Ok((OrganisationType::Star, modes(&[AccessMode::AlleBorgere]))));
    assert_eq!(caller.acting_cvr.as_deref(), Some("00000000"));
    assert_eq!(caller.client_id.as_deref(), Some("p"));
}
