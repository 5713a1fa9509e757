//! Any bytes at all: the reader and the whole check reject without a panic, and accept only what was signed.
//!
//! `AUTH_FUZZ_CASES=1000000` raises the number of inputs of each property.

use proptest::prelude::*;
use serde_json::json;
use strum::VariantArray;

use super::mint::*;
use crate::auth::findings::First;
use crate::auth::keys::KeySet;
use crate::auth::{Algorithm, compact};

fn cases() -> ProptestConfig {
    let cases = std::env::var("AUTH_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(512);
    ProptestConfig {
        failure_persistence: None,
        max_global_rejects: u32::MAX,
        ..ProptestConfig::with_cases(cases)
    }
}

/// JSON-like pieces, so that many inputs come past the first gates.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"{"alg":"ES256","kid":"p256-a"}"#.to_owned()),
        Just(claims().to_string()),
        "\\PC{0,40}",
        "[\\{\\}\\[\\]\":,a-z0-9.eE+-]{0,60}",
        (any::<i64>(), any::<f64>()).prop_map(|(whole, broken)| {
            claims_with(json!({"exp": whole, "nbf": broken, "iat": whole})).to_string()
        }),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = compact::read(&text, &rules(), &mut First);
    }

    #[test]
    fn no_bytes_in_three_parts_make_the_reader_panic(
        header in proptest::collection::vec(any::<u8>(), 0..80),
        payload in proptest::collection::vec(any::<u8>(), 0..80),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let token = format!("{}.{}.{}", encode(header), encode(payload), encode(signature));
        let _ = compact::read(&token, &rules(), &mut First);
    }

    #[test]
    fn no_unsigned_json_passes(
        header in piece(),
        payload in piece(),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        thread_local! {
            static LOCK: crate::auth::Authenticator = authenticator(rules(), &all_keys());
        }
        let token = format!("{}.{}.{}", encode(header), encode(payload), encode(signature));
        prop_assert!(LOCK.with(|checker| authenticate(checker, &token).is_err()));
    }

    #[test]
    fn a_changed_byte_makes_a_token_bad(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        thread_local! {
            static LOCK: (crate::auth::Authenticator, String) =
                (authenticator(rules(), &all_keys()), token(Pair::P256A, "ES256", "p256-a"));
        }
        LOCK.with(|(checker, good)| {
            let mut bytes = good.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(authenticate(checker, &changed).is_err());
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_text_makes_the_key_set_panic(jwk in piece(), n in "[A-Za-z0-9_-]{0,40}", kty in "RSA|EC|OKP|oct") {
        let _ = KeySet::read(jwk.as_bytes(), Algorithm::VARIANTS);
        let key = json!({"kty": kty, "crv": "P-256", "n": n, "e": n, "x": n, "y": n});
        let _ = KeySet::read(jwks([key]).as_bytes(), Algorithm::VARIANTS);
        let _ = KeySet::read(format!("{{\"keys\":[{jwk}]}}").as_bytes(), Algorithm::VARIANTS);
    }
}
