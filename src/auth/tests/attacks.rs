//! Tokens that must not pass, and near them the ones that must: token, key set, expected, why.

use ring::hmac;
use serde_json::json;
use strum::VariantNames;

use super::mint::*;
use super::shapes::header;
use crate::auth::error::{TokenError as Error, shown};
use crate::auth::{Algorithm, AuthError};

pub(super) type Row = (String, Result<(), Error>, String);

pub(super) fn try_all(keys: &str, rows: Vec<Row>) -> usize {
    let authenticator = authenticator(rules(), keys);
    for (token, expected, why) in &rows {
        let outcome = authenticate(&authenticator, token).map(drop);
        assert_eq!(outcome, expected.clone().map_err(AuthError::Token), "{why}");
        if !token.is_empty()
            && let Err(error) = outcome
        {
            assert!(!error.to_string().contains(token.as_str()), "{why}: the error quotes the token");
        }
    }
    rows.len()
}

#[test]
fn every_allowed_algorithm_passes_with_its_key_and_no_other() {
    let fitting = |pair: Pair| -> &[&str] {
        match pair {
            Pair::RsaA | Pair::RsaB => &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
            Pair::P256A | Pair::P256B => &["ES256"],
            Pair::P384 => &["ES384"],
            Pair::Ed25519 => &["EdDSA"],
        }
    };
    let pairs = [
        (Pair::RsaA, "rsa-a"),
        (Pair::RsaB, "rsa-b"),
        (Pair::P256A, "p256-a"),
        (Pair::P256B, "p256-b"),
        (Pair::P384, "p384"),
        (Pair::Ed25519, "ed25519"),
    ];
    let mut rows: Vec<Row> = vec![];
    for (pair, kid) in pairs {
        for alg in Algorithm::VARIANTS {
            let expected = if fitting(pair).contains(alg) { Ok(()) } else { Err(Error::NoFittingKey) };
            rows.push((token(pair, alg, kid), expected, format!("{alg} by {kid}")));
        }
        for (other, named) in pairs.into_iter().filter(|(other, _)| *other != pair) {
            let alg = fitting(other)[0];
            let expected = if fitting(pair).contains(&alg) { Error::Signature } else { Error::NoFittingKey };
            rows.push((token(other, alg, kid), Err(expected), format!("signed by {named}, names {kid}")));
        }
        // The header names one algorithm, the signature was made by another of the same key.
        for (named, used) in [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS384"), ("PS384", "PS512")]
        {
            if fitting(pair).contains(&named) {
                let text = json!({"alg": named, "kid": kid}).to_string();
                let token = token_of(pair, used, &text, &claims().to_string());
                rows.push((token, Err(Error::Signature), format!("{named} in name, {used} in truth, {kid}")));
            }
        }
    }
    assert!(try_all(&all_keys(), rows) >= 90);
}

#[test]
fn none_hmac_and_unknown_algorithms_are_rejected() {
    let mut rows: Vec<Row> = vec![];
    let spellings = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "",
        "null",
        "HS256",
        "HS384",
        "HS512",
        "hs256",
        "ES512",
        "ES256K",
        "es256",
        "Es256",
        "ES256 ",
        "ES256\u{0}",
        "ＥＳ256",
        "RSA-OAEP",
        "dir",
        "A128KW",
        "ed25519",
        "Ed448",
        "eddsa",
        "RS1",
        "PS1",
        "RS256,ES256",
    ];
    for alg in spellings {
        let text = json!({"alg": alg, "kid": "p256-a"}).to_string();
        let error = || Err(Error::Algorithm(shown(Some(&json!(alg)))));
        rows.push((header(&text), error(), format!("alg {alg:?}, signed")));
        let unsigned = format!("{}.{}.", encode(&text), encode(claims().to_string()));
        rows.push((unsigned, error(), format!("alg {alg:?}, unsigned")));
    }
    for alg in [json!(null), json!(0), json!(true), json!(["ES256"]), json!({"alg": "ES256"})] {
        let text = json!({"alg": alg, "kid": "p256-a"}).to_string();
        rows.push((header(&text), Err(Error::Algorithm(alg.to_string())), format!("alg is {alg}")));
    }
    let missing = || Err(Error::Algorithm("missing".to_owned()));
    rows.push((header(r#"{"kid":"p256-a"}"#), missing(), "no alg".to_owned()));
    rows.push((header("{}"), missing(), "an empty header".to_owned()));
    assert_eq!(try_all(&all_keys(), rows), 63);
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let secrets: [(&str, &[u8]); 7] = [
        ("PEM", fixture!("rsa-a.public.pem")),
        ("PEM without its last line end", fixture!("rsa-a.public.pem").trim_ascii_end()),
        ("DER", fixture!("rsa-a.public.der")),
        ("JWK text", fixture!("rsa-a.jwk")),
        ("JWK text without line end", fixture!("rsa-a.jwk").trim_ascii_end()),
        ("PEM of the curve", fixture!("p256-a.public.pem")),
        ("nothing", b""),
    ];
    let mut rows: Vec<Row> = vec![];
    for (form, secret) in secrets {
        for (alg, hash) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            for (named, expected) in [
                (alg, Error::Algorithm(format!("{alg:?}"))),
                ("RS256", Error::Signature),
                ("ES256", Error::NoFittingKey),
            ] {
                let text = json!({"alg": named, "kid": "rsa-a"}).to_string();
                let signed = format!("{}.{}", encode(text), encode(claims().to_string()));
                let tag = hmac::sign(&hmac::Key::new(hash, secret), signed.as_bytes());
                let token = format!("{signed}.{}", encode(tag));
                rows.push((token, Err(expected), format!("{alg} with the {form}, as {named}")));
            }
        }
    }
    assert_eq!(try_all(&all_keys(), rows), 63);
}

/// r‖s of a P-256 signature as the SEQUENCE of two INTEGERs that X.509 uses.
fn as_der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let mut bytes = half.to_vec();
        if bytes[0] & 0x80 != 0 {
            bytes.insert(0, 0);
        }
        [&[2, bytes.len() as u8], bytes.as_slice()].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, body.len() as u8], body.as_slice()].concat()
}

#[test]
fn a_signature_is_exactly_what_the_algorithm_makes() {
    let mut rows: Vec<Row> = vec![];
    for (pair, alg, kid) in [
        (Pair::P256A, "ES256", "p256-a"),
        (Pair::P384, "ES384", "p384"),
        (Pair::RsaA, "RS256", "rsa-a"),
        (Pair::RsaA, "PS256", "rsa-a"),
        (Pair::Ed25519, "EdDSA", "ed25519"),
    ] {
        let text = json!({"alg": alg, "kid": kid}).to_string();
        let signed = format!("{}.{}", encode(text), encode(claims().to_string()));
        let good = pair.sign(alg, signed.as_bytes());
        let half = good.len() / 2;
        let mut flipped_first = good.clone();
        flipped_first[0] ^= 1;
        let mut flipped_last = good.clone();
        *flipped_last.last_mut().unwrap() ^= 0x80;
        let variants: Vec<(&str, Vec<u8>)> = vec![
            ("a first bit changed", flipped_first),
            ("a last bit changed", flipped_last),
            ("the last byte gone", good[..good.len() - 1].to_vec()),
            ("the first byte gone", good[1..].to_vec()),
            ("half of it", good[..half].to_vec()),
            ("one byte", vec![1]),
            ("a zero byte behind", [good.as_slice(), &[0]].concat()),
            ("a zero byte before", [&[0], good.as_slice()].concat()),
            ("twice", [good.as_slice(), good.as_slice()].concat()),
            ("all zero", vec![0; good.len()]),
            ("all ones", vec![0xff; good.len()]),
            ("first half zero (r = 0)", [vec![0; half], good[half..].to_vec()].concat()),
            ("second half zero (s = 0)", [good[..half].to_vec(), vec![0; half]].concat()),
            ("halves exchanged", [&good[half..], &good[..half]].concat()),
            ("a byte in the middle doubled", [&good[..half], &[0], &good[half..]].concat()),
            ("1 and 1", [vec![0; half - 1], vec![1], vec![0; half - 1], vec![1]].concat()),
        ];
        for (what, signature) in variants {
            let token = format!("{signed}.{}", encode(signature));
            rows.push((token, Err(Error::Signature), format!("{alg}: {what}")));
        }
        if alg == "ES256" {
            let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
            for (what, signature) in [
                ("DER", as_der(&good)),
                ("r = n", [order.as_slice(), &good[32..]].concat()),
                ("s = n", [&good[..32], order.as_slice()].concat()),
                ("r = s = n", [order.as_slice(), order.as_slice()].concat()),
            ] {
                rows.push((
                    format!("{signed}.{}", encode(signature)),
                    Err(Error::Signature),
                    what.to_owned(),
                ));
            }
        }
        let good = encode(good);
        rows.push((format!("{signed}."), Err(Error::Unsigned), format!("{alg}: no signature")));
        for padding in ["=", "==", "%3D"] {
            let token = format!("{signed}.{good}{padding}");
            rows.push((token, Err(Error::NotBase64("signature")), format!("{alg}: padded with {padding}")));
        }
        rows.push((format!("{signed}.{good}"), Ok(()), format!("{alg}: untouched")));
    }
    assert_eq!(try_all(&all_keys(), rows), 5 * 21 + 4);
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

#[test]
fn only_what_the_operator_allowed_passes() {
    let mut narrow = rules();
    narrow.algorithms = vec![Algorithm::RS256, Algorithm::ES256];
    let authenticator = authenticator(narrow, &all_keys());
    for (pair, alg, kid, passes) in [
        (Pair::RsaA, "RS256", "rsa-a", true),
        (Pair::RsaA, "PS256", "rsa-a", false),
        (Pair::RsaA, "RS384", "rsa-a", false),
        (Pair::P256A, "ES256", "p256-a", true),
        (Pair::P384, "ES384", "p384", false),
        (Pair::Ed25519, "EdDSA", "ed25519", false),
    ] {
        let outcome = authenticate(&authenticator, &token(pair, alg, kid)).map(drop);
        let error = || AuthError::Token(Error::Algorithm(format!("{alg:?}")));
        let expected = if passes { Ok(()) } else { Err(error()) };
        assert_eq!(outcome, expected, "{alg}");
    }
}
