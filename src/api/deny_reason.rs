//! Why the door stayed shut, in few enough words to count by.
//!
//! The log and the audit line say it in full; the metrics need a fixed, small set, which no caller can add to.

use crate::auth::{ClaimError, TokenError};
use crate::domain::access::Reason;
use crate::telemetry::metrics::Counter;

/// Why a call was refused before it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenyReason {
    /// No `Authorization` header.
    NoToken,
    /// A token in the query, or more than one `Authorization` header.
    Ambiguous,
    /// An authorization scheme other than Bearer.
    Scheme,
    /// A header or a token that is not of the right form.
    Malformed,
    /// A token without a signature, or of an algorithm that is not allowed.
    Algorithm,
    /// A mandatory claim is missing or wrong.
    Claims,
    /// Another issuer.
    Issuer,
    /// Not for this service.
    Audience,
    /// The token has expired.
    Expired,
    /// The token is not valid yet.
    NotYetValid,
    /// No key of the set is the token's.
    UnknownKey,
    /// The signature is not the key's.
    Signature,
    /// There is no key set to judge by (503).
    KeysUnavailable,
    /// The client calls more often than it may (429).
    TooOften,
    /// The scope is missing (403, 1013).
    Scope,
    /// The organisation's claims are missing or wrong (403, 4575).
    OrganisationClaims,
    /// The organisation type is none that the service knows (403, 4575).
    OrganisationUnknown,
    /// The table of access names no mode for the organisation type (403, 4575).
    OrganisationNotAllowed,
    /// The caller acts in no access mode that the service knows (403, 4575).
    ModeUnknown,
    /// The table has no mark under the caller's access modes (403, 4575).
    ModeNotAllowed,
}

impl DenyReason {
    /// Every reason, in the order of the checks.
    pub const ALL: [Self; 20] = [
        Self::NoToken,
        Self::Ambiguous,
        Self::Scheme,
        Self::Malformed,
        Self::Algorithm,
        Self::Claims,
        Self::Issuer,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownKey,
        Self::Signature,
        Self::KeysUnavailable,
        Self::TooOften,
        Self::Scope,
        Self::OrganisationClaims,
        Self::OrganisationUnknown,
        Self::OrganisationNotAllowed,
        Self::ModeUnknown,
        Self::ModeNotAllowed,
    ];

    /// The label in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Ambiguous => "ambiguous_credentials",
            Self::Scheme => "scheme",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::KeysUnavailable => "keys_unavailable",
            Self::TooOften => "rate_limited",
            Self::Scope => "scope",
            Self::OrganisationClaims => "organisation_claims",
            Self::OrganisationUnknown => "organisation_unknown",
            Self::OrganisationNotAllowed => "organisation_not_allowed",
            Self::ModeUnknown => "access_mode_unknown",
            Self::ModeNotAllowed => "mode_not_allowed",
        }
    }

    /// What the table of access lacked; nothing when it let in.
    pub const fn of_decision(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Rule { .. } => None,
            Reason::OrganisationNotAllowed { .. } => Some(Self::OrganisationNotAllowed),
            Reason::UnknownMode { .. } => Some(Self::ModeUnknown),
            Reason::ModeNotAllowed { .. } => Some(Self::ModeNotAllowed),
        }
    }
}

impl From<TokenError> for DenyReason {
    fn from(fault: TokenError) -> Self {
        match fault {
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
            | TokenError::KeyId => Self::Malformed,
            TokenError::Unsigned | TokenError::Algorithm => Self::Algorithm,
            TokenError::Missing(_)
            | TokenError::WrongType(_)
            | TokenError::OutOfRange(_)
            | TokenError::NoCaller
            | TokenError::TooLongLived => Self::Claims,
            TokenError::Issuer => Self::Issuer,
            TokenError::Audience => Self::Audience,
            TokenError::Expired => Self::Expired,
            TokenError::NotYetValid | TokenError::IssuedInFuture => Self::NotYetValid,
            TokenError::UnknownKey | TokenError::NoFittingKey | TokenError::AmbiguousKey => Self::UnknownKey,
            TokenError::Signature => Self::Signature,
        }
    }
}

impl From<ClaimError> for DenyReason {
    fn from(fault: ClaimError) -> Self {
        match fault {
            ClaimError::UnknownOrganisation => Self::OrganisationUnknown,
            ClaimError::Missing(_)
            | ClaimError::WrongType(_)
            | ClaimError::CodeLength
            | ClaimError::ParseCvrError => Self::OrganisationClaims,
        }
    }
}

/// How often each reason refused a call.
#[derive(Debug, Default)]
pub struct DenyCounters([Counter; DenyReason::ALL.len()]);

impl DenyCounters {
    /// One call more was refused for this reason.
    pub fn count(&self, deny_reason: DenyReason) {
        self.0[deny_reason as usize].inc();
    }

    /// Every reason and how often it refused, the ones that never did included.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DenyReason::ALL
            .into_iter()
            .zip(&self.0)
            .map(|(deny_reason, counter)| (deny_reason.name(), counter.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_at_its_own_place_under_its_own_name() {
        for (place, deny_reason) in DenyReason::ALL.into_iter().enumerate() {
            assert_eq!(deny_reason as usize, place);
        }
        let mut names = DenyReason::ALL.map(DenyReason::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
