//! The form of a token: three parts, a header that holds to every rule, a payload that two readers read alike.

use serde_json::{Value, json};

use super::attacks::{Row, try_all};
use super::mint::*;
use crate::auth::error::TokenError as Error;

/// A token by P-256 key A whose header is this text, correctly signed.
pub(super) fn header(text: &str) -> String {
    token_of(Pair::P256A, "ES256", text, &claims().to_string())
}

fn payload(text: &str) -> String {
    token_of(Pair::P256A, "ES256", r#"{"alg":"ES256","kid":"p256-a"}"#, text)
}

#[test]
fn the_compact_form_is_three_canonical_parts() {
    let good = token(Pair::P256A, "ES256", "p256-a");
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("three parts") };
    let three = || Error::NotThreeParts;
    // 32 + 32 bytes end in a character of which four bits are stray: another one there decodes alike elsewhere.
    let last = signature.as_bytes()[signature.len() - 1];
    let stray = if last == b'A' { 'B' } else { (last + 1) as char };
    let rows: Vec<Row> = [
        (String::new(), three(), "nothing"),
        (".".to_owned(), three(), "one dot"),
        ("..".to_owned(), Error::NotJson("header"), "two dots"),
        ("...".to_owned(), three(), "three dots"),
        (head.to_owned(), three(), "one part"),
        (format!("{head}.{body}"), three(), "two parts"),
        (format!("{good}."), three(), "a fourth, empty part"),
        (format!("{good}.{signature}"), three(), "four parts"),
        (format!("{good}.{body}.{signature}"), three(), "five parts (JWE)"),
        (format!(".{body}.{signature}"), Error::NotJson("header"), "no header"),
        (format!("{head}..{signature}"), Error::NotJson("payload"), "no payload (detached)"),
        (format!(" {good}"), Error::NotBase64("header"), "a space before"),
        (format!("{good} "), Error::NotBase64("signature"), "a space behind"),
        (format!("{good}\n"), Error::NotBase64("signature"), "a line end behind"),
        (format!("{head}=.{body}.{signature}"), Error::NotBase64("header"), "padding in the header"),
        (format!("{head}.{body}=.{signature}"), Error::NotBase64("payload"), "padding in the payload"),
        (format!("{head}.{body}A.{signature}"), Error::NotBase64("payload"), "an impossible length"),
        (format!("{head}.{body}.{}{stray}", &signature[..85]), Error::NotBase64("signature"), "stray bits"),
        (
            format!("{head}.{body}.{}+", &signature[..85]),
            Error::NotBase64("signature"),
            "the other alphabet: +",
        ),
        (
            format!("{head}.{body}.{}/", &signature[..85]),
            Error::NotBase64("signature"),
            "the other alphabet: /",
        ),
        (format!("{head}.{body}.{}é", &signature[..84]), Error::NotBase64("signature"), "not ASCII"),
        (format!("{head}.{body}.{}\u{0}", &signature[..85]), Error::NotBase64("signature"), "a NUL"),
        (format!("{}\n.{body}.{signature}", head), Error::NotBase64("header"), "a line end within"),
        ("A".repeat(16 * 1024), three(), "16 KiB"),
        ("A".repeat(16 * 1024 + 1), Error::TooLong, "a byte more than 16 KiB"),
        ("é".repeat(9_000), Error::TooLong, "too long and not ASCII"),
        (format!("Bearer {good}"), Error::NotBase64("header"), "the scheme within the token"),
        (format!(r#"{{"payload":"{body}","signature":"{signature}"}}"#), three(), "the JSON serialization"),
    ]
    .map(|(token, error, why)| (token, Err(error), why.to_owned()))
    .into();
    assert_eq!(try_all(&all_keys(), rows), 28);
    let long = claims_with(json!({"more": "x".repeat(11_850)}));
    let longest = token_with_claims(&long);
    assert!((16_000..=16_384).contains(&longest.len()), "{}", longest.len());
    try_all(&all_keys(), vec![(longest, Ok(()), "almost 16 KiB".to_owned())]);
}

#[test]
fn the_typ_is_one_of_the_configured_types() {
    let configured = [&["at+jwt"][..], &["jwt", ""], &[""], &["id_token+jwt", "text/x"]];
    let cases: [(Option<&str>, [bool; 4]); 9] = [
        (None, [false, true, true, false]),
        (Some(""), [false; 4]),
        (Some("application/"), [false; 4]),
        (Some("at+jwt"), [true, false, false, false]),
        (Some("APPLICATION/AT+JWT"), [true, false, false, false]),
        (Some("JWT"), [false, true, false, false]),
        (Some("id_token+jwt"), [false, false, false, true]),
        (Some("TEXT/X"), [false, false, false, true]),
        (Some("ID_TOKEN+JWT"), [false, false, false, true]),
    ];
    for (types, at) in configured.into_iter().zip(0..) {
        let rules = crate::auth::Rules { types: types.iter().map(ToString::to_string).collect(), ..rules() };
        let authenticator = authenticator(rules, &all_keys());
        for (typ, expected) in &cases {
            let mut members = json!({"alg": "ES256", "kid": "p256-a"});
            if let Some(typ) = typ {
                members["typ"] = json!(typ);
            }
            let outcome = authenticate(&authenticator, &header(&members.to_string())).map(drop);
            let expected =
                if expected[at] { Ok(()) } else { Err(crate::auth::AuthError::Token(Error::Type)) };
            assert_eq!(outcome, expected, "{typ:?} where {types:?} are allowed");
        }
    }
}

#[test]
fn the_header_holds_to_every_rule() {
    const OK: Result<(), Error> = Ok(());
    let with = |more: Value| {
        let mut members = json!({"alg": "ES256", "kid": "p256-a"});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header(&members.to_string())
    };
    let mut rows: Vec<Row> = vec![];
    let mut row = |token, expected, why: &str| rows.push((token, expected, why.to_owned()));
    for typ in [
        "JWT",
        "jwt",
        "Jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/AT+JWT",
        "application/jwt",
    ] {
        row(with(json!({"typ": typ})), OK, typ);
    }
    for typ in [
        "",
        "JWS",
        "JOSE",
        "JOSE+JSON",
        "dpop+jwt",
        "application/",
        "Application/",
        "/at+jwt",
        "text/jwt",
        "secevent+jwt",
        "id_token+jwt",
        "at+jwt ",
        " JWT",
        "at jwt",
        "application/application/at+jwt",
        "JWT\u{0}",
    ] {
        row(with(json!({"typ": typ})), Err(Error::Type), typ);
    }
    for typ in [json!(null), json!(1), json!(["JWT"]), json!({}), json!(true)] {
        row(with(json!({"typ": typ})), Err(Error::Type), "typ of another JSON type");
    }
    for crit in
        [json!(null), json!([]), json!(["exp"]), json!(["b64"]), json!("exp"), json!({}), json!(false)]
    {
        row(with(json!({"crit": crit})), Err(Error::Critical), "crit in any form");
    }
    for b64 in [json!(true), json!(false), json!(null), json!("false")] {
        row(with(json!({"b64": b64})), Err(Error::UnencodedPayload), "b64 in any form");
    }
    row(with(json!({"b64": false, "crit": ["b64"]})), Err(Error::Critical), "RFC 7797");
    for cty in [json!("JWT"), json!("jwt"), json!("application/JWT"), json!(null), json!(["JWT"])] {
        row(with(json!({"cty": cty})), Err(Error::ContentType), "cty of a nested token, or no string");
    }
    row(with(json!({"cty": "json"})), OK, "another cty");
    for kid in [json!(null), json!(1), json!(["p256-a"]), json!({"kid": "p256-a"}), json!("k".repeat(257))] {
        row(with(json!({"kid": kid})), Err(Error::KeyId), "kid is no string, or too long");
    }
    for kid in [
        "",
        "P256-A",
        "p256-a ",
        "p256-a\u{0}",
        "../../../../dev/null",
        "' OR '1'='1",
        "p256-b/../p256-a",
        "%70256-a",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        &"k".repeat(256),
        &"é".repeat(256),
    ] {
        row(
            with(json!({"kid": kid})),
            Err(Error::UnknownKey),
            "kid is compared, and nothing else done with it",
        );
    }
    let foreign = Pair::P256B.jwk();
    for more in [
        json!({"jwk": foreign}),
        json!({"jwk": 7}),
        json!({"jku": "http://127.0.0.1:9/keys"}),
        json!({"jku": 7}),
        json!({"x5u": "http://127.0.0.1:9/chain"}),
        json!({"x5c": ["MII"]}),
        json!({"x5c": "MII"}),
        json!({"x5t": 1, "x5t#S256": 2, "unknown": [[[]]]}),
    ] {
        row(with(more.clone()), OK, "embedded keys are never looked at");
        let text = {
            let mut members = json!({"alg": "ES256", "kid": "p256-a"});
            members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            members.to_string()
        };
        let forged = token_of(Pair::P256B, "ES256", &text, &claims().to_string());
        row(forged, Err(Error::Signature), "signed by the key that it brings along");
    }
    for (text, error) in [
        (r#"{"alg":"ES256","alg":"ES256","kid":"p256-a"}"#, Error::Duplicate("header")),
        (r#"{"alg":"none","alg":"ES256","kid":"p256-a"}"#, Error::Duplicate("header")),
        (r#"{"alg":"ES256","\u0061lg":"none","kid":"p256-a"}"#, Error::Duplicate("header")),
        (r#"{"alg":"ES256","kid":"p256-b","kid":"p256-a"}"#, Error::Duplicate("header")),
        (r#"{"alg":"ES256","kid":"p256-a","x":{"y":1,"y":2}}"#, Error::Duplicate("header")),
        (r#"["alg","ES256"]"#, Error::NotAnObject("header")),
        (r#""ES256""#, Error::NotAnObject("header")),
        ("null", Error::NotAnObject("header")),
        ("7", Error::NotAnObject("header")),
        ("", Error::NotJson("header")),
        ("{", Error::NotJson("header")),
        (r#"{"alg":"ES256","kid":"p256-a"}{}"#, Error::NotJson("header")),
        (r#"{"alg":"ES256","kid":"p256-a",}"#, Error::NotJson("header")),
        (r#"{'alg':'ES256'}"#, Error::NotJson("header")),
        ("\u{feff}{\"alg\":\"ES256\",\"kid\":\"p256-a\"}", Error::NotJson("header")),
        (r#"{"alg":"ES256","kid":"\ud800"}"#, Error::NotJson("header")),
    ] {
        row(header(text), Err(error), text);
    }
    let no_kid = header(r#"{"alg":"ES256"}"#);
    row(no_kid, Err(Error::AmbiguousKey), "no kid and two keys that fit");
    row(
        token_of(Pair::P384, "ES384", r#"{"alg":"ES384"}"#, &claims().to_string()),
        OK,
        "no kid, one key fits",
    );
    assert_eq!(try_all(&all_keys(), rows), 98);
}

#[test]
fn the_payload_is_one_json_object_without_duplicates() {
    let good = claims().to_string();
    let rows: Vec<Row> = [
        (payload("[]"), Error::NotAnObject("payload"), "an array"),
        (payload("\"x\""), Error::NotAnObject("payload"), "a string"),
        (payload("null"), Error::NotAnObject("payload"), "null"),
        (payload(""), Error::NotJson("payload"), "nothing"),
        (payload("text"), Error::NotJson("payload"), "text"),
        (payload(&format!("{good}{good}")), Error::NotJson("payload"), "two objects"),
        (payload(&good.replacen('{', r#"{"sub":"x","#, 1)), Error::Duplicate("payload"), "sub twice"),
        (payload(&good.replacen('{', r#"{"exp":1,"#, 1)), Error::Duplicate("payload"), "exp twice"),
        (
            payload(&good.replacen('{', r#"{"\u0065xp":1,"#, 1)),
            Error::Duplicate("payload"),
            "exp twice, escaped",
        ),
        (
            payload(&good.replacen('{', r#"{"x":[{"y":1,"y":1}],"#, 1)),
            Error::Duplicate("payload"),
            "deep down",
        ),
        (payload(&"[".repeat(5_000)), Error::NotJson("payload"), "deep nesting"),
        (
            payload(&good.replacen('{', r#"{"x":1e999,"#, 1)),
            Error::NotJson("payload"),
            "a number beyond reach",
        ),
    ]
    .map(|(token, error, why)| (token, Err(error), why.to_owned()))
    .into();
    assert_eq!(try_all(&all_keys(), rows), 12);
    let mut bytes = good.into_bytes();
    bytes.insert(2, 0xff);
    let signed = format!("{}.{}", encode(r#"{"alg":"ES256","kid":"p256-a"}"#), encode(bytes));
    let token = format!("{signed}.{}", encode(Pair::P256A.sign("ES256", signed.as_bytes())));
    try_all(&all_keys(), vec![(token, Err(Error::NotJson("payload")), "not UTF-8".to_owned())]);
}
