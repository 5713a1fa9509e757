//! One JWK (RFC 7517) → a key that is bound to the algorithms it serves, or the reason why it is left out.
//!
//! Each is judged alone, so that one that this service cannot or will not use does not take the good ones
//! with it. biscuit's own `JWKSet` is all or nothing and makes an HMAC secret of `oct`; it is not used.

use std::fmt;

use biscuit::jws::Secret;
use data_encoding::BASE64URL_NOPAD;
use num_bigint::BigUint;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::algorithm::{Algorithm, KeyKind};
use super::compact::{MAX_KID_CHARACTERS, member};
use super::strength;
use crate::strict_json::Json;

/// Members that only a private or symmetric key has (RFC 7518 §6). A key that was published with them is known
/// to everybody.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key, prepared, and bound to the algorithms that it serves.
pub(super) struct Key {
    /// Where it stands in `keys`, counted from 1.
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
    /// Where it stands in `keys`, counted from 1.
    pub position: usize,
    /// Its `kid` when that is a string, shortened and escaped for a log line.
    pub kid: Option<String>,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key {}", self.position)?;
        if let Some(kid) = &self.kid {
            write!(formatter, " (kid {kid})")?;
        }
        write!(formatter, " is left out: {}", self.reason)
    }
}

impl Key {
    /// Reads the JWK that stands at this position, for the algorithms that are allowed.
    pub(super) fn read(position: usize, jwk: &Json, allowed: &[Algorithm]) -> Result<Self, SkippedKey> {
        let members = jwk.members().unwrap_or_default();
        Self::judge(position, jwk, allowed).map_err(|reason| SkippedKey {
            position,
            kid: member(members, "kid").and_then(Json::text).map(for_a_log),
            reason,
        })
    }

    fn judge(position: usize, jwk: &Json, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let members = jwk.members().ok_or("it is not a JSON object")?;
        if jwk.duplicate().is_some() {
            return Err("a member stands twice");
        }
        let kid = match member(members, "kid") {
            None => None,
            Some(Json::Text(kid)) if kid.chars().count() <= MAX_KID_CHARACTERS => Some(kid.clone()),
            Some(_) => return Err("the kid is not a string of at most 256 characters"),
        };
        let kty = member(members, "kty").and_then(Json::text).ok_or("the kty is missing or not a string")?;
        if kty == "oct" {
            return Err("a symmetric key has no place in a published set");
        }
        if PRIVATE_MEMBERS.iter().any(|name| member(members, name).is_some()) {
            return Err("it has private members");
        }
        check_use(members)?;
        let (kind, material) = match kty {
            "RSA" => read_rsa(members)?,
            "EC" => read_curve(members)?,
            "OKP" => read_ed25519(members)?,
            _ => return Err("the kty is not supported"),
        };
        let algorithms = read_algorithms(members, kind, allowed)?;
        Ok(Self { position, kid, algorithms, kind, material })
    }

    /// Whether the other is this key once more: of the same name and the same numbers.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid && self.kind == other.kind && self.material.is_same(&other.material)
    }

    /// Serves the algorithms of its double too.
    pub(super) fn serve_as(&mut self, double: &Self) {
        let more = double.algorithms.iter().copied().filter(|algorithm| !self.algorithms.contains(algorithm));
        self.algorithms.extend(more.collect::<Vec<_>>());
    }

    /// Why tokens that mean this key are refused although it is usable, when another key stands in its way.
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
                         name it are refused; each key needs a kid of its own",
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

    /// Whether this key serves the algorithm.
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

fn check_use(members: &[(String, Json)]) -> Result<(), &'static str> {
    if member(members, "use").is_some_and(|usage| usage.text() != Some("sig")) {
        return Err("its use is not sig");
    }
    match member(members, "key_ops") {
        None => Ok(()),
        Some(Json::List(operations)) if operations.iter().all(|operation| operation.text().is_some()) => {
            let verifies = operations.iter().any(|operation| operation.text() == Some("verify"));
            if verifies { Ok(()) } else { Err("its key_ops do not name verify") }
        }
        Some(_) => Err("its key_ops are not an array of strings"),
    }
}

/// The allow-list, as far as it fits the key's kind and its own `alg`.
fn read_algorithms(
    members: &[(String, Json)],
    kind: KeyKind,
    allowed: &[Algorithm],
) -> Result<Vec<Algorithm>, &'static str> {
    let own = match member(members, "alg") {
        None => None,
        Some(alg) => Some(
            alg.text().and_then(Algorithm::parse).ok_or("its alg is not a supported signature algorithm")?,
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

fn bytes(members: &[(String, Json)], name: &str) -> Result<Vec<u8>, &'static str> {
    member(members, name)
        .and_then(Json::text)
        .and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok())
        .ok_or("a number is missing or not canonical base64url without padding")
}

fn read_rsa(members: &[(String, Json)]) -> Result<(KeyKind, Material), &'static str> {
    let n = BigUint::from_bytes_be(&bytes(members, "n")?);
    let e = BigUint::from_bytes_be(&bytes(members, "e")?);
    match strength::rsa_weakness(&n, &e) {
        Some(weakness) => Err(weakness),
        None => Ok((KeyKind::Rsa, Material::Biscuit(Secret::RSAModulusExponent { n, e }))),
    }
}

fn read_curve(members: &[(String, Json)]) -> Result<(KeyKind, Material), &'static str> {
    let (kind, curve, length) = match member(members, "crv").and_then(Json::text) {
        Some("P-256") => (KeyKind::P256, &strength::P256, 32),
        Some("P-384") => (KeyKind::P384, &strength::P384, 48),
        _ => return Err("the curve is not supported"),
    };
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
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

fn read_ed25519(members: &[(String, Json)]) -> Result<(KeyKind, Material), &'static str> {
    if member(members, "crv").and_then(Json::text) != Some("Ed25519") {
        return Err("the curve is not supported");
    }
    let point: [u8; 32] = bytes(members, "x")?.try_into().map_err(|_| "a coordinate has the wrong length")?;
    if !strength::is_sound_ed25519_point(&point) {
        return Err("the point is not on the curve or of small order");
    }
    Ok((KeyKind::Ed25519, Material::Ed25519(point)))
}

/// At most 64 characters, with everything escaped that could forge or break a log line.
fn for_a_log(kid: &str) -> String {
    kid.chars().take(64).flat_map(char::escape_debug).collect()
}
