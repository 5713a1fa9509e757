//! `x-requestId`: the id under which a call is found again, here and at the caller's.
//!
//! Taken from the request when it is valid (1 to 46 characters of printable ASCII), made up (UUID) when it is
//! absent; an invalid, empty or repeated one is a fault of the request, answered under a made-up id.

use actix_web::http::header::{HeaderMap, HeaderName};

use super::problem::FieldError;

/// The header, as HTTP/1.1 libraries keep it; names are compared without case (RFC 9110 §5.1).
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-requestid");
/// The header's name as the contract prints it.
pub(crate) const FIELD: &str = "x-requestId";
/// How many characters an id may have.
pub(crate) const MAX_LENGTH: usize = 46;
/// What an id looks like once it has arrived: HTTP takes spaces off the ends of a header (RFC 9110 §5.5).
pub(crate) const PATTERN: &str = "^[!-~]([ -~]{0,44}[!-~])?$";

/// The id of one request, and whether the caller's own was unusable.
#[derive(Debug, Clone)]
pub(crate) struct RequestId {
    text: String,
    denied_calls: bool,
}

impl RequestId {
    /// The id of the request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(&HEADER);
        match (sent.next(), sent.next()) {
            (None, _) => Self { text: made_up(), denied_calls: false },
            (Some(only), None) => match only.to_str().ok().filter(|text| is_valid(text)) {
                Some(text) => Self { text: text.to_owned(), denied_calls: false },
                None => Self { text: made_up(), denied_calls: true },
            },
            (Some(_), Some(_)) => Self { text: made_up(), denied_calls: true },
        }
    }

    /// The id to answer and log under.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The fault, when the caller sent an id that cannot be used.
    pub(crate) fn fault(&self) -> Option<FieldError> {
        self.denied_calls.then(|| {
            FieldError::new(FIELD, "Skal stå højst én gang og være 1 til 46 tegn, alle synlige ASCII-tegn.")
        })
    }
}

fn is_valid(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A UUID, version 4. Ids must differ, nothing more: they need no random number that an attacker cannot guess, and
/// therefore no call of the system.
fn made_up() -> String {
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn of(values: &[&[u8]]) -> RequestId {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_valid_id_is_kept() {
        for id in ["a", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", &"x".repeat(46), "two words"] {
            let taken = of(&[id.as_bytes()]);
            assert_eq!((taken.as_str(), taken.fault()), (id, None));
        }
    }

    #[test]
    fn an_absent_id_is_made_up() {
        let (one, other) = (of(&[]), of(&[]));
        assert_eq!(one.as_str().len(), 36);
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.fault(), None);
    }

    #[test]
    fn an_unusable_id_is_a_fault_and_not_echoed() {
        let too_long = "x".repeat(47);
        for values in
            [&[&b""[..]][..], &[too_long.as_bytes()], &[b"a\tb"], &["\u{e6}".as_bytes()], &[b"a", b"a"]]
        {
            let denied_calls = of(values);
            assert_eq!(denied_calls.fault().unwrap().felt, "x-requestId");
            assert_eq!(denied_calls.as_str().len(), 36);
        }
    }
}
