//! What `check` says about keys that are published: an issuer that is down now is a note, an answer without a usable key
//! a fault, and either says what to do.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};

use crate::suites::cli::check::{command, ended};
use crate::suites::cli::program::{stderr, stdout};
use crate::support::process::Fixture;

const JWKS: &str = "VIRKSOMHEDSLOGIN__TOKEN__JWKS";

/// Answers every request of this process with this, and returns its address.
fn issuer(status: u16, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/keys", listener.local_addr().unwrap());
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            let _ = head.take_while(|line| !line.is_empty()).count();
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

fn check(fixture: &Fixture, jwks: &str) -> Output {
    ended(command("check", &fixture.config(), &[(JWKS, jwks)]))
}

fn key(fixture: &Fixture) -> Value {
    serde_json::from_str::<Value>(&fixture.signer.jwks()).unwrap()["keys"][0].clone()
}

#[test]
fn an_issuer_that_is_down_is_a_note_and_no_fault() {
    let fixture = Fixture::new();
    let closed = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let plain = issuer(200, "{}").replace("http://", "https://");
    for (what, jwks, help) in [
        ("no listener", format!("http://127.0.0.1:{closed}/keys"), "check that the issuer is up"),
        ("no such name", "https://issuer.invalid/keys".to_owned(), "check that the issuer is up"),
        ("it is overloaded", issuer(503, ""), "check that the issuer is up"),
        ("no TLS there", plain, "token.ca_file"),
    ] {
        let output = check(&fixture, &jwks);
        assert_eq!(output.status.code(), Some(0), "{what}: {}", stderr(&output));
        let reported = stdout(&output);
        let note = reported.lines().find(|line| line.starts_with("note: token.jwks: ")).expect(what);
        assert!(note.contains(help) && note.contains("503"), "{what}: {note}");
        assert!(!reported.contains("publish at least"), "{what}: {reported}");
        assert!(reported.ends_with(": no errors\n"), "{what}: {reported}");
    }
}

#[test]
fn an_answer_without_a_usable_key_is_a_fault_that_is_reported_once() {
    let fixture = Fixture::new();
    for (what, jwks, expected) in [
        ("no keys", issuer(200, r#"{"keys":[]}"#), "publish at least one public key"),
        ("a page", issuer(200, "<html>"), "JSON Web Key Set"),
        ("not found", issuer(404, ""), "answered 404"),
    ] {
        let output = check(&fixture, &jwks);
        assert_eq!(output.status.code(), Some(2), "{what}: {}", stdout(&output));
        let reported = stderr(&output);
        assert_eq!(reported.matches("token.jwks: ").count(), 1, "{what}: {reported}");
        assert!(reported.contains(expected) && reported.contains(JWKS), "{what}: {reported}");
    }
    let text = std::fs::read_to_string(fixture.config()).unwrap();
    let remote = text.replace("file:jwks.json", &issuer(200, "{}"));
    assert_ne!(text, remote);
    fixture.write("virksomhedslogin.toml", &remote);
    let output = ended(command("check", &fixture.config(), &[]));
    let reported = stderr(&output);
    assert!(
        reported.contains(&format!("{}: token.jwks: the key set is not one JSON object", fixture.config())),
        "{reported}"
    );
}

#[test]
fn ambiguous_keys_are_noted_and_duplicates_are_not() {
    let fixture = Fixture::new();
    let (one, mut other) = (key(&fixture), key(&Fixture::new()));
    other["kid"] = one["kid"].clone();
    fixture.write("jwks.json", &json!({"keys": [one, one]}).to_string());
    let double = ended(command("check", &fixture.config(), &[]));
    assert!(double.status.success() && !stdout(&double).contains("token.jwks"), "{}", stdout(&double));
    fixture.write("jwks.json", &json!({"keys": [one, other]}).to_string());
    let ambiguous = ended(command("check", &fixture.config(), &[]));
    assert_eq!(ambiguous.status.code(), Some(0));
    assert!(
        stdout(&ambiguous).contains("note: token.jwks: keys 1 and 2 have the same kid"),
        "{}",
        stdout(&ambiguous)
    );
}

#[test]
fn half_a_million_bad_keys_are_a_short_message() {
    let fixture = Fixture::new();
    fixture.write("jwks.json", &format!(r#"{{"keys":[{}0]}}"#, "0,".repeat(520_000)));
    let output = ended(command("check", &fixture.config(), &[]));
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.len() + output.stderr.len() < 4_000, "{}", output.stderr.len());
}
