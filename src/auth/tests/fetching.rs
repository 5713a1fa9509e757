//! A fetch: redirects, the OpenID configuration, what is negotiated, and what an error says.

use std::time::{Duration, Instant};

use serde_json::json;

use super::files::soon;
use super::issuer::{Issuer, Manner, quick};
use super::mint::*;
use super::remote::{checker, checker_with, good, one, remote, tried};
use crate::auth::source::Remote;
use crate::auth::{Authenticator, Source, check_source};

#[test]
fn redirects_lead_to_the_same_origin_or_nowhere() {
    let elsewhere = Issuer::start(Manner::ok(one(Pair::P256A)));
    let there = elsewhere.address("/keys");
    for (location, follows) in [
        ("/new/keys".to_owned(), true),
        ("keys2".to_owned(), true),
        (there.clone(), false),
        (there.replace("127.0.0.1", "localhost"), false),
        ("https://127.0.0.1/keys".to_owned(), false),
        ("file:///etc/passwd".to_owned(), false),
        ("/start".to_owned(), false),
        ("//127.0.0.2/keys".to_owned(), false),
    ] {
        let line = format!("Location: {location}\r\n");
        let issuer = Issuer::start_with(None, move |path| match path {
            "/start" => Manner::Answer(302, line.clone(), vec![]),
            _ => Manner::ok(one(Pair::P256A)),
        });
        let checker = checker(remote(&issuer.address("/start")), quick());
        soon("an end", || checker.has_keys() || checker.status().keys.failures > 0);
        assert_eq!(checker.has_keys(), follows, "{location}: {:?}", checker.status());
    }
    assert_eq!(elsewhere.requests(), 0);
}

/// The issuer's base address → its OpenID configuration.
type Configuration = fn(&str) -> serde_json::Value;

#[test]
fn the_issuers_configuration_says_where_the_keys_are() {
    let cases: Vec<(&str, Configuration, bool)> = vec![
        ("as it should be", |base| json!({"issuer": base, "jwks_uri": format!("{base}/keys")}), true),
        ("another issuer", |base| json!({"issuer": "https://x", "jwks_uri": format!("{base}/keys")}), false),
        (
            "a slash more",
            |base| json!({"issuer": format!("{base}/"), "jwks_uri": format!("{base}/keys")}),
            false,
        ),
        ("no issuer", |base| json!({"jwks_uri": format!("{base}/keys")}), false),
        ("no keys", |base| json!({ "issuer": base }), false),
        ("no address", |base| json!({"issuer": base, "jwks_uri": "keys"}), false),
        ("a file", |base| json!({"issuer": base, "jwks_uri": "file:///etc/keys"}), false),
        ("http elsewhere", |base| json!({"issuer": base, "jwks_uri": "http://10.0.0.1/keys"}), false),
        ("an array", |_| json!([]), false),
        (
            "more than 1 MiB",
            |base| json!({"issuer": base, "jwks_uri": format!("{base}/keys"), "more": "x".repeat(1024 * 1024)}),
            false,
        ),
    ];
    for (what, configuration, works) in cases {
        let issuer = Issuer::start(Manner::Close);
        let base = issuer.address("");
        let text = configuration(&base).to_string();
        *issuer.choice() = std::sync::Arc::new(move |path| match path {
            "/.well-known/openid-configuration" => Manner::ok(text.clone()),
            "/keys" => Manner::ok(one(Pair::P256A)),
            _ => Manner::Close,
        });
        let mut rules = rules();
        rules.issuer.clone_from(&base);
        let checker = checker_with(rules, Remote { address: None, ..remote(&base) }, quick());
        soon("an end", || checker.has_keys() || checker.status().keys.failures > 1);
        assert_eq!(checker.has_keys(), works, "{what}: {:?}", checker.status());
        if works {
            let token = token_of(
                Pair::P256A,
                "ES256",
                r#"{"alg":"ES256","kid":"one"}"#,
                &claims_with(json!({ "iss": base })).to_string(),
            );
            assert_eq!(tried(&checker, &token), Ok(()));
        }
    }
}

#[test]
fn an_address_out_of_reach_stops_the_start() {
    for address in ["http://issuer.example/keys", "ftp://127.0.0.1/keys", "file:///etc/keys"] {
        let made = Authenticator::new(rules(), Source::Remote(remote(address)), clock());
        assert!(made.is_err(), "{address}");
    }
    let mut rules = rules();
    rules.issuer = "http://issuer.example".to_owned();
    let discover = Remote { address: None, ..remote("https://x.example") };
    assert!(Authenticator::new(rules, Source::Remote(discover), clock()).is_err());
}

const BYTE_ORDER_MARK: &str = "\u{feff}";

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn when(holds: bool, lines: &str, body: impl Into<Vec<u8>>) -> Manner {
    if holds {
        Manner::Answer(200, lines.to_owned(), body.into())
    } else {
        Manner::Answer(406, String::new(), vec![])
    }
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn keys_come_from_issuers_that_negotiate() {
    let keys = || one(Pair::P256A);
    let cases: Vec<(&str, Manner)> = vec![
        (
            "only jwk-set+json",
            Manner::ByHead(|head| {
                let accepts = value(head, "accept").is_some_and(|it| it.contains("application/jwk-set+json"));
                when(accepts, "Content-Type: application/jwk-set+json\r\n", one(Pair::P256A))
            }),
        ),
        (
            "only json",
            Manner::ByHead(|head| {
                let accepts = value(head, "accept").is_some_and(|it| it.contains("application/json"));
                when(accepts, "Content-Type: application/json\r\n", one(Pair::P256A))
            }),
        ),
        (
            "only text, as files are served",
            Manner::ByHead(|head| {
                let accepts = value(head, "accept").is_some_and(|it| it.contains("*/*"));
                when(accepts, "Content-Type: text/plain; charset=utf-8\r\n", one(Pair::P256A))
            }),
        ),
        (
            "any coding, to who names none",
            Manner::ByHead(|head| match value(head, "accept-encoding") {
                Some(_) => Manner::ok(one(Pair::P256A)),
                None => when(true, "Content-Encoding: br\r\n", "not JSON"),
            }),
        ),
        ("gzip, unasked", when(true, "Content-Encoding: gzip\r\n", gzip(keys()))),
        ("gzip by its old name", when(true, "Content-Encoding: X-GZIP\r\n", gzip(keys()))),
        ("identity by its name", when(true, "Content-Encoding: identity\r\n", keys())),
        ("a byte-order mark", Manner::ok(format!("{BYTE_ORDER_MARK}{}", keys()))),
        (
            "gzip over a byte-order mark",
            when(true, "Content-Encoding: gzip\r\n", gzip(format!("{BYTE_ORDER_MARK}{}", keys()))),
        ),
    ];
    for (what, manner) in cases {
        let issuer = Issuer::start(manner);
        let checker = checker(remote(&issuer.address("/keys")), quick());
        assert_eq!(tried(&checker, &good()), Ok(()), "{what}: {:?}", checker.status());
    }
}

#[test]
fn an_issuers_configuration_may_be_coded_and_marked() {
    let issuer = Issuer::start(Manner::Close);
    let base = issuer.address("");
    let text = json!({"issuer": base, "jwks_uri": format!("{base}/keys")}).to_string();
    *issuer.choice() = std::sync::Arc::new(move |path| match path {
        "/keys" => Manner::ok(one(Pair::P256A)),
        _ => when(true, "Content-Encoding: gzip\r\n", gzip(format!("{BYTE_ORDER_MARK}{text}"))),
    });
    let mut rules = rules();
    rules.issuer.clone_from(&base);
    let checker = checker_with(rules, Remote { address: None, ..remote(&base) }, quick());
    soon("the keys are there", || checker.has_keys() || checker.status().keys.failures > 1);
    assert!(checker.has_keys(), "{:?}", checker.status());
}

/// The error with this issuer, and how long it took.
fn failure(issuer: &Issuer) -> (String, Duration) {
    let begun = Instant::now();
    let source = Source::Remote(remote(&issuer.address("/keys")));
    let error = check_source(&rules(), &source).unwrap_err().to_string();
    (error, begun.elapsed())
}

#[test]
fn a_coding_that_is_not_understood_is_named() {
    for (coding, body, expected) in [
        ("br", b"x".to_vec(), "comes in the content coding \"br\""),
        ("gzip, br", b"x".to_vec(), "comes in the content coding \"gzip, br\""),
        ("gzip", b"{\"keys\":[]}".to_vec(), "is not the gzip that it says it is"),
        ("gzip", gzip(one(Pair::P256A))[..40].to_vec(), "is not the gzip that it says it is"),
    ] {
        let issuer = Issuer::start(Manner::Answer(200, format!("Content-Encoding: {coding}\r\n"), body));
        let (error, _) = failure(&issuer);
        assert!(error.contains(expected), "{coding}: {error}");
    }
}

#[test]
fn a_compressed_answer_is_read_to_the_limit_of_its_content() {
    let mut set = one(Pair::P256A);
    set.push_str(&" ".repeat(1024 * 1024 - set.len()));
    let lines = "Content-Encoding: gzip\r\n";
    let issuer = Issuer::start(when(true, lines, gzip(&set)));
    let checker = checker(remote(&issuer.address("/keys")), quick());
    assert_eq!(tried(&checker, &good()), Ok(()), "{:?}", checker.status());
    let bomb = gzip(vec![b' '; 200 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024, "it is not the size on the wire that is rejected: {}", bomb.len());
    let issuer = Issuer::start(when(true, lines, bomb));
    let took = [(); 3].map(|()| {
        let (error, took) = failure(&issuer);
        assert!(error.contains("larger than 1 MiB"), "{error}");
        took
    });
    assert!(took.iter().any(|took| *took < Duration::from_millis(500)), "{took:?}");
}

#[test]
fn an_issuer_that_differs_by_a_slash_is_shown_beside_the_configured_one() {
    let issuer = Issuer::start(Manner::Close);
    let base = issuer.address("");
    let text = json!({"issuer": format!("{base}/"), "jwks_uri": format!("{base}/keys")}).to_string();
    issuer.behave(Manner::ok(text));
    let mut rules = rules();
    rules.issuer.clone_from(&base);
    let source = Source::Remote(Remote { address: None, ..remote(&base) });
    let error = check_source(&rules, &source).unwrap_err().to_string();
    let both = format!("its issuer is \"{base}/\", and token.issuer is \"{base}\"");
    assert!(error.contains(&both) && error.contains("a slash"), "{error}");
}
