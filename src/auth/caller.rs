//! Who calls, as an accepted token tells it: names for the audit log, scopes and organisation for the guard.
//!
//! A token whose scope or organisation claims are bad still has a caller. The fault is kept here and becomes
//! a 403 where it is asked for. Everything is compared exactly: no trimming, no folding of case or Unicode.

use super::claims::Accepted;
use super::compact::member;
use super::error::{Claim, ClaimError};
use super::{ClaimNames, Rules};
use crate::domain::access::{AccessMode, AccessModes, OrganisationType};
use crate::domain::cvr::Cvr;
use crate::strict_json::Json;

/// How a scope claim must be called for an array of strings to be accepted in it.
const SCOPE_LIST_CLAIM: &str = "scp";

/// The longest organisation code, in characters.
const MAX_CODE_CHARACTERS: usize = 20;

/// The one who calls. Text that came from the token is as it was claimed, control characters included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `sub`, when there and not empty. At least one of `subject` and `client_id` is there.
    pub subject: Option<String>,
    /// `client_id`, when there and not empty.
    pub client_id: Option<String>,
    /// The organisation type as claimed (a string, or an integer's digits), even when it is refused.
    pub organisation_type: Option<String>,
    /// The organisation code as claimed, when it is a string, even when it is refused.
    pub organisation_code: Option<String>,
    /// The access modes as claimed, as far as they are strings, even unknown ones.
    pub access: Vec<String>,
    /// The CVR number of the acting "Anden Aktør" as claimed, when it is a string, even when it is refused.
    pub acting_cvr: Option<String>,
    scopes: Result<Vec<String>, ClaimError>,
    organisation: Result<(OrganisationType, AccessModes), ClaimError>,
}

impl Caller {
    pub(super) fn read(accepted: Accepted, claims: &[(String, Json)], rules: &Rules) -> Self {
        let names = &rules.claims;
        let text = |name: &str| member(claims, name).and_then(Json::text).map(str::to_owned);
        Self {
            subject: accepted.subject,
            client_id: accepted.client_id,
            organisation_type: organisation_text(claims, names),
            organisation_code: text(&names.organisation_code),
            access: match member(claims, &names.access) {
                Some(Json::Text(mode)) => vec![mode.clone()],
                Some(Json::List(modes)) => modes.iter().filter_map(Json::text).map(str::to_owned).collect(),
                _ => vec![],
            },
            acting_cvr: text(&names.acting_cvr),
            scopes: read_scopes(claims, &names.scope),
            organisation: read_organisation(claims, rules),
        }
    }

    /// Whether the token carries exactly this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_ok_and(|scopes| scopes.iter().any(|carried| carried == scope))
    }

    /// Why the token carries no scope at all, when its scope claim is missing or wrong.
    pub fn scope_fault(&self) -> Option<ClaimError> {
        self.scopes.as_ref().err().copied()
    }

    /// The organisation type and the known ones of the access modes (perhaps none), or the fault in the
    /// organisation claims.
    pub fn organisation(&self) -> Result<(OrganisationType, AccessModes), ClaimError> {
        self.organisation
    }

    /// About how many bytes this takes in memory.
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

fn read_scopes(claims: &[(String, Json)], name: &str) -> Result<Vec<String>, ClaimError> {
    match member(claims, name) {
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

fn read_organisation(
    claims: &[(String, Json)],
    rules: &Rules,
) -> Result<(OrganisationType, AccessModes), ClaimError> {
    let organisation = read_type(claims, rules)?;
    check_code(claims, &rules.claims.organisation_code)?;
    check_acting_cvr(claims, &rules.claims.acting_cvr)?;
    Ok((organisation, read_modes(claims, &rules.claims.access)?))
}

/// A plain name is always understood; another value only when the operator mapped it.
fn read_type(claims: &[(String, Json)], rules: &Rules) -> Result<OrganisationType, ClaimError> {
    if member(claims, &rules.claims.organisation_type).is_none() {
        return Err(ClaimError::Missing(Claim::OrganisationType));
    }
    let claimed =
        organisation_text(claims, &rules.claims).ok_or(ClaimError::WrongType(Claim::OrganisationType))?;
    OrganisationType::parse(&claimed)
        .or_else(|| rules.organisation_types.get(&claimed).copied())
        .ok_or(ClaimError::UnknownOrganisation)
}

/// The organisation type as text: an integer and the string of its digits are the same.
fn organisation_text(claims: &[(String, Json)], names: &ClaimNames) -> Option<String> {
    match member(claims, &names.organisation_type)? {
        Json::Text(text) => Some(text.clone()),
        Json::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

fn check_code(claims: &[(String, Json)], name: &str) -> Result<(), ClaimError> {
    match member(claims, name) {
        None => Err(ClaimError::Missing(Claim::OrganisationCode)),
        Some(Json::Text(code)) if (1..=MAX_CODE_CHARACTERS).contains(&code.chars().count()) => Ok(()),
        Some(Json::Text(_)) => Err(ClaimError::CodeLength),
        Some(_) => Err(ClaimError::WrongType(Claim::OrganisationCode)),
    }
}

fn check_acting_cvr(claims: &[(String, Json)], name: &str) -> Result<(), ClaimError> {
    match member(claims, name) {
        None => Ok(()),
        Some(Json::Text(cvr)) => Cvr::parse(cvr).map(drop).map_err(|_| ClaimError::ParseCvrError),
        Some(_) => Err(ClaimError::WrongType(Claim::ActingCvr)),
    }
}

fn read_modes(claims: &[(String, Json)], name: &str) -> Result<AccessModes, ClaimError> {
    let wrong = ClaimError::WrongType(Claim::Access);
    match member(claims, name) {
        None => Err(ClaimError::Missing(Claim::Access)),
        Some(Json::Text(mode)) => Ok(AccessMode::parse(mode).into_iter().collect()),
        Some(Json::List(modes)) => modes.iter().try_fold(AccessModes::NONE, |known, mode| {
            Ok(AccessMode::parse(mode.text().ok_or(wrong)?).map_or(known, |mode| known.with(mode)))
        }),
        Some(_) => Err(wrong),
    }
}
