//! What is answered in place of what was asked for.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};

#[derive(Clone, Copy)]
pub enum Problem {
    Request,
    Token,
    Scope,
    Access,
    Company,
    Path,
    Unavailable,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Request => {
                (400, r#"{"status":400,"fejlkode":"1014","fejltekst":"Forespørgslen er ugyldig."}"#)
            }
            Self::Token => (
                401,
                r#"{"status":401,"fejlkode":"1012","fejltekst":"Adgangstoken mangler eller er ugyldigt."}"#,
            ),
            Self::Scope => (
                403,
                r#"{"status":403,"fejlkode":"1013","fejltekst":"Adgangstoken giver ikke det nødvendige scope."}"#,
            ),
            Self::Access => {
                (403, r#"{"status":403,"fejlkode":"4575","fejltekst":"Organisationen har ikke adgang."}"#)
            }
            Self::Company => {
                (404, r#"{"status":404,"fejlkode":"120500","fejltekst":"Virksomheden findes ikke."}"#)
            }
            Self::Path => (404, r#"{"status":404,"fejlkode":"1014","fejltekst":"Stien findes ikke."}"#),
            Self::Unavailable => {
                (503, r#"{"status":503,"fejlkode":"1100","fejltekst":"Tjenesten er utilgængelig."}"#)
            }
        };
        let mut response = body.into_response();
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self, Self::Token) {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
