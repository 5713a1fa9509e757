//! Takes a connection string apart: a URI or `key=value` pairs → pairs of plain text.
//!
//! `tokio_postgres` could do it, but reads two things otherwise than PostgreSQL's own library, to a password's harm:
//! an `@` or a `/` that nobody percent-encoded makes a part of the password the name of the host or of the user, and
//! these are shown.

use std::str::Chars;

use super::AddressError;

/// One parameter.
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
    /// Whether the name can be shown: it looks like one, and cannot be a part of a password that ended too early.
    pub(super) is_surely_a_name: bool,
}

pub(super) fn pairs(text: &str) -> Result<Vec<Pair>, AddressError> {
    // A space at the end can be a part of an escaped value, and is left to the reader of those.
    let text = text.trim_start();
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.contains('\0') {
        return Err(AddressError::Form("it holds a zero byte"));
    }
    match text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
        Some(rest) => uri(rest.trim_end()),
        None => key_value(text),
    }
}

const UNESCAPED: &str = "an `@` that does not end the user and password: percent-encode `@` (%40), `/` (%2F), `?` \
                         (%3F), `&` (%26) and `%` (%25) in the user, the password and every value";

/// user:password@host:port,host:port/dbname?name=value&name=value
///
/// The query comes first in the answer, so that a parameter's number is its place there.
fn uri(rest: &str) -> Result<Vec<Pair>, AddressError> {
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if rest.contains('@') || authority.matches('@').count() > 1 {
        return Err(AddressError::Form(UNESCAPED));
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (credentials, hosts) = authority.split_once('@').unwrap_or(("", authority));
    let mut pairs: Vec<Pair> = Vec::new();
    for parameter in query.split('&').filter(|_| !query.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or(AddressError::Form("a parameter without `=`"))?;
        let after_password = pairs.iter().any(|pair| pair.name == "password");
        let name = decode(name)?;
        let is_surely_a_name = !after_password && looks_like_a_name(&name);
        pairs.push(Pair { name, value: decode(value)?, is_surely_a_name });
    }
    let mut push = |name: &str, value: String| {
        if !value.is_empty() {
            pairs.push(Pair { name: name.to_owned(), value, is_surely_a_name: true });
        }
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    push("user", decode(user)?);
    push("password", decode(password)?);
    let (hosts, ports) = places(hosts)?;
    push("host", hosts);
    push("port", ports);
    push("dbname", decode(path.strip_prefix('/').unwrap_or(path))?);
    Ok(pairs)
}

/// The hosts and the ports, each with commas between them; empty when none is given.
fn places(text: &str) -> Result<(String, String), AddressError> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for place in text.split(',') {
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(AddressError::Form("a `[` without its `]`"))?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) if port.contains(':') => {
                return Err(AddressError::Form("more than one `:` in a host: an IPv6 address stands in […]"));
            }
            Some(port) => port,
            None if port.is_empty() => port,
            None => return Err(AddressError::Form("only a port may follow a host in […]")),
        };
        hosts.push(decode(host)?);
        ports.push(decode(port)?);
    }
    let none = |all: &[String]| all.iter().all(String::is_empty);
    let hosts = if none(&hosts) { String::new() } else { hosts.join(",") };
    let ports = if none(&ports) { String::new() } else { ports.join(",") };
    Ok((hosts, ports))
}

/// name = value, name='value with \' and \\'
fn key_value(text: &str) -> Result<Vec<Pair>, AddressError> {
    let mut pairs = Vec::new();
    let mut rest = text;
    let mut after_bare_password = false;
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=').ok_or(AddressError::Form(
            "expected postgresql://… or name=value pairs with spaces between them; a value with spaces is quoted: \
             '…'",
        ))?;
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(AddressError::Form(
                "a name without `=`, or a `=` without a name; a value with spaces is quoted: '…'",
            ));
        }
        let value = value.trim_start();
        let (value, quoted, left) = match value.strip_prefix('\'') {
            Some(value) => {
                let mut characters = value.chars();
                let value = quoted_value(&mut characters)?;
                (value, true, characters.as_str())
            }
            None => {
                let mut characters = value.chars();
                (bare_value(&mut characters), false, characters.as_str())
            }
        };
        if !left.is_empty() && !left.starts_with(char::is_whitespace) {
            return Err(AddressError::Form(
                "no space after a closing quote; a quote within one is written \\'",
            ));
        }
        pairs.push(Pair {
            name: name.to_owned(),
            value,
            is_surely_a_name: !after_bare_password && looks_like_a_name(name),
        });
        after_bare_password |= name == "password" && !quoted;
        rest = left.trim_start();
    }
    Ok(pairs)
}

fn quoted_value(characters: &mut Chars<'_>) -> Result<String, AddressError> {
    let mut value = String::new();
    loop {
        match characters.next() {
            Some('\'') => return Ok(value),
            Some('\\') => value.extend(characters.next()),
            Some(character) => value.push(character),
            None => return Err(AddressError::Form("a quote `'` is not closed")),
        }
    }
}

/// Up to the next space.
fn bare_value(characters: &mut Chars<'_>) -> String {
    let mut value = String::new();
    while let Some(character) = characters.clone().next().filter(|next| !next.is_whitespace()) {
        characters.next();
        if character == '\\' { value.extend(characters.next()) } else { value.push(character) }
    }
    value
}

fn looks_like_a_name(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn decode(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let value = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(
            value.ok_or(AddressError::Form("a `%` without two hexadecimal digits: write %25 for `%`"))?,
        );
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(AddressError::Form("what is percent-encoded is not UTF-8, or holds a zero byte")),
    }
}

/// Percent-encodes all but letters, digits and `-._~`.
pub(super) fn encode(text: &str) -> String {
    encode_except(text, "-._~")
}

/// [`encode`], but leaves `/` as it is.
pub(super) fn encode_path(text: &str) -> String {
    encode_except(text, "-._~/")
}

fn encode_except(text: &str, plain: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let character = char::from(byte);
        if character.is_ascii_alphanumeric() || plain.contains(character) {
            encoded.push(character);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
