//! What the three methods read, and what is wrong with it.
//!
//! The bytes become members, the members a DTO, and validator checks the DTO. Every error found on the way is kept, so that
//! a 400 lists all of them. Each name is also read with its first letter in the other case; both spellings together are a
//! duplicate (docs/CONTRACT.md, "JSON").

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::body;
use super::problem::{FieldError, MAX_FIELD_ERRORS};
use super::response::CvrNummer;
use crate::domain::cvr;
use crate::domain::cvr::Cvr;
use crate::strict_json::{Raw, without_byte_order_mark};

/// Most items that are read of a list in a request, query parameters and codings among them, so that their cost is bounded.
pub(crate) const MAX_ITEMS: usize = 64;
/// The company's number, in the query, in the path, and in the body's [`DTO`].
pub(crate) const CVR_NUMMER: &str = "cvrNummer";
/// The only member of SetLogin's body.
pub(crate) const DTO: &str = "VirksomhedsLoginDto";

// The `///` of the types and fields below are printed to callers: the page's own words, and Danish.

/// Forespørgslen til GetLogin.
#[derive(Debug, Validate, Serialize, ToSchema)]
pub(crate) struct GetVirksomhedsLoginRequestDto {
    /// CVR nummer på den virksomhed man ønsker oplysninger på
    #[validate(custom(function = "eight_digits"))]
    #[serde(rename = "cvrNummer")]
    #[schema(value_type = CvrNummer)]
    pub cvr_nummer: String,
}

/// Kroppen i SetLogin.
#[derive(Debug, Validate, Serialize, ToSchema)]
pub(crate) struct SetVirksomhedsLoginRequestDto {
    #[allow(missing_docs, reason = "the page says nothing of it, and what stood here would be printed")]
    #[validate(nested)]
    #[serde(rename = "VirksomhedsLoginDto")]
    pub virksomheds_login_dto: SetVirksomhedsLoginDto,
}

/// Den virksomhed, der er logget ind.
#[derive(Debug, Validate, Serialize, ToSchema)]
pub(crate) struct SetVirksomhedsLoginDto {
    /// CVR nummer på virksomheden.
    #[validate(custom(function = "eight_digits"))]
    #[serde(rename = "cvrNummer")]
    #[schema(value_type = CvrNummer)]
    pub cvr_nummer: String,
}

fn eight_digits(text: &str) -> Result<(), ValidationError> {
    Cvr::parse(text).map(|_| ()).map_err(|_| ValidationError::new("cvr"))
}

fn pattern_error(field: impl Into<String>) -> FieldError {
    FieldError::new(field, format!("Skal være otte cifre ({}).", cvr::PATTERN))
}

/// The company that a DTO names by `text`, which is its only rule; `field` is that member's path.
fn company_of(dto: &impl Validate, text: &str, field: String, errors: &mut Vec<FieldError>) -> Option<Cvr> {
    if dto.validate().is_err() {
        errors.push(pattern_error(field));
    }
    Cvr::parse(text).ok()
}

/// Whether this is the name, with its first letter in either case.
fn is_spelling_of(text: &str, name: &str) -> bool {
    text.len() == name.len() && text[..1].eq_ignore_ascii_case(&name[..1]) && text[1..] == name[1..]
}

/// The name under which spellings are counted: the contract's own where it is one of the contract's.
fn contract_name(text: &str) -> &str {
    let known = [CVR_NUMMER, DTO];
    let is_ascii_start = text.is_char_boundary(1);
    known.into_iter().find(|name| is_ascii_start && is_spelling_of(text, name)).unwrap_or(text)
}

/// The names that are there twice, each once, in the order of their second appearance. Linear in their number.
fn repeated<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Vec<&'a str> {
    if names.len() < 2 {
        return Vec::new();
    }
    let (mut once, mut twice) = (HashSet::with_capacity(names.len()), HashSet::new());
    names.filter(|name| !once.insert(*name) && twice.insert(*name)).collect()
}

/// The error of a name from outside that is there twice, cut short enough to be echoed.
fn repeated_error(prefix: &str, name: &str) -> FieldError {
    FieldError::new(format!("{prefix}{}", name.chars().take(64).collect::<String>()), "Må kun stå én gang.")
}

/// What a request's head asks for, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct RequestTarget {
    pub company: Option<Cvr>,
    pub errors: Vec<FieldError>,
}

impl RequestTarget {
    pub(super) fn read(company: impl FnOnce(&mut Vec<FieldError>) -> Option<Cvr>) -> Self {
        let mut errors = Vec::new();
        Self { company: company(&mut errors), errors }
    }
}

type Parameters<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The query's parameters, each of which may be there once. Nothing of them is read when there are too many.
fn parameters<'a>(query: &'a str, errors: &mut Vec<FieldError>) -> Option<Parameters<'a>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let read: Vec<_> = pairs.by_ref().take(MAX_ITEMS).collect();
    if pairs.next().is_some() {
        errors.push(FieldError::new(body::FIELD, format!("Må højst have {MAX_ITEMS} parametre.")));
        return None;
    }
    let twice = repeated(read.iter().map(|(name, _)| contract_name(name)));
    errors.extend(twice.into_iter().map(|name| repeated_error("", name)));
    Some(read)
}

/// An error for each query parameter that is there more than once, or for too many of them.
pub(crate) fn repeated_parameters(query: &str, errors: &mut Vec<FieldError>) {
    if query.contains('&') {
        parameters(query, errors);
    }
}

/// GetLogin's company, from the query.
pub(crate) fn company_in_query(query: &str, errors: &mut Vec<FieldError>) -> Option<Cvr> {
    let pairs = parameters(query, errors)?;
    let mut values = pairs.into_iter().filter(|(name, _)| contract_name(name) == CVR_NUMMER);
    let Some((_, value)) = values.next() else {
        errors.push(FieldError::new(CVR_NUMMER, "Mangler i forespørgslen."));
        return None;
    };
    if values.next().is_some() {
        return None;
    }
    let dto = GetVirksomhedsLoginRequestDto { cvr_nummer: value.into_owned() };
    company_of(&dto, &dto.cvr_nummer, CVR_NUMMER.to_owned(), errors)
}

/// SetLogin's company, from its path.
pub(crate) fn company_in_path(segment: &str, errors: &mut Vec<FieldError>) -> Option<Cvr> {
    let company = Cvr::parse(segment).ok();
    if company.is_none() {
        errors.push(pattern_error(CVR_NUMMER));
    }
    company
}

/// SetLogin's company, from its body.
pub(crate) fn company_in_body(text: &[u8], errors: &mut Vec<FieldError>) -> Option<Cvr> {
    let mut error = |field: &str, text: &str| errors.push(FieldError::new(field, text));
    let text = without_byte_order_mark(text);
    if text.is_empty() {
        error(body::FIELD, "Kroppen mangler.");
        return None;
    }
    let Some(json) = Raw::parse(text) else {
        error(body::FIELD, "Kroppen er ikke gyldig JSON.");
        return None;
    };
    let request = member(json, "", body::FIELD, DTO, errors)?;
    let company = member(request, &format!("{DTO}."), DTO, CVR_NUMMER, errors)?;
    let field = format!("{DTO}.{CVR_NUMMER}");
    let Some(cvr_nummer) = company.text() else {
        errors.push(FieldError::new(field, "Skal være en tekststreng."));
        return None;
    };
    let login = SetVirksomhedsLoginDto { cvr_nummer: cvr_nummer.unwrap_or_default() };
    let dto = SetVirksomhedsLoginRequestDto { virksomheds_login_dto: login };
    company_of(&dto, &dto.virksomheds_login_dto.cvr_nummer, field, errors)
}

/// The one member of this name; `field` is the object's own name, `prefix` is put before its members' names.
fn member<'a>(
    object: Raw<'a>,
    prefix: &str,
    field: &str,
    name: &str,
    errors: &mut Vec<FieldError>,
) -> Option<Raw<'a>> {
    let Some(members) = object.members() else {
        errors.push(FieldError::new(field, "Skal være et JSON-objekt."));
        return None;
    };
    let twice = repeated(members.iter().map(|(name, _)| contract_name(name)));
    errors.extend(twice.iter().take(MAX_FIELD_ERRORS).map(|name| repeated_error(prefix, name)));
    let found = members.iter().find(|(text, _)| contract_name(text) == name).map(|(_, value)| *value);
    if found.is_none() {
        errors.push(FieldError::new(format!("{prefix}{name}"), "Mangler."));
    }
    found.filter(|_| !twice.contains(&name))
}

#[cfg(test)]
mod tests;
