//! Who calls, as an accepted token says: names for the audit log, scopes and organisation for the guard.
//!
//! A token whose scope or organisation claims are bad still has a caller: the error is kept and becomes a 403 where the
//! claim is needed. Promises: exact comparison, without trimming or normalising case or Unicode.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde_json::Value;

use super::claims::{Accepted, strings};
use super::confirmation::Thumbprint;
use super::error::ClaimError;
use super::findings::{Findings, First};
use super::rules::{ClaimName, Rules};
use crate::domain::access::{AccessModes, OrganisationType};
use crate::domain::cvr::Cvr;

const MAX_CODE_CHARACTERS: usize = 20;

/// The caller. Text from the token is as it was claimed, control characters included, even when it is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `sub`, unless empty. At least one of `subject` and `client_id` is there.
    pub subject: Option<String>,
    /// The client's name, by the first of the configured claims that is there and not empty.
    pub client_id: Option<String>,
    /// The type that the claim means; of one that means none a string, or an integer's digits.
    pub organisation_type: Option<String>,
    /// A string, or an integer's digits.
    pub organisation_code: Option<String>,
    /// The claimed modes that are strings, even unknown ones.
    pub access: Vec<String>,
    /// The CVR number of the acting "Anden Aktør".
    pub acting_cvr: Option<String>,
    /// What the audit log writes of the caller in each of its lines, made for the first.
    pub audit_members: OnceLock<Box<[u8]>>,
    /// The certificate that the client must show in each call, if the token is bound to one.
    pub bound_to: Option<Thumbprint>,
    pub(super) scopes: Result<Vec<String>, ClaimError>,
    organisation: Result<(OrganisationType, AccessModes), ClaimError>,
}

impl Caller {
    pub(super) fn read(accepted: Accepted, claims: &Value, rules: &Rules) -> Self {
        let names = &rules.claims;
        let organisation = read_organisation(claims, rules, &mut First);
        let known = match &organisation {
            Ok(Some((known, _))) => Some(*known),
            // Another of its claims may be the bad one.
            _ => read_type(claims, rules).ok(),
        };
        let organisation_type = match known {
            Some(known) => Some(known.name().into()),
            None => names.organisation_type.find(claims).and_then(text_or_integer),
        };
        Self {
            subject: accepted.subject,
            client_id: accepted.client_id,
            organisation_type: organisation_type.map(Cow::into_owned),
            organisation_code: names.organisation_code.find(claims).and_then(code).map(Cow::into_owned),
            access: match names.access.find(claims) {
                Some(Value::String(mode)) => vec![mode.clone()],
                Some(Value::Array(modes)) => {
                    modes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                _ => vec![],
            },
            acting_cvr: names
                .acting_cvr
                .find(claims)
                .and_then(single)
                .and_then(Value::as_str)
                .map(str::to_owned),
            audit_members: OnceLock::new(),
            bound_to: None,
            scopes: read_scopes(claims, &names.scope),
            organisation: organisation.and_then(|read| read.ok_or(ClaimError::UnknownOrganisation)),
        }
    }

    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_ok_and(|scopes| scopes.iter().any(|carried| carried == scope))
    }

    /// Why the token does not have this scope, if it has not.
    pub fn lacks_scope(&self, scope: &str) -> Option<String> {
        match &self.scopes {
            Err(error) => Some(error.to_string()),
            Ok(_) => (!self.has_scope(scope)).then(|| format!("the token lacks the scope {scope}")),
        }
    }

    /// The organisation type and the access modes that count, perhaps none.
    pub fn organisation(&self) -> Result<(OrganisationType, AccessModes), &ClaimError> {
        self.organisation.as_ref().copied()
    }

    /// Approximate size in memory, in bytes. `audit_members` counts as the texts that it is made of.
    pub(super) fn weight(&self) -> usize {
        let texts = [
            &self.subject,
            &self.client_id,
            &self.organisation_type,
            &self.organisation_code,
            &self.acting_cvr,
        ];
        let audited = texts.into_iter().flatten().chain(&self.access).map(String::len).sum::<usize>();
        let lists = self.access.iter().chain(self.scopes.iter().flatten());
        size_of::<Self>()
            + audited
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + lists.map(|text| text.len() + size_of::<String>()).sum::<usize>()
    }
}

fn read_scopes(claims: &Value, name: &ClaimName) -> Result<Vec<String>, ClaimError> {
    let claim = name.find(claims).ok_or_else(|| ClaimError::Missing("scope", name.clone()))?;
    let lists = strings(claim).ok_or_else(|| ClaimError::WrongType("scope", name.clone()))?;
    let scopes = lists.into_iter().flat_map(|list| list.split(' ')).filter(|scope| !scope.is_empty());
    Ok(scopes.map(str::to_owned).collect())
}

/// The organisation type and the access modes that count; none only where the finding does not stop it.
pub(super) fn read_organisation(
    claims: &Value,
    rules: &Rules,
    found: &mut impl Findings<ClaimError>,
) -> Result<Option<(OrganisationType, AccessModes)>, ClaimError> {
    let names = &rules.claims;
    let organisation = found.recover(read_type(claims, rules).map(Some))?;
    found.recover(check_code(claims, &names.organisation_code))?;
    let has_actor = found.recover(check_acting_cvr(claims, &names.acting_cvr))?;
    let claimed = found.recover(read_modes(claims, &names.access))?;
    let counting: AccessModes = claimed.iter().filter(|mode| has_actor || !mode.needs_actor()).collect();
    if counting.is_empty() && !claimed.is_empty() {
        found.report(ClaimError::NoActingCvr(names.acting_cvr.clone()))?;
        return Ok(organisation.map(|organisation| (organisation, claimed)));
    }
    Ok(organisation.map(|organisation| (organisation, counting)))
}

fn read_type(claims: &Value, rules: &Rules) -> Result<OrganisationType, ClaimError> {
    let (what, name) = ("organisation type", &rules.claims.organisation_type);
    let claim = name.find(claims).ok_or_else(|| ClaimError::Missing(what, name.clone()))?;
    let claimed = text_or_integer(claim).ok_or_else(|| ClaimError::WrongType(what, name.clone()))?;
    // A plain name is always understood; another value only when the operator mapped it.
    let known = claimed.parse().ok().or_else(|| rules.organisation_types.get(claimed.as_ref()).copied());
    known.ok_or(ClaimError::UnknownOrganisation)
}

fn check_code(claims: &Value, name: &ClaimName) -> Result<(), ClaimError> {
    let what = "organisation code";
    let claim = name.find(claims).ok_or_else(|| ClaimError::Missing(what, name.clone()))?;
    let code = code(claim).ok_or_else(|| ClaimError::WrongType(what, name.clone()))?;
    let fits = (1..=MAX_CODE_CHARACTERS).contains(&code.chars().count());
    if fits { Ok(()) } else { Err(ClaimError::CodeLength) }
}

/// Whether the token names an acting "Anden Aktør".
fn check_acting_cvr(claims: &Value, name: &ClaimName) -> Result<bool, ClaimError> {
    let Some(claim) = name.find(claims) else { return Ok(false) };
    let cvr = single(claim).and_then(Value::as_str);
    let cvr = cvr.ok_or_else(|| ClaimError::WrongType("acting CVR number", name.clone()))?;
    Cvr::parse(cvr).map(|_| true).map_err(|_| ClaimError::ParseCvrError)
}

fn read_modes(claims: &Value, name: &ClaimName) -> Result<AccessModes, ClaimError> {
    let claim = name.find(claims).ok_or_else(|| ClaimError::Missing("access mode", name.clone()))?;
    let modes = strings(claim).ok_or_else(|| ClaimError::WrongType("access mode", name.clone()))?;
    Ok(modes.into_iter().filter_map(|mode| mode.parse().ok()).collect())
}

/// The value, or the only one of an array, as which several issuers send every attribute.
fn single(claim: &Value) -> Option<&Value> {
    match claim {
        Value::Array(values) => {
            if let [value] = values.as_slice() {
                Some(value)
            } else {
                None
            }
        }
        value => Some(value),
    }
}

/// An integer and the string of its digits are the same.
fn text_or_integer(claim: &Value) -> Option<Cow<'_, str>> {
    match single(claim)? {
        Value::String(text) => Some(text.into()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string().into()),
        _ => None,
    }
}

/// An organisation code: a string, or an integer from 0 to 2^64 − 1.
fn code(claim: &Value) -> Option<Cow<'_, str>> {
    text_or_integer(claim).filter(|_| single(claim).is_some_and(|code| code.is_string() || code.is_u64()))
}
