//! A published key set over HTTPS, under a certificate of a private authority.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Authority, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use super::files::soon;
use super::issuer::{Issuer, Manner, impatient, quick};
use super::mint::*;
use crate::auth::source::{RefreshTiming, Remote};
use crate::auth::{Authenticator, Source};

/// An authority's certificate, and a server with a certificate of it for this name.
fn authority_and_server(name: &str) -> (CertificateDer<'static>, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let authority = Authority::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&server_key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
        )
        .unwrap();
    (certificate.der().clone(), Arc::new(config))
}

fn checker(issuer: &Issuer, ca: Option<&CertificateDer<'static>>, host: &str) -> Authenticator {
    checker_refreshing(issuer, ca, host, Duration::from_millis(200), quick())
}

fn checker_refreshing(
    issuer: &Issuer,
    ca: Option<&CertificateDer<'static>>,
    host: &str,
    refresh: Duration,
    timing: RefreshTiming,
) -> Authenticator {
    let remote = Remote {
        address: Some(format!("https://{host}:{}/keys", issuer.port).parse().unwrap()),
        authorities: ca.cloned().into_iter().collect(),
        refresh,
        max_stale: Duration::from_secs(60),
    };
    Authenticator::with_timing(rules(), Source::Remote(remote), clock(), timing).unwrap()
}

#[test]
fn keys_are_fetched_over_https_under_a_private_authority_and_rotate() {
    let (authority, tls) = authority_and_server("127.0.0.1");
    let set = |pair: Pair| jwks([pair.jwk_with(json!({"kid": "one"}))]);
    let first = set(Pair::P256A);
    let issuer = Issuer::start_with(Some(tls), move |_| Manner::ok(first.clone()));
    let checker = checker(&issuer, Some(&authority), "127.0.0.1");
    let (a, b) = (token(Pair::P256A, "ES256", "one"), token(Pair::P256B, "ES256", "one"));
    assert!(authenticate(&checker, &a).is_ok(), "{:?}", checker.status());
    issuer.behave(Manner::ok(set(Pair::P256B)));
    soon("the new key serves", || authenticate(&checker, &b).is_ok());
    assert!(authenticate(&checker, &a).is_err());
    issuer.behave(Manner::Close);
    soon("an outage", || checker.status().keys.failures > 0);
    assert!(authenticate(&checker, &b).is_ok());
}

#[test]
fn a_flood_over_https_costs_one_fetch_when_cold_and_one_more_for_unknown_kids() {
    let (authority, tls) = authority_and_server("127.0.0.1");
    let issuer = Issuer::start_with(Some(tls), |_| {
        std::thread::sleep(Duration::from_millis(100));
        Manner::ok(all_keys())
    });
    let checker =
        checker_refreshing(&issuer, Some(&authority), "127.0.0.1", Duration::from_secs(300), quick());
    assert!(!checker.has_keys());
    let good = token(Pair::RsaA, "RS256", "rsa-a");
    let cold = block_on(join_all((0..50).map(|_| checker.authenticate(&good))));
    assert!(cold.iter().all(Result::is_ok));
    assert_eq!(issuer.requests(), 1);
    let strangers: Vec<_> =
        (0..1_000).map(|kid| token(Pair::P256B, "ES256", &format!("random-{kid}"))).collect();
    let rejected = block_on(join_all(strangers.iter().map(|token| checker.authenticate(token))));
    assert!(rejected.iter().all(Result::is_err));
    assert_eq!(issuer.requests(), 2);
}

#[test]
fn hanging_issuer_over_https_blocks_no_request_for_long() {
    let (authority, tls) = authority_and_server("127.0.0.1");
    let issuer = Issuer::start_with(Some(tls), |_| Manner::Hang(Duration::from_secs(30)));
    let checker =
        checker_refreshing(&issuer, Some(&authority), "127.0.0.1", Duration::from_secs(300), impatient());
    let begun = std::time::Instant::now();
    let rejected = authenticate(&checker, &token(Pair::RsaA, "RS256", "rsa-a"));
    assert_eq!(rejected.map(drop), Err(crate::auth::AuthError::KeysUnavailable));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_certificate_that_is_not_trusted_brings_no_keys() {
    let (authority, tls) = authority_and_server("127.0.0.1");
    let (other, _) = authority_and_server("127.0.0.1");
    let (named, wrong_name) = authority_and_server("issuer.example");
    let serve = |tls| Issuer::start_with(Some(tls), |_| Manner::ok(all_keys()));
    let (issuer, misnamed) = (serve(tls), serve(wrong_name));
    for (what, checker) in [
        ("only the public roots", checker(&issuer, None, "127.0.0.1")),
        ("another authority", checker(&issuer, Some(&other), "127.0.0.1")),
        ("another name", checker(&misnamed, Some(&named), "127.0.0.1")),
    ] {
        soon(what, || checker.status().keys.failures > 0);
        assert!(!checker.has_keys(), "{what}");
    }
    assert!(
        authenticate(&checker(&issuer, Some(&authority), "127.0.0.1"), &token(Pair::RsaA, "RS256", "rsa-a"))
            .is_ok()
    );
    assert_eq!(misnamed.requests(), 0);
}

#[test]
fn a_certificate_that_is_not_trusted_is_an_outage_whose_message_names_the_ca_file() {
    let (_authority, tls) = authority_and_server("127.0.0.1");
    let issuer = Issuer::start_with(Some(tls), |_| Manner::ok(all_keys()));
    let remote = Remote {
        address: Some(format!("https://127.0.0.1:{}/keys", issuer.port).parse().unwrap()),
        authorities: vec![],
        refresh: Duration::from_secs(300),
        max_stale: Duration::from_secs(60),
    };
    let error = crate::auth::check_source(&rules(), &Source::Remote(remote)).unwrap_err();
    assert!(error.is_outage(), "{error}");
    let reported = error.with_help();
    assert!(reported.contains("UnknownIssuer") && reported.contains("token.ca_file"), "{reported}");
}

#[test]
fn an_issuer_over_https_cannot_send_for_its_keys_over_http() {
    let (authority, tls) = authority_and_server("127.0.0.1");
    let plain = Issuer::start(Manner::ok(all_keys()));
    let issuer = Issuer::start_with(Some(tls), |_| Manner::Close);
    let base = format!("https://127.0.0.1:{}", issuer.port);
    let tried = |keys: String| {
        issuer.behave(Manner::ok(json!({"issuer": base, "jwks_uri": keys}).to_string()));
        let remote = Remote {
            address: None,
            authorities: vec![authority.clone()],
            refresh: Duration::from_secs(300),
            max_stale: Duration::from_secs(60),
        };
        let mut rules = rules();
        rules.issuer.clone_from(&base);
        crate::auth::check_source(&rules, &Source::Remote(remote)).unwrap_err().to_string()
    };
    assert!(tried(plain.address("/keys")).ends_with("jwks_uri is not https"));
    assert_eq!(plain.requests(), 0);
}
