//! What the methods answer, as types: the contract's names, the page's words, the schemas of OpenAPI.
//!
//! The texts here are printed to callers and therefore Danish. What is sent is written by hand for speed
//! (`store::ndjson::write_object`, `login_span::one`, [`super::list`], [`Problem::text`]); property tests hold that it is, byte for
//! byte, what serde makes of these types.
//!
//! [`Problem::text`]: super::problem::Problem::text

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::problem::FieldError;
use crate::domain::cvr;
use crate::domain::cvr::Cvr;
use crate::domain::timestamp;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// What the page calls an answer as a whole.
pub(crate) const FIELD: &str = "response";
/// The company in the examples of the documentation.
pub(crate) const EXAMPLE_CVR_NUMMER: &str = "12345678";
/// The time in the examples of the documentation.
pub(crate) const EXAMPLE_TIDSPUNKT: &str = "2026-11-23T09:00:00.000Z";

/// A company's number on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CvrNummer(pub Cvr);

impl Serialize for CvrNummer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PartialSchema for CvrNummer {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Otte cifre; foranstillede nuller hører med."))
            .pattern(Some(format!("^{}$", cvr::PATTERN)))
            .examples([EXAMPLE_CVR_NUMMER])
            .into()
    }
}

impl ToSchema for CvrNummer {
    fn name() -> Cow<'static, str> {
        "CvrNummer".into()
    }
}

/// A moment on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tidspunkt(pub Timestamp);

impl Serialize for Tidspunkt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(&self.0.write()))
    }
}

impl PartialSchema for Tidspunkt {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339 i UTC med tre decimaler og Z."))
            .min_length(Some(timestamp::LENGTH))
            .max_length(Some(timestamp::LENGTH))
            .examples([EXAMPLE_TIDSPUNKT])
            .into()
    }
}

impl ToSchema for Tidspunkt {
    fn name() -> Cow<'static, str> {
        "Tidspunkt".into()
    }
}

/// En virksomhed og dens logins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct VirksomhedsLoginDto {
    /// CVR nummer på virksomheden.
    #[serde(rename = "cvrNummer")]
    pub cvr_nummer: CvrNummer,
    /// Første login tidspunkt for virksomheden
    #[serde(rename = "tidligsteLoginTidspunkt")]
    pub tidligste_login_tidspunkt: Tidspunkt,
    /// Seneste login fra Virksomhed
    #[serde(rename = "senesteLogintidspunkt")]
    pub seneste_logintidspunkt: Tidspunkt,
}

impl From<&Record> for VirksomhedsLoginDto {
    fn from(record: &Record) -> Self {
        Self {
            cvr_nummer: CvrNummer(record.cvr),
            tidligste_login_tidspunkt: Tidspunkt(record.login.first()),
            seneste_logintidspunkt: Tidspunkt(record.login.last()),
        }
    }
}

/// Svaret på GetLogin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct GetVirksomhedsLoginResponseDto {
    #[allow(missing_docs, reason = "the page says nothing of it, and what stood here would be printed")]
    #[serde(rename = "VirksomhedsLoginDto")]
    pub virksomheds_login_dto: VirksomhedsLoginDto,
}

/// Svaret på GetLogins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct GetVirksomhedsLoginResponseDtoCollection {
    /// Liste af virksomheder der er oprettet på JobAG
    pub virksomheder: VirksomhedsLoginDtoCollection,
}

/// Virksomheder, stigende efter CVR-nummer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct VirksomhedsLoginDtoCollection(pub Vec<VirksomhedsLoginDto>);

/// Et svar, der er en fejl (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDto {
    /// Altid about:blank; fejlkode siger, hvad der er galt.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// HTTP-statussens navn.
    pub title: String,
    /// HTTP-status, den samme som svarets.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// Fejlens stabile kode.
    pub fejlkode: String,
    /// Hvad der er galt, til et menneske.
    pub fejltekst: String,
    /// Kun ved status 400: alle de fejl, der blev fundet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fejl: Option<Vec<FieldError>>,
    /// Kaldets id, det samme som i headeren x-requestId og i tjenestens log.
    #[serde(rename = "requestId")]
    pub request_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::handlers;
    use crate::api::list::text;
    use crate::api::problem::{Kind, Problem};
    use crate::domain::login_span::LoginSpan;
    use crate::interchange;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let moment = || 0..=Timestamp::MAX.millis();
        (0..=Cvr::MAX.number(), moment(), moment()).prop_map(|(number, one, other)| Record {
            cvr: Cvr::from_number(number).unwrap(),
            login: LoginSpan::at(Timestamp::from_millis(one).unwrap())
                .merge(LoginSpan::at(Timestamp::from_millis(other).unwrap())),
        })
    }

    proptest! {
        #[test]
        fn an_error_is_what_serde_makes_of_the_declared_type(
            kind in prop::sample::select(Kind::ALL.to_vec()),
            faults in prop::collection::vec(("[ -~æøåÆØÅ]{0,9}", "[ -~æøåÆØÅ]{0,9}"), 0..4),
            id in "[ -~]{1,46}",
        ) {
            let faults: Vec<_> = faults.iter().map(|(felt, text)| FieldError::new(felt, text)).collect();
            let (status, code, text) = kind.row();
            let dto = ProblemDto {
                problem_type: "about:blank".to_owned(),
                title: status.canonical_reason().unwrap().to_owned(),
                status: status.as_u16(),
                fejlkode: code.to_owned(),
                fejltekst: text.to_owned(),
                fejl: (status.as_u16() == 400).then(|| faults.clone()),
                request_id: id.clone(),
            };
            let sent = Problem::new(kind).with_faults(faults).text(&id);
            prop_assert_eq!(sent, serde_json::to_vec(&dto).unwrap());
        }

        #[test]
        fn what_is_sent_is_what_serde_makes_of_the_declared_types(
            records in prop::collection::vec(record(), 0..5)
        ) {
            for record in &records {
                let dto = VirksomhedsLoginDto::from(record);
                let mut object = Vec::new();
                interchange::write_object(&mut object, record);
                prop_assert_eq!(&object, &serde_json::to_vec(&dto).unwrap());
                let response = GetVirksomhedsLoginResponseDto { virksomheds_login_dto: dto };
                prop_assert_eq!(handlers::one(record.cvr, record.login), serde_json::to_vec(&response).unwrap());
            }
            let list = GetVirksomhedsLoginResponseDtoCollection {
                virksomheder: VirksomhedsLoginDtoCollection(records.iter().map(Into::into).collect()),
            };
            prop_assert_eq!(text::whole(&records), serde_json::to_vec(&list).unwrap());
        }
    }
}
