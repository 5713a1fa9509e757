//! TLS to the database: with the right authority and name, and with no other.

use data_encoding::BASE64_MIME;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::suites::postgres::instances::fixture;
use crate::suites::postgres::refusals::assert_refused;
use crate::support::cluster::{Cluster, PASSWORD, PASSWORD_IN_URL, ROLE};

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

#[test]
fn only_the_right_authority_and_name_are_trusted() {
    let ((issuer, ours), (_, other)) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = pem("CERTIFICATE", names.signed_by(&key, &issuer).unwrap().der());
    let files =
        [("server.crt", certificate.as_str()), ("server.key", &pem("PRIVATE KEY", key.serialized_der()))];
    let Some(cluster) = Cluster::start_with(&["fsync=off", "ssl=on"], &files) else { return };
    let database = cluster.create_database();
    let directory = tempfile::TempDir::new().unwrap();
    let authorities = [("ours.pem", &ours), ("other.pem", &other)].map(|(name, text)| {
        std::fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name).display().to_string()
    });
    let text = |host: &str| {
        format!(
            "host={host} port={} dbname={database} user={ROLE} password='{PASSWORD}' sslmode=verify-full",
            cluster.port
        )
    };
    let url = format!(
        "postgresql://{ROLE}:{PASSWORD_IN_URL}@localhost:{}/{database}?sslmode=verify-full",
        cluster.port
    );
    for address in [text("localhost"), url] {
        let fixture = fixture(&address);
        let service = fixture.serve_with(&[(CA_FILE, &authorities[0])]);
        assert_eq!(service.put("12345678").unwrap(), 204);
        let encrypted = cluster.sql(
            &database,
            &format!(
                "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{ROLE}'"
            ),
        );
        assert_eq!(encrypted, [["t"]]);
    }
    assert_refused(
        "another authority",
        &fixture(&text("localhost")),
        &[(CA_FILE, &authorities[1])],
        1,
        &["certificate"],
    );
    assert_refused(
        "another name",
        &fixture(&text("127.0.0.1")),
        &[(CA_FILE, &authorities[0])],
        1,
        &["certificate", "127.0.0.1"],
    );
    cluster.stop_fast();
    let Some(plain) = Cluster::start(&["fsync=off"]) else { return };
    let address = text("localhost").replace(&cluster.port.to_string(), &plain.port.to_string());
    assert_refused("a server without TLS", &fixture(&address), &[(CA_FILE, &authorities[0])], 1, &["TLS"]);
}
