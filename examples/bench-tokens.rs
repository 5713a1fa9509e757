//! Signs bearer tokens for the benchmark: `bench-tokens KEY.der KID CLAIMS.json COUNT`.
//!
//! The key is an RSA key as PKCS#8 DER. Standard output is the key set on the first line, then one RS256 token a line.
//! Each token carries a `jti` of its own, so that none equals another. A signature costs most of a
//! millisecond, and a run wants tens of thousands of them: every core signs.

use std::error::Error;
use std::io::{self, BufWriter, Write};

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key, kid, claims, count] = arguments.as_slice() else {
        return Err("usage: bench-tokens KEY.der KID CLAIMS.json COUNT".into());
    };
    let pair =
        RsaKeyPair::from_pkcs8(&std::fs::read(key)?).map_err(|rejected| format!("{key}: {rejected}"))?;
    let claims: Map<String, Value> = serde_json::from_slice(&std::fs::read(claims)?)?;
    let count: usize = count.parse()?;

    let mut output = BufWriter::new(io::stdout().lock());
    writeln!(output, "{}", key_set(&pair, kid))?;
    for token in signed(&pair, kid, &claims, count)? {
        writeln!(output, "{token}")?;
    }
    Ok(output.flush()?)
}

fn key_set(pair: &RsaKeyPair, kid: &str) -> Value {
    let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public_key().into();
    json!({ "keys": [{
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
        "n": BASE64URL_NOPAD.encode(&n), "e": BASE64URL_NOPAD.encode(&e),
    }] })
}

/// The tokens 0 to `count`, shared out over the cores.
fn signed(
    pair: &RsaKeyPair,
    kid: &str,
    claims: &Map<String, Value>,
    count: usize,
) -> Result<Vec<String>, Box<dyn Error>> {
    let workers = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    (worker..count).step_by(workers).map(|number| sign(pair, kid, claims, number)).collect()
                })
            })
            .collect();
        let mut tokens = Vec::with_capacity(count);
        for worker in running {
            let signed: Result<Vec<String>, ring::error::Unspecified> =
                worker.join().map_err(|_| "a signing thread panicked")?;
            tokens.extend(signed.map_err(|_| "the key refuses to sign")?);
        }
        Ok(tokens)
    })
}

fn sign(
    pair: &RsaKeyPair,
    kid: &str,
    claims: &Map<String, Value>,
    number: usize,
) -> Result<String, ring::error::Unspecified> {
    let mut claims = claims.clone();
    claims.insert("jti".to_owned(), format!("bench-{number:08}").into());
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid });
    let encode = |part: Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let text = format!("{}.{}", encode(header), encode(Value::Object(claims)));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)?;
    Ok(format!("{text}.{}", BASE64URL_NOPAD.encode(&signature)))
}
