//! One JWK (RFC 7517) → a key that is bound to the algorithms it serves, or the reason why it is skipped.
//!
//! Each is read alone, so that one that cannot be used does not spoil the good ones; biscuit's own `JWKSet` is not used,
//! since it is all or nothing and makes an HMAC secret of `oct`.

use biscuit::jws::Secret;
use data_encoding::BASE64URL_NOPAD;
use num_bigint::BigUint;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;

use super::algorithm::{Algorithm, KeyKind};
use super::compact::{KeyNames, THUMBPRINTS, key_name};
use super::strength;
use crate::strict_json;

/// Members that only a private or symmetric key has (RFC 7518 §6), which publishing has disclosed.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key, prepared, and bound to the algorithms that it serves.
pub(super) struct Key {
    /// Index in `keys`, from 1.
    position: usize,
    kid: Option<String>,
    /// `x5t#S256` and `x5t`, of each time that it was published: certificates are renewed, keys kept.
    thumbprints: Vec<[Option<String>; 2]>,
    algorithms: Vec<Algorithm>,
    public: PublicKey,
}

struct PublicKey {
    kind: KeyKind,
    /// `n` and `e`, or `x` and `y`.
    numbers: [Vec<u8>; 2],
    /// The same for biscuit; of Ed25519, which it does not know, the point.
    secret: Secret,
}

impl Key {
    /// Reads the JWK at this position, for the algorithms that are allowed, or returns the line that reports why not.
    pub(super) fn read(position: usize, text: &str, allowed: &[Algorithm]) -> Result<Self, String> {
        let is_skipped = |kid: &str, reason| format!("key {position}{kid} is skipped: {reason}");
        let jwk = strict_json::parse(text.as_bytes()).map_err(|error| {
            let reason = if error.is_data() { "a member occurs twice" } else { "it cannot be read" };
            is_skipped("", reason)
        })?;
        Self::check(position, &jwk, allowed).map_err(|reason| {
            let kid = text_of(&jwk, "kid").map(|kid| format!(" (kid {})", for_a_log(kid)));
            is_skipped(&kid.unwrap_or_default(), reason)
        })
    }

    fn check(position: usize, jwk: &Value, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        if !jwk.is_object() {
            return Err("it is not a JSON object");
        }
        let kid = key_name(jwk, "kid").ok_or("the kid is not a string of at most 256 characters")?;
        let kty = text_of(jwk, "kty").ok_or("the kty is missing or not a string")?;
        if kty == "oct" {
            return Err("a symmetric key has no place in a published set");
        }
        if PRIVATE_MEMBERS.iter().any(|name| jwk.get(name).is_some()) {
            return Err("it has private members");
        }
        check_use(jwk)?;
        let public = match kty {
            "RSA" => read_rsa(jwk)?,
            "EC" => read_curve(jwk)?,
            "OKP" => read_ed25519(jwk)?,
            _ => return Err("the kty is not supported"),
        };
        let algorithms = read_algorithms(jwk, public.kind, allowed)?;
        // A thumbprint that no token can carry is none.
        let thumbprints = vec![THUMBPRINTS.map(|name| key_name(jwk, name).flatten())];
        Ok(Self { position, kid, thumbprints, algorithms, public })
    }

    /// Whether the other is this key, published again under the same name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let (one, another) = (&self.public, &other.public);
        self.kid == other.kid && one.kind == another.kind && one.numbers == another.numbers
    }

    /// Serves the algorithms of its duplicate too.
    pub(super) fn serve_as(&mut self, duplicate: &Self) {
        let more =
            duplicate.algorithms.iter().copied().filter(|algorithm| !self.algorithms.contains(algorithm));
        self.algorithms.extend(more.collect::<Vec<_>>());
        self.thumbprints.extend(duplicate.thumbprints.iter().cloned());
    }

    /// Whether a token that names a key so may mean this one: the `kid` decides, without one every thumbprint.
    pub(super) fn is_named(&self, token: &KeyNames) -> bool {
        let carries = |own: &[Option<String>; 2]| {
            token.thumbprints.iter().zip(own).all(|(wanted, own)| wanted.is_none() || wanted == own)
        };
        match &token.kid {
            Some(_) => self.kid == token.kid,
            None => self.thumbprints.iter().any(carries),
        }
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
            None if self.thumbprints.iter().flatten().any(Option::is_some) => None,
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
        self.public.kind == algorithm.key_kind() && self.algorithms.contains(&algorithm)
    }

    /// Whether the signature over the text is this key's, by an algorithm that it serves.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        // biscuit panics when a key meets an algorithm of another kind; `serves` has ruled that out.
        self.serves(algorithm)
            && match (algorithm.in_biscuit(), &self.public.secret) {
                (Some(algorithm), secret) => algorithm.verify(signature, signed, secret).is_ok(),
                (None, Secret::PublicKey(point)) => {
                    UnparsedPublicKey::new(&ED25519, point).verify(signed, signature).is_ok()
                }
                (None, _) => false,
            }
    }
}

fn text_of<'a>(jwk: &'a Value, name: &str) -> Option<&'a str> {
    jwk.get(name).and_then(Value::as_str)
}

fn check_use(jwk: &Value) -> Result<(), &'static str> {
    if jwk.get("use").is_some_and(|usage| usage != "sig") {
        return Err("its use is not sig");
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().all(Value::is_string) => {
            let verifies = operations.iter().any(|operation| operation == "verify");
            if verifies { Ok(()) } else { Err("its key_ops do not name verify") }
        }
        Some(_) => Err("its key_ops are not an array of strings"),
    }
}

/// The allow-list, as far as it fits the key's kind and its own `alg`.
fn read_algorithms(
    jwk: &Value,
    kind: KeyKind,
    allowed: &[Algorithm],
) -> Result<Vec<Algorithm>, &'static str> {
    let unsupported = "its alg is not a supported signature algorithm";
    let own = jwk.get("alg").map(|alg| alg.as_str().and_then(|alg| alg.parse().ok()).ok_or(unsupported));
    let own: Option<Algorithm> = own.transpose()?;
    if own.is_some_and(|own| own.key_kind() != kind) {
        return Err("its alg does not fit its kty and crv");
    }
    let fits =
        |algorithm: &Algorithm| algorithm.key_kind() == kind && own.is_none_or(|own| own == *algorithm);
    let fitting: Vec<_> = allowed.iter().copied().filter(fits).collect();
    if fitting.is_empty() { Err("no allowed algorithm fits it") } else { Ok(fitting) }
}

fn bytes(jwk: &Value, name: &str) -> Result<Vec<u8>, &'static str> {
    text_of(jwk, name)
        .and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok())
        .ok_or("a number is missing or not canonical base64url without padding")
}

fn read_rsa(jwk: &Value) -> Result<PublicKey, &'static str> {
    let numbers = [bytes(jwk, "n")?, bytes(jwk, "e")?];
    let [n, e] = numbers.each_ref().map(|number| BigUint::from_bytes_be(number));
    match strength::rsa_weakness(&n, &e) {
        Some(weakness) => Err(weakness),
        None => Ok(PublicKey { kind: KeyKind::Rsa, numbers, secret: Secret::RSAModulusExponent { n, e } }),
    }
}

fn read_curve(jwk: &Value) -> Result<PublicKey, &'static str> {
    let (kind, curve, length) = match text_of(jwk, "crv") {
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
    Ok(PublicKey { kind, numbers: [x, y], secret: Secret::PublicKey(point) })
}

fn read_ed25519(jwk: &Value) -> Result<PublicKey, &'static str> {
    if text_of(jwk, "crv") != Some("Ed25519") {
        return Err("the curve is not supported");
    }
    let x = bytes(jwk, "x")?;
    let point = x.as_slice().try_into().map_err(|_| "a coordinate has the wrong length")?;
    if !strength::is_sound_ed25519_point(point) {
        return Err("the point is not on the curve or of small order");
    }
    let secret = Secret::PublicKey(x.clone());
    Ok(PublicKey { kind: KeyKind::Ed25519, numbers: [x, vec![]], secret })
}

/// At most 64 characters, with everything escaped that could forge or break a log line.
fn for_a_log(kid: &str) -> String {
    kid.chars().take(64).flat_map(char::escape_debug).collect()
}
