//! One JWK: whether it serves, and why it is skipped where it does not.

use serde_json::{Value, json};
use strum::VariantArray;

use super::mint::*;
use crate::auth::Algorithm;
use crate::auth::keys::KeySet;

/// Why the JWK is left out, when a good one stands beside it.
fn skipped_reason(jwk: &Value) -> Option<String> {
    skipped_text(&jwk.to_string())
}

fn skipped_text(jwk: &str) -> Option<String> {
    let text = format!(r#"{{"keys":[{},{jwk}]}}"#, Pair::P384.jwk());
    let set = KeySet::read(text.as_bytes(), Algorithm::VARIANTS).unwrap();
    assert_eq!(set.len() + set.skipped().len(), 2);
    set.skipped().first().map(|line| {
        assert!(line.starts_with("key 2 "), "{line}");
        line.split_once("is skipped: ").unwrap().1.to_owned()
    })
}

fn fixture_jwk(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

#[test]
fn keys_that_cannot_or_should_not_serve_are_left_out_with_the_reason() {
    let (rsa, p256, ed) = (Pair::RsaA, Pair::P256A, Pair::Ed25519);
    let n = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let x = p256.jwk()["x"].as_str().unwrap().to_owned();
    let no_verify = "its key_ops do not name verify";
    let not_operations = "its key_ops are not an array of strings";
    let illegible = "a number is missing or not canonical base64url without padding";
    let exponent = "the exponent is not an odd number from 65537 to 33 bits";
    let length = "a coordinate has the wrong length";
    let private = "it has private members";
    let unsupported_alg = "its alg is not a supported signature algorithm";
    let alg_misfit = "its alg does not fit its kty and crv";
    let kid = "the kid is not a string of at most 256 characters";
    let rows: Vec<(Value, Option<&str>)> = vec![
        (rsa.jwk(), None),
        (p256.jwk(), None),
        (ed.jwk(), None),
        (
            rsa.jwk_with(
                json!({"use": "sig", "alg": "PS256", "key_ops": ["verify"], "x5c": [1], "extra": {}}),
            ),
            None,
        ),
        (json!("key"), Some("it is not a JSON object")),
        (json!(null), Some("it is not a JSON object")),
        (json!({}), Some("the kty is missing or not a string")),
        (json!({"kty": 1}), Some("the kty is missing or not a string")),
        (json!({"kty": "rsa", "n": n, "e": "AQAB"}), Some("the kty is not supported")),
        (json!({"kty": "oct", "k": "AAAA"}), Some("a symmetric key has no place in a published set")),
        (json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}), Some("the kty is not supported")),
        (rsa.jwk_with(json!({"use": "enc"})), Some("its use is not sig")),
        (rsa.jwk_with(json!({"use": "SIG"})), Some("its use is not sig")),
        (rsa.jwk_with(json!({"use": ["sig"]})), Some("its use is not sig")),
        (rsa.jwk_with(json!({"use": null})), Some("its use is not sig")),
        (rsa.jwk_with(json!({"key_ops": []})), Some(no_verify)),
        (rsa.jwk_with(json!({"key_ops": ["sign"]})), Some(no_verify)),
        (rsa.jwk_with(json!({"key_ops": ["Verify"]})), Some(no_verify)),
        (rsa.jwk_with(json!({"key_ops": ["sign", "verify"]})), None),
        (rsa.jwk_with(json!({"key_ops": "verify"})), Some(not_operations)),
        (rsa.jwk_with(json!({"key_ops": ["verify", 1]})), Some(not_operations)),
        (rsa.jwk_with(json!({"alg": "RSA-OAEP"})), Some(unsupported_alg)),
        (rsa.jwk_with(json!({"alg": "HS256"})), Some(unsupported_alg)),
        (rsa.jwk_with(json!({"alg": "none"})), Some(unsupported_alg)),
        (rsa.jwk_with(json!({"alg": null})), Some(unsupported_alg)),
        (rsa.jwk_with(json!({"alg": "ES256"})), Some(alg_misfit)),
        (p256.jwk_with(json!({"alg": "RS256"})), Some(alg_misfit)),
        (p256.jwk_with(json!({"alg": "ES384"})), Some(alg_misfit)),
        (ed.jwk_with(json!({"alg": "ES256"})), Some(alg_misfit)),
        (rsa.jwk_with(json!({"kid": 1})), Some(kid)),
        (rsa.jwk_with(json!({"kid": null})), Some(kid)),
        (rsa.jwk_with(json!({"kid": "k".repeat(257)})), Some(kid)),
        (rsa.jwk_with(json!({"kid": "é".repeat(256)})), None),
        (fixture_jwk(fixture!("rsa-1024.jwk")), Some("the modulus is not 2048 to 8192 bits long")),
        (fixture_jwk(fixture!("rsa-exponent-3.jwk")), Some(exponent)),
        (rsa.jwk_with(json!({"e": "AQAA"})), Some(exponent)),
        (rsa.jwk_with(json!({"e": "AQ"})), Some(exponent)),
        (rsa.jwk_with(json!({"e": ""})), Some(exponent)),
        (rsa.jwk_with(json!({"e": "AgAAAAE"})), Some(exponent)),
        (rsa.jwk_with(json!({"e": n})), Some(exponent)),
        (rsa.jwk_with(json!({"e": 65537})), Some(illegible)),
        (rsa.jwk_with(json!({"e": "AQAB="})), Some(illegible)),
        (rsa.jwk_with(json!({"n": format!("{n}==")})), Some(illegible)),
        (rsa.jwk_with(json!({"n": format!("{n} ")})), Some(illegible)),
        (rsa.jwk_with(json!({"n": n.replace(['-', '_'], "+")})), Some(illegible)),
        (json!({"kty": "RSA", "e": "AQAB"}), Some(illegible)),
        (json!({"kty": "RSA", "n": n}), Some(illegible)),
        (fixture_jwk(fixture!("p521.jwk")), Some("the curve is not supported")),
        (fixture_jwk(fixture!("secp256k1.jwk")), Some("the curve is not supported")),
        (p256.jwk_with(json!({"crv": "p-256"})), Some("the curve is not supported")),
        (p256.jwk_with(json!({"crv": null})), Some("the curve is not supported")),
        (p256.jwk_with(json!({"crv": "P-384"})), Some(length)),
        (p256.jwk_with(json!({"x": encode([0; 32])})), Some("the point is not on the curve")),
        (p256.jwk_with(json!({"y": x})), Some("the point is not on the curve")),
        (
            p256.jwk_with(json!({"x": encode([0; 32]), "y": encode([0; 32])})),
            Some("the point is not on the curve"),
        ),
        (p256.jwk_with(json!({"x": encode([0xff; 32])})), Some("the point is not on the curve")),
        (p256.jwk_with(json!({"x": encode([1; 31])})), Some(length)),
        (p256.jwk_with(json!({"x": encode([1; 33])})), Some(length)),
        (p256.jwk_with(json!({"x": ""})), Some(length)),
        (p256.jwk_with(json!({"x": format!("{x}=")})), Some(illegible)),
        (p256.jwk_with(json!({"y": 1})), Some(illegible)),
        (json!({"kty": "OKP", "crv": "X25519", "x": encode([9; 32])}), Some("the curve is not supported")),
        (json!({"kty": "OKP", "crv": "Ed448", "x": encode([9; 57])}), Some("the curve is not supported")),
        (ed.jwk_with(json!({"x": encode([9; 31])})), Some(length)),
        (ed.jwk_with(json!({"x": encode([0; 32])})), Some("the point is not on the curve or of small order")),
        (rsa.jwk_with(json!({"d": "AA"})), Some(private)),
        (p256.jwk_with(json!({"d": "AA"})), Some(private)),
        (ed.jwk_with(json!({"d": null})), Some(private)),
        (rsa.jwk_with(json!({"p": "AA"})), Some(private)),
        (rsa.jwk_with(json!({"q": "AA"})), Some(private)),
        (rsa.jwk_with(json!({"dp": "AA"})), Some(private)),
        (rsa.jwk_with(json!({"dq": "AA"})), Some(private)),
        (rsa.jwk_with(json!({"qi": "AA"})), Some(private)),
        (rsa.jwk_with(json!({"oth": []})), Some(private)),
        (rsa.jwk_with(json!({"k": "AA"})), Some(private)),
    ];
    for (jwk, expected) in rows {
        assert_eq!(skipped_reason(&jwk).as_deref(), expected, "{jwk}");
    }
    for more in [r#""kty":"RSA""#, r#""kid":"a","kid":"b""#, r#""z":{"y":1,"y":2}"#] {
        let text = Pair::RsaA.jwk().to_string().replacen('{', &format!("{{{more},"), 1);
        assert_eq!(skipped_text(&text).as_deref(), Some("a member occurs twice"), "{more}");
    }
}

#[test]
fn a_key_whose_algorithms_are_not_allowed_is_skipped() {
    let text = jwks([Pair::RsaA.jwk(), Pair::Ed25519.jwk(), Pair::P256A.jwk_with(json!({"alg": "ES256"}))]);
    let set = KeySet::read(text.as_bytes(), &[Algorithm::ES256]).unwrap();
    assert_eq!(
        set.skipped(),
        ["key 1 is skipped: no allowed algorithm fits it", "key 2 is skipped: no allowed algorithm fits it"]
    );
}
