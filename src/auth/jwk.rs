//! One JWK (RFC 7517) → a key that is bound to the algorithms it serves, or the reason why it is skipped.
//!
//! Each is read alone, so that one that cannot be used does not spoil the good ones; biscuit's own `JWKSet` is not used,
//! since it is all or nothing and makes an HMAC secret of `oct`.

use std::fmt;

use biscuit::jws::Secret;
use data_encoding::BASE64URL_NOPAD;
use num_bigint::BigUint;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::algorithm::{Algorithm, KeyKind};
use super::compact::MAX_KID_CHARACTERS;
use super::strength;
use crate::strict_json::Json;

/// Members that only a private or symmetric key has (RFC 7518 §6), which publishing has disclosed.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key, prepared, and bound to the algorithms that it serves.
pub(super) struct Key {
    /// Index in `keys`, from 1.
    position: usize,
    pub(super) kid: Option<String>,
    algorithms: Vec<Algorithm>,
    kind: KeyKind,
    material: Material,
}

enum Material {
    Biscuit(Secret),
    Ed25519([u8; 32]),
}

impl Material {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ed25519(one), Self::Ed25519(other)) => one == other,
            (Self::Biscuit(Secret::PublicKey(one)), Self::Biscuit(Secret::PublicKey(other))) => one == other,
            (
                Self::Biscuit(Secret::RSAModulusExponent { n, e }),
                Self::Biscuit(Secret::RSAModulusExponent { n: other_n, e: other_e }),
            ) => n == other_n && e == other_e,
            _ => false,
        }
    }
}

/// A JWK that is not used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SkippedKey {
    /// Index in `keys`, from 1.
    pub position: usize,
    /// Its `kid` when that is a string, shortened and escaped for a log line.
    pub kid: Option<String>,
    pub reason: &'static str,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key {}", self.position)?;
        if let Some(kid) = &self.kid {
            write!(formatter, " (kid {kid})")?;
        }
        write!(formatter, " is skipped: {}", self.reason)
    }
}

impl Key {
    /// Reads the JWK at this position, for the algorithms that are allowed.
    pub(super) fn read(position: usize, jwk: &Json, allowed: &[Algorithm]) -> Result<Self, SkippedKey> {
        Self::check(position, jwk, allowed).map_err(|reason| SkippedKey {
            position,
            kid: jwk.member("kid").and_then(Json::text).map(for_a_log),
            reason,
        })
    }

    fn check(position: usize, jwk: &Json, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        if !matches!(jwk, Json::Object(_)) {
            return Err("it is not a JSON object");
        }
        if jwk.duplicate().is_some() {
            return Err("a member occurs twice");
        }
        let kid = match jwk.member("kid") {
            None => None,
            Some(Json::Text(kid)) if kid.chars().count() <= MAX_KID_CHARACTERS => Some(kid.clone()),
            Some(_) => return Err("the kid is not a string of at most 256 characters"),
        };
        let kty = jwk.member("kty").and_then(Json::text).ok_or("the kty is missing or not a string")?;
        if kty == "oct" {
            return Err("a symmetric key has no place in a published set");
        }
        if PRIVATE_MEMBERS.iter().any(|name| jwk.member(name).is_some()) {
            return Err("it has private members");
        }
        check_use(jwk)?;
        let (kind, material) = match kty {
            "RSA" => read_rsa(jwk)?,
            "EC" => read_curve(jwk)?,
            "OKP" => read_ed25519(jwk)?,
            _ => return Err("the kty is not supported"),
        };
        let algorithms = read_algorithms(jwk, kind, allowed)?;
        Ok(Self { position, kid, algorithms, kind, material })
    }

    /// Whether the other is this key, published again under the same name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid && self.kind == other.kind && self.material.is_same(&other.material)
    }

    /// Serves the algorithms of its duplicate too.
    pub(super) fn serve_as(&mut self, duplicate: &Self) {
        let more =
            duplicate.algorithms.iter().copied().filter(|algorithm| !self.algorithms.contains(algorithm));
        self.algorithms.extend(more.collect::<Vec<_>>());
    }

    /// The warning that another key makes tokens for this one ambiguous.
    pub(super) fn ambiguity(&self, all: &[Self]) -> Option<String> {
        let mut rivals = all.iter().filter(|other| {
            other.position != self.position
                && other.algorithms.iter().any(|algorithm| self.algorithms.contains(algorithm))
        });
        let position = self.position;
        match &self.kid {
            Some(kid) => {
                let first = rivals.find(|other| other.kid.as_ref() == Some(kid))?.position;
                // Reported once, with the first of them.
                (first < position).then(|| {
                    format!(
                        "keys {first} and {position} have the same kid ({}) and serve the same algorithm: tokens that \
                         name it are rejected; each key needs a kid of its own",
                        for_a_log(kid)
                    )
                })
            }
            None => {
                let rival = rivals.next()?.position;
                Some(format!(
                    "key {position} has no kid, and key {rival} serves the same algorithm: no token can mean it; each \
                     key needs a kid of its own"
                ))
            }
        }
    }

    pub(super) fn serves(&self, algorithm: Algorithm) -> bool {
        self.kind == algorithm.key_kind() && self.algorithms.contains(&algorithm)
    }

    /// Whether the signature over the text is this key's, by an algorithm that it serves.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        // biscuit panics when a key meets an algorithm of another kind; `serves` has ruled that out.
        self.serves(algorithm)
            && match (&self.material, algorithm.in_biscuit()) {
                (Material::Biscuit(secret), Some(algorithm)) => {
                    algorithm.verify(signature, signed, secret).is_ok()
                }
                (Material::Ed25519(key), None) => {
                    UnparsedPublicKey::new(&ED25519, key).verify(signed, signature).is_ok()
                }
                _ => false,
            }
    }
}

fn check_use(jwk: &Json) -> Result<(), &'static str> {
    if jwk.member("use").is_some_and(|usage| usage.text() != Some("sig")) {
        return Err("its use is not sig");
    }
    match jwk.member("key_ops") {
        None => Ok(()),
        Some(Json::List(operations)) if operations.iter().all(|operation| operation.text().is_some()) => {
            let verifies = operations.iter().any(|operation| operation.text() == Some("verify"));
            if verifies { Ok(()) } else { Err("its key_ops do not name verify") }
        }
        Some(_) => Err("its key_ops are not an array of strings"),
    }
}

/// The allow-list, as far as it fits the key's kind and its own `alg`.
fn read_algorithms(jwk: &Json, kind: KeyKind, allowed: &[Algorithm]) -> Result<Vec<Algorithm>, &'static str> {
    let own: Option<Algorithm> = match jwk.member("alg") {
        None => None,
        Some(alg) => Some(
            alg.text()
                .and_then(|alg| alg.parse().ok())
                .ok_or("its alg is not a supported signature algorithm")?,
        ),
    };
    if own.is_some_and(|own| own.key_kind() != kind) {
        return Err("its alg does not fit its kty and crv");
    }
    let fitting: Vec<_> = allowed
        .iter()
        .copied()
        .filter(|algorithm| algorithm.key_kind() == kind && own.is_none_or(|own| own == *algorithm))
        .collect();
    if fitting.is_empty() { Err("no allowed algorithm fits it") } else { Ok(fitting) }
}

fn bytes(jwk: &Json, name: &str) -> Result<Vec<u8>, &'static str> {
    jwk.member(name)
        .and_then(Json::text)
        .and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok())
        .ok_or("a number is missing or not canonical base64url without padding")
}

fn read_rsa(jwk: &Json) -> Result<(KeyKind, Material), &'static str> {
    let n = BigUint::from_bytes_be(&bytes(jwk, "n")?);
    let e = BigUint::from_bytes_be(&bytes(jwk, "e")?);
    match strength::rsa_weakness(&n, &e) {
        Some(weakness) => Err(weakness),
        None => Ok((KeyKind::Rsa, Material::Biscuit(Secret::RSAModulusExponent { n, e }))),
    }
}

fn read_curve(jwk: &Json) -> Result<(KeyKind, Material), &'static str> {
    let (kind, curve, length) = match jwk.member("crv").and_then(Json::text) {
        Some("P-256") => (KeyKind::P256, &strength::P256, 32),
        Some("P-384") => (KeyKind::P384, &strength::P384, 48),
        _ => return Err("the curve is not supported"),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != length || y.len() != length {
        return Err("a coordinate has the wrong length");
    }
    if !curve.has_point(&x, &y) {
        return Err("the point is not on the curve");
    }
    // SEC 1 §2.3.3: 04 marks an uncompressed point.
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    Ok((kind, Material::Biscuit(Secret::PublicKey(point))))
}

fn read_ed25519(jwk: &Json) -> Result<(KeyKind, Material), &'static str> {
    if jwk.member("crv").and_then(Json::text) != Some("Ed25519") {
        return Err("the curve is not supported");
    }
    let point: [u8; 32] = bytes(jwk, "x")?.try_into().map_err(|_| "a coordinate has the wrong length")?;
    if !strength::is_sound_ed25519_point(&point) {
        return Err("the point is not on the curve or of small order");
    }
    Ok((KeyKind::Ed25519, Material::Ed25519(point)))
}

/// At most 64 characters, with everything escaped that could forge or break a log line.
fn for_a_log(kid: &str) -> String {
    kid.chars().take(64).flat_map(char::escape_debug).collect()
}
