//! The compact form of a token (RFC 7515 §3.1), read strictly before any cryptography.
//!
//! Returns a header whose every rule holds, and the payload. Does not: check the claims or the signature, or read `jku`,
//! `x5u`, `jwk` and `x5c`, since keys come from the configured source alone. biscuit's own reading is not used, since it
//! ignores `crit` and `b64`.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::error::TokenError;
use super::rules::Rules;
use crate::strict_json;

/// Maximum bytes of a token.
const MAX_BYTES: usize = 16 * 1024;

pub(super) const MAX_KID_CHARACTERS: usize = 256;

/// A token that is well formed and nothing more: **its signature has not been checked**.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    /// The header's `alg`, one of the allow-list.
    pub(super) algorithm: Algorithm,
    /// The header's `kid`, for look-up only.
    pub(super) kid: Option<String>,
    /// The payload: an object, no name twice.
    pub(super) claims: Value,
    /// What the signature is over: the first two parts as they came.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

/// Rejects a token that is too long, before anything that costs time by the byte.
pub(super) fn check_length(token: &str) -> Result<(), TokenError> {
    if token.len() <= MAX_BYTES { Ok(()) } else { Err(TokenError::TooLong) }
}

/// Reads a token, of a length that was checked, whose `alg` and `typ` must be allowed.
pub(super) fn read<'a>(token: &'a str, rules: &Rules) -> Result<Compact<'a>, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotThreeParts)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::NotThreeParts)?;
    if payload.contains('.') {
        return Err(TokenError::NotThreeParts);
    }
    let (algorithm, kid) = read_header(&object(header, "header")?, rules)?;
    let claims = object(payload, "payload")?;
    let signature = decode(signature, "signature")?;
    if signature.is_empty() {
        return Err(TokenError::Unsigned);
    }
    Ok(Compact { algorithm, kid, claims, signed, signature })
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

fn read_header(header: &Value, rules: &Rules) -> Result<(Algorithm, Option<String>), TokenError> {
    let algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .and_then(|alg| alg.parse().ok())
        .filter(|algorithm| rules.algorithms.contains(algorithm))
        .ok_or(TokenError::Algorithm)?;
    if header.get("crit").is_some() {
        return Err(TokenError::Critical);
    }
    if header.get("b64").is_some() {
        return Err(TokenError::UnencodedPayload);
    }
    if !is_type_allowed(header.get("typ"), &rules.types) {
        return Err(TokenError::Type);
    }
    if header.get("cty").is_some_and(|cty| cty.as_str().is_none_or(is_nested_token)) {
        return Err(TokenError::ContentType);
    }
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.chars().count() <= MAX_KID_CHARACTERS => Some(kid.clone()),
        Some(_) => return Err(TokenError::KeyId),
    };
    Ok((algorithm, kid))
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
