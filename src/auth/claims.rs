//! The claims that decide whether a token is accepted at all: who issued it, for whom, and when it holds.
//!
//! Times are RFC 7519 NumericDates: seconds since 1970, fractions allowed. They are compared in whole
//! milliseconds, the clock's own unit; rounding never lets a token live past its `exp`.

use std::time::Duration;

use serde_json::Value;

use super::error::TokenError;
use super::rules::Rules;
use crate::domain::timestamp::Timestamp;

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
pub(super) fn check(claims: &Value, rules: &Rules, now: i64) -> Result<Accepted, TokenError> {
    check_parties(claims, rules)?;
    let leeway = millis(rules.leeway);
    let expiry = time(claims, "exp")?.ok_or(TokenError::Missing("exp"))?;
    let ends = expiry.saturating_add(leeway);
    if now >= ends {
        return Err(TokenError::Expired);
    }
    let latest = now.saturating_add(leeway);
    if time(claims, "nbf")?.is_some_and(|time| time > latest) {
        return Err(TokenError::NotYetValid);
    }
    let issued = time(claims, "iat")?;
    if issued.is_some_and(|time| time > latest) {
        return Err(TokenError::IssuedInFuture);
    }
    // Both times of a token are the issuer's: between them no two clocks differ.
    let longest = millis(rules.max_lifetime);
    if longest > 0 && expiry.saturating_sub(issued.unwrap_or(latest)) > longest {
        return Err(TokenError::TooLongLived);
    }
    let subject = name(claims, "sub")?;
    let client_id = name(claims, "client_id")?;
    if subject.is_none() && client_id.is_none() {
        return Err(TokenError::NoCaller);
    }
    Ok(Accepted { ends, subject, client_id })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Exactly one issuer is ours; of several audiences, one has to be.
fn check_parties(claims: &Value, rules: &Rules) -> Result<(), TokenError> {
    match claims.get("iss") {
        None => return Err(TokenError::Missing("iss")),
        Some(Value::String(issuer)) if *issuer == rules.issuer => {}
        Some(Value::String(_)) => return Err(TokenError::Issuer),
        Some(_) => return Err(TokenError::WrongType("iss")),
    }
    let claimed = claims.get("aud").ok_or(TokenError::Missing("aud"))?;
    let claimed = strings(claimed).ok_or(TokenError::WrongType("aud"))?;
    let is_ours = |audience: &str| rules.audience.iter().any(|our| our == audience);
    if claimed.into_iter().any(is_ours) { Ok(()) } else { Err(TokenError::Audience) }
}

/// The strings of an array of nothing else; one string counts as an array of it.
pub(super) fn strings(claim: &Value) -> Option<Vec<&str>> {
    match claim {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A NumericDate in milliseconds since 1970.
fn time(claims: &Value, name: &'static str) -> Result<Option<i64>, TokenError> {
    let number = match claims.get(name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(_) => return Err(TokenError::WrongType(name)),
    };
    let millis = match number.as_i64() {
        Some(seconds) => seconds.checked_mul(1_000),
        // An f64 holds every millisecond of these years exactly enough; a cast of one out of range saturates.
        None => number
            .as_f64()
            .filter(|seconds| *seconds >= 0.0)
            .map(|seconds| (seconds * 1_000.0).round() as i64),
    };
    let millis = millis.filter(|millis| Timestamp::from_millis(*millis).is_ok());
    millis.map(Some).ok_or(TokenError::OutOfRange(name))
}

/// A caller's name, unless empty.
fn name(claims: &Value, name: &'static str) -> Result<Option<String>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(_) => Err(TokenError::WrongType(name)),
    }
}
