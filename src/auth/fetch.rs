//! Fetches a key set from its issuer: once, bounded in time, size and reach.
//!
//! Promises: only `https://`, or `http://` to this machine; redirects within the same origin only; no proxy from the
//! environment; one limit for connecting and one for the whole, name resolution and redirects included. Does not: check
//! the media type of an answer.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};
use url::{Host, Url};

use super::key_error::FetchError;
use super::keys::MAX_BYTES;
use crate::files;
use crate::strict_json::{Json, without_byte_order_mark};

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

impl FetchError {
    /// The issuer gave no answer.
    fn outage(reason: String, help: &'static str) -> Self {
        Self { reason, help, outage: true }
    }

    /// Its answer is of no use, or it must not be asked.
    fn wrong(reason: String, help: &'static str) -> Self {
        Self { reason, help, outage: false }
    }

    fn from_client(address: &Url, error: &ureq::Error) -> Self {
        let reason = format!("{address}: {}", error.to_string().escape_debug());
        // The handshake is part of the first read or write, so its errors come wrapped.
        let is_tls = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        match error {
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => Self::outage(reason, CHECK_TLS),
            ureq::Error::Io(error) if is_tls(error) => Self::outage(reason, CHECK_TLS),
            ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed => Self::outage(reason, CHECK_ISSUER),
            _ => Self::wrong(reason, CHECK_ANSWER),
        }
    }
}

/// How long a fetch may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connect: Duration,
    pub(super) whole: Duration,
}

/// Where a set is published.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Address(Url),
    /// In the OpenID configuration of this issuer.
    Issuer(String),
}

/// What a fetch brought; the duration is how long it stays fresh.
#[derive(Debug)]
pub(super) enum Fetched {
    /// The set is the accepted one.
    Unchanged(Option<Duration>),
    Text(Vec<u8>, Validators, Option<Duration>),
}

/// By what the issuer recognises the set (RFC 9110 §13.1).
#[derive(Debug, Clone)]
pub(super) struct Validators {
    address: Url,
    etag: Option<header::HeaderValue>,
    modified: Option<header::HeaderValue>,
}

pub(super) struct Fetcher {
    agent: Agent,
    target: Target,
    limits: Limits,
    accepted: Option<Validators>,
}

impl Fetcher {
    /// Fails when the target is out of reach by the rules, or the bundle of certificates cannot be read.
    pub(super) fn new(target: Target, ca_file: Option<&Path>, limits: Limits) -> Result<Self, FetchError> {
        match &target {
            Target::Address(address) => check_reach(address)?,
            Target::Issuer(issuer) => check_reach(&configuration_address(issuer)?)?,
        }
        let roots = match ca_file {
            Some(path) => roots_with(path)?,
            None => RootCerts::WebPki,
        };
        let agent = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(limits.connect))
            .timeout_resolve(Some(limits.connect))
            .max_response_header_size(32 * 1024)
            .max_idle_connections(0)
            .user_agent("virksomhedslogin")
            .build()
            .new_agent();
        Ok(Self { agent, target, limits, accepted: None })
    }

    /// The set with these validators is good: from now on it is fetched only when it has changed.
    pub(super) fn accept(&mut self, validators: Validators) {
        self.accepted = Some(validators);
    }

    pub(super) fn fetch(&self) -> Result<Fetched, FetchError> {
        let until = Instant::now() + self.limits.whole;
        let address = match &self.target {
            Target::Address(address) => address.clone(),
            Target::Issuer(issuer) => self.discover(issuer, until)?,
        };
        let on_condition = |known: &&Validators| known.etag.is_some() || known.modified.is_some();
        let known =
            self.accepted.as_ref().filter(|accepted| accepted.address == address).filter(on_condition);
        let mut response = self.get(&address, known, until)?;
        let lifetime = lifetime(response.headers());
        if response.status() == 304 && known.is_some() {
            return Ok(Fetched::Unchanged(lifetime));
        }
        let text = body(&mut response, &address)?;
        let stored = |name| response.headers().get(name).cloned();
        let (etag, modified) = (stored(header::ETAG), stored(header::LAST_MODIFIED));
        Ok(Fetched::Text(text, Validators { address, etag, modified }, lifetime))
    }

    /// OpenID Connect Discovery 1.0 §4: the configuration must name the very issuer that it was asked for.
    fn discover(&self, issuer: &str, until: Instant) -> Result<Url, FetchError> {
        let address = configuration_address(issuer)?;
        let text = body(&mut self.get(&address, None, until)?, &address)?;
        let wrong = |reason: &str| FetchError::wrong(format!("{address}: {reason}"), CHECK_CONFIGURATION);
        let configuration = Json::parse(without_byte_order_mark(&text)).map_err(|_| wrong("not JSON"))?;
        if configuration.duplicate().is_some() {
            return Err(wrong("a member occurs twice"));
        }
        let text = |name| configuration.member(name).and_then(Json::text);
        let named = text("issuer").ok_or_else(|| wrong("issuer is missing"))?;
        if named != issuer {
            return Err(other_issuer(&address, named, issuer));
        }
        let keys = text("jwks_uri").and_then(|uri| Url::parse(uri).ok());
        let keys = keys.ok_or_else(|| wrong("jwks_uri is missing or no address"))?;
        if address.scheme() == "https" && keys.scheme() != "https" {
            return Err(wrong("jwks_uri is not https"));
        }
        check_reach(&keys).map(|()| keys)
    }

    fn get(
        &self,
        address: &Url,
        known: Option<&Validators>,
        until: Instant,
    ) -> Result<Response<Body>, FetchError> {
        let mut at = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let mut request = self
                .agent
                .get(at.as_str())
                .header(header::ACCEPT, ACCEPT)
                .header(header::ACCEPT_ENCODING, ACCEPT_ENCODING);
            if let Some(etag) = known.and_then(|known| known.etag.as_ref()) {
                request = request.header(header::IF_NONE_MATCH, etag);
            }
            if let Some(modified) = known.and_then(|known| known.modified.as_ref()) {
                request = request.header(header::IF_MODIFIED_SINCE, modified);
            }
            let response = request
                .config()
                .timeout_global(Some(left))
                .build()
                .call()
                .map_err(|error| FetchError::from_client(&at, &error))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            at = match location.and_then(|location| at.join(location).ok()) {
                Some(next) if next.origin() == at.origin() => next,
                _ => {
                    let to = location.map_or_else(|| "nowhere".to_owned(), quoted);
                    let reason = format!("{at}: redirects to {to}, and only the same host is followed");
                    return Err(FetchError::wrong(reason, CHECK_ADDRESS));
                }
            };
        }
        Err(FetchError::wrong(format!("{address}: redirects more than {MAX_REDIRECTS} times"), CHECK_ADDRESS))
    }
}

/// A value from elsewhere, for a message: quoted, escaped, at most 200 characters.
fn quoted(value: &str) -> String {
    format!("{:?}", value.chars().take(200).collect::<String>())
}

/// Shows both names, since those that differ by a slash look alike.
fn other_issuer(address: &Url, named: &str, configured: &str) -> FetchError {
    let by_a_slash = named.trim_end_matches('/') == configured.trim_end_matches('/');
    let reason = format!(
        "{address}: its issuer is {}, and token.issuer is {}{}",
        quoted(named),
        quoted(configured),
        if by_a_slash { ": they differ by a slash at the end" } else { "" }
    );
    FetchError::wrong(reason, "write token.issuer exactly as the issuer does, since tokens name it so too")
}

/// Whether keys may be fetched from there.
fn check_reach(address: &Url) -> Result<(), FetchError> {
    match address.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(address) => Ok(()),
        _ => Err(FetchError::wrong(
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

fn configuration_address(issuer: &str) -> Result<Url, FetchError> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    Url::parse(&address).map_err(|_| {
        let reason = "the issuer is no address, so it has no OpenID configuration";
        FetchError::wrong(reason.to_owned(), CHECK_CONFIGURATION)
    })
}

/// The public roots and the bundle's own.
fn roots_with(path: &Path) -> Result<RootCerts, FetchError> {
    let error = |reason: String| {
        FetchError::wrong(
            format!("{}: {reason}", path.display()),
            "name a file with certificates in PEM in token.ca_file",
        )
    };
    let pem = files::read(path).map_err(|cause| error(cause.to_string()))?;
    let mut own = Vec::new();
    for item in parse_pem(without_byte_order_mark(&pem)) {
        if let PemItem::Certificate(certificate) = item.map_err(|cause| error(cause.to_string()))? {
            own.push(certificate);
        }
    }
    if own.is_empty() {
        return Err(error("holds no certificate".to_owned()));
    }
    let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|root| Certificate::from_der(root));
    Ok(RootCerts::from(own.into_iter().chain(public)))
}

/// The whole content of an answer, of at most 1 MiB once it is decoded.
fn body(response: &mut Response<Body>, address: &Url) -> Result<Vec<u8>, FetchError> {
    let status = response.status().as_u16();
    let wrong = |reason: String| FetchError::wrong(format!("{address}: {reason}"), CHECK_ANSWER);
    match status {
        200 => {}
        429 | 500.. => return Err(FetchError::outage(format!("{address}: answered {status}"), CHECK_ISSUER)),
        _ => return Err(FetchError::wrong(format!("{address}: answered {status}"), CHECK_ADDRESS)),
    }
    let codings: Vec<_> = response
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .map(|coding| String::from_utf8_lossy(coding.as_bytes()).to_ascii_lowercase())
        .collect();
    let coding = codings.join(", ");
    let limit = MAX_BYTES as u64;
    let text = response.body_mut().with_config().limit(limit).read_to_vec().map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => wrong("the answer is larger than 1 MiB".to_owned()),
        error => FetchError::from_client(address, &error),
    })?;
    match coding.as_str() {
        "" | "identity" => Ok(text),
        "gzip" | "x-gzip" => {
            let mut content = Vec::new();
            MultiGzDecoder::new(text.as_slice())
                .take(limit + 1)
                .read_to_end(&mut content)
                .map_err(|error| wrong(format!("is not the gzip that it says it is: {error}")))?;
            let fits = content.len() <= MAX_BYTES;
            fits.then_some(content).ok_or_else(|| wrong("the answer is larger than 1 MiB".to_owned()))
        }
        other => Err(wrong(format!("comes in the content coding {}", quoted(other)))),
    }
}

/// How long the answer says that it stays fresh (RFC 9111 §4.2.1), less the time that it has been under way.
fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let mut lifetime = None;
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => lifetime = Some(delta_seconds(value.trim().trim_matches('"'))),
            _ => {}
        }
    }
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0u64);
    lifetime.map(|seconds: u64| Duration::from_secs(seconds.saturating_sub(age)))
}

/// Seconds (RFC 9111 §1.2.2); more of them than can be counted are as many as can, and anything else is none.
fn delta_seconds(text: &str) -> u64 {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().unwrap_or(if is_number { u64::MAX } else { 0 })
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
