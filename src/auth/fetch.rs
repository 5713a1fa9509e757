//! Fetches a key set from its issuer: once, bounded in time, size and reach.
//!
//! Promises: only `https://`, or `http://` to this machine; redirects within the same origin only; no proxy from the
//! environment; one limit for connecting and one for the whole, name resolution and redirects included. Does not: check
//! the media type of an answer.

use std::io::{self, Read};
use std::num::IntErrorKind;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{Certificate, TlsConfig};
use ureq::{Agent, Body};
use url::{Host, Url};

use super::key_error::KeyError;
use super::keys::MAX_BYTES;
use super::source::Remote;
use crate::strict_json::without_byte_order_mark;

/// Maximum redirects of one document.
const MAX_REDIRECTS: usize = 3;

/// Key sets have a type of their own (RFC 7517 §8.5.2), OpenID configurations have none, and files are often served as
/// text.
const ACCEPT: &str = "application/jwk-set+json, application/json, */*;q=0.1";

/// Sent always: without it a server may use any coding (RFC 9110 §12.5.3).
const ACCEPT_ENCODING: &str = "identity, gzip;q=0.5";

const CHECK_ISSUER: &str =
    "check that the issuer is up and that this machine may reach it (name service, firewall)";
const CHECK_TLS: &str = "name the authority that signed its certificate in token.ca_file; the certificate must be valid \
                         now and for this host";
const CHECK_ADDRESS: &str = "correct token.jwks, or token.issuer for discover";
const CHECK_CONFIGURATION: &str = "correct token.issuer, or name the address of the keys in token.jwks";
const CHECK_ANSWER: &str =
    "the issuer must answer with the key set as plain or gzip-coded JSON of at most 1 MiB";

/// The issuer gave no answer.
fn outage(reason: String, help: &'static str) -> KeyError {
    KeyError::Fetch { reason, help, outage: true }
}

/// Its answer is of no use, or it must not be asked.
fn wrong(reason: String, help: &'static str) -> KeyError {
    KeyError::Fetch { reason, help, outage: false }
}

fn from_client(address: &Url, error: &ureq::Error) -> KeyError {
    let reason = format!("{address}: {}", error.to_string().escape_debug());
    // The handshake is part of the first read or write, so its errors come wrapped.
    let is_tls = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => outage(reason, CHECK_TLS),
        ureq::Error::Io(error) if is_tls(error) => outage(reason, CHECK_TLS),
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed => outage(reason, CHECK_ISSUER),
        _ => wrong(reason, CHECK_ANSWER),
    }
}

/// Where the keys are published, by the OpenID configuration of an issuer.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

pub(super) struct Fetcher {
    agent: Agent,
    address: Option<Url>,
    issuer: String,
    limit: Duration,
    /// The address of the set that was accepted last, and the conditions under which it is sent again (RFC 9110 §13.1).
    accepted: Option<(Url, HeaderMap)>,
}

impl Fetcher {
    /// Fails when the address is out of reach by the rules. A fetch ends within `limit`.
    pub(super) fn new(remote: &Remote, issuer: &str, limit: Duration) -> Result<Self, KeyError> {
        check_reach(&remote.address.clone().map_or_else(|| configuration_address(issuer), Ok)?)?;
        let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let roots = public.chain(&remote.authorities).map(|root| Certificate::from_der(root).to_owned());
        let connect = limit * 2 / 5;
        let agent = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots.collect::<Vec<_>>().into()).build())
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(connect))
            .timeout_resolve(Some(connect))
            .max_response_header_size(32 * 1024)
            .max_idle_connections(0)
            .user_agent("virksomhedslogin")
            .build()
            .new_agent();
        let (address, issuer) = (remote.address.clone(), issuer.to_owned());
        Ok(Self { agent, address, issuer, limit, accepted: None })
    }

    /// Passes on the text of the set, or `None` when it is the one that was accepted last; the duration is how long it stays
    /// fresh.
    pub(super) fn fetch<T>(
        &mut self,
        accept: impl FnOnce(Option<Vec<u8>>) -> Result<T, KeyError>,
    ) -> Result<(T, Option<Duration>), KeyError> {
        let until = Instant::now() + self.limit;
        let address = self.address.clone().map_or_else(|| self.discover(until), Ok)?;
        let known = self.accepted.as_ref().filter(|(known, _)| *known == address);
        let conditions = known.map(|(_, conditions)| conditions.clone()).unwrap_or_default();
        let mut response = self.get(&address, &conditions, until)?;
        let lifetime = lifetime(response.headers());
        if response.status() == 304 && !conditions.is_empty() {
            return Ok((accept(None)?, lifetime));
        }
        let outcome = accept(Some(body(&mut response, &address)?))?;
        let validators =
            [(header::IF_NONE_MATCH, header::ETAG), (header::IF_MODIFIED_SINCE, header::LAST_MODIFIED)];
        let conditions =
            validators.into_iter().filter_map(|(name, of)| Some((name, response.headers().get(of)?.clone())));
        self.accepted = Some((address, conditions.collect()));
        Ok((outcome, lifetime))
    }

    /// OpenID Connect Discovery 1.0 §4: the configuration must name the very issuer that it was asked for.
    fn discover(&self, until: Instant) -> Result<Url, KeyError> {
        let address = configuration_address(&self.issuer)?;
        let text = body(&mut self.get(&address, &HeaderMap::new(), until)?, &address)?;
        let wrong = |reason: &str| wrong(format!("{address}: {reason}"), CHECK_CONFIGURATION);
        let configuration: Configuration = serde_json::from_slice(without_byte_order_mark(&text))
            .map_err(|error| wrong(&format!("is no OpenID configuration: {}", quoted(&error.to_string()))))?;
        if configuration.issuer != self.issuer {
            return Err(other_issuer(&address, &configuration.issuer, &self.issuer));
        }
        let keys = Url::parse(&configuration.jwks_uri).map_err(|_| wrong("jwks_uri is no address"))?;
        if address.scheme() == "https" && keys.scheme() != "https" {
            return Err(wrong("jwks_uri is not https"));
        }
        check_reach(&keys).map(|()| keys)
    }

    fn get(&self, address: &Url, more: &HeaderMap, until: Instant) -> Result<Response<Body>, KeyError> {
        let mut at = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let mut request = self
                .agent
                .get(at.as_str())
                .header(header::ACCEPT, ACCEPT)
                .header(header::ACCEPT_ENCODING, ACCEPT_ENCODING);
            for (name, value) in more {
                request = request.header(name, value);
            }
            let request = request.config().timeout_global(Some(left)).build();
            let response = request.call().map_err(|error| from_client(&at, &error))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            at = match location.and_then(|location| at.join(location).ok()) {
                Some(next) if next.origin() == at.origin() => next,
                _ => {
                    let to = location.map_or_else(|| "nowhere".to_owned(), quoted);
                    let reason = format!("{at}: redirects to {to}, and only the same host is followed");
                    return Err(wrong(reason, CHECK_ADDRESS));
                }
            };
        }
        Err(wrong(format!("{address}: redirects more than {MAX_REDIRECTS} times"), CHECK_ADDRESS))
    }
}

/// A value from elsewhere, for a message: quoted, escaped, at most 200 characters.
fn quoted(value: &str) -> String {
    format!("{:?}", value.chars().take(200).collect::<String>())
}

/// Shows both names, since those that differ by a slash look alike.
fn other_issuer(address: &Url, named: &str, configured: &str) -> KeyError {
    let by_a_slash = named.trim_end_matches('/') == configured.trim_end_matches('/');
    let reason = format!(
        "{address}: its issuer is {}, and token.issuer is {}{}",
        quoted(named),
        quoted(configured),
        if by_a_slash { ": they differ by a slash at the end" } else { "" }
    );
    wrong(reason, "write token.issuer exactly as the issuer does, since tokens name it so too")
}

/// Whether keys may be fetched from there.
fn check_reach(address: &Url) -> Result<(), KeyError> {
    match address.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(address) => Ok(()),
        _ => Err(wrong(
            format!("{address}: keys are fetched over https (or http from this machine) only"),
            CHECK_ADDRESS,
        )),
    }
}

/// Whether the address is that of this machine, without resolving a name.
pub(crate) fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn configuration_address(issuer: &str) -> Result<Url, KeyError> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    Url::parse(&address).map_err(|_| {
        let reason = "the issuer is no address, so it has no OpenID configuration";
        wrong(reason.to_owned(), CHECK_CONFIGURATION)
    })
}

/// The whole content of an answer, of at most 1 MiB once it is decoded.
fn body(response: &mut Response<Body>, address: &Url) -> Result<Vec<u8>, KeyError> {
    let wrong_answer = |reason: &str| wrong(format!("{address}: {reason}"), CHECK_ANSWER);
    let status = response.status().as_u16();
    match status {
        200 => {}
        429 | 500.. => return Err(outage(format!("{address}: answered {status}"), CHECK_ISSUER)),
        _ => return Err(wrong(format!("{address}: answered {status}"), CHECK_ADDRESS)),
    }
    let codings = response.headers().get_all(header::CONTENT_ENCODING).iter();
    let codings: Vec<_> = codings.map(|coding| String::from_utf8_lossy(coding.as_bytes())).collect();
    let coding = codings.join(", ").to_ascii_lowercase();
    let limit = MAX_BYTES as u64;
    let read = response.body_mut().with_config().limit(limit).read_to_vec();
    let mut content = match read {
        Err(ureq::Error::BodyExceedsLimit(_)) => return Err(wrong_answer("the answer is larger than 1 MiB")),
        read => read.map_err(|error| from_client(address, &error))?,
    };
    match coding.as_str() {
        "" | "identity" => {}
        "gzip" | "x-gzip" => {
            let coded = std::mem::take(&mut content);
            let mut decoder = MultiGzDecoder::new(coded.as_slice()).take(limit + 1);
            decoder
                .read_to_end(&mut content)
                .map_err(|error| wrong_answer(&format!("is not the gzip that it says it is: {error}")))?;
        }
        other => return Err(wrong_answer(&format!("comes in the content coding {}", quoted(other)))),
    }
    let fits = content.len() <= MAX_BYTES;
    fits.then_some(content).ok_or_else(|| wrong_answer("the answer is larger than 1 MiB"))
}

/// How long the answer says that it stays fresh (RFC 9111 §4.2.1), less the time that it has been under way.
fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let mut lifetime = None;
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => {
                // More seconds than can be counted are as many as can, and anything else that is no number is none.
                let seconds: Result<u64, _> = value.trim().trim_matches('"').parse();
                lifetime = Some(seconds.unwrap_or_else(|error| match error.kind() {
                    IntErrorKind::PosOverflow => u64::MAX,
                    _ => 0,
                }));
            }
            _ => {}
        }
    }
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0u64);
    lifetime.map(|seconds| Duration::from_secs(seconds.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for (address, reached) in [
            ("https://issuer.example/keys", true),
            ("http://127.0.0.1:1/keys", true),
            ("http://127.9.9.9/keys", true),
            ("http://[::1]:1/keys", true),
            ("http://localhost/keys", true),
            ("http://issuer.example/keys", false),
            ("http://localhost.example/keys", false),
            ("http://127.0.0.1.example/keys", false),
            ("http://10.0.0.1/keys", false),
            ("http://0.0.0.0/keys", false),
            ("file:///etc/keys", false),
            ("ftp://127.0.0.1/keys", false),
        ] {
            assert_eq!(check_reach(&Url::parse(address).unwrap()).is_ok(), reached, "{address}");
        }
    }

    #[test]
    fn freshness_follows_cache_control_and_age() {
        for (control, age, seconds) in [
            (None, None, None),
            (Some("public"), None, None),
            (Some("max-age=600"), None, Some(600)),
            (Some("public, MAX-AGE = \"60\" , must-revalidate"), None, Some(60)),
            (Some("max-age=600"), Some("100"), Some(500)),
            (Some("max-age=60"), Some("100"), Some(0)),
            (Some("max-age=-1"), None, Some(0)),
            (Some("max-age=99999999999999999999999"), None, Some(u64::MAX)),
            (Some("max-age="), None, Some(0)),
            (Some("max-age=1e9"), None, Some(0)),
            (Some("no-store"), None, Some(0)),
            (Some("max-age=600, no-cache"), None, Some(0)),
            (Some("s-maxage=5"), None, None),
        ] {
            let mut headers = HeaderMap::new();
            control.map(|value| headers.insert(header::CACHE_CONTROL, value.parse().unwrap()));
            age.map(|value| headers.insert(header::AGE, value.parse().unwrap()));
            assert_eq!(lifetime(&headers), seconds.map(Duration::from_secs), "{control:?} {age:?}");
        }
    }

    #[test]
    fn configuration_is_found_with_and_without_a_slash() {
        for issuer in ["https://issuer.example/realm", "https://issuer.example/realm/"] {
            assert_eq!(
                configuration_address(issuer).unwrap().as_str(),
                "https://issuer.example/realm/.well-known/openid-configuration"
            );
        }
        assert!(configuration_address("an issuer").is_err());
    }
}
