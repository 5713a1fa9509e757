//! Makes ES256 tokens with a key of its own, for the `dev` command and for tests. Does not: serve, which signs nothing.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

/// The system gave no randomness, or the key was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no signing key could be made or used")]
pub struct SigningError;

/// A fresh P-256 key that lives as long as this does; its private half cannot be taken out.
pub struct Signer {
    kid: String,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    /// Makes a key of this name.
    pub fn generate_es256(kid: &str) -> Result<Self, SigningError> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| SigningError)?;
        let pair =
            EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random).map_err(|_| SigningError)?;
        Ok(Self { kid: kid.to_owned(), pair, random })
    }

    /// The public half as a key set.
    pub fn jwks(&self) -> String {
        // An uncompressed point (SEC 1 §2.3.3): 04, 32 bytes of x, 32 bytes of y.
        let (x, y) = self.pair.public_key().as_ref().split_at(33);
        let key = serde_json::json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": BASE64URL_NOPAD.encode(x.get(1..).unwrap_or_default()), "y": BASE64URL_NOPAD.encode(y),
        });
        serde_json::json!({ "keys": [key] }).to_string()
    }

    /// A token with these claims, given as a JSON object.
    pub fn sign(&self, claims: &str) -> Result<String, SigningError> {
        let header = serde_json::json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.kid }).to_string();
        let encode = |part: &str| BASE64URL_NOPAD.encode(part.as_bytes());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).map_err(|_| SigningError)?;
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))
    }
}
