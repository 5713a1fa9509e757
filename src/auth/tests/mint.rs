//! Makes tokens and key sets, good ones and any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use strum::VariantArray;

use crate::auth::{Algorithm, AuthError, Authenticator, Caller, CertificateBound, ClaimNames, Rules, Source};
use crate::domain::clock::Clock;
use crate::domain::timestamp::Timestamp;

/// 2026-11-23T08:15:30Z, in seconds since 1970.
pub(super) const NOW: i64 = 1_795_421_730;
pub(super) const ISSUER: &str = "https://issuer.example";
pub(super) const AUDIENCE: &str = "virksomhedslogin";

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/", $name))
    };
}
pub(super) use fixture;

/// A private key among the fixtures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pair {
    RsaA,
    RsaB,
    P256A,
    P256B,
    P384,
    Ed25519,
}

impl Pair {
    pub(super) fn jwk(self) -> Value {
        let text: &[u8] = match self {
            Self::RsaA => fixture!("rsa-a.jwk"),
            Self::RsaB => fixture!("rsa-b.jwk"),
            Self::P256A => fixture!("p256-a.jwk"),
            Self::P256B => fixture!("p256-b.jwk"),
            Self::P384 => fixture!("p384.jwk"),
            Self::Ed25519 => fixture!("ed25519.jwk"),
        };
        serde_json::from_slice(text).unwrap()
    }

    /// The public half with these members beside.
    pub(super) fn jwk_with(self, more: Value) -> Value {
        let mut jwk = self.jwk();
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    }

    pub(super) fn sign(self, alg: &str, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |der: &[u8]| {
            let padding: &dyn RsaEncoding = match alg {
                "RS384" => &signature::RSA_PKCS1_SHA384,
                "RS512" => &signature::RSA_PKCS1_SHA512,
                "PS256" => &signature::RSA_PSS_SHA256,
                "PS384" => &signature::RSA_PSS_SHA384,
                "PS512" => &signature::RSA_PSS_SHA512,
                _ => &signature::RSA_PKCS1_SHA256,
            };
            let pair = RsaKeyPair::from_pkcs8(der).unwrap();
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(padding, &random, text, &mut signature).unwrap();
            signature
        };
        let curve = |algorithm, der: &[u8]| {
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, der, &random).unwrap();
            pair.sign(&random, text).unwrap().as_ref().to_vec()
        };
        match self {
            Self::RsaA => rsa(fixture!("rsa-a.pk8")),
            Self::RsaB => rsa(fixture!("rsa-b.pk8")),
            Self::P256A => curve(&ECDSA_P256_SHA256_FIXED_SIGNING, fixture!("p256-a.pk8")),
            Self::P256B => curve(&ECDSA_P256_SHA256_FIXED_SIGNING, fixture!("p256-b.pk8")),
            Self::P384 => curve(&ECDSA_P384_SHA384_FIXED_SIGNING, fixture!("p384.pk8")),
            Self::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(fixture!("ed25519.pk8")).unwrap();
                pair.sign(text).as_ref().to_vec()
            }
        }
    }
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

pub(super) fn jwks(keys: impl IntoIterator<Item = Value>) -> String {
    json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string()
}

/// Every fixture key under its own `kid`, without `alg`.
pub(super) fn all_keys() -> String {
    jwks([
        Pair::RsaA.jwk_with(json!({"kid": "rsa-a", "use": "sig"})),
        Pair::RsaB.jwk_with(json!({"kid": "rsa-b"})),
        Pair::P256A.jwk_with(json!({"kid": "p256-a"})),
        Pair::P256B.jwk_with(json!({"kid": "p256-b"})),
        Pair::P384.jwk_with(json!({"kid": "p384", "key_ops": ["verify"]})),
        Pair::Ed25519.jwk_with(json!({"kid": "ed25519"})),
    ])
}

/// Claims that pass every rule.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW, "nbf": NOW,
        "sub": "caller", "client_id": "client",
        "scope": "virksomhedsinstats.login.read virksomhedsinstats.login.write",
        "organisationType": "JobCenter", "organisationCode": "101", "adgang": "AlleBorgere",
    })
}

/// Good claims with some changed; `null` removes one.
pub(super) fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// A token of exactly these texts, signed by the pair.
pub(super) fn token_of(pair: Pair, alg: &str, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = encode(pair.sign(alg, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A token with good claims by the pair's usual `kid`.
pub(super) fn token(pair: Pair, alg: &str, kid: &str) -> String {
    let header = json!({"alg": alg, "kid": kid, "typ": "at+jwt"}).to_string();
    token_of(pair, alg, &header, &claims().to_string())
}

/// A token by P-256 key A with these claims.
pub(super) fn token_with_claims(claims: &Value) -> String {
    token_of(Pair::P256A, "ES256", r#"{"alg":"ES256","kid":"p256-a"}"#, &claims.to_string())
}

pub(super) fn rules() -> Rules {
    Rules {
        issuer: ISSUER.to_owned(),
        audience: vec![AUDIENCE.to_owned()],
        algorithms: Algorithm::VARIANTS.to_vec(),
        leeway: Duration::from_secs(30),
        types: ["at+jwt", "jwt", ""].map(str::to_owned).into(),
        max_lifetime: Duration::from_secs(86_400),
        certificate_bound: CertificateBound::WhenBound,
        claims: ClaimNames::default(),
        organisation_types: Default::default(),
    }
}

/// A clock that shows what a test sets, in milliseconds since 1970.
pub(super) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(super) fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock(AtomicI64::new(NOW * 1_000)))
}

/// A key file, for as long as the value lives.
pub(super) fn key_file(keys: &str) -> (tempfile::TempPath, Source) {
    let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&file, keys).unwrap();
    let source = Source::File(file.to_path_buf());
    (file, source)
}

pub(super) fn authenticator(rules: Rules, keys: &str) -> Authenticator {
    let (_file, source) = key_file(keys);
    Authenticator::new(rules, source, clock()).unwrap()
}

pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

pub(super) fn authenticate(authenticator: &Authenticator, token: &str) -> Result<Arc<Caller>, AuthError> {
    block_on(authenticator.authenticate(token))
}
