//! A published key set: rotation, outage and every way in which an issuer can misbehave.

use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::files::soon;
use super::issuer::{Issuer, Manner, impatient, quick};
use super::mint::*;
use crate::auth::source::{RefreshTiming, Remote};
use crate::auth::{AuthError, Authenticator, KeyError, Rules, Source, TokenError as Error, check_source};

const UNKNOWN: Result<(), AuthError> = Err(AuthError::Token(Error::UnknownKey));
const NO_KEYS: Result<(), AuthError> = Err(AuthError::KeysUnavailable);

pub(super) fn remote(address: &str) -> Remote {
    Remote {
        address: Some(address.parse().unwrap()),
        authorities: vec![],
        refresh: Duration::from_secs(300),
        max_stale: Duration::from_secs(86_400),
    }
}

pub(super) fn checker(remote: Remote, timing: RefreshTiming) -> Authenticator {
    checker_with(rules(), remote, timing)
}

pub(super) fn checker_with(rules: Rules, remote: Remote, timing: RefreshTiming) -> Authenticator {
    Authenticator::with_timing(rules, Source::Remote(remote), clock(), timing).unwrap()
}

pub(super) fn one(pair: Pair) -> String {
    jwks([pair.jwk_with(json!({"kid": "one"}))])
}

pub(super) fn good() -> String {
    token(Pair::P256A, "ES256", "one")
}

pub(super) fn tried(checker: &Authenticator, token: &str) -> Result<(), AuthError> {
    authenticate(checker, token).map(drop)
}

#[test]
fn fifty_requests_on_a_cold_start_cost_one_fetch() {
    let issuer = Issuer::start_with(None, |_| {
        std::thread::sleep(Duration::from_millis(100));
        Manner::ok(one(Pair::P256A))
    });
    let checker = checker(remote(&issuer.address("/keys")), quick());
    assert!(!checker.has_keys());
    let token = good();
    let all = block_on(join_all((0..50).map(|_| checker.authenticate(&token))));
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(issuer.requests(), 1);
    assert!(checker.has_keys());
}

#[test]
fn a_thousand_random_kids_cost_one_fetch_more() {
    let issuer = Issuer::start(Manner::ok(one(Pair::P256A)));
    let checker = checker(remote(&issuer.address("/keys")), quick());
    assert_eq!(tried(&checker, &good()), Ok(()));
    let tokens: Vec<_> =
        (0..1_000).map(|kid| token(Pair::P256B, "ES256", &format!("random-{kid}"))).collect();
    let all = block_on(join_all(tokens.iter().map(|token| checker.authenticate(token))));
    assert!(all.iter().all(|outcome| outcome.as_ref().map(drop).map_err(Clone::clone) == UNKNOWN));
    assert!(issuer.requests() <= 2, "{}", issuer.requests());
    let expired = token_of(
        Pair::P256B,
        "ES256",
        r#"{"alg":"ES256","kid":"x"}"#,
        &claims_with(json!({"exp": 1})).to_string(),
    );
    assert_eq!(tried(&checker, &expired), Err(AuthError::Token(Error::Expired)), "bad claims fetch nothing");
}

#[test]
fn a_new_key_is_fetched_when_a_token_names_it() {
    let issuer = Issuer::start(Manner::ok(one(Pair::P256A)));
    let checker = checker(remote(&issuer.address("/keys")), quick());
    assert_eq!(tried(&checker, &good()), Ok(()));
    issuer.behave(Manner::ok(all_keys()));
    assert_eq!(tried(&checker, &token(Pair::RsaA, "RS256", "rsa-a")), Ok(()));
    assert_eq!(issuer.requests(), 2);
    issuer.behave(Manner::ok(jwks([Pair::RsaB.jwk_with(json!({"kid": "late"}))])));
    let begun = Instant::now();
    assert_eq!(
        tried(&checker, &token(Pair::RsaB, "RS256", "late")),
        UNKNOWN,
        "within the spacing nothing is fetched"
    );
    assert!(begun.elapsed() < quick().fetch / 2, "and no request waits");
    assert_eq!(issuer.requests(), 2);
}

#[test]
fn a_removed_key_stops_within_the_interval_even_for_remembered_tokens() {
    let issuer = Issuer::start(Manner::ok(one(Pair::P256A)));
    let mut often = remote(&issuer.address("/keys"));
    often.refresh = Duration::from_millis(200);
    let (checker, token_a) = (checker(often, quick()), good());
    assert_eq!(tried(&checker, &token_a), Ok(()));
    issuer.behave(Manner::ok(one(Pair::P256B)));
    let begun = Instant::now();
    soon("the removed key is rejected", || tried(&checker, &token_a).is_err());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(tried(&checker, &token_a), Err(AuthError::Token(Error::Signature)));
    assert_eq!(tried(&checker, &token(Pair::P256B, "ES256", "one")), Ok(()));
}

#[test]
fn an_unchanged_set_is_confirmed_and_nothing_is_forgotten() {
    let unchanged: [fn() -> Manner; 2] = [
        || Manner::Conditional("v1".to_owned(), one(Pair::P256A).into_bytes()),
        || Manner::ok(one(Pair::P256A)),
    ];
    for (manner, conditional) in unchanged.into_iter().zip([true, false]) {
        let issuer = Issuer::start(manner());
        let mut often = remote(&issuer.address("/keys"));
        often.refresh = Duration::from_millis(50);
        often.max_stale = Duration::from_secs(3);
        let (begun, max_stale) = (Instant::now(), often.max_stale);
        let (checker, token) = (checker(often, quick()), good());
        assert_eq!(tried(&checker, &token), Ok(()));
        soon("the set was confirmed twenty times", || {
            checker.status().keys.refreshes > 20 && begun.elapsed() > max_stale
        });
        assert_eq!(tried(&checker, &token), Ok(()), "confirmed, so not stale");
        assert_eq!(checker.status().cache_hits, 1);
        assert_eq!(checker.status().keys.failures, 0);
        let confirmed = issuer.confirmed.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(confirmed >= 20, conditional, "{confirmed} answers of 304");
    }
}

#[test]
fn rejected_set_is_not_requested_on_condition() {
    let issuer = Issuer::start(Manner::Conditional("bad".to_owned(), b"{\"keys\":[]}".to_vec()));
    let checker = checker(remote(&issuer.address("/keys")), quick());
    soon("two failures", || checker.status().keys.failures >= 2);
    assert_eq!(checker.status().keys.refreshes, 0);
    let source = Source::Remote(remote(&issuer.address("/keys")));
    assert!(matches!(check_source(&rules(), &source), Err(KeyError::NoUsableKey(_))));
}

/// An issuer whose answers are fresh for so many seconds.
fn fresh_for(seconds: u64) -> Issuer {
    let lines = format!("Cache-Control: max-age={seconds}\r\n");
    Issuer::start(Manner::Answer(200, lines, one(Pair::P256A).into_bytes()))
}

#[test]
fn the_shorter_of_interval_and_max_age_decides_when_keys_are_fetched_again() {
    for (max_age, interval) in [(0, 300_000), (1, 300_000), (3_600, 50), (99_999_999, 50)] {
        let issuer = fresh_for(max_age);
        let mut often = remote(&issuer.address("/keys"));
        often.refresh = Duration::from_millis(interval);
        let _lock = checker(often, quick());
        soon(&format!("three fetches with max-age={max_age}"), || issuer.requests() >= 3);
    }
    let issuer = fresh_for(3_600);
    let checker = checker(remote(&issuer.address("/keys")), quick());
    soon("the keys are there", || checker.has_keys());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(issuer.requests(), 1, "neither is over");
}

#[test]
fn keys_of_a_healthy_issuer_never_run_out() {
    let issuer = fresh_for(3_600);
    let mut short = remote(&issuer.address("/keys"));
    short.max_stale = Duration::from_secs(3);
    let checker = checker(short, quick());
    soon("the keys are there", || checker.has_keys());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        assert!(checker.has_keys(), "after {:?}: {:?}", begun.elapsed(), checker.status());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn cold_start_without_issuer_denies_at_once_and_recovers() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let checker_down = checker(remote(&format!("http://127.0.0.1:{port}/keys")), quick());
    soon("a failure", || checker_down.status().keys.failures > 0);
    let begun = Instant::now();
    assert_eq!(tried(&checker_down, &good()), NO_KEYS);
    assert!(begun.elapsed() < quick().fetch / 2);
    assert!(!checker_down.has_keys());

    let issuer = Issuer::start(Manner::Answer(500, String::new(), vec![]));
    let checker = checker(remote(&issuer.address("/keys")), quick());
    soon("a failure", || checker.status().keys.failures > 0);
    assert_eq!(
        tried(&checker, "garbage"),
        Err(AuthError::Token(Error::NotThreeParts)),
        "bad tokens are bad without keys"
    );
    issuer.behave(Manner::ok(one(Pair::P256A)));
    soon("it heals by itself", || tried(&checker, &good()).is_ok());
}

#[test]
fn whatever_the_issuer_sends_the_last_good_set_stays() {
    let answers: Vec<(&str, Manner)> = vec![
        ("500", Manner::Answer(500, String::new(), one(Pair::P256B).into_bytes())),
        ("404", Manner::Answer(404, String::new(), one(Pair::P256B).into_bytes())),
        ("204", Manner::Answer(204, String::new(), vec![])),
        ("304 unasked", Manner::Answer(304, String::new(), vec![])),
        ("garbage", Manner::ok("<html>")),
        ("nothing", Manner::ok("")),
        ("no keys", Manner::ok(r#"{"keys":[]}"#)),
        ("only unusable keys", Manner::ok(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#)),
        ("more than 1 MiB", Manner::ok(format!("{}{}", one(Pair::P256B), " ".repeat(1024 * 1024)))),
        ("no answer", Manner::Hang(Duration::from_secs(30))),
        ("a byte now and then", Manner::Trickle),
        ("a closed connection", Manner::Close),
    ];
    for (what, manner) in answers {
        let issuer = Issuer::start(Manner::ok(one(Pair::P256A)));
        let mut often = remote(&issuer.address("/keys"));
        often.refresh = Duration::from_millis(100);
        let checker = checker(often, impatient());
        soon("the keys are there", || tried(&checker, &good()).is_ok());
        issuer.behave(manner);
        let begun = Instant::now();
        soon(what, || checker.status().keys.failures >= 1);
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: the whole takes 0.8 s at most");
        checker.forget_verified();
        assert_eq!(tried(&checker, &good()), Ok(()), "{what}");
        issuer.behave(Manner::ok(one(Pair::P256B)));
        soon("the next good set is taken", || tried(&checker, &token(Pair::P256B, "ES256", "one")).is_ok());
    }
}

#[test]
fn the_last_good_set_serves_only_so_long() {
    let issuer = Issuer::start(Manner::ok(one(Pair::P256A)));
    let mut short = remote(&issuer.address("/keys"));
    short.refresh = Duration::from_millis(100);
    short.max_stale = Duration::from_secs(3);
    let (checker, token) = (checker(short, quick()), good());
    assert_eq!(tried(&checker, &token), Ok(()));
    issuer.behave(Manner::Close);
    soon("failures", || checker.status().keys.failures > 0);
    assert_eq!(tried(&checker, &token), Ok(()), "the issuer is down, the keys serve");
    soon("the keys are too old", || !checker.has_keys());
    assert_eq!(tried(&checker, &token), NO_KEYS, "remembered or not");
    assert_eq!(checker.status().keys.usable_keys, 0);
    issuer.behave(Manner::ok(one(Pair::P256A)));
    soon("and it heals", || tried(&checker, &token).is_ok());
}

#[test]
fn token_that_expires_during_the_fetch_is_rejected() {
    let clock = clock();
    let turned = std::sync::Arc::clone(&clock);
    let issuer = Issuer::start_with(None, move |_| {
        std::thread::sleep(Duration::from_millis(200));
        turned.advance_millis(400_000);
        Manner::ok(one(Pair::P256A))
    });
    let source = Source::Remote(remote(&issuer.address("/keys")));
    let checker = Authenticator::with_timing(rules(), source, clock, quick()).unwrap();
    assert_eq!(tried(&checker, &good()), Err(AuthError::Token(Error::Expired)));
}

#[test]
fn only_so_many_requests_wait_for_an_issuer_that_hangs() {
    let issuer = Issuer::start(Manner::Hang(Duration::from_secs(30)));
    let checker = checker(remote(&issuer.address("/keys")), impatient());
    let (token, begun) = (good(), Instant::now());
    let requests = (0..1_100).map(|_| Box::pin(async { checker.authenticate(&token).await.map(drop) }));
    block_on(async {
        let mut waiting = Vec::new();
        for mut request in requests {
            let polled = std::future::poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await;
            match polled {
                Poll::Ready(outcome) => assert_eq!(outcome, NO_KEYS),
                Poll::Pending => waiting.push(request),
            }
        }
        assert_eq!(waiting.len(), 1_024, "the others are refused at once");
        assert!(join_all(waiting).await.into_iter().all(|outcome| outcome == NO_KEYS));
    });
    assert!(begun.elapsed() < Duration::from_secs(10), "and those that wait do not wait for ever");
}

#[test]
fn a_reload_fetches_soon() {
    let issuer = Issuer::start(Manner::ok(one(Pair::P256A)));
    let checker = checker(remote(&issuer.address("/keys")), quick());
    assert_eq!(tried(&checker, &good()), Ok(()));
    issuer.behave(Manner::ok(one(Pair::P256B)));
    checker.commit_reload(checker.prepare_reload().unwrap());
    soon("the new set serves", || tried(&checker, &token(Pair::P256B, "ES256", "one")).is_ok());
}
