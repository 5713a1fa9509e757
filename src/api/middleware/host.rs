//! The host that a request is for: one that is none is a 400 on every path of either listener (RFC 9112 §3.2).
//!
//! Checked before the token, as the HTTP parser's rules are, so that what reads `Host` later (the documentation) finds a host.

use std::net::Ipv6Addr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::uri::{Scheme, Uri};

use crate::api::problem::{FieldError, Problem};

/// The longest host name, with a dot behind (RFC 1035 §2.3.4).
const MAX_NAME: usize = 254;

/// Lets through what is for a host, or names none. The host of a target in absolute form takes the place of `Host` (RFC
/// 9112 §3.2.2).
pub(super) fn check(request: &mut ServiceRequest) -> Result<(), Problem> {
    let sent = request.headers().get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let target = in_target(request.uri());
    if !(sent.is_empty() || str::from_utf8(sent).is_ok_and(is_host)) || target.is_err() {
        let error =
            FieldError::new("Host", "Skal være ét værtsnavn eller én IP-adresse, eventuelt med port.");
        return Err(Problem::bad_request(vec![error]));
    }
    if let Ok(Some(host)) = target {
        request.headers_mut().insert(header::HOST, host);
    }
    Ok(())
}

/// The host in a target in absolute form, if it is one; an error when that is no address of the web.
fn in_target(target: &Uri) -> Result<Option<HeaderValue>, ()> {
    let (Some(scheme), Some(authority)) = (target.scheme(), target.authority()) else { return Ok(None) };
    if !(scheme == &Scheme::HTTP || scheme == &Scheme::HTTPS) || !is_host(authority.as_str()) {
        return Err(());
    }
    HeaderValue::from_str(authority.as_str()).map(Some).map_err(drop)
}

/// Whether this is a host name or an IP address, with or without a port.
///
/// Names are of letters, digits and `-._~`. RFC 3986 §3.2.2 has more (`%`, `,`, `$` …) that no resolver knows, and that
/// another program could read as two hosts.
pub(super) fn is_host(text: &str) -> bool {
    let (is_host, rest) = match text.strip_prefix('[').map(|literal| literal.split_once(']')) {
        Some(Some((address, rest))) => (address.parse::<Ipv6Addr>().is_ok(), rest),
        Some(None) => return false,
        None => {
            let (name, rest) =
                text.split_at(text.bytes().position(|byte| byte == b':').unwrap_or(text.len()));
            (is_name(name), rest)
        }
    };
    is_host && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_letter)
}

/// A port may be left out behind its colon (RFC 3986 §3.2.3).
fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && (text.is_empty() || text.parse::<u16>().is_ok())
}
