//! A key file: read at the start, on request, and when it changes.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::issuer::quick;
use super::mint::*;
use crate::auth::keys::MAX_BYTES;
use crate::auth::source::RefreshTiming;
use crate::auth::{AuthError, Authenticator, KeyError, Source, TokenError as Error};

fn one(pair: Pair) -> String {
    jwks([pair.jwk_with(json!({"kid": "one"}))])
}

fn reload(authenticator: &Authenticator) -> Result<(), KeyError> {
    authenticator.prepare_reload().map(|prepared| authenticator.commit_reload(prepared))
}

/// Tries for 20 seconds.
pub(super) fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "not within 20 seconds: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_file_without_a_usable_key_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let start = || Authenticator::new(rules(), Source::File(path.clone()), clock()).map(drop);
    assert!(matches!(start(), Err(KeyError::Unreadable { .. })));
    fs::write(&path, "{}").unwrap();
    assert!(matches!(start(), Err(KeyError::NotASet)));
    fs::write(&path, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#).unwrap();
    assert!(matches!(start(), Err(KeyError::NoUsableKey(_))));
    fs::write(&path, one(Pair::P256A)).unwrap();
    assert!(start().is_ok());
}

#[test]
fn key_file_above_the_limit_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let start = || Authenticator::new(rules(), Source::File(path.clone()), clock()).map(drop);
    let mut text = one(Pair::P256A);
    assert_eq!(MAX_BYTES, 1_048_576);
    text.push_str(&" ".repeat(MAX_BYTES - text.len()));
    fs::write(&path, &text).unwrap();
    assert!(start().is_ok());
    fs::write(&path, text + " ").unwrap();
    assert!(matches!(start(), Err(KeyError::TooLarge)));
}

#[test]
fn a_reload_takes_a_good_file_and_keeps_the_old_keys_over_a_bad_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    fs::write(&path, one(Pair::P256A)).unwrap();
    let authenticator = Authenticator::new(rules(), Source::File(path.clone()), clock()).unwrap();
    let (a, b) = (token(Pair::P256A, "ES256", "one"), token(Pair::P256B, "ES256", "one"));
    assert!(authenticate(&authenticator, &a).is_ok());
    assert!(authenticate(&authenticator, &b).is_err());

    fs::write(&path, "garbage").unwrap();
    assert!(matches!(reload(&authenticator), Err(KeyError::NotJson(_))));
    assert!(authenticate(&authenticator, &a).is_ok(), "the old keys stay");

    fs::write(&path, one(Pair::P256B)).unwrap();
    let prepared = authenticator.prepare_reload().unwrap();
    assert!(authenticate(&authenticator, &a).is_ok(), "nothing has changed before the commit");
    authenticator.commit_reload(prepared);
    assert_eq!(
        authenticate(&authenticator, &a).map(drop),
        Err(AuthError::Token(Error::Signature)),
        "even if cached"
    );
    assert!(authenticate(&authenticator, &b).is_ok());

    let hits = authenticator.status().cache_hits;
    reload(&authenticator).unwrap();
    authenticate(&authenticator, &b).unwrap();
    assert_eq!(authenticator.status().cache_hits, hits + 1, "an unchanged file empties no cache");
}

#[test]
fn a_changed_file_is_taken_without_being_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    fs::write(&path, one(Pair::P256A)).unwrap();
    let authenticator =
        Authenticator::with_timing(rules(), Source::File(path.clone()), clock(), quick()).unwrap();
    let (a, b) = (token(Pair::P256A, "ES256", "one"), token(Pair::P256B, "ES256", "one"));
    fs::write(&path, "{").unwrap();
    soon("the bad file is reported", || authenticator.status().keys.failures == 1);
    assert!(authenticate(&authenticator, &a).is_ok());
    let other = directory.path().join("new.json");
    fs::write(&other, one(Pair::P256B)).unwrap();
    fs::rename(other, &path).unwrap();
    soon("the new keys serve", || authenticate(&authenticator, &b).is_ok());
    assert!(authenticate(&authenticator, &a).is_err());
    fs::remove_file(&path).unwrap();
    soon("the missing file is reported", || authenticator.status().keys.failures == 2);
    assert!(authenticate(&authenticator, &b).is_ok(), "the last good keys stay");
}

#[test]
fn file_of_a_failed_reload_is_unused_until_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let replace = |pair: Pair| {
        let other = directory.path().join("new.json");
        fs::write(&other, one(pair)).unwrap();
        fs::rename(other, &path).unwrap();
    };
    let serves = |authenticator: &Authenticator, pair: Pair| {
        authenticate(authenticator, &token(pair, "ES256", "one")).is_ok()
    };
    let timing = RefreshTiming { file_poll: Duration::from_millis(300), ..quick() };
    for succeeds in [true, false] {
        replace(Pair::P256A);
        let authenticator =
            Authenticator::with_timing(rules(), Source::File(path.clone()), clock(), timing).unwrap();
        replace(Pair::P256B);
        authenticator.abandon_reload();
        std::thread::sleep(timing.file_poll * 3);
        assert!(serves(&authenticator, Pair::P256A), "nothing is changed");
        if succeeds {
            reload(&authenticator).unwrap();
            assert!(serves(&authenticator, Pair::P256B));
        } else {
            replace(Pair::P256B);
            soon("the newer file is taken", || serves(&authenticator, Pair::P256B));
        }
        let mut age = Duration::ZERO;
        soon("it is confirmed from then on", || {
            let before = std::mem::replace(&mut age, authenticator.status().keys.age.unwrap());
            age < before
        });
    }
}

#[test]
fn an_unknown_kid_does_not_wait_where_no_better_keys_can_come() {
    let authenticator = authenticator(rules(), &all_keys());
    let begun = Instant::now();
    let rejected = authenticate(&authenticator, &token(Pair::P256A, "ES256", "unknown")).map(drop);
    assert_eq!(rejected, Err(AuthError::Token(Error::UnknownKey)));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn an_unknown_kid_waits_for_one_look_at_the_file_and_no_longer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    fs::write(&path, one(Pair::P256A)).unwrap();
    let authenticator = Authenticator::with_timing(rules(), Source::File(path), clock(), quick()).unwrap();
    let unknown = token(Pair::P256A, "ES256", "unknown");
    for _ in 0..20 {
        let begun = Instant::now();
        let rejected = authenticate(&authenticator, &unknown).map(drop);
        assert_eq!(rejected, Err(AuthError::Token(Error::UnknownKey)));
        // Twenty polls lie between the two; only a poll whose end is never announced is waited for in full.
        assert!(begun.elapsed() < quick().max_wait() / 2, "{:?}", begun.elapsed());
        std::thread::sleep(quick().file_poll);
    }
}

#[test]
fn the_thread_ends_with_its_authenticator() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    fs::write(&path, one(Pair::P256A)).unwrap();
    let authenticator = Authenticator::with_timing(rules(), Source::File(path), clock(), quick()).unwrap();
    let keyring = std::sync::Arc::downgrade(&authenticator.keyring);
    drop(authenticator);
    soon("nothing holds the keyring", || keyring.upgrade().is_none());
}
