//! Why the door stayed shut, in few enough words to count by.
//!
//! The log and the audit line say it in full; the metrics need a fixed, small set, which no caller can add to.

use crate::auth::{ClaimFault, TokenFault};
use crate::domain::access::Reason;
use crate::telemetry::metrics::Counter;

/// Why a call was refused before it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
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
    NoRow,
    /// The caller acts in no access mode that the service knows (403, 4575).
    ModeUnknown,
    /// The table has no mark under the caller's access modes (403, 4575).
    NoMark,
}

impl Refusal {
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
        Self::NoRow,
        Self::ModeUnknown,
        Self::NoMark,
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
            Self::TooOften => "too_often",
            Self::Scope => "scope",
            Self::OrganisationClaims => "organisation_claims",
            Self::OrganisationUnknown => "organisation_unknown",
            Self::NoRow => "no_row",
            Self::ModeUnknown => "access_mode_unknown",
            Self::NoMark => "no_mark",
        }
    }

    /// What the table of access lacked; nothing when it let in.
    pub const fn of_decision(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Rule { .. } => None,
            Reason::NoRow { .. } => Some(Self::NoRow),
            Reason::NoKnownMode { .. } => Some(Self::ModeUnknown),
            Reason::NoMark { .. } => Some(Self::NoMark),
        }
    }
}

impl From<TokenFault> for Refusal {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::TooLong
            | TokenFault::NotThreeParts
            | TokenFault::NotBase64(_)
            | TokenFault::NotJson(_)
            | TokenFault::NotAnObject(_)
            | TokenFault::Duplicate(_)
            | TokenFault::Critical
            | TokenFault::UnencodedPayload
            | TokenFault::Type
            | TokenFault::ContentType
            | TokenFault::KeyId => Self::Malformed,
            TokenFault::Unsigned | TokenFault::Algorithm => Self::Algorithm,
            TokenFault::Missing(_)
            | TokenFault::WrongType(_)
            | TokenFault::OutOfRange(_)
            | TokenFault::NoCaller
            | TokenFault::TooLongLived => Self::Claims,
            TokenFault::Issuer => Self::Issuer,
            TokenFault::Audience => Self::Audience,
            TokenFault::Expired => Self::Expired,
            TokenFault::NotYetValid | TokenFault::IssuedInFuture => Self::NotYetValid,
            TokenFault::UnknownKey | TokenFault::NoFittingKey | TokenFault::AmbiguousKey => Self::UnknownKey,
            TokenFault::Signature => Self::Signature,
        }
    }
}

impl From<ClaimFault> for Refusal {
    fn from(fault: ClaimFault) -> Self {
        match fault {
            ClaimFault::UnknownOrganisation => Self::OrganisationUnknown,
            ClaimFault::Missing(_)
            | ClaimFault::WrongType(_)
            | ClaimFault::CodeLength
            | ClaimFault::NotACvr => Self::OrganisationClaims,
        }
    }
}

/// How often each reason refused a call.
#[derive(Debug, Default)]
pub struct Refusals([Counter; Refusal::ALL.len()]);

impl Refusals {
    /// One call more was refused for this reason.
    pub fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].increment();
    }

    /// Every reason and how often it refused, the ones that never did included.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::ALL.into_iter().zip(&self.0).map(|(refusal, counter)| (refusal.name(), counter.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_at_its_own_place_under_its_own_name() {
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place);
        }
        let mut names = Refusal::ALL.map(Refusal::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
