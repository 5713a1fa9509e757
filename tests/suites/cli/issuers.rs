//! `config/issuers`: each fragment with a token and a key set as that issuer makes them, through the real service.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use virksomhedslogin::testing::{Clock, SystemClock};

use crate::suites::cli::program::{run, stderr, stdout};
use crate::support::process::Fixture;

const READ: &str = "virksomhedsinstats.login.read";
const WRITE: &str = "virksomhedsinstats.login.write";

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../fixtures/keys/", $name))
    };
}

/// The public fixture key with these members beside.
fn jwk(text: &[u8], members: Value) -> Value {
    let mut jwk: Value = serde_json::from_slice(text).unwrap();
    jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    jwk
}

fn sign(header: &Value, claims: &Value) -> String {
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let signed =
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = if header["alg"] == "RS256" {
        let pair = RsaKeyPair::from_pkcs8(key!("rsa-a.pk8")).unwrap();
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        signature
    } else {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key!("ed25519.pk8")).unwrap();
        pair.sign(signed.as_bytes()).as_ref().to_vec()
    };
    format!("{signed}.{}", encode(&signature))
}

/// A configuration with this fragment, whose keys are read from a file instead of the issuer.
fn configured(issuer: &str, keys: &[Value]) -> Fixture {
    let fixture = Fixture::new();
    let path = format!("{}/config/issuers/{issuer}.toml", env!("CARGO_MANIFEST_DIR"));
    let fragment = std::fs::read_to_string(path).unwrap();
    let base = std::fs::read_to_string(fixture.config()).unwrap();
    let base: Vec<_> = base.lines().filter(|line| !line.starts_with("token.")).collect();
    let local =
        |line: &str| if line.starts_with("jwks = ") { "jwks = \"file:jwks.json\"" } else { line }.to_owned();
    let fragment: Vec<_> = fragment.lines().map(local).collect();
    fixture.write("virksomhedslogin.toml", &format!("{}\n{}\n", base.join("\n"), fragment.join("\n")));
    fixture.write("jwks.json", &json!({ "keys": keys }).to_string());
    fixture
}

/// The client that the audit log names, after all three methods have let the token in, and so has `explain`.
fn let_in(fixture: &Fixture, header: &Value, claims: &Value) -> String {
    let now = SystemClock.now().millis() / 1_000;
    let mut claims = claims.clone();
    (claims["iat"], claims["exp"]) = (json!(now), json!(now + 3600));
    let token = sign(header, &claims);
    fixture.write("token.txt", &token);
    let file = fixture.path("token.txt").display().to_string();
    for method in ["GetLogin", "SetLogin", "GetLogins"] {
        let explained =
            run(&["explain", "--config", &fixture.config(), "--method", method, "--token", &file]);
        assert_eq!(explained.status.code(), Some(0), "{}{}", stdout(&explained), stderr(&explained));
    }
    let mut service = fixture.serve();
    service.token = token;
    assert_eq!(service.put("12345678").unwrap(), 204);
    assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200);
    assert_eq!(service.get("/v1/Logins").0, 200);
    let audit = std::fs::read_to_string(fixture.path("audit.ndjson")).unwrap();
    let line: Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&line["organisationType"], &line["organisationCode"]),
        (&json!("STAR"), &json!("1")),
        "{line}"
    );
    line["clientId"].as_str().unwrap().to_owned()
}

#[test]
fn duende() {
    let keys = [jwk(key!("rsa-a.jwk"), json!({"use": "sig", "kid": "A8D13F", "alg": "RS256"}))];
    let claims = json!({
        "iss": "https://sts.example.dk", "nbf": 1, "aud": "virksomhedslogin", "scope": [READ, WRITE],
        "client_id": "star-program", "client_organisationType": "STAR", "client_organisationCode": "1",
        "client_adgang": ["AlleBorgere"], "jti": "F9D2C1",
    });
    let header = json!({"alg": "RS256", "kid": "A8D13F", "typ": "at+jwt"});
    assert_eq!(let_in(&configured("duende", &keys), &header, &claims), "star-program");
}

#[test]
fn adfs_with_two_certificates_and_no_kid() {
    let keys = [("rsa-b", key!("rsa-b.jwk").as_slice(), "bOlD"), ("rsa-a", key!("rsa-a.jwk"), "nEw_1")];
    let keys = keys.map(|(_, key, x5t)| {
        jwk(key, json!({"use": "sig", "alg": "RS256", "kid": x5t, "x5t": x5t, "x5c": ["MII="]}))
    });
    let claims = json!({
        "aud": "microsoft:identityserver:virksomhedslogin",
        "iss": "http://adfs.example.dk/adfs/services/trust", "apptype": "Confidential", "appid": "star-program",
        "authmethod": "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password",
        "auth_time": "2026-11-23T08:15:30.123Z", "ver": "1.0", "scp": format!("{READ} {WRITE}"),
        "organisationType": "STAR", "organisationCode": "1", "adgang": ["AlleBorgere", "EgneBorgere"],
    });
    let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "nEw_1"});
    assert_eq!(let_in(&configured("adfs", &keys), &header, &claims), "star-program");
}

#[test]
fn entra_without_a_user() {
    let keys = [jwk(
        key!("rsa-a.jwk"),
        json!({"use": "sig", "kid": "k1", "x5t": "k1", "x5c": ["MII="], "cloud_instance_name": "microsoftonline.com",
               "issuer": "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"}),
    )];
    let claims = json!({
        "aud": "66666666-7777-8888-9999-000000000000",
        "iss": "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0", "nbf": 1, "aio": "E2Zg",
        "azp": "aaaaaaaa-0000-0000-0000-000000000000", "azpacr": "1", "oid": "b", "rh": "0.A", "sub": "b",
        "roles": [READ, WRITE, "AlleBorgere"], "tid": "11111111-2222-3333-4444-555555555555", "uti": "x", "ver": "2.0",
        "organisationType": "STAR", "organisationCode": "1",
    });
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "k1"});
    let client = let_in(&configured("entra", &keys), &header, &claims);
    assert_eq!(client, "aaaaaaaa-0000-0000-0000-000000000000");
}

#[test]
fn keycloak_with_an_encryption_key_in_the_set() {
    let sig = json!({"kid": "s", "alg": "RS256", "use": "sig", "x5c": ["MII="], "x5t": "t", "x5t#S256": "u"});
    let enc =
        json!({"kid": "e", "alg": "RSA-OAEP", "use": "enc", "x5c": ["MII="], "x5t": "v", "x5t#S256": "w"});
    let keys = [jwk(key!("rsa-b.jwk"), enc), jwk(key!("rsa-a.jwk"), sig)];
    let claims = json!({
        "jti": "trrtcc:1", "iss": "https://keycloak.example.dk/realms/virksomhed",
        "aud": ["virksomhedslogin", "account"], "sub": "c3f1", "typ": "Bearer", "azp": "star-program", "acr": "1",
        "realm_access": {"roles": ["offline_access", READ, WRITE, "AlleBorgere"]},
        "resource_access": {"account": {"roles": ["manage-account"]}}, "scope": "email profile",
        "clientHost": "192.0.2.1", "email_verified": false, "preferred_username": "service-account-star-program",
        "organisationType": ["STAR"], "organisationCode": ["1"],
    });
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "s"});
    assert_eq!(let_in(&configured("keycloak", &keys), &header, &claims), "star-program");
}

#[test]
fn auth0_in_both_profiles() {
    let members = json!({"use": "sig", "kid": "k", "x5t": "t", "x5c": ["MII="], "alg": "RS256"});
    let fixture = configured("auth0", &[jwk(key!("rsa-a.jwk"), members)]);
    let claims = |client: &str| {
        json!({
            "iss": "https://virksomhed.eu.auth0.com/", "sub": "star-program@clients", "aud": "https://login.example.dk",
            client: "star-program", "scope": READ, "gty": "client-credentials", "permissions": [READ, WRITE],
            "https://example.dk/claims/organisationType": "STAR", "https://example.dk/claims/organisationCode": 1,
            "https://example.dk/claims/adgang": "AlleBorgere",
        })
    };
    let header = |typ: &str| json!({"alg": "RS256", "typ": typ, "kid": "k"});
    assert_eq!(let_in(&fixture, &header("JWT"), &claims("azp")), "star-program");
    assert_eq!(let_in(&fixture, &header("at+jwt"), &claims("client_id")), "star-program");
}

#[test]
fn node_oidc_provider_with_rsa_and_ed25519() {
    let keys = [
        jwk(key!("rsa-a.jwk"), json!({"use": "sig", "kid": "r", "alg": "RS256"})),
        jwk(key!("ed25519.jwk"), json!({"use": "sig", "kid": "o", "alg": "Ed25519"})),
        jwk(key!("p256-a.jwk"), json!({"use": "enc", "kid": "e", "alg": "ECDH-ES"})),
    ];
    let fixture = configured("node-oidc-provider", &keys);
    let claims = json!({
        "organisationType": "STAR", "organisationCode": "1", "adgang": "AlleBorgere", "jti": "Z3dK",
        "sub": "star-program", "scope": format!("{READ} {WRITE}"), "client_id": "star-program",
        "iss": "https://op.example.dk", "aud": "urn:virksomhedslogin",
    });
    for (alg, kid) in [("RS256", "r"), ("EdDSA", "o"), ("Ed25519", "o")] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": kid});
        assert_eq!(let_in(&fixture, &header, &claims), "star-program", "{alg}");
    }
}

#[test]
fn every_fragment_has_a_test() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config/issuers");
    for file in std::fs::read_dir(directory).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let tried = format!("configured(\"{}\"", name.trim_end_matches(".toml"));
        assert!(include_str!("issuers.rs").contains(&tried), "{name}");
    }
}
