//! A token taken through every check at once, for `explain`: what was looked for, what was found, and each broken rule.
//!
//! The checks are the service's own (see `findings`), in its order, so the first finding is the reason of the refusal. The
//! token itself is in no text; the values that were looked for are, cut and escaped.

use serde_json::Value;

use super::caller::{Caller, read_organisation};
use super::compact::Compact;
use super::confirmation::Thumbprint;
use super::error::shown;
use super::findings::All;
use super::rules::{ClaimName, Rules};
use super::source::Source;
use super::{claims, compact, refresh};
use crate::domain::access::{AccessTable, Method};
use crate::domain::timestamp::Timestamp;

/// What became of a token.
#[derive(Debug)]
pub(crate) struct Examination {
    /// Every broken rule in the service's order; none when the token is let in.
    pub(crate) findings: Vec<String>,
    /// The rule of the access table that lets the caller in.
    pub(crate) allowed_by: Option<String>,
    /// What was looked for, with what was found: header members, claims, the values of `token.claims`.
    pub(crate) values: Vec<(String, String)>,
    /// The token is bound to a client's certificate (RFC 8705), and was judged as if that were shown.
    pub(crate) is_bound: bool,
}

/// Judges a token for a method, with the keys read or fetched once in the calling thread (5 seconds at most).
pub(crate) fn examine(
    token: &str,
    (method, table): (Method, &AccessTable),
    rules: &Rules,
    source: &Source,
    now: Timestamp,
) -> Examination {
    let mut found = All::default();
    let mut examined = Examination { findings: vec![], allowed_by: None, values: vec![], is_bound: false };
    match compact::check_length(token).and_then(|()| compact::read(token, rules, &mut found)) {
        Err(error) => found.0.push(error.to_string()),
        Ok(token) => {
            examined.values = values(&token, rules, now);
            let bound_to = Thumbprint::confirmed(&token.claims, rules.certificate_bound);
            examined.is_bound = matches!(bound_to, Ok(Some(_)));
            let accepted = match token.claims.is_null() {
                true => None,
                false => claims::check(&token.claims, rules, now.millis(), &mut found).ok(),
            };
            found.0.extend(bound_to.err().map(|error| error.to_string()));
            check_signature(&token, rules, source, &mut found);
            if let Some(accepted) = accepted {
                let caller = Caller::read(accepted, &token.claims, rules);
                found.0.extend(caller.lacks_scope(method.scope()));
                examined.allowed_by = check_access(&token.claims, (method, table), rules, &mut found);
            }
        }
    }
    examined.findings = found.0;
    examined
}

fn check_signature(token: &Compact<'_>, rules: &Rules, source: &Source, found: &mut All) {
    let checked = match refresh::read_once(source, rules) {
        // Of a token without a usable alg that was reported.
        Ok(_) if token.algorithm.is_none() => Ok(()),
        Ok(keys) => keys.verify(token).map_err(|error| error.to_string()),
        Err(error) => Err(format!("there are no keys to check tokens with: {}", error.with_help())),
    };
    found.0.extend(checked.err());
}

/// The rule of the access table that lets the caller in.
fn check_access(
    claims: &Value,
    (method, table): (Method, &AccessTable),
    rules: &Rules,
    found: &mut All,
) -> Option<String> {
    let (organisation, modes) = read_organisation(claims, rules, found).ok().flatten()?;
    let decision = table.decide(method, organisation, modes);
    if decision.allows() {
        return Some(decision.to_string());
    }
    found.0.push(decision.to_string());
    None
}

/// What was found, and in brackets what is accepted or what a time is, in the order of the checks.
fn values(token: &Compact<'_>, rules: &Rules, now: Timestamp) -> Vec<(String, String)> {
    let header = |name: &str| shown(token.header.get(name));
    let payload = |name: &str| shown(token.claims.get(name));
    let list = |texts: &[String]| texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ");
    let algorithms: Vec<_> = rules.algorithms.iter().map(ToString::to_string).collect();
    let mut values = vec![
        ("alg".to_owned(), format!("{} (token.algorithms: {})", header("alg"), list(&algorithms))),
        ("typ".to_owned(), format!("{} (token.types: {})", header("typ"), list(&rules.types))),
    ];
    values.extend(["kid", "x5t#S256", "x5t"].map(|name| (name.to_owned(), header(name))));
    values.push(("iss".to_owned(), format!("{} (token.issuer: {:?})", payload("iss"), rules.issuer)));
    values
        .push(("aud".to_owned(), format!("{} (token.audience: {})", payload("aud"), list(&rules.audience))));
    values.extend(["exp", "nbf", "iat"].map(|name| {
        let time = claims::time(&token.claims, name).ok().flatten();
        let time = time.and_then(|millis| Timestamp::from_millis(millis).ok());
        let time = time.map_or_else(String::new, |time| format!(" ({time}; now: {now})"));
        (name.to_owned(), payload(name) + &time)
    }));
    values.push(("sub".to_owned(), payload("sub")));
    let names = &rules.claims;
    let mut claim = |key: &str, name: &ClaimName| {
        values.push((format!("token.claims.{key} ({name})"), shown(name.find(&token.claims))));
    };
    names.client_id.iter().for_each(|name| claim("client_id", name));
    claim("scope", &names.scope);
    claim("organisation_type", &names.organisation_type);
    claim("organisation_code", &names.organisation_code);
    claim("acting_cvr", &names.acting_cvr);
    claim("access", &names.access);
    values
}
