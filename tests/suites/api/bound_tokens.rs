//! Tokens that are bound to the client's certificate (RFC 8705), which a trusted proxy shows.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use virksomhedslogin::testing::OrganisationType::Star;

use crate::suites::api::harness::{TestApp, spawn_app, spawn_app_on_socket, spawn_app_with};

const TRUSTED: &str = "server.trusted_proxies = [\"127.0.0.1\"]\n";

/// A certificate, in the forms that a proxy shows it in.
struct Certificate(Vec<u8>);

impl Certificate {
    fn new() -> Self {
        Self(rcgen::generate_simple_self_signed(["klient".to_owned()]).unwrap().cert.der().to_vec())
    }

    fn thumbprint(&self) -> String {
        BASE64URL_NOPAD.encode(&Sha256::digest(&self.0))
    }

    fn cnf(&self) -> Value {
        json!({ "x5t#S256": self.thumbprint() })
    }

    /// RFC 9440.
    fn bytes(&self) -> String {
        format!(":{}:", BASE64.encode(&self.0))
    }

    fn pem(&self) -> String {
        let text = BASE64.encode(&self.0);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// As nginx escapes it.
    fn escaped(&self) -> String {
        let escape = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        self.pem().bytes().map(escape).collect()
    }
}

/// The status of a read by a token with this `cnf` and these lines in its head, and why.
fn call(app: &TestApp, cnf: &Value, lines: &[&str]) -> (u16, String) {
    let answer = app.as_org(Star).with("cnf", cnf.clone()).raw_get_with("/v1/Logins", lines);
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let invalid = r#"www-authenticate: Bearer realm="virksomhedslogin", error="invalid_token""#;
    assert_eq!(answer.contains(invalid), status == 401, "{answer}");
    let line = app.audit().pop().unwrap();
    assert_eq!(line["status"], status);
    assert_eq!(
        line["sub"] == Value::Null,
        status == 401,
        "a token that was not accepted proves nothing: {line}"
    );
    (status, line["aarsag"].as_str().unwrap().to_owned())
}

fn assert_refused((status, reason): (u16, String), word: &str) {
    assert!(status == 401 && reason.contains(word), "{status}, {reason}; not {word}");
}

#[test]
fn a_bound_token_is_accepted_with_its_certificate_alone() {
    let (own, other) = (Certificate::new(), Certificate::new());
    for app in [spawn_app_with(TRUSTED), spawn_app_on_socket("server.trusted_proxies = [\"unix\"]")] {
        let cnf = own.cnf();
        for shown in [
            own.bytes(),
            own.bytes().replace('=', ""),
            own.escaped(),
            own.pem().replace('\n', "%0A"),
            own.pem().replace('\n', " "),
            format!("{}{}", own.escaped(), other.escaped()),
        ] {
            let (status, reason) = call(&app, &cnf, &[&format!("Client-Cert: {shown}")]);
            assert_eq!(status, 200, "{reason}: {shown}");
        }
        // From here on the token is in the cache; the certificate belongs to the call.
        assert_refused(call(&app, &cnf, &[]), "showed no certificate");
        assert_refused(call(&app, &cnf, &["Client-Cert: "]), "showed no certificate");
        assert_refused(call(&app, &cnf, &["Client-Cert: ::"]), "showed no certificate");
        for shown in [other.bytes(), other.escaped(), format!("{}{}", other.escaped(), own.escaped())] {
            assert_refused(call(&app, &cnf, &[&format!("Client-Cert: {shown}")]), "another certificate");
        }
        let line = format!("Client-Cert: {}", own.bytes());
        assert_refused(call(&app, &cnf, &[&line, &line]), "more than one");
        let twice = format!("{line}, {}", own.bytes());
        assert_refused(call(&app, &cnf, &[&twice]), "more than one");
        for shown in [
            BASE64.encode(&own.0),
            own.bytes().trim_end_matches(':').to_owned(),
            format!("{};a=1", own.bytes()),
            own.escaped().replace("%2B", "%20").replace("BEGIN", "BEGIM"),
            "x".to_owned(),
            ":%%:".to_owned(),
            own.thumbprint(),
        ] {
            assert_refused(call(&app, &cnf, &[&format!("Client-Cert: {shown}")]), "is neither");
        }
        assert_refused(call(&app, &cnf, &[&format!("X-Client-Cert: {}", own.bytes())]), "showed no");
        assert_eq!(
            call(&app, &Value::Null, &[&line]).0,
            200,
            "a token that is not bound needs no certificate"
        );
        assert_eq!(call(&app, &Value::Null, &[]).0, 200);
    }
}

#[test]
fn a_plus_stays_a_plus() {
    let app = spawn_app_with(TRUSTED);
    let with_plus = std::iter::repeat_with(Certificate::new).find(|made| made.pem().contains('+')).unwrap();
    let shown = with_plus.pem().replace('\n', "%0A");
    assert_eq!(call(&app, &with_plus.cnf(), &[&format!("Client-Cert: {shown}")]).0, 200);
}

#[test]
fn a_certificate_that_the_client_shows_by_itself_has_no_effect() {
    let own = Certificate::new();
    let line = format!("Client-Cert: {}", own.bytes());
    let apps = [
        spawn_app(),
        spawn_app_with("server.trusted_proxies = [\"10.0.0.0/8\", \"unix\"]"),
        spawn_app_on_socket("server.trusted_proxies = [\"127.0.0.1\"]"),
    ];
    for app in apps {
        assert_refused(call(&app, &own.cnf(), &[&line]), "server.trusted_proxies");
        assert_refused(
            call(&app, &own.cnf(), &[&line, "X-Forwarded-For: 127.0.0.1"]),
            "server.trusted_proxies",
        );
    }
    // The proxy is asked, not the caller for whom it speaks.
    let app = spawn_app_with(TRUSTED);
    assert_eq!(call(&app, &own.cnf(), &[&line, "X-Forwarded-For: 203.0.113.9"]).0, 200);
}

#[test]
fn a_confirmation_is_one_thumbprint_of_a_certificate_and_nothing_else() {
    let app = spawn_app_with(TRUSTED);
    let own = Certificate::new();
    let (line, print) = (format!("Client-Cert: {}", own.bytes()), own.thumbprint());
    for cnf in [
        json!({}),
        json!([]),
        json!(print),
        json!(1),
        json!({ "jkt": print }),
        json!({ "x5t#S256": print, "jkt": print }),
        json!({ "x5t#s256": print }),
        json!({ "x5t#S256": [print] }),
        json!({ "x5t#S256": format!("{print}=") }),
        json!({ "x5t#S256": &print[1..] }),
        json!({ "x5t#S256": format!("{}+", &print[1..]) }),
        json!({ "x5t#S256": format!("{}!", &print[1..]) }),
        json!({ "x5t#S256": "" }),
    ] {
        assert_refused(call(&app, &cnf, &[&line]), "cnf");
    }
    // `with` would take a null out.
    let claims = app.as_org(Star).with("cnf", json!("NULL")).claims().replace("\"NULL\"", "null");
    let token = app.signer.sign(&claims).unwrap();
    let authorization = format!("Authorization: Bearer {token}");
    assert!(
        app.as_anonymous().raw_get_with("/v1/Logins", &[&authorization, &line]).starts_with("HTTP/1.1 401 ")
    );
}

#[test]
fn an_operator_can_ask_for_bound_tokens_alone_or_pass_over_the_binding() {
    let own = Certificate::new();
    let line = format!("Client-Cert: {}", own.bytes());
    let required = spawn_app_with(&format!("{TRUSTED}token.certificate_bound = \"required\""));
    assert_eq!(call(&required, &own.cnf(), &[&line]).0, 200);
    assert_refused(call(&required, &own.cnf(), &[]), "showed no certificate");
    assert_refused(call(&required, &Value::Null, &[&line]), "token.certificate_bound");
    let off = spawn_app_with("token.certificate_bound = \"off\"");
    assert_eq!(call(&off, &own.cnf(), &[]).0, 200);
    assert_eq!(call(&off, &json!({ "jkt": "x" }), &[]).0, 200);
}

#[test]
fn the_header_of_another_proxy_can_be_named() {
    let own = Certificate::new();
    let app = spawn_app_with(&format!("{TRUSTED}token.certificate_header = \"X-SSL-Cert\""));
    assert_eq!(call(&app, &own.cnf(), &[&format!("X-SSL-Cert: {}", own.escaped())]).0, 200);
    assert_refused(
        call(&app, &own.cnf(), &[&format!("Client-Cert: {}", own.bytes())]),
        "showed no certificate",
    );
}

#[test]
fn the_order_of_the_checks_stays() {
    let app = spawn_app_with(TRUSTED);
    let own = Certificate::new();
    let caller = app.as_org(Star).with("cnf", own.cnf()).with("scope", json!("other"));
    let line = format!("Client-Cert: {}", own.bytes());
    assert!(caller.raw_get_with("/v1/Login?cvrNummer=x", &[]).starts_with("HTTP/1.1 401 "));
    assert!(caller.raw_get_with("/v1/Login?cvrNummer=x", &[&line]).starts_with("HTTP/1.1 403 "));
    let caller = app.as_org(Star).with("cnf", own.cnf());
    assert!(caller.raw_get_with("/v1/Login?cvrNummer=x", &[&line]).starts_with("HTTP/1.1 400 "));
}
