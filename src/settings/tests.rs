//! What is loaded, and what the environment does to it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use std::num::NonZeroU32;
use std::time::Duration;

use super::limits::Rate;
use super::*;
use crate::auth::{self, Algorithm};
use crate::domain::access::OrganisationType;

mod fixtures;
mod reference;

/// A directory with a sound configuration in it, to be spoiled or overridden.
struct Fixture(tempfile::TempDir);

const SOUND: &str = r#"
[store]
path = "data"

[token]
issuer = "https://sts.example.dk"
audience = "virksomhedslogin"
jwks = "file:jwks.json"

[access]
file = "access.toml"
"#;

impl Fixture {
    fn new() -> Self {
        let fixture = Self(tempfile::tempdir().unwrap());
        fixture.write("virksomhedslogin.toml", SOUND);
        fixture.write("access.toml", access::SHIPPED);
        fixture.write("jwks.json", "{}");
        fixture
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.load_os(variables.collect())
    }

    fn load_os(&self, environment: Vec<(OsString, OsString)>) -> Result<Settings, String> {
        load(&self.path("virksomhedslogin.toml"), environment.into_iter())
            .map_err(|errors| errors.to_string().replace(&format!("{}/", self.0.path().display()), ""))
    }

    fn errors(&self, environment: &[(&str, &str)]) -> String {
        self.load(environment).unwrap_err()
    }
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let fixture = Fixture::new();
    let settings = fixture.load(&[]).unwrap();
    assert_eq!(settings.server.listen, Listen::Tcp("127.0.0.1:8080".parse().unwrap()));
    assert_eq!(settings.server.management, Some(Listen::Tcp("127.0.0.1:9090".parse().unwrap())));
    assert!((1..=512).contains(&settings.server.workers));
    assert_eq!(settings.server.shutdown_timeout, Duration::from_secs(10));
    assert!(settings.server.documentation);
    assert_eq!(settings.limits.connections, 4096);
    assert_eq!(settings.limits.request_timeout, Duration::from_secs(10));
    assert_eq!(settings.limits.write_timeout, Duration::from_secs(60));
    assert_eq!(settings.limits.idle_timeout, Duration::from_secs(75));
    assert_eq!(settings.limits.rate, None);
    assert_eq!(settings.store.kind, StoreKind::Embedded { path: fixture.path("data") });
    assert_eq!(settings.store.deadline, Duration::from_secs(5));
    assert!(settings.store.create && settings.store.create_schema);
    assert_eq!(settings.token.rules.audience, ["virksomhedslogin"]);
    assert_eq!(settings.token.keys, auth::Source::File(fixture.path("jwks.json")));
    assert_eq!(settings.token.rules.algorithms, [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256]);
    assert_eq!(settings.token.rules.leeway, Duration::from_secs(30));
    assert_eq!(settings.token.rules.types, ["at+jwt", "jwt", ""]);
    assert_eq!(settings.token.rules.max_lifetime, Duration::from_secs(86_400));
    assert_eq!(settings.token.rules.claims.organisation_type, "organisationType".into());
    assert_eq!(settings.token.rules.claims.organisation_code, "organisationCode".into());
    assert_eq!(settings.token.rules.claims.access, "adgang".into());
    assert_eq!(settings.token.rules.claims.scope, "scope".into());
    assert_eq!(settings.token.rules.claims.acting_cvr, "cvr".into());
    assert!(settings.token.rules.organisation_types.is_empty());
    assert_eq!(settings.access_file, fixture.path("access.toml"));
    assert_eq!(settings.audit_file, AuditTarget::Stdout);
    assert_eq!(settings.log_format, Format::Text);
}

#[test]
fn a_variable_overrides_the_file_and_is_read_as_the_keys_type() {
    let fixture = Fixture::new();
    let settings = fixture
        .load(&[
            ("VIRKSOMHEDSLOGIN__SERVER__LISTEN", "unix:run/api.sock"),
            ("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", "off"),
            ("VIRKSOMHEDSLOGIN__SERVER__WORKERS", "3"),
            ("VIRKSOMHEDSLOGIN__SERVER__DOCUMENTATION", "false"),
            ("VIRKSOMHEDSLOGIN__STORE__PATH", "/var/lib/logins"),
            ("VIRKSOMHEDSLOGIN__TOKEN__AUDIENCE", "one, two"),
            ("VIRKSOMHEDSLOGIN__TOKEN__ALGORITHMS", "ES384,EdDSA"),
            ("VIRKSOMHEDSLOGIN__TOKEN__CLAIMS__SCOPE", "scp"),
            ("VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES__8", "JobCenter"),
            ("VIRKSOMHEDSLOGIN__AUDIT__FILE", "audit.log"),
            ("VIRKSOMHEDSLOGIN__LOG__FORMAT", "json"),
        ])
        .unwrap();
    assert_eq!(settings.server.listen, Listen::Unix(fixture.path("run/api.sock")));
    assert_eq!(settings.server.management, None);
    assert_eq!(settings.server.workers, 3);
    assert!(!settings.server.documentation);
    assert_eq!(settings.store.kind, StoreKind::Embedded { path: "/var/lib/logins".into() });
    assert_eq!(settings.token.rules.audience, ["one", "two"]);
    assert_eq!(settings.token.rules.algorithms, [Algorithm::ES384, Algorithm::EdDSA]);
    assert_eq!(settings.token.rules.claims.scope, "scp".into());
    assert_eq!(settings.token.rules.organisation_types["8"], OrganisationType::JobCenter);
    assert_eq!(settings.audit_file, AuditTarget::File(fixture.path("audit.log")));
    assert_eq!(settings.log_format, Format::Json);
}

#[test]
fn organisation_types_of_file_and_environment_are_merged_one_by_one() {
    let fixture = Fixture::new();
    let text = format!("{SOUND}\n[token.organisation_types]\n8 = \"JobCenter\"\n2 = \"STAR\"\n");
    fixture.write("virksomhedslogin.toml", &text);
    let settings = fixture.load(&[("VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES__2", "A-kasse")]).unwrap();
    let types: Vec<_> = settings.token.rules.organisation_types.into_iter().collect();
    assert_eq!(
        types,
        [("2".to_owned(), OrganisationType::AKasse), ("8".to_owned(), OrganisationType::JobCenter)]
    );
}

#[test]
fn every_variable_can_be_set_and_is_known() {
    for key in keys::ALL {
        let errors = Fixture::new().load(&[(&key.variable(), "?")]).err().unwrap_or_default();
        assert!(!errors.contains("names no key"), "{}: {errors}", key.path);
    }
}

#[test]
fn other_programs_variables_are_left_alone() {
    let others = [
        ("VIRKSOMHEDSLOGIN_CONFIG", "x"),
        ("VIRKSOMHEDSLOGIN_SERVICE_HOST", "10.0.0.1"),
        ("VIRKSOMHEDSLOGIN_PORT", "tcp://10.0.0.1:80"),
        ("PATH", "/bin"),
    ];
    assert!(Fixture::new().load(&others).is_ok());
}

#[test]
fn types_from_the_environment_may_end_in_an_empty_one() {
    let fixture = Fixture::new();
    let types = |text| fixture.load(&[("VIRKSOMHEDSLOGIN__TOKEN__TYPES", text)]).unwrap().token.rules.types;
    assert_eq!(types("at+jwt"), ["at+jwt"]);
    assert_eq!(types("Application/AT+JWT, JWT,"), ["at+jwt", "jwt", ""]);
    assert_eq!(types(""), [""]);
}

#[test]
fn errors_of_the_environment_name_the_variable() {
    let environment = [
        ("VIRKSOMHEDSLOGIN__SERVER__WORKERS", "many"),
        ("VIRKSOMHEDSLOGIN__SERVER__DOCUMENTATION", "1"),
        ("VIRKSOMHEDSLOGIN__SERVER__LISTEN", ""),
        ("VIRKSOMHEDSLOGIN__SERVER__LISTN", "127.0.0.1:1"),
        ("VIRKSOMHEDSLOGIN__server__listen", "127.0.0.1:1"),
        ("VIRKSOMHEDSLOGIN__COLOUR", "blue"),
        ("VIRKSOMHEDSLOGIN__", ""),
        ("VIRKSOMHEDSLOGIN__TOKEN__ALGORITHMS", "RS256,"),
        ("VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES", "8=JobCenter"),
        ("VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES__9", "Jobcentre"),
    ];
    insta::assert_snapshot!(Fixture::new().errors(&environment), @r#"
        VIRKSOMHEDSLOGIN__: names no key of the configuration; unset it; every variable that begins with VIRKSOMHEDSLOGIN__ must be a key
        VIRKSOMHEDSLOGIN__COLOUR: names no key of the configuration; unset it; every variable that begins with VIRKSOMHEDSLOGIN__ must be a key
        VIRKSOMHEDSLOGIN__SERVER__LISTN: names no key of the configuration; did you mean VIRKSOMHEDSLOGIN__SERVER__LISTEN?
        VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES: token.organisation_types: is a table and cannot be set as a whole; name the claim's value: VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES__8=JobCenter
        VIRKSOMHEDSLOGIN__server__listen: names no key of the configuration; did you mean VIRKSOMHEDSLOGIN__SERVER__LISTEN?
        VIRKSOMHEDSLOGIN__SERVER__LISTEN: server.listen: is empty; give it a value, or leave it out
        VIRKSOMHEDSLOGIN__SERVER__WORKERS: server.workers: "many" is not a whole number; use 1 to 512
        VIRKSOMHEDSLOGIN__SERVER__DOCUMENTATION: server.documentation: "1" is neither true nor false; use true or false
        VIRKSOMHEDSLOGIN__TOKEN__ALGORITHMS: token.algorithms: an entry is empty; give it a value, or leave it out
        VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES__9: token.organisation_types.9: "Jobcentre" is no organisation type; did you mean JobCenter?
    "#);
}

#[test]
fn quotes_that_a_variable_keeps_are_named() {
    let fixture = Fixture::new();
    for key in keys::ALL.iter().filter(|key| key.kind != keys::Kind::Table) {
        for value in ["\"x\"", "'x'", "\"\"", "\"a\",\"b\""] {
            let errors = fixture.errors(&[(&key.variable(), value)]);
            let named = format!("{}: {}: is in quotes", key.variable(), key.path);
            assert!(errors.contains(&named), "{} = {value}: {errors}", key.path);
            assert!(!errors.contains("missing"), "{errors}");
        }
    }
    let environment = [
        ("VIRKSOMHEDSLOGIN__TOKEN__ALGORITHMS", "RS256,\"ES256\""),
        ("VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES__9", "\"JobCenter\""),
        ("VIRKSOMHEDSLOGIN__SERVER__LISTEN", "\"127.0.0.1:1\""),
    ];
    insta::assert_snapshot!(fixture.errors(&environment), @r#"
        VIRKSOMHEDSLOGIN__SERVER__LISTEN: server.listen: is in quotes, which are a part of the value; remove them: an --env-file and a mounted secret are taken as they are
        VIRKSOMHEDSLOGIN__TOKEN__ORGANISATION_TYPES__9: token.organisation_types.9: is in quotes, which are a part of the value; remove them: an --env-file and a mounted secret are taken as they are
        VIRKSOMHEDSLOGIN__TOKEN__ALGORITHMS: token.algorithms: an entry is in quotes, which are a part of the value; remove them: an --env-file and a mounted secret are taken as they are
    "#);
    // A quote at one end, or of another kind at each, is a part of the value.
    for value in ["x\"", "\"x'"] {
        assert!(fixture.load(&[("VIRKSOMHEDSLOGIN__TOKEN__AUDIENCE", value)]).is_ok());
    }
}

#[test]
fn quotes_that_a_connection_file_keeps_are_named() {
    let fixture = Fixture::new();
    let text = SOUND.replace("path = \"data\"", "kind = \"postgres\"\nurl_file = \"url\"");
    fixture.write("virksomhedslogin.toml", &text);
    fixture.write("url", "\"postgresql://u:hunter2@db/logins\"\n");
    let errors = fixture.errors(&[]);
    assert!(errors.contains("is in quotes") && !errors.contains("hunter2"), "{errors}");
}

#[test]
fn variable_that_is_not_utf_8_is_an_error() {
    let broken = OsString::from_vec(vec![b'a', 0xff]);
    let mut name = OsString::from("VIRKSOMHEDSLOGIN__STORE__");
    name.push(&broken);
    let fixture = Fixture::new();
    let environment = vec![("VIRKSOMHEDSLOGIN__STORE__PATH".into(), broken), (name, "x".into())];
    insta::assert_snapshot!(fixture.load_os(environment).unwrap_err(), @r#"
        VIRKSOMHEDSLOGIN__STORE__PATH: store.path: is not UTF-8; give it a value in UTF-8, or unset it
        VIRKSOMHEDSLOGIN__STORE__a�: names no key of the configuration; unset it; every variable that begins with VIRKSOMHEDSLOGIN__ must be a key
    "#);
}

#[test]
fn syntax_error_hides_no_error_of_the_environment() {
    let fixture = Fixture::new();
    fixture.write("virksomhedslogin.toml", "[server]\nlisten = 1.2.3\n[token\n");
    insta::assert_snapshot!(fixture.errors(&[("VIRKSOMHEDSLOGIN__SERVER__WORKERS", "0")]), @r#"
        virksomhedslogin.toml:2: is not TOML: invalid float, expected nothing; fix the syntax; write every string in quotes
        virksomhedslogin.toml:3: is not TOML: unclosed table, expected `]`; fix the syntax; write every string in quotes
        VIRKSOMHEDSLOGIN__SERVER__WORKERS: server.workers: 0 is out of range; use 1 to 512
    "#);
}

#[test]
fn unreadable_file_is_one_error_without_missing_keys() {
    let fixture = Fixture::new();
    let missing = load(&fixture.path("absent.toml"), std::iter::empty()).unwrap_err();
    assert_eq!(missing.0.len(), 1, "{missing}");
    let directory = load(fixture.0.path(), std::iter::empty()).unwrap_err();
    assert_eq!(directory.0.len(), 1, "{directory}");
}

#[test]
fn a_secret_does_not_show_in_the_settings() {
    let fixture = Fixture::new();
    let files =
        "kind = \"postgres\"\nurl_file = \"url\"\npassword_file = \"password\"\ntls_ca_file = \"ca.pem\"";
    fixture.write("virksomhedslogin.toml", &SOUND.replace("path = \"data\"", files));
    fixture.write("url", "postgresql://u@db/logins\n");
    fixture.write("password", "hunter2\n");
    let settings = fixture.load(&[]).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    let StoreKind::Postgres { url, password, tls_ca_file, .. } = settings.store.kind else {
        panic!("not postgres")
    };
    assert_eq!(url.expose(), "postgresql://u@db/logins");
    assert_eq!(password.unwrap().expose(), "hunter2");
    assert_eq!(tls_ca_file, Some(fixture.path("ca.pem")));
}

#[test]
fn every_sound_source_of_keys_is_accepted() {
    let fixture = Fixture::new();
    let keys = |value: &str| fixture.load(&[("VIRKSOMHEDSLOGIN__TOKEN__JWKS", value)]).map(|s| s.token.keys);
    let published = |address: Option<&str>| {
        Ok(auth::Source::Remote(auth::Remote {
            address: address.map(|address| address.parse().unwrap()),
            authorities: vec![],
            refresh: Duration::from_secs(300),
            max_stale: Duration::from_secs(86_400),
        }))
    };
    let absolute = fixture.path("jwks.json");
    assert_eq!(keys(&format!("file:{}", absolute.display())), Ok(auth::Source::File(absolute)));
    assert_eq!(keys("discover"), published(None));
    for address in [
        "https://sts.example.dk/keys?v=1",
        "http://127.0.0.1:1/keys",
        "http://127.8.9.1/",
        "http://[::1]:1/",
        "http://localhost/",
    ] {
        assert_eq!(keys(address), published(Some(address)));
    }
}

#[test]
fn bundle_with_a_certificate_is_accepted() {
    let file = Path::new("tests/fixtures/config/beside/ca.pem").canonicalize().unwrap();
    let environment = [
        ("VIRKSOMHEDSLOGIN__TOKEN__JWKS", "https://sts.example.dk/keys"),
        ("VIRKSOMHEDSLOGIN__TOKEN__CA_FILE", file.to_str().unwrap()),
    ];
    let auth::Source::Remote(remote) = Fixture::new().load(&environment).unwrap().token.keys else {
        panic!("not a published set")
    };
    assert_eq!(remote.authorities.len(), 1);
}

#[test]
fn port_zero_may_stand_twice() {
    let ports = [
        ("VIRKSOMHEDSLOGIN__SERVER__LISTEN", "127.0.0.1:0"),
        ("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", "127.0.0.1:0"),
    ];
    assert!(Fixture::new().load(&ports).is_ok());
}

#[test]
fn a_rate_has_a_burst_of_its_own_or_of_a_second() {
    let rate = |environment: &[(&str, &str)]| Fixture::new().load(environment).unwrap().limits.rate.unwrap();
    let ten = ("VIRKSOMHEDSLOGIN__LIMITS__REQUESTS_PER_SECOND", "10");
    assert_eq!(
        rate(&[ten]),
        Rate { per_second: NonZeroU32::new(10).unwrap(), burst: NonZeroU32::new(10).unwrap() }
    );
    let burst = ("VIRKSOMHEDSLOGIN__LIMITS__BURST", "50");
    assert_eq!(rate(&[ten, burst]).burst.get(), 50);
}
