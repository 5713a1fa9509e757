//! Why a token, or a claim in it, is rejected.
//!
//! The texts are for the log, the audit line and `explain`. They name the rule, and of the token at most an algorithm or
//! an issuer, cut and escaped.

use serde_json::Value;

use super::rules::ClaimName;
use crate::escape::{shortened, to_json};

/// The longest value of a token in a text, in characters.
const MAX_SHOWN: usize = 128;

/// A header member or a claim for a text: as JSON, cut and escaped.
pub(super) fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "missing".to_owned() };
    let mut json = Vec::new();
    to_json(&mut json, value);
    shortened(&String::from_utf8_lossy(&json), MAX_SHOWN).into_owned()
}

/// Why a bearer token does not say who calls.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The token is bad: 401. The text is for the log and the audit line.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// There are no keys to check it with: 503.
    #[error("there are no keys to check tokens with")]
    KeysUnavailable,
}

/// The rule by which a token is rejected as a whole: 401.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is longer than 16 KiB")]
    TooLong,
    #[error("the token is not three parts separated by dots")]
    NotThreeParts,
    /// A part is padded, in another alphabet, or has stray bits at its end.
    #[error("the {0} is not canonical base64url without padding")]
    NotBase64(&'static str),
    #[error("the {0} is not JSON")]
    NotJson(&'static str),
    #[error("the {0} is not a JSON object")]
    NotAnObject(&'static str),
    #[error("a member occurs twice in the {0}")]
    Duplicate(&'static str),
    #[error("the token is not signed")]
    Unsigned,
    /// `alg` is missing, not a string, or not on the allow-list.
    #[error("the alg is none of token.algorithms: {0}")]
    Algorithm(String),
    #[error("the header has crit")]
    Critical,
    #[error("the header has b64")]
    UnencodedPayload,
    /// `typ`, or the lack of one, is none of the configured types.
    #[error("the typ is none of token.types")]
    Type,
    #[error("the cty is that of a nested token or not a string")]
    ContentType,
    #[error("the kid is not a string of at most 256 characters")]
    KeyId,
    /// In a token without `kid`.
    #[error("the x5t or x5t#S256 is not a string of at most 256 characters")]
    Thumbprint,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} has the wrong JSON type")]
    WrongType(&'static str),
    #[error("{0} is outside the years 1970 to 9999")]
    OutOfRange(&'static str),
    #[error("iss is {found}, not token.issuer: {expected}")]
    Issuer { found: String, expected: String },
    #[error("aud does not contain a configured audience")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet (nbf)")]
    NotYetValid,
    #[error("the token was issued in the future (iat)")]
    IssuedInFuture,
    /// `exp` is too far from `iat`, or from now where there is no `iat`.
    #[error("the token lives longer than token.max_lifetime_seconds")]
    TooLongLived,
    #[error("neither sub nor a client id ({0}) is there")]
    NoCaller(String),
    #[error("the client id ({0}) is not a string")]
    ClientId(String),
    /// Anything but one thumbprint of a certificate: another proof may be asked for, and none is looked for.
    #[error("cnf is not an object with exactly the member x5t#S256, 43 characters of base64url")]
    Confirmation,
    #[error("the token is not bound to a certificate (cnf), which token.certificate_bound requires")]
    NotBound,
    #[error("no key has the token's kid or thumbprints")]
    UnknownKey,
    #[error("no key that the token may mean serves its alg")]
    NoFittingKey,
    #[error("more than one key fits the token")]
    AmbiguousKey,
    #[error("the signature is wrong")]
    Signature,
}

/// Why the scope or the organisation claims of an otherwise good token allow nothing: 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("the claim for {0} ({1}) is missing")]
    Missing(&'static str, ClaimName),
    /// An array with another number of values than one is such a type too, where one value is meant.
    #[error("the claim for {0} ({1}) has the wrong JSON type")]
    WrongType(&'static str, ClaimName),
    #[error("the organisation type is unknown")]
    UnknownOrganisation,
    #[error("the organisation code is not 1 to 20 characters")]
    CodeLength,
    #[error("the acting CVR number is not eight digits")]
    ParseCvrError,
    /// All known access modes are those of an "Anden Aktør", and the token names none.
    #[error("access modes that begin with AndenAktoer count only with an acting CVR number ({0})")]
    NoActingCvr(ClaimName),
}
