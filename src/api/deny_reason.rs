//! Why a call was denied, in few enough words to count by.
//!
//! The log and the audit line say it in full; the metrics need a small, fixed set, which no client can add to.

use strum::{IntoStaticStr, VariantArray};

use crate::auth::{ClaimError, TokenError};
use crate::domain::access::Reason;
use crate::telemetry::metrics::Counter;

/// Why a call was denied before its request was read, in the order of the checks. The names are labels in the metrics.
#[derive(Debug, Clone, Copy, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum DenyReason {
    NoToken,
    /// A token in the query, or more than one `Authorization` header.
    AmbiguousCredentials,
    /// An authorization scheme other than Bearer.
    Scheme,
    /// A header or a token that is not of the right form.
    Malformed,
    /// A token without a signature, or of an algorithm that is not allowed.
    Algorithm,
    /// A mandatory claim is missing or wrong.
    Claims,
    Issuer,
    Audience,
    Expired,
    NotYetValid,
    /// No key of the set is the token's.
    UnknownKey,
    Signature,
    /// The token is not bound to the client's certificate.
    Certificate,
    /// There is no key set to verify with (503).
    KeysUnavailable,
    /// The client calls more often than it may (429).
    RateLimited,
    /// The scope is missing (403, 1013).
    Scope,
    /// The organisation's claims are missing or wrong (403, 4575, as are those below).
    OrganisationClaims,
    OrganisationUnknown,
    /// The access table allows the organisation type no mode.
    OrganisationNotAllowed,
    AccessModeUnknown,
    /// The access table allows the organisation type other modes.
    AccessModeNotAllowed,
}

impl DenyReason {
    /// What the access table lacked; nothing when it allowed the call.
    pub(crate) const fn of_decision(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Rule { .. } => None,
            Reason::OrganisationNotAllowed { .. } => Some(Self::OrganisationNotAllowed),
            Reason::UnknownMode { .. } => Some(Self::AccessModeUnknown),
            Reason::ModeNotAllowed { .. } => Some(Self::AccessModeNotAllowed),
        }
    }
}

impl From<&TokenError> for DenyReason {
    fn from(error: &TokenError) -> Self {
        match error {
            TokenError::TooLong
            | TokenError::NotThreeParts
            | TokenError::NotBase64(_)
            | TokenError::NotJson(_)
            | TokenError::NotAnObject(_)
            | TokenError::Duplicate(_)
            | TokenError::Critical
            | TokenError::UnencodedPayload
            | TokenError::Type
            | TokenError::ContentType
            | TokenError::KeyId
            | TokenError::Thumbprint => Self::Malformed,
            TokenError::Unsigned | TokenError::Algorithm(_) => Self::Algorithm,
            TokenError::Missing(_)
            | TokenError::WrongType(_)
            | TokenError::OutOfRange(_)
            | TokenError::NoCaller(_)
            | TokenError::ClientId(_)
            | TokenError::Confirmation
            | TokenError::TooLongLived => Self::Claims,
            TokenError::Issuer { .. } => Self::Issuer,
            TokenError::Audience => Self::Audience,
            TokenError::Expired => Self::Expired,
            TokenError::NotYetValid | TokenError::IssuedInFuture => Self::NotYetValid,
            TokenError::UnknownKey | TokenError::NoFittingKey | TokenError::AmbiguousKey => Self::UnknownKey,
            TokenError::Signature => Self::Signature,
            TokenError::NotBound => Self::Certificate,
        }
    }
}

impl From<&ClaimError> for DenyReason {
    fn from(error: &ClaimError) -> Self {
        match error {
            ClaimError::UnknownOrganisation => Self::OrganisationUnknown,
            ClaimError::Missing(..)
            | ClaimError::WrongType(..)
            | ClaimError::CodeLength
            | ClaimError::ParseCvrError
            | ClaimError::NoActingCvr(_) => Self::OrganisationClaims,
        }
    }
}

/// The number of calls denied for each reason.
#[derive(Debug, Default)]
pub(crate) struct DenyCounters([Counter; DenyReason::VARIANTS.len()]);

impl DenyCounters {
    pub(crate) fn count(&self, reason: DenyReason) {
        self.0[reason as usize].inc();
    }

    /// Every reason with its number, zeros included.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DenyReason::VARIANTS.iter().zip(&self.0).map(|(reason, counter)| (reason.into(), counter.get()))
    }
}
