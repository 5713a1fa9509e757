//! Why a token, or a claim in it, is refused.
//!
//! The texts are for the log and the audit line. They name the rule and never quote the token: nothing in
//! here holds a value that came from outside.

use std::fmt;

/// A part of the compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The JOSE header.
    Header,
    /// The claims.
    Payload,
    /// The signature.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// A claim by what it means; how it is called in a token may be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// `iss`
    Issuer,
    /// `aud`
    Audience,
    /// `exp`
    Expiry,
    /// `nbf`
    NotBefore,
    /// `iat`
    IssuedAt,
    /// `sub`
    Subject,
    /// `client_id`
    ClientId,
    /// The scopes.
    Scope,
    /// The kind of organisation that calls.
    OrganisationType,
    /// Which organisation of that kind.
    OrganisationCode,
    /// The access modes.
    Access,
    /// The CVR number of the acting "Anden Aktør".
    ActingCvr,
}

impl fmt::Display for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Issuer => "iss",
            Self::Audience => "aud",
            Self::Expiry => "exp",
            Self::NotBefore => "nbf",
            Self::IssuedAt => "iat",
            Self::Subject => "sub",
            Self::ClientId => "client_id",
            Self::Scope => "scope",
            Self::OrganisationType => "organisation type",
            Self::OrganisationCode => "organisation code",
            Self::Access => "access mode",
            Self::ActingCvr => "acting CVR number",
        })
    }
}

/// The rule by which a token is refused as a whole: 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// More bytes than are looked at.
    #[error("the token is longer than 16 KiB")]
    TooLong,
    /// Not `header.payload.signature`.
    #[error("the token is not three parts separated by dots")]
    NotThreeParts,
    /// A part is padded, in another alphabet, or has stray bits at its end.
    #[error("the {0} is not canonical base64url without padding")]
    NotBase64(Part),
    /// A part that must be JSON is not.
    #[error("the {0} is not JSON")]
    NotJson(Part),
    /// A part that must be a JSON object is another value.
    #[error("the {0} is not a JSON object")]
    NotAnObject(Part),
    /// A member stands twice in one object.
    #[error("a member stands twice in the {0}")]
    Duplicate(Part),
    /// The signature is empty.
    #[error("the token is not signed")]
    Unsigned,
    /// `alg` is missing, not a string, or not on the allow-list.
    #[error("the alg is not on the allow-list")]
    Algorithm,
    /// `crit` is there, in whatever form.
    #[error("the header has crit")]
    Critical,
    /// `b64` is there, in whatever form.
    #[error("the header has b64")]
    UnencodedPayload,
    /// `typ`, or the lack of one, is none of the configured types.
    #[error("the typ is none of token.types")]
    Type,
    /// `cty` says that a token is nested in this one, or is not a string.
    #[error("the cty is that of a nested token or not a string")]
    ContentType,
    /// `kid` is not a string or longer than 256 characters.
    #[error("the kid is not a string of at most 256 characters")]
    KeyId,
    /// A mandatory claim is not there.
    #[error("{0} is missing")]
    Missing(Claim),
    /// A claim has the wrong JSON type.
    #[error("{0} has the wrong JSON type")]
    WrongType(Claim),
    /// A time outside the years 1970 to 9999.
    #[error("{0} is outside the years 1970 to 9999")]
    OutOfRange(Claim),
    /// `iss` is another issuer.
    #[error("iss is not the configured issuer")]
    Issuer,
    /// `aud` does not name this service.
    #[error("aud does not contain a configured audience")]
    Audience,
    /// Now is `exp` plus leeway, or later.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is in the future beyond the leeway.
    #[error("the token is not valid yet (nbf)")]
    NotYetValid,
    /// `iat` is in the future beyond the leeway.
    #[error("the token was issued in the future (iat)")]
    IssuedInFuture,
    /// `exp` is further from `iat`, or from now, than is allowed.
    #[error("the token lives longer than token.max_lifetime_seconds")]
    TooLongLived,
    /// Neither `sub` nor `client_id` says who calls.
    #[error("neither sub nor client_id is there")]
    NoCaller,
    /// No key of the set has the token's `kid`.
    #[error("no key has the token's kid")]
    UnknownKey,
    /// No key that the token may mean serves its `alg`.
    #[error("no key that the token may mean serves its alg")]
    NoFittingKey,
    /// More than one key fits.
    #[error("more than one key fits the token")]
    AmbiguousKey,
    /// The signature is not the key's.
    #[error("the signature is wrong")]
    Signature,
}

/// Why the scope or the organisation claims of an otherwise good token let nobody in: 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The claim is not there.
    #[error("the claim for {0} is missing")]
    Missing(Claim),
    /// The claim has the wrong JSON type.
    #[error("the claim for {0} has the wrong JSON type")]
    WrongType(Claim),
    /// The organisation type is none that the service knows.
    #[error("the organisation type is unknown")]
    UnknownOrganisation,
    /// The organisation code is empty or longer than 20 characters.
    #[error("the organisation code is not 1 to 20 characters")]
    CodeLength,
    /// The acting party's CVR number is not eight digits.
    #[error("the acting CVR number is not eight digits")]
    ParseCvrError,
}
