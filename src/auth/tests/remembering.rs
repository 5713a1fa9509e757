//! The cache: what it saves, and that it never accepts what the check would reject.

use std::sync::Arc;

use serde_json::json;

use super::mint::*;
use crate::auth::cache::{Cache, LastToken, digest};
use crate::auth::{AuthError, Authenticator, TokenError as Error};

#[test]
fn a_known_token_is_served_from_memory_until_it_ends() {
    let clock = clock();
    let (_file, source) = key_file(&all_keys());
    let authenticator = Authenticator::new(rules(), source, Arc::clone(&clock) as _).unwrap();
    let token = token_with_claims(&claims_with(json!({"exp": NOW + 1})));
    let first = authenticate(&authenticator, &token).unwrap();
    let second = authenticate(&authenticator, &token).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let status = authenticator.status();
    assert_eq!((status.cache_hits, status.cache_misses), (1, 1));
    clock.advance_millis(30_999);
    assert!(authenticate(&authenticator, &token).is_ok(), "a millisecond before exp + leeway");
    clock.advance_millis(1);
    let rejected = authenticate(&authenticator, &token).map(drop);
    assert_eq!(rejected, Err(AuthError::Token(Error::Expired)), "at exp + leeway");
}

#[test]
fn rejected_tokens_are_not_cached() {
    let authenticator = authenticator(rules(), &all_keys());
    for at in 0..200 {
        let token = token_of(Pair::P256B, "ES256", r#"{"alg":"ES256","kid":"p256-a"}"#, &at.to_string());
        assert!(authenticate(&authenticator, &token).is_err());
    }
    let forged = token(Pair::P256B, "ES256", "p256-a");
    assert!(authenticate(&authenticator, &forged).is_err());
    assert_eq!(authenticator.cache.len(), 0);
}

#[test]
fn what_is_forgotten_is_verified_again() {
    let authenticator = authenticator(rules(), &all_keys());
    let token = token(Pair::P256A, "ES256", "p256-a");
    authenticate(&authenticator, &token).unwrap();
    assert_eq!(authenticator.cache.len(), 1);
    authenticator.forget_verified();
    assert_eq!(authenticator.cache.len(), 0);
    authenticate(&authenticator, &token).unwrap();
    assert_eq!(authenticator.status().cache_misses, 2);
}

#[test]
fn the_cache_is_bounded_in_entries_and_in_bytes() {
    let caller = super::any_caller();
    let cache = Cache::new();
    for number in 0..40_000 {
        cache.put(digest(&number.to_string()), Arc::clone(&caller), i64::MAX, 0);
    }
    assert!((8_000..=16_384).contains(&cache.len()), "{}", cache.len());
    let mut large = (*caller).clone();
    large.access = vec!["x".repeat(1_000); 10];
    let (cache, large) = (Cache::new(), Arc::new(large));
    for number in 0..10_000 {
        cache.put(digest(&number.to_string()), Arc::clone(&large), i64::MAX, 0);
    }
    assert!(
        cache.len() < 3_300 && cache.weight() <= 32 * 1024 * 1024,
        "{} of {}",
        cache.len(),
        cache.weight()
    );
}

#[test]
fn an_entry_holds_for_its_generation_and_time_only() {
    let caller = super::any_caller();
    // Whether the connection has seen the token before makes no difference.
    for is_new_connection in [true, false] {
        let (cache, connection) = (Cache::new(), LastToken::default());
        let get = |token: &str, generation, now| {
            let new = LastToken::default();
            cache.get(token, if is_new_connection { &new } else { &connection }, generation, now)
        };
        assert!(get("token", 1, 0).is_err());
        cache.put(digest("token"), Arc::clone(&caller), 100, 1);
        assert!(get("token", 1, 99).is_ok());
        assert!(get("token", 1, 100).is_err());
        assert!(get("Token", 1, 99).is_err());
        assert!(get("token", 2, 99).is_err());
        cache.put(digest("token"), Arc::clone(&caller), 100, 1);
        assert!(get("token", 2, 99).is_err(), "verified under the old keys, put in after they changed");
        assert!(get("token", 1, 99).is_ok());
        cache.clear();
        assert!(get("token", 1, 99).is_err(), "forgotten");
    }
}

#[test]
fn a_connection_keeps_its_last_token_unless_it_is_long() {
    let (cache, connection) = (Cache::new(), LastToken::default());
    let (short, long) = ("x".repeat(2_048), "x".repeat(2_049));
    for token in [&short, &long] {
        cache.put(digest(token), super::any_caller(), i64::MAX, 0);
        assert!(cache.get(token, &connection, 0, 0).is_ok());
        assert_eq!(connection.length(), if token == &short { 2_048 } else { 0 });
    }
}
