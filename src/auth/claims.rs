//! The claims that decide whether a token is accepted at all: who issued it, for whom, and when it holds.
//!
//! Times are RFC 7519 NumericDates: seconds since 1970, fractions allowed. They are compared in whole
//! milliseconds, the clock's own unit; rounding never lets a token live past its `exp`.

use std::time::Duration;

use super::error::{Claim, TokenError};
use super::rules::Rules;
use crate::domain::timestamp::Timestamp;
use crate::strict_json::Json;

/// What an accepted token's own claims say about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The first millisecond since 1970 at which the token is no longer accepted: `exp` plus the leeway.
    pub(super) ends: i64,
    /// `sub`, unless empty.
    pub(super) subject: Option<String>,
    /// `client_id`, unless empty.
    pub(super) client_id: Option<String>,
}

/// Checks issuer, audience, times and caller. `now` is in milliseconds since 1970.
pub(super) fn check(claims: &Json, rules: &Rules, now: i64) -> Result<Accepted, TokenError> {
    check_issuer(claims, &rules.issuer)?;
    check_audience(claims, &rules.audience)?;
    let leeway = millis(rules.leeway);
    let expiry = moment(claims, "exp", Claim::Expiry)?.ok_or(TokenError::Missing(Claim::Expiry))?;
    let ends = expiry.saturating_add(leeway);
    if now >= ends {
        return Err(TokenError::Expired);
    }
    let latest = now.saturating_add(leeway);
    if moment(claims, "nbf", Claim::NotBefore)?.is_some_and(|moment| moment > latest) {
        return Err(TokenError::NotYetValid);
    }
    let issued = moment(claims, "iat", Claim::IssuedAt)?;
    if issued.is_some_and(|moment| moment > latest) {
        return Err(TokenError::IssuedInFuture);
    }
    // Both times of a token are the issuer's: between them no two clocks differ.
    let longest = millis(rules.max_lifetime);
    if longest > 0 && expiry.saturating_sub(issued.unwrap_or(latest)) > longest {
        return Err(TokenError::TooLongLived);
    }
    let subject = name(claims, "sub", Claim::Subject)?;
    let client_id = name(claims, "client_id", Claim::ClientId)?;
    if subject.is_none() && client_id.is_none() {
        return Err(TokenError::NoCaller);
    }
    Ok(Accepted { ends, subject, client_id })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn check_issuer(claims: &Json, issuer: &str) -> Result<(), TokenError> {
    match claims.member("iss") {
        None => Err(TokenError::Missing(Claim::Issuer)),
        Some(Json::Text(claimed)) if claimed == issuer => Ok(()),
        Some(Json::Text(_)) => Err(TokenError::Issuer),
        Some(_) => Err(TokenError::WrongType(Claim::Issuer)),
    }
}

fn check_audience(claims: &Json, ours: &[String]) -> Result<(), TokenError> {
    let wrong = TokenError::WrongType(Claim::Audience);
    let is_ours = |audience: &str| ours.iter().any(|our| our == audience);
    let met = match claims.member("aud") {
        None => return Err(TokenError::Missing(Claim::Audience)),
        Some(Json::Text(audience)) => is_ours(audience),
        Some(Json::List(audiences)) => audiences
            .iter()
            .try_fold(false, |met, audience| Some(met | is_ours(audience.text()?)))
            .ok_or(wrong)?,
        Some(_) => return Err(wrong),
    };
    if met { Ok(()) } else { Err(TokenError::Audience) }
}

/// A NumericDate in milliseconds since 1970.
fn moment(claims: &Json, name: &str, claim: Claim) -> Result<Option<i64>, TokenError> {
    let number = match claims.member(name) {
        None => return Ok(None),
        Some(Json::Number(number)) => number,
        Some(_) => return Err(TokenError::WrongType(claim)),
    };
    let millis = match number.as_i64() {
        Some(seconds) => seconds.checked_mul(1_000),
        // An f64 holds every millisecond of these years exactly enough; a cast of one out of range saturates.
        None => number
            .as_f64()
            .filter(|seconds| *seconds >= 0.0)
            .map(|seconds| (seconds * 1_000.0).round() as i64),
    };
    millis
        .filter(|millis| Timestamp::from_millis(*millis).is_ok())
        .map(Some)
        .ok_or(TokenError::OutOfRange(claim))
}

/// A caller's name, unless empty.
fn name(claims: &Json, name: &str, claim: Claim) -> Result<Option<String>, TokenError> {
    match claims.member(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(_) => Err(TokenError::WrongType(claim)),
    }
}
