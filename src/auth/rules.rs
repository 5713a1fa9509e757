//! What a token must meet, as the configuration says it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use strum::EnumString;

use super::algorithm::Algorithm;
use crate::domain::access::OrganisationType;

/// Which tokens must be bound to a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum CertificateBound {
    /// Those that say so.
    #[default]
    WhenBound,
    /// All of them.
    Required,
    /// None: `cnf` is not looked at.
    Off,
}

/// What a token must meet.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `iss`, exactly.
    pub issuer: String,
    /// Values of `aud`, of which a token must have one.
    pub audience: Vec<String>,
    /// Accepted values of `alg`.
    pub algorithms: Vec<Algorithm>,
    /// Accepted difference between the clocks, at most 60 seconds.
    pub leeway: Duration,
    /// Accepted values of `typ`, in lower case and without a leading `application/`; an empty one accepts a token
    /// without `typ`.
    pub types: Vec<String>,
    /// Maximum time from `iat` to `exp`; zero sets no limit.
    pub max_lifetime: Duration,
    /// Which tokens must be bound to a certificate.
    pub certificate_bound: CertificateBound,
    /// Names of the claims about the caller.
    pub claims: ClaimNames,
    /// Values of the claim [`ClaimNames::organisation_type`] beside the plain names.
    pub organisation_types: BTreeMap<String, OrganisationType>,
}

/// The name of a claim, or a JSON Pointer to it (RFC 6901) when it begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimName(String);

impl ClaimName {
    /// The claim, if it is there.
    pub(super) fn find<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        if self.0.starts_with('/') { claims.pointer(&self.0) } else { claims.get(&self.0) }
    }
}

impl From<&str> for ClaimName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names of the claims about the caller. One claim may serve several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// Organisation type.
    pub organisation_type: ClaimName,
    /// Organisation code.
    pub organisation_code: ClaimName,
    /// Access modes.
    pub access: ClaimName,
    /// Scopes.
    pub scope: ClaimName,
    /// CVR number of the acting "Anden Aktør".
    pub acting_cvr: ClaimName,
    /// The client's name is the first of these that is there.
    pub client_id: Vec<ClaimName>,
}

impl ClaimNames {
    /// The names of the client's claims, for a text.
    pub(super) fn client_id_names(&self) -> String {
        let names: Vec<_> = self.client_id.iter().map(ClaimName::to_string).collect();
        names.join(", ")
    }
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            organisation_type: "organisationType".into(),
            organisation_code: "organisationCode".into(),
            access: "adgang".into(),
            scope: "scope".into(),
            acting_cvr: "cvr".into(),
            client_id: ["client_id", "azp", "appid"].map(ClaimName::from).into(),
        }
    }
}
