//! The claims that decide whether a token is accepted at all: who issued it, for whom, and when it holds.
//!
//! Times are RFC 7519 NumericDates: seconds since 1970, fractions allowed. They are compared in whole
//! milliseconds, the clock's own unit; rounding never lets a token live past its `exp`.

use std::time::Duration;

use serde_json::Value;

use super::error::{TokenError, shown};
use super::findings::Findings;
use super::rules::Rules;
use crate::domain::timestamp::Timestamp;

/// What an accepted token's own claims say about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The first millisecond since 1970 at which the token is no longer accepted: `exp` plus the leeway.
    pub(super) ends: i64,
    /// `sub`, unless empty.
    pub(super) subject: Option<String>,
    /// The first of [`ClaimNames::client_id`](super::ClaimNames::client_id) that is there and not empty.
    pub(super) client_id: Option<String>,
}

/// Checks issuer, audience, times and caller. `now` is in milliseconds since 1970.
pub(super) fn check(
    claims: &Value,
    rules: &Rules,
    now: i64,
    found: &mut impl Findings<TokenError>,
) -> Result<Accepted, TokenError> {
    found.recover(check_issuer(claims, rules))?;
    found.recover(check_audience(claims, rules))?;
    let ends = check_times(claims, rules, now, found)?;
    let subject = found.recover(subject(claims))?;
    let client_id = found.recover(client_id(claims, rules))?;
    if subject.is_none() && client_id.is_none() {
        found.report(TokenError::NoCaller(rules.claims.client_id_names()))?;
    }
    Ok(Accepted { ends, subject, client_id })
}

/// The first millisecond at which the token is no longer accepted.
fn check_times(
    claims: &Value,
    rules: &Rules,
    now: i64,
    found: &mut impl Findings<TokenError>,
) -> Result<i64, TokenError> {
    let leeway = millis(rules.leeway);
    let expiry = time(claims, "exp").and_then(|exp| exp.ok_or(TokenError::Missing("exp")).map(Some));
    let expiry = found.recover(expiry)?;
    let ends = expiry.map_or(i64::MAX, |expiry| expiry.saturating_add(leeway));
    if now >= ends {
        found.report(TokenError::Expired)?;
    }
    let latest = now.saturating_add(leeway);
    if found.recover(time(claims, "nbf"))?.is_some_and(|time| time > latest) {
        found.report(TokenError::NotYetValid)?;
    }
    let issued = found.recover(time(claims, "iat"))?;
    if issued.is_some_and(|time| time > latest) {
        found.report(TokenError::IssuedInFuture)?;
    }
    // Both times of a token are the issuer's: between them no two clocks differ.
    let longest = millis(rules.max_lifetime);
    let is_longer = |expiry: i64| expiry.saturating_sub(issued.unwrap_or(latest)) > longest;
    if longest > 0 && expiry.is_some_and(is_longer) {
        found.report(TokenError::TooLongLived)?;
    }
    Ok(ends)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn check_issuer(claims: &Value, rules: &Rules) -> Result<(), TokenError> {
    match claims.get("iss") {
        None => Err(TokenError::Missing("iss")),
        Some(Value::String(issuer)) if *issuer == rules.issuer => Ok(()),
        found @ Some(Value::String(_)) => {
            let expected = shown(Some(&rules.issuer.as_str().into()));
            Err(TokenError::Issuer { found: shown(found), expected })
        }
        Some(_) => Err(TokenError::WrongType("iss")),
    }
}

/// Of several audiences one has to be ours.
fn check_audience(claims: &Value, rules: &Rules) -> Result<(), TokenError> {
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
pub(super) fn time(claims: &Value, name: &'static str) -> Result<Option<i64>, TokenError> {
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

/// A caller's name, unless it is missing or empty; nothing for one that is no string.
fn name(claim: Option<&Value>) -> Option<Option<String>> {
    match claim {
        None => Some(None),
        Some(Value::String(text)) => Some((!text.is_empty()).then(|| text.clone())),
        Some(_) => None,
    }
}

fn subject(claims: &Value) -> Result<Option<String>, TokenError> {
    name(claims.get("sub")).ok_or(TokenError::WrongType("sub"))
}

fn client_id(claims: &Value, rules: &Rules) -> Result<Option<String>, TokenError> {
    for claim in &rules.claims.client_id {
        let id = name(claim.find(claims)).ok_or_else(|| TokenError::ClientId(claim.to_string()))?;
        if id.is_some() {
            return Ok(id);
        }
    }
    Ok(None)
}
