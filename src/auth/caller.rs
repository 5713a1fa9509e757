//! Who calls, as an accepted token says: names for the audit log, scopes and organisation for the guard.
//!
//! A token whose scope or organisation claims are bad still has a caller: the error is kept and becomes a 403 where the
//! claim is needed. Promises: exact comparison, without trimming or normalising case or Unicode.

use serde_json::Value;

use super::claims::{Accepted, strings};
use super::error::ClaimError;
use super::rules::Rules;
use crate::domain::access::{AccessModes, OrganisationType};
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
            organisation_type: claims.get(&names.organisation_type).and_then(organisation_text),
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
    let scopes = match claims.get(name).ok_or(ClaimError::Missing("scope"))? {
        Value::String(scopes) => Some(scopes.split(' ').filter(|scope| !scope.is_empty()).collect()),
        list if name == SCOPE_LIST_CLAIM => strings(list),
        _ => None,
    };
    let scopes: Vec<&str> = scopes.ok_or(ClaimError::WrongType("scope"))?;
    Ok(scopes.into_iter().map(str::to_owned).collect())
}

fn read_organisation(claims: &Value, rules: &Rules) -> Result<(OrganisationType, AccessModes), ClaimError> {
    let names = &rules.claims;
    let claimed = claims.get(&names.organisation_type).ok_or(ClaimError::Missing("organisation type"))?;
    let claimed = organisation_text(claimed).ok_or(ClaimError::WrongType("organisation type"))?;
    // A plain name is always understood; another value only when the operator mapped it.
    let organisation = claimed.parse().ok().or_else(|| rules.organisation_types.get(&claimed).copied());
    let organisation = organisation.ok_or(ClaimError::UnknownOrganisation)?;
    match claims.get(&names.organisation_code) {
        None => return Err(ClaimError::Missing("organisation code")),
        Some(Value::String(code)) if (1..=MAX_CODE_CHARACTERS).contains(&code.chars().count()) => {}
        Some(Value::String(_)) => return Err(ClaimError::CodeLength),
        Some(_) => return Err(ClaimError::WrongType("organisation code")),
    }
    if let Some(cvr) = claims.get(&names.acting_cvr) {
        let cvr = cvr.as_str().ok_or(ClaimError::WrongType("acting CVR number"))?;
        Cvr::parse(cvr).map_err(|_| ClaimError::ParseCvrError)?;
    }
    let modes = claims.get(&names.access).ok_or(ClaimError::Missing("access mode"))?;
    let modes = strings(modes).ok_or(ClaimError::WrongType("access mode"))?;
    Ok((organisation, modes.into_iter().filter_map(|mode| mode.parse().ok()).collect()))
}

/// The organisation type as text: an integer and the string of its digits are the same.
fn organisation_text(claim: &Value) -> Option<String> {
    match claim {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}
