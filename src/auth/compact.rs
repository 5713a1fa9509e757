//! The compact form of a token (RFC 7515 §3.1), read strictly before any cryptography.
//!
//! Returns a header whose every rule holds, and the payload. Does not: check the claims or the signature, or read `jku`,
//! `x5u`, `jwk` and `x5c`, since keys come from the configured source alone. biscuit's own reading is not used, since it
//! ignores `crit` and `b64`.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::error::{TokenError, shown};
use super::findings::Findings;
use super::rules::Rules;
use crate::strict_json;

/// Maximum bytes of a token.
const MAX_BYTES: usize = 16 * 1024;

const MAX_KID_CHARACTERS: usize = 256;

/// A token that is well formed and nothing more: **its signature has not been checked**.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    pub(super) header: Value,
    /// The header's `alg`, if it is on the allow-list.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) key_names: KeyNames,
    /// The payload: an object, no name twice.
    pub(super) claims: Value,
    /// What the signature is over: the first two parts as they came.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

/// What names a key, in a token's header and in a JWK; for look-up only.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyNames {
    pub(super) kid: Option<String>,
    /// `x5t#S256` and `x5t`. Of a token without `kid` only: with one they are not looked at.
    pub(super) thumbprints: [Option<String>; 2],
}

/// The members of [`KeyNames::thumbprints`].
pub(super) const THUMBPRINTS: [&str; 2] = ["x5t#S256", "x5t"];

/// Rejects a token that is too long, before anything that costs time by the byte.
pub(super) fn check_length(token: &str) -> Result<(), TokenError> {
    if token.len() <= MAX_BYTES { Ok(()) } else { Err(TokenError::TooLong) }
}

/// Reads a token, of a length that was checked, whose `alg` and `typ` must be allowed. A part that cannot be read is null
/// or empty, where the finding does not stop it.
pub(super) fn read<'a>(
    token: &'a str,
    rules: &Rules,
    found: &mut impl Findings<TokenError>,
) -> Result<Compact<'a>, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotThreeParts)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::NotThreeParts)?;
    if payload.contains('.') {
        return Err(TokenError::NotThreeParts);
    }
    let header = found.recover(object(header, "header"))?;
    let (algorithm, key_names) =
        if header.is_null() { Default::default() } else { read_header(&header, rules, found)? };
    let claims = found.recover(object(payload, "payload"))?;
    let signature = found.recover(decode(signature, "signature").and_then(|signature| {
        if signature.is_empty() { Err(TokenError::Unsigned) } else { Ok(signature) }
    }))?;
    Ok(Compact { header, algorithm, key_names, claims, signed, signature })
}

fn decode(text: &str, part: &'static str) -> Result<Vec<u8>, TokenError> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| TokenError::NotBase64(part))
}

fn object(text: &str, part: &'static str) -> Result<Value, TokenError> {
    match strict_json::parse(&decode(text, part)?) {
        Ok(json) if json.is_object() => Ok(json),
        Ok(_) => Err(TokenError::NotAnObject(part)),
        Err(error) if error.is_data() => Err(TokenError::Duplicate(part)),
        Err(_) => Err(TokenError::NotJson(part)),
    }
}

fn read_header(
    header: &Value,
    rules: &Rules,
    found: &mut impl Findings<TokenError>,
) -> Result<(Option<Algorithm>, KeyNames), TokenError> {
    let alg = header.get("alg");
    let algorithm = alg
        .and_then(Value::as_str)
        .and_then(|alg| alg.parse().ok())
        .filter(|algorithm| rules.algorithms.contains(algorithm));
    if algorithm.is_none() {
        found.report(TokenError::Algorithm(shown(alg)))?;
    }
    if header.get("crit").is_some() {
        found.report(TokenError::Critical)?;
    }
    if header.get("b64").is_some() {
        found.report(TokenError::UnencodedPayload)?;
    }
    if !is_type_allowed(header.get("typ"), &rules.types) {
        found.report(TokenError::Type)?;
    }
    if header.get("cty").is_some_and(|cty| cty.as_str().is_none_or(is_nested_token)) {
        found.report(TokenError::ContentType)?;
    }
    let kid = found.recover(key_name(header, "kid").ok_or(TokenError::KeyId))?;
    let mut names = KeyNames { kid, ..KeyNames::default() };
    if names.kid.is_none() {
        for (name, thumbprint) in THUMBPRINTS.into_iter().zip(&mut names.thumbprints) {
            *thumbprint = found.recover(key_name(header, name).ok_or(TokenError::Thumbprint))?;
        }
    }
    Ok((algorithm, names))
}

/// A name of a key in a header or JWK, or that there is none; nothing for one that is no string or too long.
pub(super) fn key_name(json: &Value, member: &str) -> Option<Option<String>> {
    match json.get(member) {
        None => Some(None),
        Some(Value::String(name)) if name.chars().count() <= MAX_KID_CHARACTERS => Some(Some(name.clone())),
        Some(_) => None,
    }
}

/// Whether this `typ`, or the lack of one, is among the allowed ones. One that is there and empty is none of them.
fn is_type_allowed(typ: Option<&Value>, allowed: &[String]) -> bool {
    let Some(typ) = typ else { return allowed.iter().any(String::is_empty) };
    typ.as_str().map(media_type).is_some_and(|typ| !typ.is_empty() && allowed.contains(&typ))
}

/// RFC 7519 §5.2.
fn is_nested_token(cty: &str) -> bool {
    media_type(cty) == "jwt"
}

/// A media type as it is compared: in lower case, and without the `application/` that may be left out (RFC 7515 §4.1.9).
fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower)
}
