//! Key sets: what is one, which key a token means, and what is reported of the others.

use serde_json::{Value, json};
use strum::VariantArray;

use super::mint::*;
use crate::auth::keys::KeySet;
use crate::auth::{Algorithm, AuthError, KeyError, Source, TokenError as Error, check_source};

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
    let warnings = check_source(&rules(), &source).unwrap();
    assert_eq!(warnings, ["key 2 (kid secret) is skipped: a symmetric key has no place in a published set"]);
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
