//! Claims and keys in the forms in which issuers send them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::mint::*;
use crate::auth::{AuthError, Caller, Rules, TokenError as Error};
use crate::domain::access::OrganisationType::{self, JobCenter};

const READ: &str = "virksomhedsinstats.login.read";

fn caller(rules: Rules, changes: Value) -> Result<Arc<Caller>, AuthError> {
    authenticate(&authenticator(rules, &all_keys()), &token_with_claims(&claims_with(changes)))
}

fn accepted(changes: Value) -> Arc<Caller> {
    caller(rules(), changes).unwrap()
}

#[test]
fn scope_is_a_string_or_an_array_of_them() {
    for (scope, carried) in [
        (json!([READ]), true),
        (json!(["openid", READ]), true),
        (json!([format!("openid {READ}")]), true),
        (json!(["openid", format!(" {READ} x")]), true),
        (json!([]), false),
        (json!(["openid"]), false),
        (json!([READ, 1]), false),
        (json!([[READ]]), false),
        (json!([null]), false),
    ] {
        assert_eq!(accepted(json!({"scope": scope})).has_scope(READ), carried, "{scope}");
    }
}

#[test]
fn client_id_is_the_first_name_that_is_there() {
    let named = |changes: Value| caller(rules(), changes).map(|caller| caller.client_id.clone());
    let id = |id: &str| Ok(Some(id.to_owned()));
    for (changes, expected) in [
        (json!({"azp": "b", "appid": "c"}), id("client")),
        (json!({"client_id": null, "azp": "b", "appid": "c"}), id("b")),
        (json!({"client_id": null, "appid": "c", "sub": null}), id("c")),
        (json!({"client_id": "", "azp": "", "appid": "c"}), id("c")),
        (json!({"client_id": "", "azp": ""}), Ok(None)),
        (json!({"client_id": "a", "azp": 7}), id("a")),
    ] {
        assert_eq!(named(changes.clone()), expected, "{changes}");
    }
    for changes in [
        json!({"client_id": 7}),
        json!({"client_id": null, "azp": 7, "appid": "c"}),
        json!({"client_id": "", "azp": ["b"]}),
        json!({"client_id": null, "appid": {}}),
    ] {
        assert!(matches!(named(changes.clone()), Err(AuthError::Token(_))), "{changes}");
    }
    let nobody = named(json!({"sub": null, "client_id": "", "azp": "", "appid": ""}));
    assert!(matches!(nobody, Err(AuthError::Token(_))), "{nobody:?}");
}

#[test]
fn organisation_claims_may_be_an_array_of_one() {
    for (changes, allowed) in [
        (json!({"organisationType": ["JobCenter"]}), true),
        (json!({"organisationType": ["JobCenter", "JobCenter"]}), false),
        (json!({"organisationType": []}), false),
        (json!({"organisationType": [["JobCenter"]]}), false),
        (json!({"organisationCode": ["101"]}), true),
        (json!({"organisationCode": [101]}), true),
        (json!({"organisationCode": ["101", "102"]}), false),
        (json!({"organisationCode": []}), false),
        (json!({"cvr": ["12345678"]}), true),
        (json!({"cvr": ["12345678", "12345678"]}), false),
        (json!({"cvr": [12345678]}), false),
        (json!({"cvr": []}), false),
        (json!({"cvr": ""}), false),
    ] {
        assert_eq!(accepted(changes.clone()).organisation().is_ok(), allowed, "{changes}");
    }
    let caller =
        accepted(json!({"organisationType": ["STAR"], "organisationCode": [7], "cvr": ["00000001"]}));
    assert_eq!(caller.organisation_type.as_deref(), Some("STAR"));
    assert_eq!(caller.organisation_code.as_deref(), Some("7"));
    assert_eq!(caller.acting_cvr.as_deref(), Some("00000001"));
}

#[test]
fn organisation_code_may_be_a_whole_number() {
    for (raw, code) in [
        ("0", Some("0")),
        ("101", Some("101")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("18446744073709551616", None),
        ("-1", None),
        ("-0", None),
        ("1.0", None),
        ("1e2", None),
        ("true", None),
        ("null", None),
    ] {
        let payload = claims_with(json!({"organisationCode": "@"})).to_string().replace("\"@\"", raw);
        let token = token_of(Pair::P256A, "ES256", r#"{"alg":"ES256","kid":"p256-a"}"#, &payload);
        let caller = authenticate(&authenticator(rules(), &all_keys()), &token).unwrap();
        assert_eq!(caller.organisation().is_ok(), code.is_some(), "{raw}");
        assert_eq!(caller.organisation_code.as_deref(), code, "{raw}");
    }
}

#[test]
fn mapped_organisation_type_is_the_one_in_the_audit_line() {
    let rules = || {
        let mapped = [("8".to_owned(), JobCenter), ("Kommune".to_owned(), JobCenter)];
        Rules { organisation_types: mapped.into(), ..rules() }
    };
    for claimed in [json!(8), json!("8"), json!([8]), json!("Kommune"), json!("JobCenter")] {
        let caller = caller(rules(), json!({"organisationType": claimed})).unwrap();
        assert_eq!(caller.organisation_type.as_deref(), Some("JobCenter"), "{claimed}");
        assert!(caller.organisation().is_ok(), "{claimed}");
    }
    let unknown = caller(rules(), json!({"organisationType": 9})).unwrap();
    assert_eq!(unknown.organisation_type.as_deref(), Some("9"));
}

#[test]
fn third_party_modes_count_only_with_an_acting_cvr() {
    let modes = |changes: Value| {
        let caller = accepted(changes);
        caller.organisation().map(|(_, modes)| modes.iter().map(|mode| mode.name()).collect::<Vec<_>>()).ok()
    };
    let third = ["AndenAktoerEgneBorgere", "AndenAktoerGaesteadgang", "AndenAktoerAlleBorgere"];
    for mode in third {
        assert_eq!(modes(json!({"adgang": mode, "cvr": "12345678"})), Some(vec![mode]));
        assert!(modes(json!({"adgang": mode})).is_none_or(|modes| modes.is_empty()), "{mode}");
        assert_eq!(modes(json!({"adgang": [mode, "EgneBorgere"]})), Some(vec!["EgneBorgere"]));
        assert_eq!(modes(json!({"adgang": [mode, "EgneBorgere"], "cvr": "1234567"})), None);
    }
}

fn single_key(header: &str, keys: &str, pair: Pair, alg: &str) -> Result<(), AuthError> {
    let token = token_of(pair, alg, header, &claims().to_string());
    authenticate(&authenticator(rules(), keys), &token).map(drop)
}

#[test]
fn ed25519_is_eddsa_in_tokens_and_keys() {
    for (in_key, in_token) in [("Ed25519", "EdDSA"), ("EdDSA", "Ed25519"), ("Ed25519", "Ed25519")] {
        let keys = jwks([Pair::Ed25519.jwk_with(json!({"kid": "e", "alg": in_key}))]);
        let header = json!({"alg": in_token, "kid": "e"}).to_string();
        assert_eq!(single_key(&header, &keys, Pair::Ed25519, "EdDSA"), Ok(()), "{in_key} {in_token}");
    }
    let header = r#"{"alg":"Ed25519","kid":"p256-a"}"#;
    assert_eq!(single_key(header, &all_keys(), Pair::P256A, "ES256"), Err(Error::NoFittingKey.into()));
}

#[test]
fn token_without_kid_means_the_key_with_its_thumbprints() {
    let keys = || {
        jwks([
            Pair::P256A.jwk_with(json!({"kid": "a", "x5t": "A1", "x5t#S256": "A2"})),
            Pair::P256B.jwk_with(json!({"x5t": "B1", "x5t#S256": "B2"})),
            // The same key with a renewed certificate.
            Pair::P256B.jwk_with(json!({"x5t": "C1", "x5t#S256": "C2"})),
        ])
    };
    let (ok, unknown) = (|| Ok(()), || Err(Error::UnknownKey.into()));
    let form = || Err(Error::Thumbprint.into());
    for (pair, members, expected) in [
        (Pair::P256A, json!({"x5t": "A1"}), ok()),
        (Pair::P256A, json!({"x5t#S256": "A2"}), ok()),
        (Pair::P256A, json!({"x5t": "A1", "x5t#S256": "A2"}), ok()),
        (Pair::P256B, json!({"x5t": "B1"}), ok()),
        (Pair::P256B, json!({"x5t": "C1", "x5t#S256": "C2"}), ok()),
        (Pair::P256A, json!({"x5t": "B1"}), Err(Error::Signature.into())),
        (Pair::P256A, json!({"x5t": "A1", "x5t#S256": "B2"}), unknown()),
        (Pair::P256B, json!({"x5t": "B1", "x5t#S256": "C2"}), unknown()),
        (Pair::P256A, json!({"x5t": "a1"}), unknown()),
        (Pair::P256A, json!({"x5t": ""}), unknown()),
        (Pair::P256A, json!({"x5t": 1}), form()),
        (Pair::P256A, json!({"x5t": "A1", "x5t#S256": null}), form()),
        (Pair::P256A, json!({"x5t": "A".repeat(257)}), form()),
        (Pair::P256A, json!({}), Err(Error::AmbiguousKey.into())),
        (Pair::P256A, json!({"kid": "a", "x5t": "B1", "x5t#S256": 7}), ok()),
        (Pair::P256A, json!({"kid": "b", "x5t": "A1"}), unknown()),
    ] {
        let mut header = json!({"alg": "ES256"});
        header.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        assert_eq!(single_key(&header.to_string(), &keys(), pair, "ES256"), expected, "{members}");
    }
    // One key fits: no name is needed, but a wrong one is not passed over.
    let single = jwks([Pair::P256A.jwk_with(json!({"x5t": 7}))]);
    assert_eq!(single_key(r#"{"alg":"ES256"}"#, &single, Pair::P256A, "ES256"), Ok(()));
    assert_eq!(single_key(r#"{"alg":"ES256","x5t":"A1"}"#, &single, Pair::P256A, "ES256"), unknown());
}

#[test]
fn claim_names_are_plain_or_json_pointers() {
    let read = |name: &str, claims: Value| {
        let mut rules = rules();
        rules.claims.organisation_type = name.into();
        let changes = claims.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone()));
        let changes: serde_json::Map<_, _> =
            changes.chain([("organisationType".to_owned(), Value::Null)]).collect();
        let caller = caller(rules, changes.into()).unwrap();
        caller.organisation().map(|(organisation, _)| organisation).ok()
    };
    for (name, claims, found) in [
        ("https://example.dk/claims/org", json!({"https://example.dk/claims/org": "STAR"}), true),
        ("a/b", json!({"a/b": "STAR"}), true),
        ("a/b", json!({"a": {"b": "STAR"}}), false),
        ("/a/b", json!({"a": {"b": "STAR"}}), true),
        ("/a/b", json!({"/a/b": "STAR"}), false),
        ("/a~1b/m~0n", json!({"a/b": {"m~n": "STAR"}}), true),
        ("/~01", json!({"~1": "STAR"}), true),
        ("/roles/1", json!({"roles": ["x", "STAR"]}), true),
        ("/roles/01", json!({"roles": ["x", "STAR"]}), false),
        ("/roles/2", json!({"roles": ["x", "STAR"]}), false),
        ("/roles/-", json!({"roles": ["x", "STAR"]}), false),
        ("/roles/+1", json!({"roles": ["x", "STAR"]}), false),
        ("/", json!({"": "STAR"}), true),
        ("a.b", json!({"a": {"b": "STAR"}}), false),
    ] {
        assert_eq!(read(name, claims.clone()), found.then_some(OrganisationType::Star), "{name} in {claims}");
    }
}

#[test]
fn one_claim_may_serve_two_keys() {
    let mut rules = rules();
    (rules.claims.scope, rules.claims.access) = ("/realm_access/roles".into(), "/realm_access/roles".into());
    let roles = json!({"roles": [READ, "AlleBorgere", "offline_access"]});
    let caller = caller(rules, json!({"scope": null, "adgang": null, "realm_access": roles})).unwrap();
    assert!(caller.has_scope(READ));
    assert_eq!(caller.organisation().map(|(_, modes)| modes.iter().count()).ok(), Some(1));
}
