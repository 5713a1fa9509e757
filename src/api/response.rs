//! What the methods answer, as types: the contract's names, the page's words, the schemas of OpenAPI.
//!
//! The texts here are printed to callers and therefore Danish. What is sent is written by hand for speed
//! (`interchange::write_object`, `handlers::one`, [`super::list`]); a property test holds that it is, byte for byte, what
//! serde makes of these types.

use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::{cvr, timestamp};

/// What the page calls an answer as a whole.
pub(crate) const FIELD: &str = "response";
/// The company in the examples of the documentation.
pub(crate) const EXAMPLE_CVR_NUMMER: &str = "12345678";
/// The time in the examples of the documentation.
pub(crate) const EXAMPLE_TIDSPUNKT: &str = "2026-11-23T09:00:00.000Z";

/// A company's number on the wire.
#[derive(Serialize)]
pub(crate) struct CvrNummer(pub String);

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

impl ToSchema for CvrNummer {}

/// A time on the wire.
#[derive(Serialize)]
pub(crate) struct Tidspunkt(pub String);

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

impl ToSchema for Tidspunkt {}

/// En virksomhed og dens logins.
#[derive(Serialize, ToSchema)]
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

/// Svaret på GetLogin.
#[derive(Serialize, ToSchema)]
pub(crate) struct GetVirksomhedsLoginResponseDto {
    #[allow(missing_docs, reason = "the page says nothing of it, and what stood here would be printed")]
    #[serde(rename = "VirksomhedsLoginDto")]
    pub virksomheds_login_dto: VirksomhedsLoginDto,
}

/// Svaret på GetLogins.
#[derive(Serialize, ToSchema)]
pub(crate) struct GetVirksomhedsLoginResponseDtoCollection {
    /// Liste af virksomheder der er oprettet på JobAG
    pub virksomheder: VirksomhedsLoginDtoCollection,
}

/// Virksomheder, stigende efter CVR-nummer.
#[derive(Serialize, ToSchema)]
pub(crate) struct VirksomhedsLoginDtoCollection(pub Vec<VirksomhedsLoginDto>);

#[cfg(test)]
mod tests;
