//! Reading a JSON body: its media type, its size, its text.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, web};
use bytes::BytesMut;
use futures_util::StreamExt;

use super::problem::{FieldError, Kind, Problem};

/// The largest body that is read, in bytes.
pub(super) const MAX_LENGTH: usize = 16 * 1024;
/// The field of an error of the body as a whole: the page's name of SetLogin's input.
pub(super) const FIELD: &str = "request";

/// The whole body. An empty one is returned as such whatever its media type: it is missing, not wrong.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    within: Duration,
) -> Result<BytesMut, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced = announced.and_then(|length| length.parse::<u64>().ok());
    let unsupported = unsupported(request.headers());
    // A client that waits for `100 Continue` has a body, however it is framed (RFC 9110 §10.1.1).
    let has_body = announced.is_some_and(|length| length > 0) || request.head().expect();
    if let Some(problem) = unsupported.as_ref().filter(|_| has_body) {
        return Err(problem.clone());
    }
    if announced.is_some_and(|length| length > MAX_LENGTH as u64) {
        return Err(Problem::new(Kind::BodyTooLarge));
    }
    let mut body = BytesMut::new();
    let all = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::bad_request(vec![FieldError::new(FIELD, "Kroppen kunne ikke læses til ende.")])
            })?;
            if let Some(problem) = unsupported.as_ref().filter(|_| !chunk.is_empty()) {
                return Err(problem.clone());
            }
            if body.len() + chunk.len() > MAX_LENGTH {
                return Err(Problem::new(Kind::BodyTooLarge));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    tokio::time::timeout(within, all).await.map_err(|_| Problem::new(Kind::BodyTimeout))??;
    Ok(body)
}

/// What the head says of the body that makes it unreadable, with what would be taken instead (RFC 9110 §12.5.1, §12.5.3).
fn unsupported(headers: &HeaderMap) -> Option<Problem> {
    if is_coded(headers) {
        let identity = HeaderValue::from_static("identity");
        return Some(Problem::new(Kind::CodingUnsupported).with_header(header::ACCEPT_ENCODING, identity));
    }
    let json = HeaderValue::from_static("application/json");
    (!is_json(headers)).then(|| Problem::new(Kind::MediaTypeUnsupported).with_header(header::ACCEPT, json))
}

/// Whether the body has a content coding. `identity`, which is none, and elements without a name do not count.
fn is_coded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).any(|line| {
        let is_coding =
            |element: &str| !["", "identity"].contains(&element.trim().to_ascii_lowercase().as_str());
        line.to_str().map_or(true, |line| line.split(',').any(is_coding))
    })
}

/// Whether the body is said to be JSON, once: `application/json` or a type that ends in `+json` (RFC 6839 §3.1), with
/// any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE);
    let (Some(Ok(media_type)), None) = (types.next().map(|value| value.to_str()), types.next()) else {
        return false;
    };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

#[cfg(test)]
mod tests;
