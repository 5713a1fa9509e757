//! Key sets: which keys serve, which are skipped and why, and which one a token means.

use serde_json::{Value, json};
use strum::VariantArray;

use super::mint::*;
use crate::auth::keys::KeySet;
use crate::auth::{Algorithm, AuthError, KeyError, Source, TokenError as Error, check_source};

/// Why the JWK is left out, when a good one stands beside it.
fn skipped_reason(jwk: &Value) -> Option<&'static str> {
    skipped_text(&jwk.to_string())
}

fn skipped_text(jwk: &str) -> Option<&'static str> {
    let text = format!(r#"{{"keys":[{},{jwk}]}}"#, Pair::P384.jwk());
    let set = KeySet::read(text.as_bytes(), Algorithm::VARIANTS).unwrap();
    assert_eq!(set.len() + set.skipped().len(), 2);
    set.skipped().first().map(|key| {
        assert_eq!(key.position, 2);
        key.reason
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
        assert_eq!(skipped_reason(&jwk), expected, "{jwk}");
    }
    for more in [r#""kty":"RSA""#, r#""kid":"a","kid":"b""#, r#""z":{"y":1,"y":2}"#] {
        let text = Pair::RsaA.jwk().to_string().replacen('{', &format!("{{{more},"), 1);
        assert_eq!(skipped_text(&text), Some("a member occurs twice"), "{more}");
    }
}

#[test]
fn a_key_whose_algorithms_are_not_allowed_is_skipped() {
    let text = jwks([Pair::RsaA.jwk(), Pair::Ed25519.jwk(), Pair::P256A.jwk_with(json!({"alg": "ES256"}))]);
    let set = KeySet::read(text.as_bytes(), &[Algorithm::ES256]).unwrap();
    let reasons: Vec<_> = set.skipped().iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        ["key 1 is skipped: no allowed algorithm fits it", "key 2 is skipped: no allowed algorithm fits it"]
    );
}

#[test]
fn what_is_no_set_of_usable_keys_is_an_error() {
    let read = |text: &[u8]| KeySet::read(text, Algorithm::VARIANTS).map(|set| set.len());
    for text in ["", "{", "[]]", "<html>", "{\"keys\":[]} x"] {
        assert!(matches!(read(text.as_bytes()), Err(KeyError::NotJson(_))), "{text}");
    }
    let key = Pair::P256A.jwk();
    for text in [
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        r#"{"keys":null}"#.to_owned(),
        r#"{"Keys":[]}"#.to_owned(),
        key.to_string(),
        format!("[{key}]"),
        format!(r#"{{"keys":[{key}],"keys":[{key}]}}"#),
        format!(r#"{{"keys":[{key}],"\u006beys":[]}}"#),
    ] {
        assert!(matches!(read(text.as_bytes()), Err(KeyError::NotASet)), "{text}");
    }
    assert!(matches!(read(br#"{"keys":[]}"#), Err(KeyError::NoUsableKey(lines)) if lines.is_empty()));
    let error =
        read(jwks([json!({"kty": "oct", "k": "AA", "kid": "a\n\u{2028}b\u{1b}"})]).as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key set has no usable key; key 1 (kid a\\n\\u{2028}b\\u{1b}) is skipped: \
         a symmetric key has no place in a published set"
    );
    let large = format!("{}{}", all_keys(), " ".repeat(1024 * 1024));
    assert!(matches!(read(large.as_bytes()), Err(KeyError::TooLarge)));
}

/// Key set, who signs, `alg`, `kid`, expected, why.
type Row = (Vec<Value>, Pair, &'static str, Option<&'static str>, Result<(), Error>, &'static str);

#[test]
fn a_token_means_the_one_key_of_its_kid_that_fits_or_none() {
    let (rsa_a, rsa_b, p256) = (Pair::RsaA, Pair::RsaB, Pair::P256A);
    let named = |pair: Pair, kid: &str| pair.jwk_with(json!({ "kid": kid }));
    let with_alg = |pair: Pair, kid: &str, alg: &str| pair.jwk_with(json!({"kid": kid, "alg": alg}));
    let rows: Vec<Row> = vec![
        (vec![named(rsa_a, "1")], rsa_a, "RS256", Some("1"), Ok(()), "by kid"),
        (vec![named(rsa_a, "1")], rsa_a, "RS256", Some("2"), Err(Error::UnknownKey), "another kid"),
        (vec![named(rsa_a, "1")], rsa_a, "RS256", None, Ok(()), "no kid, one key"),
        (vec![named(rsa_a, "1")], rsa_a, "RS256", Some(""), Err(Error::UnknownKey), "an empty kid is a kid"),
        (vec![rsa_a.jwk()], rsa_a, "RS256", None, Ok(()), "neither has a kid"),
        (vec![rsa_a.jwk()], rsa_a, "RS256", Some("1"), Err(Error::UnknownKey), "the key has no kid"),
        (vec![rsa_a.jwk(), rsa_b.jwk()], rsa_a, "RS256", None, Err(Error::AmbiguousKey), "no kid, two fit"),
        (vec![rsa_a.jwk(), p256.jwk()], rsa_a, "RS256", None, Ok(()), "no kid, one of two fits"),
        (vec![p256.jwk()], rsa_a, "RS256", None, Err(Error::NoFittingKey), "no kid, none fits"),
        (
            vec![named(rsa_a, "1"), named(p256, "1")],
            rsa_a,
            "RS256",
            Some("1"),
            Ok(()),
            "same kid, types differ",
        ),
        (
            vec![named(rsa_a, "1"), named(p256, "1")],
            p256,
            "ES256",
            Some("1"),
            Ok(()),
            "and the other of them",
        ),
        (
            vec![named(rsa_a, "1"), named(rsa_b, "1")],
            rsa_a,
            "RS256",
            Some("1"),
            Err(Error::AmbiguousKey),
            "same kid, both fit",
        ),
        (vec![named(rsa_a, "1"), named(rsa_a, "1")], rsa_a, "RS256", Some("1"), Ok(()), "the same key twice"),
        (vec![rsa_a.jwk(), rsa_a.jwk()], rsa_a, "RS256", None, Ok(()), "the same key twice without a kid"),
        (
            vec![with_alg(rsa_a, "1", "RS256"), with_alg(rsa_a, "1", "PS256")],
            rsa_a,
            "PS256",
            Some("1"),
            Ok(()),
            "one key, published once for each alg",
        ),
        (
            vec![named(rsa_a, "1"), with_alg(rsa_a, "1", "RS256")],
            rsa_a,
            "RS256",
            Some("1"),
            Ok(()),
            "one key, with and without its alg",
        ),
        (
            vec![named(rsa_a, "1"), named(rsa_a, "1"), named(rsa_b, "1")],
            rsa_a,
            "RS256",
            Some("1"),
            Err(Error::AmbiguousKey),
            "the same key twice, and another of its kid",
        ),
        (
            vec![named(rsa_a, "1"), named(rsa_a, "2")],
            rsa_a,
            "RS256",
            None,
            Err(Error::AmbiguousKey),
            "one key under two kids is two keys",
        ),
        (
            vec![with_alg(rsa_a, "1", "RS256"), with_alg(rsa_b, "1", "PS256")],
            rsa_b,
            "PS256",
            Some("1"),
            Ok(()),
            "same kid and type, reported apart by their alg",
        ),
        (
            vec![with_alg(rsa_a, "1", "PS256")],
            rsa_a,
            "RS256",
            Some("1"),
            Err(Error::NoFittingKey),
            "the key's own alg is another",
        ),
        (
            vec![with_alg(rsa_a, "1", "RS256"), rsa_b.jwk_with(json!({"kid": "1", "use": "enc"}))],
            rsa_a,
            "RS256",
            Some("1"),
            Ok(()),
            "the other one of the same kid is for encryption",
        ),
    ];
    for (keys, signer, alg, kid, expected, why) in rows {
        let authenticator = authenticator(rules(), &jwks(keys));
        let header = kid.map_or(json!({ "alg": alg }), |kid| json!({"alg": alg, "kid": kid}));
        let token = token_of(signer, alg, &header.to_string(), &claims().to_string());
        let outcome = authenticate(&authenticator, &token).map(drop);
        assert_eq!(outcome, expected.map_err(AuthError::Token), "{why}");
    }
}

#[test]
fn a_source_can_be_checked_without_serving_it() {
    let text = jwks([Pair::RsaA.jwk(), json!({"kty": "oct", "k": "AA", "kid": "secret"})]);
    let (_file, source) = key_file(&text);
    let checked = check_source(&rules(), &source).unwrap();
    assert_eq!(checked.usable_keys, 1);
    assert_eq!(
        checked.warnings,
        ["key 2 (kid secret) is skipped: a symmetric key has no place in a published set"]
    );
    let missing = check_source(&rules(), &Source::File("/nowhere/keys.json".into())).unwrap_err();
    assert!(missing.to_string().starts_with("/nowhere/keys.json: "), "{missing}");
}

#[test]
fn a_fresh_signer_is_accepted_by_its_own_set_alone() {
    let signer = crate::auth::Signer::generate_es256("dev").unwrap();
    let token = signer.sign(&claims().to_string()).unwrap();
    assert!(authenticate(&authenticator(rules(), &signer.jwks()), &token).is_ok());
    let other = crate::auth::Signer::generate_es256("dev").unwrap();
    let rejected = authenticate(&authenticator(rules(), &other.jwks()), &token).map(drop);
    assert_eq!(rejected, Err(AuthError::Token(Error::Signature)));
}

#[test]
fn duplicate_key_counts_once() {
    let key = Pair::RsaA.jwk_with(json!({"kid": "1"}));
    let set = KeySet::read(jwks([key.clone(), key]).as_bytes(), Algorithm::VARIANTS).unwrap();
    assert_eq!((set.len(), set.warnings()), (1, vec![]));
}

#[test]
fn ambiguous_keys_are_warned_of() {
    let named = |pair: Pair, kid: &str| pair.jwk_with(json!({ "kid": kid }));
    let cases: Vec<(&str, Vec<Value>, &[&str])> = vec![
        ("each its own kid", vec![named(Pair::RsaA, "1"), named(Pair::RsaB, "2")], &[]),
        ("one kid, two types", vec![named(Pair::RsaA, "1"), named(Pair::P256A, "1")], &[]),
        (
            "one kid, reported apart by alg",
            vec![
                Pair::RsaA.jwk_with(json!({"kid": "1", "alg": "RS256"})),
                Pair::RsaB.jwk_with(json!({"kid": "1", "alg": "PS256"})),
            ],
            &[],
        ),
        ("one key without a kid", vec![Pair::RsaA.jwk()], &[]),
        ("two of two types without a kid", vec![Pair::RsaA.jwk(), Pair::P256A.jwk()], &[]),
        (
            "one kid",
            vec![named(Pair::RsaA, "a\nb"), named(Pair::P256A, "x"), named(Pair::RsaB, "a\nb")],
            &[
                "keys 1 and 3 have the same kid (a\\nb) and serve the same algorithm: tokens that name it are \
               rejected; each key needs a kid of its own",
            ],
        ),
        (
            "two without a kid",
            vec![Pair::RsaA.jwk(), Pair::RsaB.jwk()],
            &[
                "key 1 has no kid, and key 2 serves the same algorithm: no token can mean it; each key needs a kid of \
               its own",
                "key 2 has no kid, and key 1 serves the same algorithm: no token can mean it; each key needs a kid of \
               its own",
            ],
        ),
        (
            "one without a kid",
            vec![Pair::RsaA.jwk(), named(Pair::RsaB, "1")],
            &[
                "key 1 has no kid, and key 2 serves the same algorithm: no token can mean it; each key needs a kid of \
               its own",
            ],
        ),
    ];
    for (what, keys, expected) in cases {
        let set = KeySet::read(jwks(keys).as_bytes(), Algorithm::VARIANTS).unwrap();
        assert_eq!(set.warnings(), expected, "{what}");
    }
}

#[test]
fn hundred_keys_are_read_and_twenty_reported() {
    let bad = vec![json!({"kty": "oct"}); 99];
    let set = |keys: Vec<Value>| KeySet::read(jwks(keys).as_bytes(), Algorithm::VARIANTS);
    let hundred = set([bad.clone(), vec![Pair::P256A.jwk()]].concat()).unwrap();
    assert_eq!((hundred.len(), hundred.skipped_count()), (1, 99));
    let reported = hundred.warnings();
    assert_eq!(reported.len(), 21);
    assert!(reported[19].starts_with("key 20 is skipped"), "{reported:?}");
    assert_eq!(reported[20], "79 more keys are skipped");

    let late = [vec![Pair::P256B.jwk()], bad, vec![Pair::P256A.jwk()]].concat();
    let set = set(late).unwrap();
    assert_eq!((set.len(), set.skipped_count()), (1, 100));
    assert_eq!(set.warnings()[20], "80 more keys are skipped, for only the first 100 of 101 keys are read");

    let kinds = 30;
    let same: Vec<_> = (0..kinds).map(|_| crate::auth::Signer::generate_es256("1").unwrap().jwks()).collect();
    let same: Vec<Value> =
        same.iter().map(|set| serde_json::from_str::<Value>(set).unwrap()["keys"][0].clone()).collect();
    assert_eq!(KeySet::read(jwks(same).as_bytes(), Algorithm::VARIANTS).unwrap().warnings().len(), 20);
}

#[test]
fn a_set_of_half_a_million_bad_keys_costs_one_short_message() {
    let text = format!(r#"{{"keys":[{}0]}}"#, "0,".repeat(520_000));
    let error = KeySet::read(text.as_bytes(), Algorithm::VARIANTS).map(drop).unwrap_err().to_string();
    assert!(
        error.ends_with("; 519981 more keys are skipped, for only the first 100 of 520001 keys are read")
    );
    assert!(error.len() < 2_000, "{}", error.len());
}

#[test]
fn a_byte_order_mark_is_skipped_once() {
    let good = format!("\u{feff}{}", all_keys());
    assert_eq!(KeySet::read(good.as_bytes(), Algorithm::VARIANTS).unwrap().len(), 6);
    let twice = format!("\u{feff}{good}");
    assert!(matches!(KeySet::read(twice.as_bytes(), Algorithm::VARIANTS), Err(KeyError::NotJson(_))));
}
