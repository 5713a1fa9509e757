//! Tokens that must not pass, and near them the ones that must: token, key set, expected, why.

use ring::hmac;
use serde_json::{Value, json};

use super::mint::*;
use crate::auth::fault::Part::{Header, Payload, Signature};
use crate::auth::fault::TokenFault as Fault;
use crate::auth::{Algorithm, Refusal};

type Row = (String, Result<(), Fault>, String);

fn try_all(keys: &str, rows: Vec<Row>) -> usize {
    let authenticator = authenticator(rules(), keys);
    for (token, expected, why) in &rows {
        let outcome = authenticate(&authenticator, token).map(drop);
        assert_eq!(outcome, expected.map_err(Refusal::Token), "{why}");
        if !token.is_empty()
            && let Err(refusal) = outcome
        {
            assert!(!refusal.to_string().contains(token.as_str()), "{why}: the fault quotes the token");
        }
    }
    rows.len()
}

/// A token by P-256 key A whose header is this text, correctly signed.
fn header(text: &str) -> String {
    token_of(Pair::P256A, "ES256", text, &claims().to_string())
}

fn payload(text: &str) -> String {
    token_of(Pair::P256A, "ES256", r#"{"alg":"ES256","kid":"p256-a"}"#, text)
}

#[test]
fn every_allowed_algorithm_passes_with_its_key_and_no_other() {
    let fitting = |pair: Pair| -> &[&str] {
        match pair {
            Pair::RsaA | Pair::RsaB => &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
            Pair::P256A | Pair::P256B => &["ES256"],
            Pair::P384 => &["ES384"],
            Pair::Ed25519 => &["EdDSA"],
        }
    };
    let pairs = [
        (Pair::RsaA, "rsa-a"),
        (Pair::RsaB, "rsa-b"),
        (Pair::P256A, "p256-a"),
        (Pair::P256B, "p256-b"),
        (Pair::P384, "p384"),
        (Pair::Ed25519, "ed25519"),
    ];
    let mut rows: Vec<Row> = vec![];
    for (pair, kid) in pairs {
        for alg in Algorithm::ALL.map(Algorithm::name) {
            let expected = if fitting(pair).contains(&alg) { Ok(()) } else { Err(Fault::NoFittingKey) };
            rows.push((token(pair, alg, kid), expected, format!("{alg} by {kid}")));
        }
        for (other, named) in pairs.into_iter().filter(|(other, _)| *other != pair) {
            let alg = fitting(other)[0];
            let expected = if fitting(pair).contains(&alg) { Fault::Signature } else { Fault::NoFittingKey };
            rows.push((token(other, alg, kid), Err(expected), format!("signed by {named}, names {kid}")));
        }
        // The header names one algorithm, the signature was made by another of the same key.
        for (named, used) in [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS384"), ("PS384", "PS512")]
        {
            if fitting(pair).contains(&named) {
                let text = json!({"alg": named, "kid": kid}).to_string();
                let token = token_of(pair, used, &text, &claims().to_string());
                rows.push((token, Err(Fault::Signature), format!("{named} in name, {used} in truth, {kid}")));
            }
        }
    }
    assert!(try_all(&all_keys(), rows) >= 90);
}

#[test]
fn alg_none_hmac_and_unknown_algorithms_are_refused_in_every_spelling() {
    let mut rows: Vec<Row> = vec![];
    let spellings = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "",
        "null",
        "HS256",
        "HS384",
        "HS512",
        "hs256",
        "ES512",
        "ES256K",
        "es256",
        "Es256",
        "ES256 ",
        "ES256\u{0}",
        "ＥＳ256",
        "RSA-OAEP",
        "dir",
        "A128KW",
        "Ed25519",
        "Ed448",
        "eddsa",
        "RS1",
        "PS1",
        "RS256,ES256",
    ];
    for alg in spellings {
        let text = json!({"alg": alg, "kid": "p256-a"}).to_string();
        rows.push((header(&text), Err(Fault::Algorithm), format!("alg {alg:?}, signed")));
        let unsigned = format!("{}.{}.", encode(&text), encode(claims().to_string()));
        rows.push((unsigned, Err(Fault::Algorithm), format!("alg {alg:?}, unsigned")));
    }
    for alg in [json!(null), json!(0), json!(true), json!(["ES256"]), json!({"alg": "ES256"})] {
        let text = json!({"alg": alg, "kid": "p256-a"}).to_string();
        rows.push((header(&text), Err(Fault::Algorithm), format!("alg is {alg}")));
    }
    rows.push((header(r#"{"kid":"p256-a"}"#), Err(Fault::Algorithm), "no alg".to_owned()));
    rows.push((header("{}"), Err(Fault::Algorithm), "an empty header".to_owned()));
    assert_eq!(try_all(&all_keys(), rows), 63);
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let secrets: [(&str, &[u8]); 7] = [
        ("PEM", fixture!("rsa-a.public.pem")),
        ("PEM without its last line end", fixture!("rsa-a.public.pem").trim_ascii_end()),
        ("DER", fixture!("rsa-a.public.der")),
        ("JWK text", fixture!("rsa-a.jwk")),
        ("JWK text without line end", fixture!("rsa-a.jwk").trim_ascii_end()),
        ("PEM of the curve", fixture!("p256-a.public.pem")),
        ("nothing", b""),
    ];
    let mut rows: Vec<Row> = vec![];
    for (form, secret) in secrets {
        for (alg, hash) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            for (named, expected) in
                [(alg, Fault::Algorithm), ("RS256", Fault::Signature), ("ES256", Fault::NoFittingKey)]
            {
                let text = json!({"alg": named, "kid": "rsa-a"}).to_string();
                let signed = format!("{}.{}", encode(text), encode(claims().to_string()));
                let tag = hmac::sign(&hmac::Key::new(hash, secret), signed.as_bytes());
                let token = format!("{signed}.{}", encode(tag));
                rows.push((token, Err(expected), format!("{alg} with the {form}, as {named}")));
            }
        }
    }
    assert_eq!(try_all(&all_keys(), rows), 63);
}

/// r‖s of a P-256 signature as the SEQUENCE of two INTEGERs that X.509 uses.
fn as_der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let mut bytes = half.to_vec();
        if bytes[0] & 0x80 != 0 {
            bytes.insert(0, 0);
        }
        [&[2, bytes.len() as u8], bytes.as_slice()].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, body.len() as u8], body.as_slice()].concat()
}

#[test]
fn a_signature_is_exactly_what_the_algorithm_makes() {
    let mut rows: Vec<Row> = vec![];
    for (pair, alg, kid) in [
        (Pair::P256A, "ES256", "p256-a"),
        (Pair::P384, "ES384", "p384"),
        (Pair::RsaA, "RS256", "rsa-a"),
        (Pair::RsaA, "PS256", "rsa-a"),
        (Pair::Ed25519, "EdDSA", "ed25519"),
    ] {
        let text = json!({"alg": alg, "kid": kid}).to_string();
        let signed = format!("{}.{}", encode(text), encode(claims().to_string()));
        let good = pair.sign(alg, signed.as_bytes());
        let half = good.len() / 2;
        let mut flipped_first = good.clone();
        flipped_first[0] ^= 1;
        let mut flipped_last = good.clone();
        *flipped_last.last_mut().unwrap() ^= 0x80;
        let variants: Vec<(&str, Vec<u8>)> = vec![
            ("a first bit changed", flipped_first),
            ("a last bit changed", flipped_last),
            ("the last byte gone", good[..good.len() - 1].to_vec()),
            ("the first byte gone", good[1..].to_vec()),
            ("half of it", good[..half].to_vec()),
            ("one byte", vec![1]),
            ("a zero byte behind", [good.as_slice(), &[0]].concat()),
            ("a zero byte before", [&[0], good.as_slice()].concat()),
            ("twice", [good.as_slice(), good.as_slice()].concat()),
            ("all zero", vec![0; good.len()]),
            ("all ones", vec![0xff; good.len()]),
            ("first half zero (r = 0)", [vec![0; half], good[half..].to_vec()].concat()),
            ("second half zero (s = 0)", [good[..half].to_vec(), vec![0; half]].concat()),
            ("halves exchanged", [&good[half..], &good[..half]].concat()),
            ("a byte in the middle doubled", [&good[..half], &[0], &good[half..]].concat()),
            ("1 and 1", [vec![0; half - 1], vec![1], vec![0; half - 1], vec![1]].concat()),
        ];
        for (what, signature) in variants {
            let token = format!("{signed}.{}", encode(signature));
            rows.push((token, Err(Fault::Signature), format!("{alg}: {what}")));
        }
        if alg == "ES256" {
            let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
            for (what, signature) in [
                ("DER", as_der(&good)),
                ("r = n", [order.as_slice(), &good[32..]].concat()),
                ("s = n", [&good[..32], order.as_slice()].concat()),
                ("r = s = n", [order.as_slice(), order.as_slice()].concat()),
            ] {
                rows.push((
                    format!("{signed}.{}", encode(signature)),
                    Err(Fault::Signature),
                    what.to_owned(),
                ));
            }
        }
        let good = encode(good);
        rows.push((format!("{signed}."), Err(Fault::Unsigned), format!("{alg}: no signature")));
        for padding in ["=", "==", "%3D"] {
            let token = format!("{signed}.{good}{padding}");
            rows.push((token, Err(Fault::NotBase64(Signature)), format!("{alg}: padded with {padding}")));
        }
        rows.push((format!("{signed}.{good}"), Ok(()), format!("{alg}: untouched")));
    }
    assert_eq!(try_all(&all_keys(), rows), 5 * 21 + 4);
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

#[test]
fn the_compact_form_is_three_canonical_parts() {
    let good = token(Pair::P256A, "ES256", "p256-a");
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("three parts") };
    let three = Fault::NotThreeParts;
    // 32 + 32 bytes end in a character of which four bits are stray: another one there decodes alike elsewhere.
    let last = signature.as_bytes()[signature.len() - 1];
    let stray = if last == b'A' { 'B' } else { (last + 1) as char };
    let rows: Vec<Row> = [
        (String::new(), three, "nothing"),
        (".".to_owned(), three, "one dot"),
        ("..".to_owned(), Fault::NotJson(Header), "two dots"),
        ("...".to_owned(), three, "three dots"),
        (head.to_owned(), three, "one part"),
        (format!("{head}.{body}"), three, "two parts"),
        (format!("{good}."), three, "a fourth, empty part"),
        (format!("{good}.{signature}"), three, "four parts"),
        (format!("{good}.{body}.{signature}"), three, "five parts (JWE)"),
        (format!(".{body}.{signature}"), Fault::NotJson(Header), "no header"),
        (format!("{head}..{signature}"), Fault::NotJson(Payload), "no payload (detached)"),
        (format!(" {good}"), Fault::NotBase64(Header), "a space before"),
        (format!("{good} "), Fault::NotBase64(Signature), "a space behind"),
        (format!("{good}\n"), Fault::NotBase64(Signature), "a line end behind"),
        (format!("{head}=.{body}.{signature}"), Fault::NotBase64(Header), "padding in the header"),
        (format!("{head}.{body}=.{signature}"), Fault::NotBase64(Payload), "padding in the payload"),
        (format!("{head}.{body}A.{signature}"), Fault::NotBase64(Payload), "an impossible length"),
        (format!("{head}.{body}.{}{stray}", &signature[..85]), Fault::NotBase64(Signature), "stray bits"),
        (
            format!("{head}.{body}.{}+", &signature[..85]),
            Fault::NotBase64(Signature),
            "the other alphabet: +",
        ),
        (
            format!("{head}.{body}.{}/", &signature[..85]),
            Fault::NotBase64(Signature),
            "the other alphabet: /",
        ),
        (format!("{head}.{body}.{}é", &signature[..84]), Fault::NotBase64(Signature), "not ASCII"),
        (format!("{head}.{body}.{}\u{0}", &signature[..85]), Fault::NotBase64(Signature), "a NUL"),
        (format!("{}\n.{body}.{signature}", head), Fault::NotBase64(Header), "a line end within"),
        ("A".repeat(16 * 1024), three, "16 KiB"),
        ("A".repeat(16 * 1024 + 1), Fault::TooLong, "a byte more than 16 KiB"),
        ("é".repeat(9_000), Fault::TooLong, "too long and not ASCII"),
        (format!("Bearer {good}"), Fault::NotBase64(Header), "the scheme within the token"),
        (format!(r#"{{"payload":"{body}","signature":"{signature}"}}"#), three, "the JSON serialization"),
    ]
    .map(|(token, fault, why)| (token, Err(fault), why.to_owned()))
    .into();
    assert_eq!(try_all(&all_keys(), rows), 28);
    let long = claims_with(json!({"more": "x".repeat(11_900)}));
    let longest = token_with_claims(&long);
    assert!((16_000..=16_384).contains(&longest.len()), "{}", longest.len());
    try_all(&all_keys(), vec![(longest, Ok(()), "almost 16 KiB".to_owned())]);
}

#[test]
fn the_header_holds_to_every_rule() {
    let ok: Result<(), Fault> = Ok(());
    let with = |more: Value| {
        let mut members = json!({"alg": "ES256", "kid": "p256-a"});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header(&members.to_string())
    };
    let mut rows: Vec<Row> = vec![];
    let mut row = |token, expected, why: &str| rows.push((token, expected, why.to_owned()));
    for typ in ["JWT", "jwt", "Jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"] {
        row(with(json!({"typ": typ})), ok, typ);
    }
    for typ in [
        "",
        "JWS",
        "JOSE",
        "JOSE+JSON",
        "dpop+jwt",
        "application/jwt",
        "secevent+jwt",
        "id_token+jwt",
        "at+jwt ",
        " JWT",
        "at jwt",
        "application/application/at+jwt",
        "JWT\u{0}",
    ] {
        row(with(json!({"typ": typ})), Err(Fault::Type), typ);
    }
    for typ in [json!(null), json!(1), json!(["JWT"]), json!({}), json!(true)] {
        row(with(json!({"typ": typ})), Err(Fault::Type), "typ of another JSON type");
    }
    for crit in
        [json!(null), json!([]), json!(["exp"]), json!(["b64"]), json!("exp"), json!({}), json!(false)]
    {
        row(with(json!({"crit": crit})), Err(Fault::Critical), "crit in any form");
    }
    for b64 in [json!(true), json!(false), json!(null), json!("false")] {
        row(with(json!({"b64": b64})), Err(Fault::UnencodedPayload), "b64 in any form");
    }
    row(with(json!({"b64": false, "crit": ["b64"]})), Err(Fault::Critical), "RFC 7797");
    for cty in [json!("JWT"), json!("jwt"), json!("application/JWT"), json!(null), json!(["JWT"])] {
        row(with(json!({"cty": cty})), Err(Fault::ContentType), "cty of a nested token, or no string");
    }
    row(with(json!({"cty": "json"})), ok, "another cty");
    for kid in [json!(null), json!(1), json!(["p256-a"]), json!({"kid": "p256-a"}), json!("k".repeat(257))] {
        row(with(json!({"kid": kid})), Err(Fault::KeyId), "kid is no string, or too long");
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
            Err(Fault::UnknownKey),
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
        row(with(more.clone()), ok, "embedded keys are never looked at");
        let text = {
            let mut members = json!({"alg": "ES256", "kid": "p256-a"});
            members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            members.to_string()
        };
        let forged = token_of(Pair::P256B, "ES256", &text, &claims().to_string());
        row(forged, Err(Fault::Signature), "signed by the key that it brings along");
    }
    for (text, fault) in [
        (r#"{"alg":"ES256","alg":"ES256","kid":"p256-a"}"#, Fault::Duplicate(Header)),
        (r#"{"alg":"none","alg":"ES256","kid":"p256-a"}"#, Fault::Duplicate(Header)),
        (r#"{"alg":"ES256","\u0061lg":"none","kid":"p256-a"}"#, Fault::Duplicate(Header)),
        (r#"{"alg":"ES256","kid":"p256-b","kid":"p256-a"}"#, Fault::Duplicate(Header)),
        (r#"{"alg":"ES256","kid":"p256-a","x":{"y":1,"y":2}}"#, Fault::Duplicate(Header)),
        (r#"["alg","ES256"]"#, Fault::NotAnObject(Header)),
        (r#""ES256""#, Fault::NotAnObject(Header)),
        ("null", Fault::NotAnObject(Header)),
        ("7", Fault::NotAnObject(Header)),
        ("", Fault::NotJson(Header)),
        ("{", Fault::NotJson(Header)),
        (r#"{"alg":"ES256","kid":"p256-a"}{}"#, Fault::NotJson(Header)),
        (r#"{"alg":"ES256","kid":"p256-a",}"#, Fault::NotJson(Header)),
        (r#"{'alg':'ES256'}"#, Fault::NotJson(Header)),
        ("\u{feff}{\"alg\":\"ES256\",\"kid\":\"p256-a\"}", Fault::NotJson(Header)),
        (r#"{"alg":"ES256","kid":"\ud800"}"#, Fault::NotJson(Header)),
    ] {
        row(header(text), Err(fault), text);
    }
    let no_kid = header(r#"{"alg":"ES256"}"#);
    row(no_kid, Err(Fault::AmbiguousKey), "no kid and two keys that fit");
    row(
        token_of(Pair::P384, "ES384", r#"{"alg":"ES384"}"#, &claims().to_string()),
        ok,
        "no kid, one key fits",
    );
    assert!(try_all(&all_keys(), rows) >= 95);
}

#[test]
fn the_payload_is_one_json_object_without_duplicates() {
    let good = claims().to_string();
    let rows: Vec<Row> = [
        (payload("[]"), Fault::NotAnObject(Payload), "an array"),
        (payload("\"x\""), Fault::NotAnObject(Payload), "a string"),
        (payload("null"), Fault::NotAnObject(Payload), "null"),
        (payload(""), Fault::NotJson(Payload), "nothing"),
        (payload("text"), Fault::NotJson(Payload), "text"),
        (payload(&format!("{good}{good}")), Fault::NotJson(Payload), "two objects"),
        (payload(&good.replacen('{', r#"{"sub":"x","#, 1)), Fault::Duplicate(Payload), "sub twice"),
        (payload(&good.replacen('{', r#"{"exp":1,"#, 1)), Fault::Duplicate(Payload), "exp twice"),
        (
            payload(&good.replacen('{', r#"{"\u0065xp":1,"#, 1)),
            Fault::Duplicate(Payload),
            "exp twice, escaped",
        ),
        (payload(&good.replacen('{', r#"{"x":[{"y":1,"y":1}],"#, 1)), Fault::Duplicate(Payload), "deep down"),
        (payload(&"[".repeat(5_000)), Fault::NotJson(Payload), "deep nesting"),
        (payload(&good.replacen('{', r#"{"x":1e999,"#, 1)), Fault::NotJson(Payload), "a number beyond reach"),
    ]
    .map(|(token, fault, why)| (token, Err(fault), why.to_owned()))
    .into();
    assert_eq!(try_all(&all_keys(), rows), 12);
    let mut bytes = good.into_bytes();
    bytes.insert(2, 0xff);
    let signed = format!("{}.{}", encode(r#"{"alg":"ES256","kid":"p256-a"}"#), encode(bytes));
    let token = format!("{signed}.{}", encode(Pair::P256A.sign("ES256", signed.as_bytes())));
    try_all(&all_keys(), vec![(token, Err(Fault::NotJson(Payload)), "not UTF-8".to_owned())]);
}

#[test]
fn only_what_the_operator_allowed_passes() {
    let mut narrow = rules();
    narrow.algorithms = vec![Algorithm::RS256, Algorithm::ES256];
    let authenticator = authenticator(narrow, &all_keys());
    for (pair, alg, kid, passes) in [
        (Pair::RsaA, "RS256", "rsa-a", true),
        (Pair::RsaA, "PS256", "rsa-a", false),
        (Pair::RsaA, "RS384", "rsa-a", false),
        (Pair::P256A, "ES256", "p256-a", true),
        (Pair::P384, "ES384", "p384", false),
        (Pair::Ed25519, "EdDSA", "ed25519", false),
    ] {
        let outcome = authenticate(&authenticator, &token(pair, alg, kid)).map(drop);
        let expected = if passes { Ok(()) } else { Err(Refusal::Token(Fault::Algorithm)) };
        assert_eq!(outcome, expected, "{alg}");
    }
}
