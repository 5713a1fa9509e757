//! The address that the page's `curl` lines call: that of the request, once it is certain to be one.
//!
//! `Host` comes from outside and is printed, so only a host name or an IP address with an optional port is accepted.
//! `Forwarded` and `X-Forwarded-Host` are not read, because no setting says whose may be trusted.

use std::net::Ipv6Addr;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::uri::Authority;

/// Printed when the request names no usable host.
const FALLBACK: &str = "localhost:8080";
/// The longest host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// A host with an optional port, safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host(String);

impl Host {
    /// That of the request with these headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(header::HOST);
        let only = match (sent.next(), sent.next()) {
            (Some(only), None) => only.to_str().ok(),
            _ => None,
        };
        Self(only.filter(|text| is_host(text)).unwrap_or(FALLBACK).to_owned())
    }

    /// The address to call.
    pub(super) fn base(&self) -> String {
        format!("http://{}", self.0)
    }
}

fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let host = authority.host();
    // Neither user information nor an empty port.
    let is_whole = match authority.port() {
        Some(port) => text == format!("{host}:{port}"),
        None => text == host,
    };
    is_whole
        && match host.strip_prefix('[').and_then(|address| address.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.len() <= MAX_NAME && host.split('.').all(is_label),
        }
}

/// Letters, digits and inner hyphens (RFC 1123 §2.1); the parts of an IPv4 address are such labels, too.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    fn printed(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::HOST, HeaderValue::from_bytes(value).unwrap());
        }
        Host::of(&headers).base()
    }

    #[test]
    fn hosts_are_printed_as_they_came() {
        for host in [
            "localhost",
            "127.0.0.1:8080",
            "Login.Example.DK",
            "a-b.example.dk:443",
            "xn--mller-kva.dk",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::1]:65535",
        ] {
            assert_eq!(printed(&[host.as_bytes()]), format!("http://{host}"));
        }
    }

    #[test]
    fn anything_else_is_replaced_by_the_fallback() {
        for host in [
            "",
            "a'b",
            "a\"b",
            "<script>",
            "a b",
            "a;id",
            "$(id)",
            "a/b",
            "user@a",
            "a:",
            ":80",
            "a:b",
            "a:123456",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[x]:80",
            "[fe80::1%25eth0]",
            "-a",
            "a-",
            "a..b",
            "a.",
            "a_b",
            "å.dk",
            "a\tb",
        ] {
            assert_eq!(printed(&[host.as_bytes()]), "http://localhost:8080", "{host}");
        }
        assert_eq!(printed(&[b"\xff"]), "http://localhost:8080");
        assert_eq!(printed(&["a".repeat(64).as_bytes()]), "http://localhost:8080");
        assert_eq!(printed(&[&b"a."[..].repeat(130)]), "http://localhost:8080");
        assert_eq!(printed(&[]), "http://localhost:8080");
        assert_eq!(printed(&[b"a", b"a"]), "http://localhost:8080");
    }

    proptest! {
        #[test]
        fn no_character_of_a_shell_or_of_html_is_printed(text in "\\PC{0,40}") {
            let printed = match HeaderValue::from_bytes(text.as_bytes()) {
                Ok(_) => printed(&[text.as_bytes()]),
                Err(_) => return Ok(()),
            };
            prop_assert!(printed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-[]".contains(&byte)));
        }
    }
}
