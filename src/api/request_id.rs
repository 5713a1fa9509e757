//! `x-requestId`: the id under which a call is found again, here and at the caller's.
//!
//! Taken from the request when it is valid, made up (UUID) when it is absent; an invalid, empty or repeated one is an error
//! of the request, answered under a made-up id.

use actix_web::http::header::{HeaderMap, HeaderName};

use super::problem::FieldError;

/// The header, as HTTP/1.1 libraries keep it; names are compared without case (RFC 9110 §5.1).
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-requestid");
/// The header's name as the contract prints it.
pub(crate) const FIELD: &str = "x-requestId";
/// In characters.
pub(crate) const MAX_LENGTH: usize = 46;
/// What an id looks like once it has arrived: HTTP takes spaces off the ends of a header (RFC 9110 §5.5).
pub(crate) const PATTERN: &str = "^[!-~]([ -~]{0,44}[!-~])?$";

/// The id of one request, and whether the caller's own was unusable.
#[derive(Debug)]
pub(crate) struct RequestId {
    text: String,
    was_invalid: bool,
}

impl RequestId {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(&HEADER);
        let valid = match (sent.next(), sent.next()) {
            (None, _) => return Self { text: made_up(), was_invalid: false },
            (Some(only), None) => only.to_str().ok().filter(|text| is_valid(text)),
            (Some(_), Some(_)) => None,
        };
        Self { was_invalid: valid.is_none(), text: valid.map_or_else(made_up, str::to_owned) }
    }

    /// The id to answer and log under.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn error(&self) -> Option<FieldError> {
        self.was_invalid.then(|| {
            FieldError::new(FIELD, "Skal stå højst én gang og være 1 til 46 tegn, alle synlige ASCII-tegn.")
        })
    }
}

fn is_valid(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A UUID, version 4. Ids must differ, nothing more: they may be guessed, and therefore cost no system call.
fn made_up() -> String {
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}

#[cfg(test)]
mod tests;
