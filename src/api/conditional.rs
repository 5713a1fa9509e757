//! Conditional requests (RFC 9110 §13): `If-None-Match` and `If-Match`.
//!
//! Tags are compared weakly (§8.8.3.2) in both. For `If-Match` the RFC says strongly, but every tag here is weak and none
//! would ever match; a client that sends one back means the state that it saw. Not actix-web's typed headers, which drop
//! a whole header for one foreign tag in it, and allocate for each.

use actix_web::http::header::{self, HeaderMap, HeaderName};

pub(crate) fn has_precondition(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH)
}

/// Whether `If-Match` is there and names none of the present state's tags; without a state there are none.
pub(crate) fn if_match_fails(headers: &HeaderMap, present: &[&str]) -> bool {
    headers.contains_key(header::IF_MATCH) && !lists(headers, header::IF_MATCH, present)
}

/// Whether `If-None-Match` names one of the present state's tags: a reader has the state already, and a writer meets one
/// that it does not want (§13.1.2).
pub(crate) fn if_none_match_fails(headers: &HeaderMap, present: &[&str]) -> bool {
    lists(headers, header::IF_NONE_MATCH, present)
}

/// Whether one of these weak tags is listed in the header, over all of its lines; `*` lists any. None of ours has a comma.
fn lists(headers: &HeaderMap, name: HeaderName, tags: &[&str]) -> bool {
    let elements = headers.get_all(name).flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).any(|element| {
        let opaque = element.strip_prefix(b"W/").unwrap_or(element);
        let is_tag = |tag: &&str| tag.strip_prefix("W/").map(str::as_bytes) == Some(opaque);
        !tags.is_empty() && element == b"*" || tags.iter().any(is_tag)
    })
}

#[cfg(test)]
mod tests;
