//! Conditional requests (RFC 9110 §13): `If-None-Match` and `If-Match`.
//!
//! Tags are compared weakly (§8.8.3.2) in both. For `If-Match` the RFC says strongly, but every tag here is weak and none
//! would ever match; a client that sends one back means the state that it saw. Not by actix-web's typed headers, which drop
//! the whole header for one foreign tag that is not ASCII, and split tags at their commas.

use actix_web::http::header::{self, HeaderMap, HeaderName};

pub(crate) fn has_precondition(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH)
}

/// Whether `If-Match` is there and names no tag for which `is_present` holds. `None` is `*`: any state, if there is one.
pub(crate) fn if_match_fails(headers: &HeaderMap, is_present: impl Fn(Option<&str>) -> bool) -> bool {
    headers.contains_key(header::IF_MATCH) && !tags(headers, header::IF_MATCH).any(is_present)
}

/// Whether `If-None-Match` names the present state: a reader has it already, and a writer meets one that it does not want
/// (§13.1.2).
pub(crate) fn if_none_match_fails(headers: &HeaderMap, is_present: impl Fn(Option<&str>) -> bool) -> bool {
    tags(headers, header::IF_NONE_MATCH).any(is_present)
}

/// Whether this opaque part of an entity tag, or `*`, names the state with that one.
pub(crate) fn is(present: &str) -> impl Fn(Option<&str>) -> bool {
    move |tag| tag.is_none_or(|tag| tag == present)
}

/// The opaque part of each tag in the header, over all of its lines; `None` is `*`.
pub(crate) fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Option<&str>> {
    headers.get_all(name).flat_map(|line| elements(line.as_bytes())).filter_map(|element| match element {
        b"*" => Some(None),
        [b'"', tag @ .., b'"'] => std::str::from_utf8(tag).ok().map(Some),
        _ => None,
    })
}

/// The elements of one line up to the first that is none: `*`, or the opaque part (quotes included) of an entity tag.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !b" \t,".contains(byte))?;
        let opaque = rest[start..].strip_prefix(b"W/").unwrap_or(&rest[start..]);
        let length = match opaque.split_first()? {
            (b'*', _) => 1,
            (b'"', tag) => tag.iter().position(|byte| *byte == b'"')? + 2,
            _ => return None,
        };
        let (element, after) = opaque.split_at(length);
        rest = after.trim_ascii_start();
        (rest.is_empty() || rest.starts_with(b",")).then_some(element)
    })
}

#[cfg(test)]
mod tests;
