//! TLS to the database: with the right authority and name, and with no other.

use data_encoding::BASE64_MIME;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::suites::postgres::instances::fixture;
use crate::suites::postgres::refusals::assert_refused;
use crate::support::cluster::{Cluster, PASSWORD, PASSWORD_IN_URL, ROLE};
use crate::support::process::Fixture;

const CA_FILE: &str = "VIRKSOMHEDSLOGIN__STORE__TLS_CA_FILE";

fn pem(what: &str, bytes: &[u8]) -> String {
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", BASE64_MIME.encode(bytes).trim_end())
}

/// An authority of our own, and its certificate.
fn authority() -> (Issuer<'static, KeyPair>, String) {
    let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::new(vec![]).unwrap());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = pem("CERTIFICATE", params.self_signed(&key).unwrap().der());
    (Issuer::new(params, key), certificate)
}

/// A server of an authority's, as `localhost`.
fn encrypted(issuer: &Issuer<'static, KeyPair>) -> Option<Cluster> {
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = pem("CERTIFICATE", names.signed_by(&key, issuer).unwrap().der());
    let key = pem("PRIVATE KEY", key.serialized_der());
    Cluster::start_with(&["fsync=off", "ssl=on"], &[("server.crt", &certificate), ("server.key", &key)])
}

/// The certificates of two authorities as files.
fn write(directory: &TempDir, ours: &str, other: &str) -> [String; 2] {
    [("ours.pem", ours), ("other.pem", other)].map(|(name, text)| {
        std::fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name).display().to_string()
    })
}

fn address(host: &str, cluster: &Cluster, database: &str) -> String {
    format!(
        "host={host} port={} dbname={database} user={ROLE} password='{PASSWORD}' sslmode=verify-full",
        cluster.port
    )
}

/// A login over TLS; other authorities and names are refused.
fn assert_verified(cluster: &Cluster, database: &str, more: &str, [ours, other]: &[String; 2]) {
    let to = |host: &str| fixture(&format!("{}{more}", address(host, cluster, database)));
    assert_served(cluster, database, &to("localhost"), ours);
    assert_refused("another authority", &to("localhost"), &[(CA_FILE, other)], 1, &["certificate"]);
    assert_refused("another name", &to("127.0.0.1"), &[(CA_FILE, ours)], 1, &["certificate", "127.0.0.1"]);
}

fn assert_served(cluster: &Cluster, database: &str, fixture: &Fixture, authority: &str) {
    let service = fixture.serve_with(&[(CA_FILE, authority)]);
    assert_eq!(service.put("12345678").unwrap(), 204);
    let encrypted = format!(
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{ROLE}'"
    );
    assert_eq!(cluster.sql(database, &encrypted), [["t"]]);
}

#[test]
fn only_the_right_authority_and_name_are_trusted() {
    let ((issuer, ours), (_, other)) = (authority(), authority());
    let Some(cluster) = encrypted(&issuer) else { return };
    let (database, directory) = (cluster.create_database(), TempDir::new().unwrap());
    let authorities = write(&directory, &ours, &other);
    assert_verified(&cluster, &database, "", &authorities);
    let url = format!(
        "postgresql://{ROLE}:{PASSWORD_IN_URL}@localhost:{}/{database}?sslmode=verify-full",
        cluster.port
    );
    assert_served(&cluster, &database, &fixture(&url), &authorities[0]);
    cluster.stop_fast();
    let Some(plain) = Cluster::start(&["fsync=off"]) else { return };
    let address = address("localhost", &plain, &database);
    assert_refused("a server without TLS", &fixture(&address), &[(CA_FILE, &authorities[0])], 1, &["TLS"]);
}

/// From version 17 on TLS begins with the first byte, and the server reports it so; an older one is reported as such.
#[test]
fn direct_negotiation_is_used_where_it_is_asked_for() {
    const DIRECT: &str = " sslnegotiation=direct";
    let ((issuer, ours), (_, other)) = (authority(), authority());
    let Some(mut cluster) = encrypted(&issuer) else { return };
    let (database, directory) = (cluster.create_database(), TempDir::new().unwrap());
    let authorities = write(&directory, &ours, &other);
    let version: u32 = cluster.sql("postgres", "SHOW server_version_num")[0][0].parse().unwrap();
    if version < 170_000 {
        let fixture = fixture(&format!("{}{DIRECT}", address("localhost", &cluster, &database)));
        let service = fixture.serve_with(&[(CA_FILE, &authorities[0])]);
        let (status, text) = service.management("/readyz");
        assert!(
            status == 503 && text.contains("sslnegotiation=direct needs PostgreSQL 17"),
            "{status} {text}"
        );
        return;
    }
    cluster.stop_fast();
    cluster.settings.push("trace_connection_negotiation=on".to_owned());
    cluster.start_again();
    assert_verified(&cluster, &database, DIRECT, &authorities);
    let log = cluster.log();
    assert!(log.contains("direct SSL connection accepted") && !log.contains("SSLRequest accepted"), "{log}");
}
