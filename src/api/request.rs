//! What the three methods read, and how a fault in it is told.
//!
//! The bytes become members, the members a DTO, and validator checks the DTO; every fault found on the way is kept,
//! so that a 400 lists all of them. Each name is also read with its first letter in the other case
//! (docs/CONTRACT.md, "JSON"); both spellings together are a duplicate.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::problem::{FieldError, MAX_FAULTS};
use super::response::CvrNummer;
use super::{MAX_ITEMS, body};
use crate::domain::cvr;
use crate::domain::cvr::Cvr;
use crate::strict_json::Raw;

/// The company's number, in the query, in the path, and in the body's [`DTO`].
pub(crate) const CVR_NUMMER: &str = "cvrNummer";
/// The only member of SetLogin's body.
pub(crate) const DTO: &str = "VirksomhedsLoginDto";
/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

// What stands in `///` on the types and fields below is printed to callers: the page's own words, and Danish.

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

/// The contract's names of the fields in which validator found something, each with its path.
fn faulty_fields(errors: &ValidationErrors, path: &str, found: &mut Vec<String>) {
    for (field, kind) in errors.errors() {
        let name = match field.as_ref() {
            "virksomheds_login_dto" => DTO,
            _ => CVR_NUMMER,
        };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match kind {
            ValidationErrorsKind::Struct(nested) => faulty_fields(nested, &path, found),
            _ => found.push(path),
        }
    }
}

fn pattern_fault(field: impl Into<String>) -> FieldError {
    FieldError::new(field, format!("Skal være otte cifre ({}).", cvr::PATTERN))
}

fn validated(dto: &impl Validate, faults: &mut Vec<FieldError>) {
    if let Err(errors) = dto.validate() {
        let mut fields = Vec::new();
        faulty_fields(&errors, "", &mut fields);
        faults.extend(fields.into_iter().map(pattern_fault));
    }
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

/// The names that stand twice among these, each once, in the order of their second appearance. Linear in their number.
fn repeated<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Vec<&'a str> {
    if names.len() < 2 {
        return Vec::new();
    }
    let (mut reported, mut repeated) = (HashMap::with_capacity(names.len()), Vec::new());
    for name in names {
        match reported.entry(name) {
            Entry::Vacant(first) => {
                first.insert(false);
            }
            Entry::Occupied(mut again) => {
                if !again.insert(true) {
                    repeated.push(name);
                }
            }
        }
    }
    repeated
}

/// A name from outside, short enough to be echoed.
fn echoed(name: &str) -> String {
    name.chars().take(64).collect()
}

/// What a request asks for, as far as its head tells.
#[derive(Debug, Default)]
pub(crate) struct RequestTarget {
    /// The company that it names.
    pub company: Option<Cvr>,
    /// What is wrong with it.
    pub faults: Vec<FieldError>,
}

type Parameters<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The query's parameters, each of which may stand once. Nothing of them is read when there are too many.
fn parameters<'a>(query: &'a str, faults: &mut Vec<FieldError>) -> Option<Parameters<'a>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let read: Vec<_> = pairs.by_ref().take(MAX_ITEMS).collect();
    if pairs.next().is_some() {
        faults.push(FieldError::new(body::FIELD, format!("Må højst have {MAX_ITEMS} parametre.")));
        return None;
    }
    let twice = repeated(read.iter().map(|(name, _)| contract_name(name)));
    faults.extend(twice.into_iter().map(|name| FieldError::new(echoed(name), "Må kun stå én gang.")));
    Some(read)
}

/// A fault for each query parameter that stands more than once, or for too many of them.
pub(crate) fn repeated_parameters(query: &str, faults: &mut Vec<FieldError>) {
    if query.contains('&') {
        parameters(query, faults);
    }
}

/// GetLogin's company, from the query.
pub(crate) fn company_in_query(query: &str, faults: &mut Vec<FieldError>) -> Option<Cvr> {
    let pairs = parameters(query, faults)?;
    let mut values = pairs.into_iter().filter(|(name, _)| contract_name(name) == CVR_NUMMER);
    let Some((_, value)) = values.next() else {
        faults.push(FieldError::new(CVR_NUMMER, "Mangler i forespørgslen."));
        return None;
    };
    if values.next().is_some() {
        return None;
    }
    let dto = GetVirksomhedsLoginRequestDto { cvr_nummer: value.into_owned() };
    validated(&dto, faults);
    Cvr::parse(&dto.cvr_nummer).ok()
}

/// SetLogin's company, from its path.
pub(crate) fn company_in_path(segment: &str, faults: &mut Vec<FieldError>) -> Option<Cvr> {
    let company = Cvr::parse(segment).ok();
    if company.is_none() {
        faults.push(pattern_fault(CVR_NUMMER));
    }
    company
}

/// SetLogin's company, from its body.
pub(crate) fn company_in_body(text: &[u8], faults: &mut Vec<FieldError>) -> Option<Cvr> {
    let mut fault = |field: &str, text: &str| faults.push(FieldError::new(field, text));
    // .NET and PowerShell write a byte-order mark (RFC 8259 §8.1 lets a reader skip it).
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.is_empty() {
        fault(body::FIELD, "Kroppen mangler.");
        return None;
    }
    let Some(json) = Raw::parse(text) else {
        fault(body::FIELD, "Kroppen er ikke gyldig JSON.");
        return None;
    };
    let request = member(json, "", body::FIELD, DTO, faults)?;
    let company = member(request, &format!("{DTO}."), DTO, CVR_NUMMER, faults)?;
    let field = format!("{DTO}.{CVR_NUMMER}");
    let Some(cvr_nummer) = company.text() else {
        faults.push(FieldError::new(field, "Skal være en tekststreng."));
        return None;
    };
    let login = SetVirksomhedsLoginDto { cvr_nummer: cvr_nummer.unwrap_or_default() };
    let dto = SetVirksomhedsLoginRequestDto { virksomheds_login_dto: login };
    validated(&dto, faults);
    Cvr::parse(&dto.virksomheds_login_dto.cvr_nummer).ok()
}

/// The one member of this name; `field` is the object's own name and `prefix` stands before its members' names.
fn member<'a>(
    object: Raw<'a>,
    prefix: &str,
    field: &str,
    name: &str,
    faults: &mut Vec<FieldError>,
) -> Option<Raw<'a>> {
    let Some(members) = object.members() else {
        faults.push(FieldError::new(field, "Skal være et JSON-objekt."));
        return None;
    };
    let twice = repeated(members.iter().map(|(name, _)| contract_name(name)));
    let told = |twice: &&str| FieldError::new(format!("{prefix}{}", echoed(twice)), "Må kun stå én gang.");
    faults.extend(twice.iter().take(MAX_FAULTS).map(told));
    let found = members.iter().find(|(text, _)| contract_name(text) == name).map(|(_, value)| *value);
    if found.is_none() {
        faults.push(FieldError::new(format!("{prefix}{name}"), "Mangler."));
    }
    found.filter(|_| !twice.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(faults: &[FieldError]) -> Vec<(&str, &str)> {
        faults.iter().map(|fault| (fault.felt.as_str(), fault.fejltekst.as_str())).collect()
    }

    fn query(text: &str) -> (Option<String>, Vec<FieldError>) {
        let mut faults = Vec::new();
        (company_in_query(text, &mut faults).map(|cvr| cvr.to_string()), faults)
    }

    fn body(text: &str) -> (Option<String>, Vec<FieldError>) {
        let mut faults = Vec::new();
        (company_in_body(text.as_bytes(), &mut faults).map(|cvr| cvr.to_string()), faults)
    }

    #[test]
    fn what_is_read_is_what_is_declared() {
        let login = SetVirksomhedsLoginDto { cvr_nummer: "12345678".to_owned() };
        let declared = serde_json::to_value(SetVirksomhedsLoginRequestDto { virksomheds_login_dto: login });
        assert_eq!(declared.unwrap(), serde_json::json!({ DTO: { CVR_NUMMER: "12345678" } }));
        let declared = serde_json::to_value(GetVirksomhedsLoginRequestDto { cvr_nummer: String::new() });
        assert_eq!(declared.unwrap(), serde_json::json!({ CVR_NUMMER: "" }));
    }

    const PATTERN: &str = "Skal være otte cifre ([0-9]{8}).";
    const ONCE: &str = "Må kun stå én gang.";

    #[test]
    fn a_good_query_names_one_company() {
        for text in
            ["cvrNummer=00000042", "CvrNummer=00000042", "x=1&cvrNummer=0000004%32&y", "%63vrNummer=00000042"]
        {
            assert_eq!(query(text), (Some("00000042".to_owned()), vec![]), "{text}");
        }
    }

    #[test]
    fn every_bad_query_is_told() {
        for (text, expected) in [
            ("", vec![(CVR_NUMMER, "Mangler i forespørgslen.")]),
            ("cvrnummer=12345678", vec![(CVR_NUMMER, "Mangler i forespørgslen.")]),
            ("cvrNummer=", vec![(CVR_NUMMER, PATTERN)]),
            ("cvrNummer", vec![(CVR_NUMMER, PATTERN)]),
            ("cvrNummer=1234567", vec![(CVR_NUMMER, PATTERN)]),
            ("cvrNummer=+2345678", vec![(CVR_NUMMER, PATTERN)]),
            ("cvrNummer=%31234567%00", vec![(CVR_NUMMER, PATTERN)]),
            ("cvrNummer=12345678&cvrNummer=12345678", vec![(CVR_NUMMER, ONCE)]),
            ("cvrNummer=12345678&CvrNummer=12345678", vec![(CVR_NUMMER, ONCE)]),
            ("a=1&a=2&cvrNummer=12345678", vec![("a", ONCE)]),
            ("a=1&a=2", vec![("a", ONCE), (CVR_NUMMER, "Mangler i forespørgslen.")]),
        ] {
            assert_eq!(told(&query(text).1), expected, "{text}");
        }
    }

    #[test]
    fn a_good_body_names_one_company() {
        for text in [
            r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#,
            r#"{"virksomhedsLoginDto":{"CvrNummer":"12345678"}}"#,
            r#" {"x":{"x":1,"x":2},"VirksomhedsLoginDto":{"cvrNummer":"12345678","tidligsteLoginTidspunkt":"x"}} "#,
        ] {
            assert_eq!(body(text), (Some("12345678".to_owned()), vec![]), "{text}");
        }
    }

    #[test]
    fn every_bad_body_is_told() {
        const NUMBER: &str = "VirksomhedsLoginDto.cvrNummer";
        for (text, expected) in [
            ("", vec![("request", "Kroppen mangler.")]),
            ("{", vec![("request", "Kroppen er ikke gyldig JSON.")]),
            ("[]", vec![("request", "Skal være et JSON-objekt.")]),
            ("null", vec![("request", "Skal være et JSON-objekt.")]),
            ("{}", vec![(DTO, "Mangler.")]),
            (r#"{"virksomhedslogindto":{}}"#, vec![(DTO, "Mangler.")]),
            (r#"{"VirksomhedsLoginDto":"12345678"}"#, vec![(DTO, "Skal være et JSON-objekt.")]),
            (r#"{"VirksomhedsLoginDto":{}}"#, vec![(NUMBER, "Mangler.")]),
            (
                r#"{"VirksomhedsLoginDto":{"cvrNummer":12345678}}"#,
                vec![(NUMBER, "Skal være en tekststreng.")],
            ),
            (r#"{"VirksomhedsLoginDto":{"cvrNummer":null}}"#, vec![(NUMBER, "Skal være en tekststreng.")]),
            (r#"{"VirksomhedsLoginDto":{"cvrNummer":"1234567"}}"#, vec![(NUMBER, PATTERN)]),
            (
                r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678","CvrNummer":"12345678"}}"#,
                vec![(NUMBER, ONCE)],
            ),
            (
                r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"},"virksomhedsLoginDto":{"cvrNummer":"12345678"}}"#,
                vec![(DTO, ONCE)],
            ),
            (r#"{"ø":1,"ø":2,"VirksomhedsLoginDto":{}}"#, vec![("ø", ONCE), (NUMBER, "Mangler.")]),
        ] {
            assert_eq!(told(&body(text).1), expected, "{text}");
        }
    }

    /// Processor time of this thread that the work takes, the least of some tries: what else the machine does is not in it.
    fn cost(mut work: impl FnMut()) -> std::time::Duration {
        use rustix::time::{ClockId, clock_gettime};
        let now = || std::time::Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        (0..7)
            .map(|_| {
                let begun = now();
                work();
                now() - begun
            })
            .min()
            .unwrap()
    }

    #[test]
    fn members_that_stand_twice_cost_no_more_than_their_number() {
        let body = |count: u32| {
            let names: String = (0..count).map(|number| format!(r#""{number:05}":0,"#)).collect();
            format!("{{{names}{names}\"x\":0}}")
        };
        let cost = |count| {
            let text = body(count);
            cost(|| assert_eq!(super::company_in_body(text.as_bytes(), &mut Vec::new()), None))
        };
        let (few, many) = (cost(500), cost(4_000));
        // Eight times as many; what is quadratic takes 64 times as long.
        assert!(many < few * 24, "{few:?} for 500, {many:?} for 4,000");
    }

    #[test]
    fn parameters_beyond_the_most_are_not_read() {
        let query = |count: u32| (0..count).map(|number| format!("{number:05}&")).collect::<String>();
        let cost = |count| {
            let text = query(count);
            cost(|| super::repeated_parameters(&text, &mut Vec::new()))
        };
        let (few, many) = (cost(100), cost(10_000));
        assert!(many < few * 8, "{few:?} for 100, {many:?} for 10,000");
    }
}
