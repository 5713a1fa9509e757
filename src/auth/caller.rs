//! Who calls, as an accepted token says: names for the audit log, scopes and organisation for the guard.
//!
//! A token whose scope or organisation claims are bad still has a caller: the error is kept and becomes a 403 where the
//! claim is needed. Promises: exact comparison, without trimming or folding of case or Unicode.

use serde_json::Value;

use super::claims::Accepted;
use super::error::ClaimError;
use super::rules::{ClaimNames, Rules};
use crate::domain::access::{AccessMode, AccessModes, OrganisationType};
use crate::domain::cvr::Cvr;

/// The name of a scope claim that may be an array of strings.
const SCOPE_LIST_CLAIM: &str = "scp";

const MAX_CODE_CHARACTERS: usize = 20;

/// The caller. Text from the token is as it was claimed, control characters included, even when it is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `sub`, unless empty. At least one of `subject` and `client_id` is there.
    pub subject: Option<String>,
    /// `client_id`, unless empty.
    pub client_id: Option<String>,
    /// A string, or an integer's digits.
    pub organisation_type: Option<String>,
    pub organisation_code: Option<String>,
    /// The claimed modes that are strings, even unknown ones.
    pub access: Vec<String>,
    /// The CVR number of the acting "Anden Aktør".
    pub acting_cvr: Option<String>,
    scopes: Result<Vec<String>, ClaimError>,
    organisation: Result<(OrganisationType, AccessModes), ClaimError>,
}

impl Caller {
    pub(super) fn read(accepted: Accepted, claims: &Value, rules: &Rules) -> Self {
        let names = &rules.claims;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            subject: accepted.subject,
            client_id: accepted.client_id,
            organisation_type: organisation_text(claims, names),
            organisation_code: text(&names.organisation_code),
            access: match claims.get(&names.access) {
                Some(Value::String(mode)) => vec![mode.clone()],
                Some(Value::Array(modes)) => {
                    modes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                _ => vec![],
            },
            acting_cvr: text(&names.acting_cvr),
            scopes: read_scopes(claims, &names.scope),
            organisation: read_organisation(claims, rules),
        }
    }

    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_ok_and(|scopes| scopes.iter().any(|carried| carried == scope))
    }

    /// Why the token has no scope at all.
    pub fn scope_error(&self) -> Option<ClaimError> {
        self.scopes.as_ref().err().copied()
    }

    /// The organisation type and the known access modes, perhaps none.
    pub fn organisation(&self) -> Result<(OrganisationType, AccessModes), ClaimError> {
        self.organisation
    }

    /// Approximate size in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        let texts = [
            &self.subject,
            &self.client_id,
            &self.organisation_type,
            &self.organisation_code,
            &self.acting_cvr,
        ];
        let lists = self.access.iter().chain(self.scopes.iter().flatten());
        size_of::<Self>()
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + lists.map(|text| text.len() + size_of::<String>()).sum::<usize>()
    }
}

fn read_scopes(claims: &Value, name: &str) -> Result<Vec<String>, ClaimError> {
    match claims.get(name) {
        None => Err(ClaimError::Missing("scope")),
        Some(Value::String(scopes)) => {
            Ok(scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
        }
        Some(Value::Array(scopes)) if name == SCOPE_LIST_CLAIM => scopes
            .iter()
            .map(|scope| scope.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(ClaimError::WrongType("scope")),
        Some(_) => Err(ClaimError::WrongType("scope")),
    }
}

fn read_organisation(claims: &Value, rules: &Rules) -> Result<(OrganisationType, AccessModes), ClaimError> {
    let organisation = read_type(claims, rules)?;
    check_code(claims, &rules.claims.organisation_code)?;
    check_acting_cvr(claims, &rules.claims.acting_cvr)?;
    Ok((organisation, read_modes(claims, &rules.claims.access)?))
}

/// A plain name is always understood; another value only when the operator mapped it.
fn read_type(claims: &Value, rules: &Rules) -> Result<OrganisationType, ClaimError> {
    if claims.get(&rules.claims.organisation_type).is_none() {
        return Err(ClaimError::Missing("organisation type"));
    }
    let claimed =
        organisation_text(claims, &rules.claims).ok_or(ClaimError::WrongType("organisation type"))?;
    claimed
        .parse()
        .ok()
        .or_else(|| rules.organisation_types.get(&claimed).copied())
        .ok_or(ClaimError::UnknownOrganisation)
}

/// The organisation type as text: an integer and the string of its digits are the same.
fn organisation_text(claims: &Value, names: &ClaimNames) -> Option<String> {
    match claims.get(&names.organisation_type)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

fn check_code(claims: &Value, name: &str) -> Result<(), ClaimError> {
    match claims.get(name) {
        None => Err(ClaimError::Missing("organisation code")),
        Some(Value::String(code)) if (1..=MAX_CODE_CHARACTERS).contains(&code.chars().count()) => Ok(()),
        Some(Value::String(_)) => Err(ClaimError::CodeLength),
        Some(_) => Err(ClaimError::WrongType("organisation code")),
    }
}

fn check_acting_cvr(claims: &Value, name: &str) -> Result<(), ClaimError> {
    match claims.get(name) {
        None => Ok(()),
        Some(Value::String(cvr)) => Cvr::parse(cvr).map(drop).map_err(|_| ClaimError::ParseCvrError),
        Some(_) => Err(ClaimError::WrongType("acting CVR number")),
    }
}

fn read_modes(claims: &Value, name: &str) -> Result<AccessModes, ClaimError> {
    let wrong = ClaimError::WrongType("access mode");
    match claims.get(name) {
        None => Err(ClaimError::Missing("access mode")),
        Some(Value::String(mode)) => Ok(mode.parse::<AccessMode>().into_iter().collect()),
        Some(Value::Array(modes)) => modes.iter().try_fold(AccessModes::NONE, |known, mode| {
            Ok(mode.as_str().ok_or(wrong)?.parse().map_or(known, |mode| known.with(mode)))
        }),
        Some(_) => Err(wrong),
    }
}
