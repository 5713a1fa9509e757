//! Who calls, and what they may: RS256 by a key set file, then scope, then the access table.
//!
//! A verified token is remembered with what it may call, until it ends or others take its place.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::Value;

use crate::now;
use crate::problem::Problem;

/// Seconds by which the issuer's clock may differ.
const LEEWAY: u8 = 30;
const REMEMBERED: usize = 16_384;
const CODE_LENGTH: std::ops::RangeInclusive<usize> = 1..=20;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Endpoint {
    GetLogin,
    SetLogin,
    GetLogins,
}

/// The access table as it is shipped (config/access.toml).
const ACCESS: [(Endpoint, &str, &[&str]); 7] = [
    (Endpoint::GetLogin, "A-kasse", &["AlleBorgere"]),
    (Endpoint::GetLogin, "JobCenter", &["AlleBorgere", "EgneBorgere", "TidligereEgneBorgere"]),
    (Endpoint::GetLogin, "STAR", &["AlleBorgere"]),
    (Endpoint::SetLogin, "STAR", &["AlleBorgere"]),
    (Endpoint::GetLogins, "A-kasse", &["AlleBorgere"]),
    (Endpoint::GetLogins, "JobCenter", &["AlleBorgere", "EgneBorgere"]),
    (Endpoint::GetLogins, "STAR", &["AlleBorgere"]),
];

/// The claims that are read. What is in the last four may have any type: a wrong one is no access, not a bad token.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    sub: Option<String>,
    client_id: Option<String>,
    #[serde(default)]
    scope: Value,
    #[serde(default, rename = "organisationType")]
    organisation: Value,
    #[serde(default, rename = "organisationCode")]
    code: Value,
    #[serde(default)]
    adgang: Value,
}

impl Claims {
    fn denied(&self, endpoint: Endpoint) -> Option<Problem> {
        let scope = match endpoint {
            Endpoint::SetLogin => "virksomhedsinstats.login.write",
            Endpoint::GetLogin | Endpoint::GetLogins => "virksomhedsinstats.login.read",
        };
        if !self.scope.as_str().is_some_and(|scopes| scopes.split(' ').any(|granted| granted == scope)) {
            return Some(Problem::Scope);
        }
        let claimed = match &self.adgang {
            Value::Array(modes) => modes,
            mode => std::slice::from_ref(mode),
        };
        let has = |modes: &[&str]| claimed.iter().filter_map(Value::as_str).any(|mode| modes.contains(&mode));
        let in_table = ACCESS.iter().any(|(called, organisation, modes)| {
            *called == endpoint && self.organisation.as_str() == Some(*organisation) && has(modes)
        });
        let has_code = self.code.as_str().is_some_and(|code| CODE_LENGTH.contains(&code.chars().count()));
        if in_table && has_code { None } else { Some(Problem::Access) }
    }
}

pub struct Caller {
    /// Its name as JSON.
    pub name: String,
    /// Milliseconds since 1970.
    ends: i64,
    denied: [Option<Problem>; 3],
}

pub struct Callers {
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
    remembered: Cache<String, Arc<Caller>>,
}

impl Callers {
    pub fn new(key_set: &Path, issuer: &str, audience: &str) -> Result<Self, Box<dyn Error>> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY.into();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["aud", "exp", "iss"]);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[issuer]);
        Ok(Self { keys: read_keys(key_set)?, validation, remembered: Cache::new(REMEMBERED) })
    }

    /// The caller, where the token is good; and why it may not call this, where it may not.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        endpoint: Endpoint,
    ) -> (Option<Arc<Caller>>, Option<Problem>) {
        let bearer =
            headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(caller) = bearer.and_then(|token| self.caller(token)) else {
            return (None, Some(Problem::Token));
        };
        let denied = caller.denied[endpoint as usize];
        (Some(caller), denied)
    }

    fn caller(&self, token: &str) -> Option<Arc<Caller>> {
        match self.remembered.get(token) {
            Some(caller) if caller.ends > now() => Some(caller),
            _ => {
                let caller = Arc::new(self.verify(token)?);
                self.remembered.insert(token.to_owned(), Arc::clone(&caller));
                Some(caller)
            }
        }
    }

    fn verify(&self, token: &str) -> Option<Caller> {
        let header = decode_header(token).ok()?;
        let key = self.keys.get(header.kid.as_ref()?)?;
        if header.crit.is_some() {
            return None;
        }
        let claims = decode::<Claims>(token, key, &self.validation).ok()?.claims;
        let name = serde_json::to_string(claims.sub.as_ref().or(claims.client_id.as_ref())?).ok()?;
        let ends = ((claims.exp + f64::from(LEEWAY)) * 1000.0) as i64;
        let denied =
            [Endpoint::GetLogin, Endpoint::SetLogin, Endpoint::GetLogins].map(|each| claims.denied(each));
        Some(Caller { name, ends, denied })
    }
}

/// The RSA keys of a set that may sign with RS256, by name.
fn read_keys(path: &Path) -> Result<HashMap<String, DecodingKey>, Box<dyn Error>> {
    #[derive(Deserialize)]
    struct KeySet {
        keys: Vec<Value>,
    }
    let set: KeySet = serde_json::from_slice(&fs::read(path)?)?;
    let mut keys = HashMap::new();
    // A key that jsonwebtoken cannot read is no fault of the set.
    for key in set.keys.iter().filter_map(|key| Jwk::deserialize(key).ok()) {
        let rs256 = matches!(key.common.key_algorithm, None | Some(KeyAlgorithm::RS256));
        if let (true, AlgorithmParameters::RSA(_), Some(name)) = (rs256, &key.algorithm, &key.common.key_id) {
            keys.insert(name.clone(), DecodingKey::from_jwk(&key)?);
        }
    }
    Ok(keys)
}
