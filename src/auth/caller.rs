//! Who calls, as an accepted token says: names for the audit log, scopes and organisation for the guard.
//!
//! A token whose scope or organisation claims are bad still has a caller: the error is kept and becomes a 403 where the
//! claim is needed. Promises: exact comparison, without trimming or folding of case or Unicode.

use super::claims::Accepted;
use super::error::{Claim, ClaimError};
use super::rules::{ClaimNames, Rules};
use crate::domain::access::{AccessMode, AccessModes, OrganisationType};
use crate::domain::cvr::Cvr;
use crate::strict_json::Json;

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
    pub(super) fn read(accepted: Accepted, claims: &Json, rules: &Rules) -> Self {
        let names = &rules.claims;
        let text = |name: &str| claims.member(name).and_then(Json::text).map(str::to_owned);
        Self {
            subject: accepted.subject,
            client_id: accepted.client_id,
            organisation_type: organisation_text(claims, names),
            organisation_code: text(&names.organisation_code),
            access: match claims.member(&names.access) {
                Some(Json::Text(mode)) => vec![mode.clone()],
                Some(Json::List(modes)) => modes.iter().filter_map(Json::text).map(str::to_owned).collect(),
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

fn read_scopes(claims: &Json, name: &str) -> Result<Vec<String>, ClaimError> {
    match claims.member(name) {
        None => Err(ClaimError::Missing(Claim::Scope)),
        Some(Json::Text(scopes)) => {
            Ok(scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
        }
        Some(Json::List(scopes)) if name == SCOPE_LIST_CLAIM => scopes
            .iter()
            .map(|scope| scope.text().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(ClaimError::WrongType(Claim::Scope)),
        Some(_) => Err(ClaimError::WrongType(Claim::Scope)),
    }
}

fn read_organisation(claims: &Json, rules: &Rules) -> Result<(OrganisationType, AccessModes), ClaimError> {
    let organisation = read_type(claims, rules)?;
    check_code(claims, &rules.claims.organisation_code)?;
    check_acting_cvr(claims, &rules.claims.acting_cvr)?;
    Ok((organisation, read_modes(claims, &rules.claims.access)?))
}

/// A plain name is always understood; another value only when the operator mapped it.
fn read_type(claims: &Json, rules: &Rules) -> Result<OrganisationType, ClaimError> {
    if claims.member(&rules.claims.organisation_type).is_none() {
        return Err(ClaimError::Missing(Claim::OrganisationType));
    }
    let claimed =
        organisation_text(claims, &rules.claims).ok_or(ClaimError::WrongType(Claim::OrganisationType))?;
    claimed
        .parse()
        .ok()
        .or_else(|| rules.organisation_types.get(&claimed).copied())
        .ok_or(ClaimError::UnknownOrganisation)
}

/// The organisation type as text: an integer and the string of its digits are the same.
fn organisation_text(claims: &Json, names: &ClaimNames) -> Option<String> {
    match claims.member(&names.organisation_type)? {
        Json::Text(text) => Some(text.clone()),
        Json::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

fn check_code(claims: &Json, name: &str) -> Result<(), ClaimError> {
    match claims.member(name) {
        None => Err(ClaimError::Missing(Claim::OrganisationCode)),
        Some(Json::Text(code)) if (1..=MAX_CODE_CHARACTERS).contains(&code.chars().count()) => Ok(()),
        Some(Json::Text(_)) => Err(ClaimError::CodeLength),
        Some(_) => Err(ClaimError::WrongType(Claim::OrganisationCode)),
    }
}

fn check_acting_cvr(claims: &Json, name: &str) -> Result<(), ClaimError> {
    match claims.member(name) {
        None => Ok(()),
        Some(Json::Text(cvr)) => Cvr::parse(cvr).map(drop).map_err(|_| ClaimError::ParseCvrError),
        Some(_) => Err(ClaimError::WrongType(Claim::ActingCvr)),
    }
}

fn read_modes(claims: &Json, name: &str) -> Result<AccessModes, ClaimError> {
    let wrong = ClaimError::WrongType(Claim::Access);
    match claims.member(name) {
        None => Err(ClaimError::Missing(Claim::Access)),
        Some(Json::Text(mode)) => Ok(mode.parse::<AccessMode>().into_iter().collect()),
        Some(Json::List(modes)) => modes.iter().try_fold(AccessModes::NONE, |known, mode| {
            Ok(mode.text().ok_or(wrong)?.parse().map_or(known, |mode| known.with(mode)))
        }),
        Some(_) => Err(wrong),
    }
}
