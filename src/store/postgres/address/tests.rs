//! What a connection string may say, in both forms, and what is made of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;

use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts};

use super::*;

mod generated;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    match Address::parse(text) {
        Ok(address) => panic!("{text} was read as {address}"),
        Err(error) => error.to_string(),
    }
}

fn tcp(name: &str) -> Host {
    Host::Tcp(name.to_owned())
}

fn unix(path: &str) -> Host {
    Host::Unix(Path::new(path).to_owned())
}

fn mode(text: &str) -> SslMode {
    address(text).config().get_ssl_mode()
}

#[test]
fn both_forms_say_the_same() {
    for text in [
        "postgresql://app:p%40%20%27%2F%25@db.example:6432/logins?connect_timeout=7&channel_binding=require",
        "postgres://db.example:6432?user=app&password=p%40%20'%2F%25&dbname=logins&connect_timeout=7&channel_binding=require",
        r"host=db.example port=6432 user=app password='p@ \'/%' dbname=logins connect_timeout=7 channel_binding=require",
        "\n host = db.example\tport=6432 user='app'  password=p@\\ \\'/% dbname =logins connect_timeout= 7 channel_binding=require ",
    ] {
        let address = address(text);
        let config = address.config();
        assert_eq!(config.get_hosts(), [tcp("db.example")], "{text}");
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
fn what_is_not_said_has_a_default() {
    let address = address("postgresql://app@db.example");
    let config = address.config();
    assert_eq!(config.get_dbname(), Some("app"), "the user's, as libpq has it");
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
    assert_eq!(config.get_load_balance_hosts(), LoadBalanceHosts::Disable);
    assert_eq!(address.to_string(), "postgresql://app@db.example:5432/app");
}

#[test]
fn what_is_said_stays() {
    let address = address(
        "host=db.example user=u connect_timeout=9 keepalives=0 keepalives_idle=60 keepalives_interval=61 \
         keepalives_count=4 tcp_user_timeout=1500 application_name=other options='-c statement_timeout=1s' \
         load_balance_hosts=random channel_binding=disable",
    );
    let config = address.config();
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(9)));
    assert!(!config.get_keepalives());
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(60));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(61)));
    assert_eq!(config.get_keepalives_retries(), Some(4));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)));
    assert_eq!(config.get_application_name(), Some("other"));
    assert_eq!(config.get_options(), Some("-c statement_timeout=1s"));
    assert_eq!(config.get_load_balance_hosts(), LoadBalanceHosts::Random);
    assert_eq!(config.get_channel_binding(), ChannelBinding::Disable);
}

#[test]
fn an_escaped_space_belongs_to_its_value_at_the_end_too() {
    let address = address(r"host=localhost user=u password=a\ ");
    assert_eq!(address.config().get_password(), Some(b"a ".as_slice()));
}

#[test]
fn zero_leaves_a_limit_away_and_an_empty_value_says_nothing() {
    let zero = address("host=db.example user=u connect_timeout=0 tcp_user_timeout=0");
    assert_eq!(zero.config().get_connect_timeout(), None);
    assert_eq!(zero.config().get_tcp_user_timeout(), None);
    let empty = address("host=db.example user=u connect_timeout='' password='' sslmode='' sslrootcert=''");
    assert_eq!(empty.config().get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(empty.config().get_password(), None);
}

#[test]
fn hosts_of_every_kind_are_understood_and_shown() {
    for (text, hosts, ports, shown) in [
        (
            "postgresql://u@a.example,b.example:5433,[::1]:5434/d?sslmode=disable",
            vec![tcp("a.example"), tcp("b.example"), tcp("::1")],
            vec![5432, 5433, 5434],
            "postgresql://u@a.example:5432,b.example:5433,[::1]:5434/d",
        ),
        (
            "host=a.example,b.example port=6000 user=u dbname=d",
            vec![tcp("a.example"), tcp("b.example")],
            vec![6000],
            "postgresql://u@a.example:6000,b.example:6000/d",
        ),
        (
            "postgresql:///d?host=a.example,b.example&port=1,2&user=u",
            vec![tcp("a.example"), tcp("b.example")],
            vec![1, 2],
            "postgresql://u@a.example:1,b.example:2/d",
        ),
        (
            "host=/run/postgresql user=u dbname=d",
            vec![unix("/run/postgresql")],
            vec![],
            "postgresql://u@/run/postgresql:5432/d",
        ),
        (
            "postgresql://u@/d?host=/run/postgresql",
            vec![unix("/run/postgresql")],
            vec![],
            "postgresql://u@/run/postgresql:5432/d",
        ),
        (
            "postgresql://u@%2Frun%2Fpost%20gresql:5433/d",
            vec![unix("/run/post gresql")],
            vec![5433],
            "postgresql://u@/run/post%20gresql:5433/d",
        ),
        (
            "postgresql://u@:5433/d?host=/run/postgresql",
            vec![unix("/run/postgresql")],
            vec![5433],
            "postgresql://u@/run/postgresql:5433/d",
        ),
        ("hostaddr=::1 user=u dbname=d", vec![], vec![], "postgresql://u@[::1]:5432/d"),
        (
            "postgresql://a%40b:c@127.0.0.1/d%0Ae?",
            vec![tcp("127.0.0.1")],
            vec![],
            "postgresql://a%40b@127.0.0.1:5432/d%0Ae",
        ),
    ] {
        let address = address(text);
        assert_eq!(address.config().get_hosts(), hosts, "{text}");
        assert_eq!(address.config().get_ports(), ports, "{text}");
        assert_eq!(address.to_string(), shown);
        assert_eq!(format!("{address:?}"), format!("Address({shown})"));
    }
}

#[test]
fn tls_is_off_by_default_only_where_every_host_is_this_machine() {
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
        // The name says this machine, the address does not: it is the address that is connected to.
        ("host=localhost hostaddr=10.0.0.1", false),
        ("host=localhost,localhost hostaddr=127.0.0.1,10.0.0.1", false),
    ] {
        let with = |mode: &str| format!("{hosts} user=u {mode}");
        let default = if local { SslMode::Disable } else { SslMode::Require };
        assert_eq!(mode(&with("")), default, "{hosts}");
        assert_eq!(mode(&with("sslmode=disable")), SslMode::Disable, "{hosts}");
        for weak in ["sslmode=prefer", "sslmode=allow"] {
            match local {
                true => assert_eq!(mode(&with(weak)), SslMode::Disable, "{hosts}"),
                false => assert!(refusal(&with(weak)).contains("say verify-full, or disable"), "{hosts}"),
            }
        }
    }
}

#[test]
fn every_mode_that_encrypts_also_verifies() {
    // That the connector verifies is shown in the tests of `tls`: there is but one kind of it.
    for given in ["require", "verify-ca", "verify-full"] {
        for text in [
            format!("host=localhost user=u sslmode={given}"),
            format!("postgresql://u@db.example/?sslmode={given}&sslrootcert=system"),
            format!("postgresql://u@db.example/?%73slmode=%76{}", &"verify-full"[1..]),
        ] {
            assert_eq!(mode(&text), SslMode::Require, "{text}");
        }
        assert!(
            refusal(&format!("host=/run/pg user=u sslmode={given}")).contains("not spoken over a socket")
        );
        assert!(refusal(&format!("hostaddr=127.0.0.1 user=u sslmode={given}")).contains("add host"));
    }
    assert!(refusal("host=/run/pg,db.example user=u").contains("not spoken over a socket"));
    assert!(refusal("hostaddr=10.0.0.1 user=u").contains("add host"));
    for given in ["on", "Disable", "verify_full"] {
        assert!(
            refusal(&format!("host=h user=u sslmode={given}")).contains("expected verify-full or disable")
        );
    }
    assert_eq!(mode("host=/run/pg,db.example user=u sslmode=disable"), SslMode::Disable);
}

#[test]
fn what_tls_would_ignore_is_refused() {
    for option in [
        "sslrootcert=/ca.pem",
        "sslcert=/c.pem",
        "sslkey=/k.pem",
        "sslcert=/c.pem sslkey=/k.pem",
        "sslnegotiation=direct",
    ] {
        for off in ["host=db.example sslmode=disable", "host=localhost", "host=localhost sslmode=prefer"] {
            assert!(
                refusal(&format!("{off} user=u {option}")).contains("would be ignored"),
                "{off} {option}"
            );
        }
    }
    assert_eq!(mode("host=localhost user=u sslrootcert=system sslnegotiation=postgres"), SslMode::Disable);
}

#[test]
fn only_a_server_that_takes_writes_will_do() {
    for given in ["any", "read-write"] {
        let address = address(&format!("postgresql://u@h?target_session_attrs={given}"));
        assert_eq!(address.config().get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }
    for given in ["read-only", "standby", "prefer-standby"] {
        assert!(
            refusal(&format!("host=h user=u target_session_attrs={given}")).contains("cannot take logins")
        );
    }
    assert!(refusal("host=h user=u target_session_attrs=some").contains("expected read-write"));
}

#[test]
fn what_is_wrong_is_told() {
    for (text, told) in [
        ("", "empty"),
        (" \n ", "empty"),
        ("nonsense", "not a connection string"),
        ("mysql://u@h/d", "not a connection string"),
        ("mysql://u@h/d?a=b", "number 1"),
        ("postgresql://", "no host"),
        ("postgresql://u@/d", "no host"),
        ("postgresql://h/d", "no user"),
        ("user=u", "no host"),
        ("host=h", "no user"),
        ("host='' user=u", "no host"),
        ("postgresql://u@h:0/d", "from 1 to 65535"),
        ("postgresql://u@h:65536/d", "from 1 to 65535"),
        ("postgresql://u@h:x/d", "from 1 to 65535"),
        ("host=h port=1,2 user=u", "from 1 to 65535, or one for each host"),
        ("host=a,b,c port=1,2 user=u", "one for each host"),
        ("host=a,b hostaddr=10.0.0.1 user=u", "`hostaddr`"),
        ("host=a hostaddr=b user=u", "`hostaddr`"),
        ("host=/run/pg hostaddr=127.0.0.1 user=u", "socket directory"),
        ("host=a,,b user=u", "`host`"),
        ("host='a b' user=u", "`host`"),
        ("postgresql://u@::1/d", "stands in […]"),
        ("postgresql://u@[::1/d", "without its `]`"),
        ("postgresql://u@[::1]1/d", "only a port"),
        ("postgresql://u:p@ss@h/d", "percent-encode"),
        ("postgresql://u:p/ss@h/d", "percent-encode"),
        ("postgresql://u:p?ss@h/d", "percent-encode"),
        ("postgresql:///d?user=u&password=p@ss&host=h", "percent-encode"),
        ("postgresql://u:%zz@h/d", "two hexadecimal digits"),
        ("postgresql://u:%4@h/d", "two hexadecimal digits"),
        ("postgresql://u:%+4@h/d", "two hexadecimal digits"),
        ("postgresql://u:%ff@h/d", "UTF-8"),
        ("postgresql://u:%00@h/d", "zero byte"),
        ("host=h user=u\0", "zero byte"),
        ("postgresql://u@h/d?sslmode", "without `=`"),
        ("postgresql://u@h/d?sslmode=disable&sslmode=disable", "`sslmode` stands twice"),
        ("postgresql://u@h/d?host=i", "`host` stands twice"),
        ("postgresql://u:a@h/d?password=b", "`password` stands twice"),
        ("host=h user=u sslrootcert=/a sslrootcert=/b", "`sslrootcert` stands twice"),
        ("host=h user=u keepalives_count=1 keepalives_retries=1", "`keepalives_retries` stands twice"),
        ("host=h user=u sslcrl=/a", "`sslcrl` is not known"),
        ("postgresql://u:p@h/d?service=a", "`service` is not known"),
        ("host=h user=u password='a b' passfile=a", "`passfile` is not known"),
        ("host=h user u=a", "without `=`"),
        ("host=h =a user=u", "without a name"),
        ("host=h user='u", "not closed"),
        ("host=h user='u'x", "after a closing quote"),
        ("host=h user=u connect_timeout=1.5", "`connect_timeout`"),
        ("host=h user=u tcp_user_timeout=-1", "`tcp_user_timeout`"),
        ("host=h user=u channel_binding=yes", "expected disable, prefer or require"),
        ("host=h user=u sslrootcert=ca.pem", "absolute path"),
        ("host=h user=u sslcert=./c.pem sslkey=/k.pem", "`sslcert`"),
        ("host=h user=u sslcert=/c.pem sslkey=k.pem", "`sslkey`"),
        ("host=h user=u sslcert=/c.pem", "go together"),
        ("host=h user=u sslkey=/k.pem", "go together"),
    ] {
        let error = refusal(text);
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn a_piece_of_a_password_is_not_taken_for_the_name_of_a_parameter() {
    for text in [
        "host=h user=u password=my secret=thing",
        "postgresql:///d?host=h&user=u&password=my&secret=thing",
        "postgres:/u:secret@h/d?a=b",
        "jdbc:postgresql://h/d?user=u&password=secret",
    ] {
        let error = refusal(text);
        assert!(error.contains("is not known, and not shown"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn each_host_is_connected_to_with_everything_that_is_said_of_all() {
    let one = "host=db.example port=6432 user=app password=secret dbname=logins options='-c work_mem=4MB' \
               application_name=x connect_timeout=7 tcp_user_timeout=9000 keepalives=1 keepalives_idle=3 \
               keepalives_interval=4 keepalives_retries=5 channel_binding=require sslmode=verify-full";
    let whole = address(one);
    assert_eq!(whole.each_host(), [whole.config().clone()]);

    let three = address("host=a.example,/run/postgresql,c.example port=1,2,3 user=app sslmode=disable");
    let hosts: Vec<_> =
        three.each_host().iter().map(|one| (one.get_hosts().to_vec(), one.get_ports().to_vec())).collect();
    assert_eq!(
        hosts,
        [
            (vec![tcp("a.example")], vec![1]),
            (vec![unix("/run/postgresql")], vec![2]),
            (vec![tcp("c.example")], vec![3])
        ]
    );
    let addresses = address("host=a.example,b.example hostaddr=10.0.0.1,10.0.0.2 port=7 user=app");
    let second = &addresses.each_host()[1];
    assert_eq!(second.get_hosts(), [tcp("b.example")]);
    assert_eq!(second.get_hostaddrs(), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
    assert_eq!(second.get_ports(), [7]);
}
