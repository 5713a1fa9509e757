//! What a token must meet, as the configuration says it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::algorithm::Algorithm;
use super::confirmation::CertificateBound;
use crate::domain::access::OrganisationType;

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

/// Names of the claims about the caller: top-level members, all different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// Organisation type.
    pub organisation_type: String,
    /// Organisation code.
    pub organisation_code: String,
    /// Access modes.
    pub access: String,
    /// Scopes; a claim named `scp` may be an array of strings.
    pub scope: String,
    /// CVR number of the acting "Anden Aktør".
    pub acting_cvr: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            organisation_type: "organisationType".to_owned(),
            organisation_code: "organisationCode".to_owned(),
            access: "adgang".to_owned(),
            scope: "scope".to_owned(),
            acting_cvr: "cvr".to_owned(),
        }
    }
}
