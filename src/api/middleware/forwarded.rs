//! Who sent a request, and to which address, as the proxies say that passed it on (RFC 7239, or `X-Forwarded-…`).
//!
//! Only what a trusted peer sent is read, from the right, where the nearest proxy wrote. The caller is the first hop that is
//! not a trusted proxy itself; left of it, and of a hop that is no address, anyone may have written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::HttpRequest;
use actix_web::http::header::{
    FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO,
};

use super::host::is_host;
use crate::api::state::ApiState;
use crate::audit::Peer;

const SCHEMES: [&str; 2] = ["http", "https"];

/// The sender of a request, as far as it is known.
pub(crate) struct Sender<'a> {
    pub(crate) remote: Peer,
    /// The scheme that it used, when a proxy says so.
    pub(crate) scheme: Option<&'static str>,
    /// The host that it asked for, when a proxy says so.
    pub(crate) host: Option<&'a str>,
}

impl<'a> Sender<'a> {
    /// Without the API's state, on the management listener, no peer is trusted.
    pub(crate) fn of(request: &'a HttpRequest, api: Option<&ApiState>) -> Self {
        let mut sender = Self { remote: peer(request), scheme: None, host: None };
        let Some(proxies) =
            api.map(|api| &api.trusted_proxies).filter(|proxies| proxies.trust(sender.remote.0))
        else {
            return sender;
        };
        let headers = request.headers();
        // Whether a hop further left is to be believed.
        let mut goes_on = |hop: Option<IpAddr>| {
            sender.remote = hop.map_or(sender.remote, |hop| Peer(Some(hop)));
            hop.is_some_and(|hop| proxies.trust(Some(hop)))
        };
        if headers.contains_key(FORWARDED) {
            for hop in values(headers, &FORWARDED).filter(|element| !element.is_empty()).map_while(Hop::read)
            {
                let address = hop.address.and_then(address);
                // A hop without an address may still say the rest.
                let known = if address.is_some() { (None, None) } else { (sender.scheme, sender.host) };
                sender.scheme = hop.scheme.and_then(scheme).or(known.0);
                sender.host = hop.host.filter(|host| is_host(host)).or(known.1);
                if !goes_on(address) {
                    break;
                }
            }
        } else {
            let _ =
                values(headers, &X_FORWARDED_FOR).map(address).try_for_each(|hop| goes_on(hop).then_some(()));
            sender.scheme = values(headers, &X_FORWARDED_PROTO).next().and_then(scheme);
            sender.host = values(headers, &X_FORWARDED_HOST).next().filter(|host| is_host(host));
        }
        sender
    }
}

/// The other end of the connection.
pub(crate) fn peer(request: &HttpRequest) -> Peer {
    Peer(request.peer_addr().map(|address| address.ip()))
}

/// The values of a list, of which several lines are one, from the right: quotes that a client left open to the left cannot
/// change what a proxy appended.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    // What is no text is no address, host or scheme either.
    let lines = headers.get_all(name).rev().map(|line| line.to_str().unwrap_or("?"));
    lines.flat_map(|line| line.rsplit(unquoted(',')).map(str::trim))
}

/// Whether a character is this separator, and between no quotes.
fn unquoted(separator: char) -> impl FnMut(char) -> bool {
    let mut is_quoted = false;
    move |character| {
        is_quoted ^= character == '"';
        character == separator && !is_quoted
    }
}

/// What an element of `Forwarded` says.
#[derive(Default)]
struct Hop<'a> {
    address: Option<&'a str>,
    scheme: Option<&'a str>,
    host: Option<&'a str>,
}

impl<'a> Hop<'a> {
    /// `None` when the element is malformed or says something twice.
    fn read(element: &'a str) -> Option<Self> {
        let mut hop = Self::default();
        for pair in element.split(unquoted(';')).map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"')?,
                None => value,
            };
            // No address, host or scheme has one that is escaped.
            if value.contains('"') {
                return None;
            }
            let said = match name.to_ascii_lowercase().as_str() {
                "for" => &mut hop.address,
                "proto" => &mut hop.scheme,
                "host" => &mut hop.host,
                _ => continue,
            };
            if said.replace(value).is_some() {
                return None;
            }
        }
        Some(hop)
    }
}

/// An IP address, with or without a port, which may be obfuscated (RFC 7239 §6).
fn address(node: &str) -> Option<IpAddr> {
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = match node.strip_prefix('[') {
        Some(literal) => {
            let (address, rest) = literal.split_once(']')?;
            (
                IpAddr::from(address.parse::<Ipv6Addr>().ok()?),
                rest.strip_prefix(':').or(rest.is_empty().then_some("0"))?,
            )
        }
        None => {
            let (address, port) = node.split_once(':')?;
            (IpAddr::from(address.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    let is_port = match port.strip_prefix('_') {
        Some(name) => !name.is_empty(),
        None => port.parse::<u16>().is_ok(),
    };
    is_port.then(|| address.to_canonical())
}

fn scheme(text: &str) -> Option<&'static str> {
    SCHEMES.into_iter().find(|known| text.eq_ignore_ascii_case(known))
}
