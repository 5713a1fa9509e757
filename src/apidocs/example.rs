//! The examples of the documentation, made by what serves real calls.

use crate::api::handlers;
use crate::api::list::text;
use crate::api::problem::{FieldError, Kind, Problem};
use crate::api::request::{SetVirksomhedsLoginDto, SetVirksomhedsLoginRequestDto};
use crate::api::response::EXAMPLE_TIDSPUNKT;
use crate::domain::access::Method;
use crate::domain::cvr;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

pub(crate) use crate::api::response::EXAMPLE_CVR_NUMMER as CVR_NUMMER;
/// Its first login.
const TIDLIGSTE: &str = "2026-11-23T08:15:30.123Z";
/// Its latest login.
const SENESTE: &str = EXAMPLE_TIDSPUNKT;
/// The id of the example's call.
pub(crate) const REQUEST_ID: &str = "0d9ff4c1-6a3e-4d0b-9c53-2f7f3f3b8a11";

/// The trace of the example's call.
pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The record of the examples. A test holds that the three constants can be read.
fn record() -> Record {
    let moment = |text| Timestamp::parse(text).unwrap_or(Timestamp::MIN);
    let login = LoginSpan::at(moment(TIDLIGSTE)).merge(LoginSpan::at(moment(SENESTE)));
    Record { cvr: Cvr::parse(CVR_NUMMER).unwrap_or(Cvr::MIN), login }
}

/// The 200 answer of this method; empty when it has none.
pub(crate) fn output(method: Method) -> Vec<u8> {
    match method {
        Method::GetLogin => one(),
        Method::GetLogins => list(),
        Method::SetLogin => Vec::new(),
    }
}

/// GetLogin's answer.
fn one() -> Vec<u8> {
    let record = record();
    handlers::one(record.cvr, record.login)
}

/// GetLogins' answer.
fn list() -> Vec<u8> {
    text::whole(&[record()])
}

/// SetLogin's body.
pub(crate) fn request() -> Vec<u8> {
    let login = SetVirksomhedsLoginDto { cvr_nummer: CVR_NUMMER.to_owned() };
    serde_json::to_vec(&SetVirksomhedsLoginRequestDto { virksomheds_login_dto: login }).unwrap_or_default()
}

/// The answer that tells this error.
pub(crate) fn problem(kind: Kind) -> Vec<u8> {
    let fault = match kind {
        Kind::BadRequest => Some(FieldError::new(
            crate::api::request::CVR_NUMMER,
            format!("Skal være otte cifre ({}).", cvr::PATTERN),
        )),
        Kind::AmbiguousCredentials => {
            Some(FieldError::new("Authorization", "Send ét adgangstoken, og kun i headeren Authorization."))
        }
        _ => None,
    };
    Problem::new(kind).with_errors(fault.into_iter().collect()).text(REQUEST_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_the_contracts() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(
            text(one()),
            r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678","tidligsteLoginTidspunkt":"2026-11-23T08:15:30.123Z","senesteLogintidspunkt":"2026-11-23T09:00:00.000Z"}}"#
        );
        assert_eq!(text(request()), r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#);
        assert!(text(list()).starts_with(r#"{"virksomheder":[{"cvrNummer":"12345678","#));
    }
}
