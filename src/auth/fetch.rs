//! Fetches a key set from its issuer: once, bounded in time, size and reach.
//!
//! Reach: `https://`, or `http://` to this machine only; a redirect is followed to the same origin and nowhere
//! else; proxies named in the environment are not used, so that no variable can turn the fetch elsewhere. Time:
//! one limit for connecting and one for the whole, name look-up and redirects included.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};
use url::{Host, Url};

use super::compact::member;
use super::keys::MAX_BYTES;
use crate::strict_json::Json;

/// The most redirects that one document is sought through.
const MAX_REDIRECTS: usize = 3;

/// How long a fetch may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connect: Duration,
    pub(super) whole: Duration,
}

/// Where a set is published.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// At this address.
    Address(Url),
    /// Where this issuer's OpenID configuration says.
    Issuer(String),
}

/// What a fetch brought.
#[derive(Debug)]
pub(super) enum Fetched {
    /// The set is the one last accepted.
    Unchanged(Option<Duration>),
    /// A set, to be judged.
    Text(Vec<u8>, Validators, Option<Duration>),
}

/// By what the issuer will know the set again (RFC 9110 §13.1).
#[derive(Debug, Clone)]
pub(super) struct Validators {
    address: Url,
    etag: Option<header::HeaderValue>,
    modified: Option<header::HeaderValue>,
}

/// Fetches one target again and again.
pub(super) struct Fetcher {
    agent: Agent,
    target: Target,
    limits: Limits,
    accepted: Option<Validators>,
}

impl Fetcher {
    /// Fails when the target may not be fetched from, or the bundle of certificates cannot be read.
    pub(super) fn new(target: Target, ca_file: Option<&Path>, limits: Limits) -> Result<Self, String> {
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

    /// The set that came with these validators is good: ask for it on condition from now on.
    pub(super) fn accept(&mut self, validators: Validators) {
        self.accepted = Some(validators);
    }

    /// Fetches once. The error is for a log line and holds nothing secret.
    pub(super) fn fetch(&self) -> Result<Fetched, String> {
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
    fn discover(&self, issuer: &str, until: Instant) -> Result<Url, String> {
        let address = configuration_address(issuer)?;
        let text = body(&mut self.get(&address, None, until)?, &address)?;
        let configuration = Json::parse(&text).map_err(|_| format!("{address}: not JSON"))?;
        if configuration.duplicate().is_some() {
            return Err(format!("{address}: a member stands twice"));
        }
        let text = |name| configuration.members().and_then(|all| member(all, name)).and_then(Json::text);
        if text("issuer") != Some(issuer) {
            return Err(format!("{address}: its issuer is not the configured one"));
        }
        let keys = text("jwks_uri").and_then(|uri| Url::parse(uri).ok());
        let keys = keys.ok_or_else(|| format!("{address}: jwks_uri is missing or no address"))?;
        if address.scheme() == "https" && keys.scheme() != "https" {
            return Err(format!("{address}: jwks_uri is not https"));
        }
        check_reach(&keys).map(|()| keys)
    }

    fn get(
        &self,
        address: &Url,
        known: Option<&Validators>,
        until: Instant,
    ) -> Result<Response<Body>, String> {
        let mut at = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let mut request = self.agent.get(at.as_str()).header(header::ACCEPT, "application/json");
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
                .map_err(|error| format!("{at}: {}", error.to_string().escape_debug()))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let next = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let next = next.and_then(|next| at.join(next).ok());
            at = match next {
                Some(next) if next.origin() == at.origin() => next,
                _ => return Err(format!("{at}: redirects to another host or nowhere")),
            };
        }
        Err(format!("{address}: redirects more than {MAX_REDIRECTS} times"))
    }
}

/// Whether keys may be fetched from there.
pub(super) fn check_reach(address: &Url) -> Result<(), String> {
    let this_machine = match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match address.scheme() {
        "https" => Ok(()),
        "http" if this_machine => Ok(()),
        _ => Err(format!("{address}: keys are fetched over https (or http from this machine) only")),
    }
}

fn configuration_address(issuer: &str) -> Result<Url, String> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    Url::parse(&address).map_err(|_| "the issuer is no address, so it has no OpenID configuration".to_owned())
}

/// The public roots and the bundle's own.
fn roots_with(path: &Path) -> Result<RootCerts, String> {
    let told = |reason: String| format!("{}: {reason}", path.display());
    let pem = fs::read(path).map_err(|error| told(error.to_string()))?;
    let mut own = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| told(error.to_string()))? {
            own.push(certificate);
        }
    }
    if own.is_empty() {
        return Err(told("holds no certificate".to_owned()));
    }
    let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|root| Certificate::from_der(root));
    Ok(RootCerts::from(own.into_iter().chain(public)))
}

fn body(response: &mut Response<Body>, address: &Url) -> Result<Vec<u8>, String> {
    if response.status() != 200 {
        return Err(format!("{address}: answered {}", response.status().as_u16()));
    }
    let limit = MAX_BYTES as u64;
    let read = response.body_mut().with_config().limit(limit).read_to_vec();
    read.map_err(|error| format!("{address}: {}", error.to_string().escape_debug()))
}

/// How long the answer says that it stays fresh (RFC 9111 §4.2.1), less the time that it has been under way.
fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let mut lifetime = None;
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => lifetime = Some(value.trim().trim_matches('"').parse().unwrap_or(0)),
            _ => {}
        }
    }
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0u64);
    lifetime.map(|seconds: u64| Duration::from_secs(seconds.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_over_https_or_from_this_machine_only() {
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
    fn cache_control_and_age_tell_how_long_a_set_is_fresh() {
        for (control, age, seconds) in [
            (None, None, None),
            (Some("public"), None, None),
            (Some("max-age=600"), None, Some(600)),
            (Some("public, MAX-AGE = \"60\" , must-revalidate"), None, Some(60)),
            (Some("max-age=600"), Some("100"), Some(500)),
            (Some("max-age=60"), Some("100"), Some(0)),
            (Some("max-age=-1"), None, Some(0)),
            (Some("max-age=99999999999999999999999"), None, Some(0)),
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
    fn the_configuration_of_an_issuer_is_found_with_and_without_a_slash() {
        for issuer in ["https://issuer.example/realm", "https://issuer.example/realm/"] {
            assert_eq!(
                configuration_address(issuer).unwrap().as_str(),
                "https://issuer.example/realm/.well-known/openid-configuration"
            );
        }
        assert!(configuration_address("an issuer").is_err());
    }
}
