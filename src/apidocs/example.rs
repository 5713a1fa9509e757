//! The examples of the documentation, made by what serves real calls.

use crate::api::handlers;
use crate::api::list::text;
use crate::api::problem::{FieldError, Kind, Problem};
use crate::api::request::{self, SetVirksomhedsLoginDto, SetVirksomhedsLoginRequestDto};
use crate::api::response::EXAMPLE_TIDSPUNKT;
use crate::domain::access::Method;
use crate::domain::cvr::{self, Cvr};
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

pub(super) use crate::api::response::EXAMPLE_CVR_NUMMER as CVR_NUMMER;
/// Its first login.
const TIDLIGSTE: &str = "2026-11-23T08:15:30.123Z";
/// The id of the example's call.
pub(super) const REQUEST_ID: &str = "0d9ff4c1-6a3e-4d0b-9c53-2f7f3f3b8a11";
/// The trace of the example's call.
pub(super) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The 200 answer of this method; empty when it has none.
pub(super) fn output(method: Method) -> String {
    // A test holds that the three constants can be parsed.
    let timestamp = |text| Timestamp::parse(text).unwrap_or(Timestamp::MIN);
    let cvr = Cvr::parse(CVR_NUMMER).unwrap_or(Cvr::MIN);
    let login = LoginSpan::at(timestamp(TIDLIGSTE)).merge(LoginSpan::at(timestamp(EXAMPLE_TIDSPUNKT)));
    lossy(match method {
        Method::GetLogin => handlers::one(cvr, login),
        Method::GetLogins => text::whole(&[Record { cvr, login }]),
        Method::SetLogin => Vec::new(),
    })
}

/// The entity tag of a 200 answer of this method, without its quotes.
pub(super) fn tag(method: Method) -> &'static str {
    match method {
        Method::GetLogins => "5-67d7c5e92de2668520eb0ecd2a33276a.ea1d1eeb8f224bff.7",
        Method::GetLogin | Method::SetLogin => "01a20b3a43a301a20b3a43a3",
    }
}

/// SetLogin's body.
pub(super) fn request() -> String {
    let login = SetVirksomhedsLoginDto { cvr_nummer: CVR_NUMMER.to_owned() };
    serde_json::to_string(&SetVirksomhedsLoginRequestDto { virksomheds_login_dto: login }).unwrap_or_default()
}

/// The answer that reports this error.
pub(super) fn problem(kind: Kind) -> String {
    let field = match kind {
        Kind::BadRequest => Some((request::CVR_NUMMER, format!("Skal være otte cifre ({}).", cvr::PATTERN))),
        Kind::AmbiguousCredentials => {
            Some(("Authorization", "Send ét adgangstoken, og kun i headeren Authorization.".to_owned()))
        }
        _ => None,
    };
    let fields = field.map(|(name, text)| FieldError::new(name, text));
    lossy(Problem::new(kind).with_errors(fields.into_iter().collect()).text(REQUEST_ID))
}

fn lossy(text: Vec<u8>) -> String {
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_those_of_the_contract() {
        assert_eq!(
            output(Method::GetLogin),
            r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678","tidligsteLoginTidspunkt":"2026-11-23T08:15:30.123Z","senesteLogintidspunkt":"2026-11-23T09:00:00.000Z"}}"#
        );
        assert_eq!(request(), r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#);
        assert!(output(Method::GetLogins).starts_with(r#"{"virksomheder":[{"cvrNummer":"12345678","#));
    }
}
