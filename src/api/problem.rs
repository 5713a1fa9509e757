//! One table from fault to answer: status, `fejlkode`, `fejltekst` (docs/CONTRACT.md, "Errors").
//!
//! Every error leaves the service as `application/problem+json` (RFC 9457), the framework's own included.
//! What the table says is all that a caller learns; the cause stays in the log.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};

use serde::Serialize;
use utoipa::ToSchema;

use crate::escape::json_string;

/// What went wrong, as the contract's table of errors divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No token, or one that is not accepted.
    Unauthorised,
    /// Credentials sent in more than one way (RFC 6750 §3.1, `invalid_request`).
    AmbiguousCredentials,
    /// The token lacks the method's scope.
    ScopeMissing,
    /// The table of access has no mark for the caller.
    AccessDenied,
    /// The request cannot be read or breaks a rule.
    BadRequest,
    /// No such path.
    PathUnknown,
    /// The path exists but not with this verb.
    VerbNotAllowed,
    /// The management listener was called under a name, or from a web page.
    Misdirected,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is larger than the service reads.
    BodyTooLarge,
    /// The body is not JSON.
    MediaTypeUnsupported,
    /// The body has a content coding (RFC 7694).
    CodingUnsupported,
    /// GetLogin: the register does not know the company.
    CompanyUnknown,
    /// `If-Match` or `If-None-Match` is for another state than the present one.
    PreconditionFailed,
    /// The caller's bucket is empty: more calls than `limits.requests_per_second` lets through (RFC 6585 §4).
    TooManyRequests,
    /// A fault inside.
    Internal,
    /// Not able to answer now.
    Unavailable,
    /// SetLogin: the disk is full.
    DiskFull,
}

/// `fejlkode` of everything that is wrong with the request itself.
pub(crate) const CODE_REQUEST: &str = "1014";
/// `fejlkode` of a company that the register does not know.
pub(crate) const CODE_COMPANY_UNKNOWN: &str = "120500";
/// `fejlkode` of what would be answered otherwise later: wait for `Retry-After` and send the same call again.
pub(crate) const CODE_NOT_NOW: &str = "1100";

impl Kind {
    /// Every kind, in the order of the contract's table.
    pub(crate) const ALL: [Self; 18] = [
        Self::Unauthorised,
        Self::AmbiguousCredentials,
        Self::ScopeMissing,
        Self::AccessDenied,
        Self::BadRequest,
        Self::PathUnknown,
        Self::VerbNotAllowed,
        Self::Misdirected,
        Self::BodyTimeout,
        Self::BodyTooLarge,
        Self::MediaTypeUnsupported,
        Self::CodingUnsupported,
        Self::CompanyUnknown,
        Self::PreconditionFailed,
        Self::TooManyRequests,
        Self::Internal,
        Self::Unavailable,
        Self::DiskFull,
    ];

    /// The row of the table: HTTP status, `fejlkode`, `fejltekst`.
    pub(crate) fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthorised => (
                StatusCode::UNAUTHORIZED,
                "1012",
                "Adgang kræver et gyldigt adgangstoken (Authorization: Bearer).",
            ),
            Self::AmbiguousCredentials => {
                (StatusCode::BAD_REQUEST, CODE_REQUEST, "Adgangstokenet må kun sendes på én måde.")
            }
            Self::ScopeMissing => {
                (StatusCode::FORBIDDEN, "1013", "Adgangstokenet giver ikke det scope, som metoden kræver.")
            }
            Self::AccessDenied => {
                (StatusCode::FORBIDDEN, "4575", "Organisationen har ikke adgang til metoden i denne rolle.")
            }
            Self::BadRequest => (StatusCode::BAD_REQUEST, CODE_REQUEST, "Forespørgslen indeholder fejl."),
            Self::PathUnknown => (StatusCode::NOT_FOUND, CODE_REQUEST, "Stien findes ikke."),
            Self::VerbNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                CODE_REQUEST,
                "Stien kan ikke kaldes med dette verbum. Se headeren Allow.",
            ),
            Self::Misdirected => (
                StatusCode::MISDIRECTED_REQUEST,
                CODE_REQUEST,
                "Denne adresse kaldes under en IP-adresse eller localhost (Host), og ikke fra en webside.",
            ),
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, CODE_REQUEST, "Forespørgslens krop kom ikke frem i tide.")
            }
            Self::BodyTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, CODE_REQUEST, "Forespørgslens krop må højst fylde 16 KiB.")
            }
            Self::MediaTypeUnsupported => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                CODE_REQUEST,
                "Forespørgslens krop skal være JSON (Content-Type: application/json).",
            ),
            Self::CodingUnsupported => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                CODE_REQUEST,
                "Forespørgslens krop skal sendes ukomprimeret (uden Content-Encoding).",
            ),
            Self::CompanyUnknown => {
                (StatusCode::NOT_FOUND, CODE_COMPANY_UNKNOWN, "Virksomheden blev ikke fundet.")
            }
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                CODE_REQUEST,
                "Den nuværende tilstand er ikke den, som If-Match eller If-None-Match kræver.",
            ),
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                CODE_NOT_NOW,
                "Der er kaldt for mange gange på kort tid. Prøv igen om lidt.",
            ),
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "1011", "Der opstod en intern fejl. Prøv igen senere.")
            }
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                CODE_NOT_NOW,
                "Tjenesten kan ikke svare lige nu. Prøv igen om lidt.",
            ),
            Self::DiskFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                CODE_NOT_NOW,
                "Tjenesten kan ikke gemme lige nu. Prøv igen om lidt.",
            ),
        }
    }

    /// Whether the answer carries the challenge of RFC 6750 §3.
    pub(crate) const fn challenges(self) -> bool {
        matches!(self, Self::Unauthorised | Self::AmbiguousCredentials | Self::ScopeMissing)
    }

    /// Whether the answer carries `Retry-After`.
    pub(crate) const fn is_temporary(self) -> bool {
        matches!(self, Self::TooManyRequests | Self::Unavailable | Self::DiskFull)
    }

    /// The kind that stands for an error status of the framework's own.
    fn of_framework(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::PathUnknown,
            StatusCode::METHOD_NOT_ALLOWED => Self::VerbNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::BodyTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::MediaTypeUnsupported,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

// What stands in `///` on this type and its fields is printed to callers, and therefore Danish.
/// Én fejl i en forespørgsel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Feltfejl)]
pub(crate) struct FieldError {
    /// Feltet, som kontrakten skriver det: cvrNummer, VirksomhedsLoginDto.cvrNummer, x-requestId.
    pub felt: String,
    /// Hvad der er galt med det.
    pub fejltekst: String,
}

/// Most faults that an answer lists.
pub(crate) const MAX_FAULTS: usize = 20;

impl FieldError {
    /// A fault of this field.
    pub(crate) fn new(felt: impl Into<String>, fejltekst: impl Into<String>) -> Self {
        Self { felt: felt.into(), fejltekst: fejltekst.into() }
    }
}

/// An answer that is an error. Rendered once, at the boundary, where the request's id is known.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    faults: Vec<FieldError>,
    headers: Vec<(header::HeaderName, header::HeaderValue)>,
}

impl Problem {
    /// The problem of this kind, without particulars.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, faults: Vec::new(), headers: Vec::new() }
    }

    /// More calls than the caller may make; it may go on after so many seconds.
    pub(crate) fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::new(Kind::TooManyRequests).with_header(header::RETRY_AFTER, retry_after_seconds.into())
    }

    /// A 400 that lists every fault found, up to [`MAX_FAULTS`].
    pub(crate) fn bad_request(faults: Vec<FieldError>) -> Self {
        Self::new(Kind::BadRequest).with_faults(faults)
    }

    /// Not able to answer now; the caller may try again after so many seconds.
    pub(crate) fn unavailable(retry_after_seconds: u32) -> Self {
        Self::new(Kind::Unavailable).with_header(header::RETRY_AFTER, retry_after_seconds.into())
    }

    /// The problem that stands for an error status of the framework's own.
    pub(crate) fn of_framework(status: StatusCode) -> Self {
        Self::new(Kind::of_framework(status))
    }

    /// The same with one more response header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: header::HeaderName, value: header::HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same with these faults listed.
    #[must_use]
    pub(crate) fn with_faults(mut self, mut faults: Vec<FieldError>) -> Self {
        faults.truncate(MAX_FAULTS);
        self.faults = faults;
        self
    }

    /// What went wrong.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The `fejlkode` that the caller sees.
    pub(crate) fn code(&self) -> &'static str {
        self.kind.row().1
    }

    /// The answer's body, under this request id.
    pub(crate) fn text(&self, request_id: &str) -> Vec<u8> {
        let (status, code, text) = self.kind.row();
        let mut body = Vec::with_capacity(256);
        body.extend_from_slice(br#"{"type":"about:blank","title":"#);
        json_string(&mut body, status.canonical_reason().unwrap_or("Error"));
        body.extend_from_slice(
            format!(r#","status":{},"fejlkode":"{code}","fejltekst":"#, status.as_u16()).as_bytes(),
        );
        json_string(&mut body, text);
        if status == StatusCode::BAD_REQUEST {
            body.extend_from_slice(br#","fejl":["#);
            for (index, fault) in self.faults.iter().enumerate() {
                body.extend_from_slice(if index == 0 { br#"{"felt":"# } else { br#",{"felt":"# });
                json_string(&mut body, &fault.felt);
                body.extend_from_slice(br#","fejltekst":"#);
                json_string(&mut body, &fault.fejltekst);
                body.push(b'}');
            }
            body.push(b']');
        }
        body.extend_from_slice(br#","requestId":"#);
        json_string(&mut body, request_id);
        body.push(b'}');
        body
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

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.kind)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.row().0
    }

    /// Bare on purpose: the boundary renders it, knowing the request's id.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_contracts_and_three_of_our_own() {
        let rows: Vec<(u16, &str)> =
            Kind::ALL.iter().map(|kind| (kind.row().0.as_u16(), kind.row().1)).collect();
        assert_eq!(
            rows,
            [
                (401, "1012"),
                (400, "1014"),
                (403, "1013"),
                (403, "4575"),
                (400, "1014"),
                (404, "1014"),
                (405, "1014"),
                (421, "1014"),
                (408, "1014"),
                (413, "1014"),
                (415, "1014"),
                (415, "1014"),
                (404, "120500"),
                (412, "1014"),
                (429, "1100"),
                (500, "1011"),
                (503, "1100"),
                (507, "1100"),
            ]
        );
        assert_eq!(Kind::CompanyUnknown.row().2, "Virksomheden blev ikke fundet.");
    }

    #[test]
    fn every_status_of_the_framework_has_a_row() {
        for status in (400..600).filter_map(|code| StatusCode::from_u16(code).ok()) {
            let kind = Problem::of_framework(status).kind();
            assert_eq!(status.is_client_error(), kind.row().0.is_client_error(), "{status}");
        }
    }
}
