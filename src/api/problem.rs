//! One table from error to answer: status, `fejlkode`, `fejltekst` (docs/CONTRACT.md, "Errors").
//!
//! Every error leaves the service as `application/problem+json` (RFC 9457), the framework's own included.
//! What the table says is all that a caller learns; the cause stays in the log.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use strum::VariantArray;
use utoipa::ToSchema;

use crate::escape::to_json;

/// What went wrong, in the order of the contract's table of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub(crate) enum Kind {
    Unauthorised,
    /// Credentials sent in more than one way (RFC 6750 §3.1, `invalid_request`).
    AmbiguousCredentials,
    ScopeMissing,
    /// The access table does not let the caller in.
    AccessDenied,
    BadRequest,
    PathUnknown,
    VerbNotAllowed,
    /// The management listener was called under a name, or from a web page.
    Misdirected,
    BodyTimeout,
    BodyTooLarge,
    /// The body is not JSON.
    MediaTypeUnsupported,
    /// The body has a content coding (RFC 7694).
    CodingUnsupported,
    CompanyUnknown,
    PreconditionFailed,
    /// The client's token bucket is empty (RFC 6585 §4).
    TooManyRequests,
    Internal,
    Unavailable,
    DiskFull,
}

/// `fejlkode` of everything that is wrong with the request itself.
const REQUEST: &str = "1014";
/// `fejlkode` of what would be answered otherwise later: wait for `Retry-After` and send the same call again.
const NOT_NOW: &str = "1100";

impl Kind {
    /// The row of the table: HTTP status, `fejlkode`, `fejltekst`.
    pub(crate) fn row(self) -> (StatusCode, &'static str, &'static str) {
        let (status, code, text) = match self {
            Self::Unauthorised => {
                (401, "1012", "Adgang kræver et gyldigt adgangstoken (Authorization: Bearer).")
            }
            Self::AmbiguousCredentials => (400, REQUEST, "Adgangstokenet må kun sendes på én måde."),
            Self::ScopeMissing => (403, "1013", "Adgangstokenet giver ikke det scope, som metoden kræver."),
            Self::AccessDenied => (403, "4575", "Organisationen har ikke adgang til metoden i denne rolle."),
            Self::BadRequest => (400, REQUEST, "Forespørgslen indeholder fejl."),
            Self::PathUnknown => (404, REQUEST, "Stien findes ikke."),
            Self::VerbNotAllowed => {
                (405, REQUEST, "Stien kan ikke kaldes med dette verbum. Se headeren Allow.")
            }
            Self::Misdirected => (
                421,
                REQUEST,
                "Denne adresse kaldes under en IP-adresse eller localhost (Host), og ikke fra en webside.",
            ),
            Self::BodyTimeout => (408, REQUEST, "Forespørgslens krop kom ikke frem i tide."),
            Self::BodyTooLarge => (413, REQUEST, "Forespørgslens krop må højst fylde 16 KiB."),
            Self::MediaTypeUnsupported => {
                (415, REQUEST, "Forespørgslens krop skal være JSON (Content-Type: application/json).")
            }
            Self::CodingUnsupported => {
                (415, REQUEST, "Forespørgslens krop skal sendes ukomprimeret (uden Content-Encoding).")
            }
            Self::CompanyUnknown => (404, "120500", "Virksomheden blev ikke fundet."),
            Self::PreconditionFailed => {
                (412, REQUEST, "Den nuværende tilstand er ikke den, som If-Match eller If-None-Match kræver.")
            }
            Self::TooManyRequests => {
                (429, NOT_NOW, "Der er kaldt for mange gange på kort tid. Prøv igen om lidt.")
            }
            Self::Internal => (500, "1011", "Der opstod en intern fejl. Prøv igen senere."),
            Self::Unavailable => (503, NOT_NOW, "Tjenesten kan ikke svare lige nu. Prøv igen om lidt."),
            Self::DiskFull => (507, NOT_NOW, "Tjenesten kan ikke gemme lige nu. Prøv igen om lidt."),
        };
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code, text)
    }

    /// Whether the answer carries the challenge of RFC 6750 §3.
    pub(crate) const fn challenges(self) -> bool {
        matches!(self, Self::Unauthorised | Self::AmbiguousCredentials | Self::ScopeMissing)
    }

    /// Whether the answer carries `Retry-After`.
    pub(crate) const fn is_temporary(self) -> bool {
        matches!(self, Self::TooManyRequests | Self::Unavailable | Self::DiskFull)
    }
}

// The `///` of these two types and their fields are printed to callers, and therefore Danish.
/// Én fejl i en forespørgsel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Feltfejl)]
pub(crate) struct FieldError {
    /// Feltet, som kontrakten skriver det: cvrNummer, VirksomhedsLoginDto.cvrNummer, x-requestId.
    pub felt: String,
    /// Hvad der er galt med det.
    pub fejltekst: String,
}

/// Most errors of fields that an answer lists.
pub(super) const MAX_FIELD_ERRORS: usize = 20;

impl FieldError {
    pub(crate) fn new(felt: impl Into<String>, fejltekst: impl Into<String>) -> Self {
        Self { felt: felt.into(), fejltekst: fejltekst.into() }
    }
}

/// Et svar, der er en fejl (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDto<'a> {
    /// Altid about:blank; fejlkode siger, hvad der er galt.
    #[serde(rename = "type")]
    problem_type: &'static str,
    /// HTTP-statussens navn.
    title: &'static str,
    /// HTTP-status, den samme som svarets.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Fejlens stabile kode.
    fejlkode: &'static str,
    /// Hvad der er galt, til et menneske.
    fejltekst: &'static str,
    /// Kun ved status 400: alle de fejl, der blev fundet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fejl: Option<&'a Vec<FieldError>>,
    /// Kaldets id, det samme som i headeren x-requestId og i tjenestens log.
    #[serde(rename = "requestId")]
    request_id: &'a str,
}

/// An answer that is an error, rendered where the request's id is known.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind:?}")]
pub(crate) struct Problem {
    kind: Kind,
    errors: Vec<FieldError>,
    headers: Vec<(header::HeaderName, header::HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, errors: Vec::new(), headers: Vec::new() }
    }

    /// A problem that [is temporary](Kind::is_temporary).
    pub(crate) fn retry_after(kind: Kind, seconds: u32) -> Self {
        Self::new(kind).with_header(header::RETRY_AFTER, seconds.into())
    }

    pub(crate) fn bad_request(errors: Vec<FieldError>) -> Self {
        Self::new(Kind::BadRequest).with_errors(errors)
    }

    pub(crate) fn unavailable(retry_after_seconds: u32) -> Self {
        Self::retry_after(Kind::Unavailable, retry_after_seconds)
    }

    /// The problem of an error status of the framework's own.
    pub(crate) fn of_framework(status: StatusCode) -> Self {
        Self::new(match status.as_u16() {
            404 => Kind::PathUnknown,
            405 => Kind::VerbNotAllowed,
            408 => Kind::BodyTimeout,
            413 => Kind::BodyTooLarge,
            415 => Kind::MediaTypeUnsupported,
            503 => Kind::Unavailable,
            400..500 => Kind::BadRequest,
            _ => Kind::Internal,
        })
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: header::HeaderName, value: header::HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Lists the first [`MAX_FIELD_ERRORS`] of these.
    #[must_use]
    pub(crate) fn with_errors(mut self, mut errors: Vec<FieldError>) -> Self {
        errors.truncate(MAX_FIELD_ERRORS);
        self.errors = errors;
        self
    }

    /// The `fejlkode` that the caller sees.
    pub(crate) fn code(&self) -> &'static str {
        self.kind.row().1
    }

    /// The answer's body, under this request id.
    pub(crate) fn text(&self, request_id: &str) -> Vec<u8> {
        let (status, fejlkode, fejltekst) = self.kind.row();
        let problem = ProblemDto {
            problem_type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            fejlkode,
            fejltekst,
            fejl: (status == StatusCode::BAD_REQUEST).then_some(&self.errors),
            request_id,
        };
        let mut text = Vec::with_capacity(256);
        to_json(&mut text, &problem);
        text
    }

    /// The answer, under this request id.
    pub(crate) fn render(&self, request_id: &str) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.kind.row().0);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response.body(self.text(request_id))
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.row().0
    }

    /// Bare on purpose: the middleware renders it, knowing the request's id.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests;
