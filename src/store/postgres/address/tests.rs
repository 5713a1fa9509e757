//! What a connection string means, in both forms.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use proptest::prelude::*;
use tokio_postgres::config::ChannelBinding;

use super::*;

/// In every generated password and nowhere else.
const MARK: &str = "Zq9";

fn parse(text: &str) -> Result<Address, AddressError> {
    Address::new(text, None, &TlsFiles::default())
}

fn address(text: &str) -> Address {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn rejection(text: &str) -> String {
    match parse(text) {
        Ok(address) => panic!("{text} was read as {address}"),
        Err(error) => error.to_string(),
    }
}

fn mode(text: &str) -> SslMode {
    address(text).hosts[0].get_ssl_mode()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn both_forms_mean_the_same() {
    for text in [
        "postgresql://app:p%40%20%27%2F%25@db.example:6432/logins?connect_timeout=7&channel_binding=require",
        "postgres://db.example:6432?user=app&password=p%40%20'%2F%25&dbname=logins&connect_timeout=7&channel_binding=require",
        r"host=db.example port=6432 user=app password='p@ \'/%' dbname=logins connect_timeout=7 channel_binding=require",
    ] {
        let address = address(text);
        let config = &address.hosts[0];
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".to_owned())], "{text}");
        assert_eq!(config.get_ports(), [6432], "{text}");
        assert_eq!(config.get_user(), Some("app"), "{text}");
        assert_eq!(config.get_password(), Some(b"p@ '/%".as_slice()), "{text}");
        assert_eq!(config.get_dbname(), Some("logins"), "{text}");
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(7)), "{text}");
        assert_eq!(config.get_channel_binding(), ChannelBinding::Require, "{text}");
        assert_eq!(address.to_string(), "postgresql://app@db.example:6432/logins");
    }
}

#[test]
fn absent_parameters_have_defaults() {
    let address = address("postgresql://app@db.example");
    let config = &address.hosts[0];
    assert_eq!(config.get_dbname(), Some("app"), "the user's, as in libpq");
    assert_eq!(config.get_password(), None);
    assert_eq!(config.get_ssl_mode(), SslMode::Require);
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(2)));
    assert!(config.get_keepalives());
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(10));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(5)));
    assert_eq!(config.get_keepalives_retries(), Some(3));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(10)));
    assert_eq!(config.get_application_name(), Some("virksomhedslogin"));
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(config.get_channel_binding(), ChannelBinding::Prefer);
    assert!(!address.is_random);
    assert_eq!(address.to_string(), "postgresql://app@db.example:5432/app");
}

#[test]
fn given_parameters_stay_for_every_host() {
    let address = address(
        "host=a.example,db.example hostaddr=10.0.0.1,10.0.0.2 port=7 user=u connect_timeout=9 keepalives=0 \
         keepalives_idle=60 keepalives_interval=61 keepalives_retries=4 tcp_user_timeout=15 application_name=other \
         options='-c statement_timeout=1s' load_balance_hosts=random channel_binding=disable password=secret",
    );
    let config = &address.hosts[1];
    assert_eq!(config.get_hosts(), [Host::Tcp("db.example".to_owned())]);
    assert_eq!(config.get_hostaddrs(), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
    assert_eq!(config.get_ports(), [7]);
    assert_eq!(config.get_password(), Some(b"secret".as_slice()));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(9)));
    assert!(!config.get_keepalives());
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(60));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(61)));
    assert_eq!(config.get_keepalives_retries(), Some(4));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(15)));
    assert_eq!(config.get_application_name(), Some("other"));
    assert_eq!(config.get_options(), Some("-c statement_timeout=1s"));
    assert_eq!(config.get_channel_binding(), ChannelBinding::Disable);
    assert!(address.is_random);
}

#[test]
fn hosts_of_every_kind_are_understood_and_shown() {
    for (text, shown) in [
        (
            "postgresql://u@a.example,b.example:5433,[::1]:5434/d?sslmode=disable",
            "postgresql://u@a.example:5432,b.example:5433,[::1]:5434/d",
        ),
        (
            "host=a.example,b.example port=6000 user=u dbname=d",
            "postgresql://u@a.example:6000,b.example:6000/d",
        ),
        (
            "postgresql:///d?host=a.example&host=b.example&port=1,2&user=u",
            "postgresql://u@a.example:1,b.example:2/d",
        ),
        ("host=/run/postgresql user=u dbname=d", "postgresql://u@/run/postgresql:5432/d"),
        ("postgresql://u@/d?host=/run/postgresql", "postgresql://u@/run/postgresql:5432/d"),
        ("postgresql://u@%2Frun%2Fpostgresql:5433/d", "postgresql://u@/run/postgresql:5433/d"),
        ("hostaddr=::1 user=u dbname=d", "postgresql://u@[::1]:5432/d"),
        ("postgresql://u:c@127.0.0.1/d%0Ae?", r"postgresql://u@127.0.0.1:5432/d\ne"),
    ] {
        assert_eq!(address(text).to_string(), shown);
        assert_eq!(format!("{:?}", address(text)), format!("Address({shown})"));
    }
}

#[test]
fn tls_is_off_by_default_only_on_this_machine() {
    for (hosts, local) in [
        ("host=/run/postgresql", true),
        ("host=localhost", true),
        ("host=LocalHost,127.9.9.9,::1,::ffff:127.0.0.1,/run/postgresql", true),
        ("hostaddr=127.0.0.1", true),
        ("host=db.example hostaddr=::1", true),
        ("host=db.example", false),
        ("host=localhost.example", false),
        ("host=localhost,db.example", false),
        ("host=10.0.0.1", false),
        ("host=0.0.0.0", false),
        // The address is connected to, not the name.
        ("host=localhost hostaddr=10.0.0.1", false),
        ("host=localhost,localhost hostaddr=127.0.0.1,10.0.0.1", false),
    ] {
        let with = |mode: &str| format!("{hosts} user=u {mode}");
        assert_eq!(mode(&with("")), if local { SslMode::Disable } else { SslMode::Require }, "{hosts}");
        assert_eq!(mode(&with("sslmode=disable")), SslMode::Disable, "{hosts}");
        assert_eq!(address(&with("sslmode=disable")).is_in_the_clear(), !local, "{hosts}");
        match local {
            true => assert_eq!(mode(&with("sslmode=prefer")), SslMode::Disable, "{hosts}"),
            false => assert!(rejection(&with("sslmode=prefer")).contains("turn TLS off"), "{hosts}"),
        }
        assert!(parse(&with("sslmode=allow")).is_err(), "{hosts}");
    }
}

#[test]
fn every_mode_that_encrypts_also_verifies() {
    // That the connector verifies is shown in the tests of `tls`: there is only one kind.
    for given in ["require", "verify-ca", "verify-full"] {
        assert_eq!(mode(&format!("host=localhost user=u sslmode={given}")), SslMode::Require);
        assert_eq!(mode(&format!("postgresql://u@db.example/?sslmode={given}")), SslMode::Require);
        assert!(rejection(&format!("host=/run/pg user=u sslmode={given}")).contains("over a socket"));
        assert!(rejection(&format!("hostaddr=127.0.0.1 user=u sslmode={given}")).contains("add host"));
    }
    // However a weak mode is written, it never turns TLS off.
    for weak in ["sslmode='prefer'", "sslmode = prefer"] {
        assert_eq!(mode(&format!("host=db.example user=u {weak}")), SslMode::Require);
    }
    assert_eq!(mode("postgresql://u@db.example/?%73slmode=pre%66er"), SslMode::Require);
    for unknown in ["on", "Disable", "verify_full"] {
        assert!(rejection(&format!("host=h user=u sslmode={unknown}")).contains("`sslmode`"));
    }
}

#[test]
fn options_that_tls_would_ignore_are_errors() {
    let files = TlsFiles { ca: Some("/ca.pem".into()), ..TlsFiles::default() };
    for off in ["host=db.example sslmode=disable", "host=localhost", "host=localhost sslmode=prefer"] {
        let error = Address::new(&format!("{off} user=u"), None, &files).unwrap_err().to_string();
        assert!(error.contains("would be ignored"), "{off}: {error}");
        assert!(rejection(&format!("{off} user=u sslnegotiation=direct")).contains("would be ignored"));
    }
}

#[test]
fn only_a_server_that_takes_writes_is_accepted() {
    for given in ["any", "read-write"] {
        let address = address(&format!("postgresql://u@h?target_session_attrs={given}"));
        assert_eq!(address.hosts[0].get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }
    assert!(rejection("host=h user=u target_session_attrs=read-only").contains("takes no logins"));
    assert!(parse("host=h user=u target_session_attrs=standby").is_err());
}

#[test]
fn the_password_may_come_from_its_own_file() {
    let with = |url| Address::new(url, Some("p@ '/%"), &TlsFiles::default());
    let address = with("postgresql://u@db.example").unwrap();
    assert_eq!(address.hosts[0].get_password(), Some(b"p@ '/%".as_slice()));
    assert!(!format!("{address} {address:?}").contains("p@"));
    assert!(with("postgresql://u:x@db.example").unwrap_err().to_string().contains("keep one of the two"));
}

#[test]
fn errors_name_what_is_wrong() {
    for (text, expected) in [
        ("", "no host"),
        ("nonsense", "not a connection string"),
        ("mysql://u@h/d", "not a connection string"),
        ("mysql://u@h/d?a=b", "not a connection string"),
        ("postgresql://", "no host"),
        ("postgresql://u@/d", "no host"),
        ("postgresql://h/d", "no user"),
        ("user=u", "no host"),
        ("host=h", "no user"),
        ("postgresql://u@h:65536/d", "`port`"),
        ("postgresql://u@h:x/d", "`port`"),
        ("host=h port=1,2 user=u", "same length"),
        ("host=a,b hostaddr=10.0.0.1 user=u", "same length"),
        ("host=a hostaddr=b user=u", "`hostaddr`"),
        ("host=a,,b user=u", "a host is not"),
        ("host='a b' user=u", "a host is not"),
        ("postgresql://u:p@ss@h/d", "percent-encode"),
        ("postgresql://u:p/ss@h/d", "percent-encode"),
        ("postgresql://u@[h/d", "`host`"),
        ("postgresql:///d?host=h&user=u&password=@p", "percent-encode"),
        ("postgresql://u:a@b/c@h/d", "percent-encode"),
        ("postgresql://u@h/d?sslmode", "not a connection string"),
        ("host=h user=u sslcrl=/a", "unknown parameter"),
        ("postgresql://u:p@h/d?service=a", "unknown parameter"),
        ("host=h user=u sslrootcert=/ca.pem", "store.tls_ca_file"),
        ("host=h user='u", "not a connection string"),
        ("host=h user=u connect_timeout=1.5", "`connect_timeout`"),
        ("host=h user=u channel_binding=yes", "`channel_binding`"),
    ] {
        let error = rejection(text);
        assert!(error.starts_with("store.url: "), "{error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
}

/// A password, written correctly or not.
fn strings() -> impl Strategy<Value = String> {
    let password = ("\\PC{0,6}", "[ '@/?&%:,=#\\\\\\[\\]a-z]{0,4}", "[ '@/?&%:,=#\\\\a-z]{0,4}")
        .prop_map(|(any, before, after)| format!("{any}{before}{MARK}{after}"));
    let tail = prop_oneof![
        Just(""),
        Just("sslmode=disable"),
        Just("sslmode=bad"),
        Just("port=x"),
        Just("unknown=1")
    ];
    (password, tail, 0..9usize).prop_map(|(password, tail, form)| {
        let encoded = percent_encoded(&password);
        let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
        match form {
            0 => format!("postgresql://u:{encoded}@h/d?{tail}"),
            1 => format!("postgresql:///d?user=u&password={encoded}&host=h&{tail}"),
            2 => format!("postgresql:///d?host=h&user=u&password={password}&{tail}"),
            3 => format!("host=h user=u password='{quoted}' {tail}"),
            4 => format!("host=h user=u password='{password}' {tail}"),
            5 => format!("host=h user=u password={password} {tail}"),
            6 => format!("postgres:/u:{password}@h/d?{tail}"),
            7 => format!("postgresql://u:{password}@h/d?{tail}"),
            _ => format!("host=localhost password={password} user=u {tail}"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn a_password_is_never_shown(text in strings()) {
        let shown = match parse(&text) {
            Ok(address) => format!("{address} {address:?} {address:#?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(MARK), "{text}: {shown}");
        prop_assert!(!shown.contains("zq9"), "{text}: {shown}");
    }

    #[test]
    fn a_password_arrives_as_it_is(password in "[^\0]{1,20}") {
        let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
        for text in [
            format!("postgresql://u:{}@localhost", percent_encoded(&password)),
            format!("postgresql://localhost?user=u&password={}", percent_encoded(&password)),
            format!("host=localhost password='{quoted}' user=u"),
        ] {
            let read = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            prop_assert_eq!(read.hosts[0].get_password(), Some(password.as_bytes()));
            prop_assert_eq!(read.to_string(), "postgresql://u@localhost:5432/u");
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(postgres://)?[ a-z0-9=:@/?&%,'\\\\\\[\\]\\PC]{0,60}") {
        let _ = parse(&text);
    }
}
