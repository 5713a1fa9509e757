//! The address that the page's `curl` lines call: that of the request, once it is sure to be one.
//!
//! `Host` comes from outside and is printed, so only what cannot be anything but a host name or an IP address with an
//! optional port is taken. `Forwarded` and `X-Forwarded-Host` are not read: there is no setting that says from whom
//! they may be believed.

use std::net::Ipv6Addr;

use actix_web::http::header::{self, HeaderMap};

/// What is printed when the request names no usable host.
const FALLBACK: &str = "localhost:8080";
/// The longest host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// A host with an optional port, safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host(String);

impl Host {
    /// That of the request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(header::HOST);
        let only = match (sent.next(), sent.next()) {
            (Some(only), None) => only.to_str().ok(),
            _ => None,
        };
        Self(only.filter(|text| is_host(text)).unwrap_or(FALLBACK).to_owned())
    }

    /// The address to call.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.0)
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => return address.parse::<Ipv6Addr>().is_ok(),
        Some((address, after)) => {
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            ("", after.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => return is_name(text),
        },
    };
    let is_port = port
        .is_some_and(|port| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()));
    is_port && (host.is_empty() == text.starts_with('[')) && (host.is_empty() || is_name(host))
}

/// Labels of letters, digits and inner hyphens (RFC 1123 §2.1); IPv4 addresses are such names too.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= MAX_NAME && text.split('.').all(is_label)
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
    fn everything_else_is_not_printed() {
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
        fn nothing_that_a_shell_or_a_page_would_read_is_printed(text in "\\PC{0,40}") {
            let printed = match HeaderValue::from_bytes(text.as_bytes()) {
                Ok(_) => printed(&[text.as_bytes()]),
                Err(_) => return Ok(()),
            };
            prop_assert!(printed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-[]".contains(&byte)));
        }
    }
}
