//! Handshakes with a real TLS server, with certificates made for the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Authority, KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection, Stream};
use tempfile::TempDir;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use super::*;
use crate::store::postgres::address::Address;

const NAME: &str = "db.example";
const LIMIT: Duration = Duration::from_secs(10);

fn pem(label: &str, der: &[u8]) -> String {
    let text = data_encoding::BASE64_MIME.encode(der);
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", text.trim_end())
}

/// An authority, its certificate in the file `ca.pem`.
struct Ca {
    directory: TempDir,
    authority: Authority<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), pem("CERTIFICATE", &certificate)).unwrap();
        Self { directory, authority: Authority::new(params, key), certificate }
    }

    fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap().der().clone(), key)
    }

    /// The path of a file of this authority's.
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.file(name), text).unwrap();
        self.file(name)
    }
}

/// A server that answers one `ping` on one connection; with an authority, only for a client certificate of it.
fn serve((certificate, key): (CertificateDer<'static>, KeyPair), clients: Option<&Ca>) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.certificate.clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.set_write_timeout(Some(LIMIT)).unwrap();
        let mut tls = ServerConnection::new(config).unwrap();
        let mut stream = Stream::new(&mut tls, &mut socket);
        let mut ping = [0; 4];
        if stream.read_exact(&mut ping).is_ok() && &ping == b"ping" {
            let direct = stream.conn.alpn_protocol() == Some(b"postgresql");
            let _ = stream.write_all(if direct { b"PONG" } else { b"pong" });
            let _ = stream.flush();
        }
    });
    address
}

/// Connects as this string says, under this name, and asks for a pong.
fn talk(text: &str, files: &TlsFiles, name: &str, to: SocketAddr) -> io::Result<String> {
    let address = Address::new(text, None, files).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut connector = address.connector();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let conversation = async {
            let socket = TcpStream::connect(to).await?;
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut connector, name).unwrap();
            let mut stream = pin!(tls.connect(socket).await?);
            let written = poll_fn(|context| stream.as_mut().poll_write(context, b"ping")).await?;
            assert_eq!(written, 4);
            poll_fn(|context| stream.as_mut().poll_flush(context)).await?;
            let mut answer = [0; 4];
            let mut buffer = ReadBuf::new(&mut answer);
            poll_fn(|context| Pin::as_mut(&mut stream).poll_read(context, &mut buffer)).await?;
            Ok(String::from_utf8_lossy(buffer.filled()).into_owned())
        };
        tokio::time::timeout(LIMIT, conversation).await.expect("an answer in time")
    })
}

fn url(more: &str) -> String {
    format!("host={NAME} user=u {more}")
}

fn trusting(ca: &Ca) -> TlsFiles {
    TlsFiles { ca: Some(ca.file("ca.pem")), ..TlsFiles::default() }
}

#[test]
fn a_server_is_trusted_under_the_right_authority_and_name() {
    let ca = Ca::new();
    for more in ["", "sslmode=verify-full", "sslmode=verify-ca", "sslmode=require"] {
        let to = serve(ca.issue(NAME, |_| {}), None);
        assert_eq!(talk(&url(more), &trusting(&ca), NAME, to).unwrap(), "pong", "{more}");
    }
    let to = serve(ca.issue("127.0.0.1", |_| {}), None);
    assert_eq!(talk(&url(""), &trusting(&ca), "127.0.0.1", to).unwrap(), "pong", "an address as the name");
    let to = serve(ca.issue(NAME, |_| {}), None);
    let direct = talk(&url("sslnegotiation=direct"), &trusting(&ca), NAME, to);
    assert_eq!(direct.unwrap(), "PONG", "ALPN");
}

#[test]
fn another_authority_or_name_or_an_expired_certificate_is_rejected() {
    let (ca, other) = (Ca::new(), Ca::new());
    let expired = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    };
    let public = TlsFiles::default();
    for mode in ["", "sslmode=verify-full", "sslmode=verify-ca", "sslmode=require"] {
        for (files, certificate, expected) in [
            // The other authority has the same name.
            (&trusting(&other), ca.issue(NAME, |_| {}), "BadSignature"),
            (&public, ca.issue(NAME, |_| {}), "UnknownIssuer"),
            (&trusting(&ca), ca.issue("other.example", |_| {}), "not valid for name"),
            (&trusting(&ca), ca.issue("127.0.0.1", |_| {}), "not valid for name"),
            (&trusting(&ca), ca.issue(NAME, expired), "expired"),
        ] {
            let error = talk(&url(mode), files, NAME, serve(certificate, None)).unwrap_err().to_string();
            assert!(error.contains(expected), "{mode}: {error}");
        }
    }
}

#[test]
fn a_bundle_may_hold_several_authorities() {
    let (one, two) = (Ca::new(), Ca::new());
    let both = format!(
        "Text between is skipped.\n{}{}",
        pem("CERTIFICATE", &one.certificate),
        pem("CERTIFICATE", &two.certificate)
    );
    one.write("ca.pem", &both);
    for ca in [&one, &two] {
        let to = serve(ca.issue(NAME, |_| {}), None);
        assert_eq!(talk(&url(""), &trusting(&one), NAME, to).unwrap(), "pong");
    }
}

#[test]
fn the_client_certificate_is_sent() {
    let (ca, strangers) = (Ca::new(), Ca::new());
    let with_certificate_of = |issuer: &Ca| {
        let (certificate, key) = issuer.issue("u", |_| {});
        TlsFiles {
            cert: Some(issuer.write("client.pem", &pem("CERTIFICATE", &certificate))),
            key: Some(issuer.write("client.key", &pem("PRIVATE KEY", &key.serialize_der()))),
            ..trusting(&ca)
        }
    };
    let answered = |files: &TlsFiles| talk(&url(""), files, NAME, serve(ca.issue(NAME, |_| {}), Some(&ca)));
    assert_eq!(answered(&with_certificate_of(&ca)).unwrap(), "pong");
    assert!(answered(&with_certificate_of(&strangers)).is_err(), "a certificate of another authority");
    assert!(answered(&trusting(&ca)).is_err(), "no certificate");
}

#[test]
fn an_unusable_file_is_named() {
    let ca = Ca::new();
    let (certificate, key) = ca.issue("u", |_| {});
    let good = ca.write("client.pem", &pem("CERTIFICATE", &certificate));
    let key = ca.write("client.key", &pem("PRIVATE KEY", &key.serialize_der()));
    let other = ca.write("other.key", &pem("PRIVATE KEY", &KeyPair::generate().unwrap().serialize_der()));
    let empty = ca.write("empty.pem", "");
    let broken = ca.write("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    let no_der = ca.write("no-der.pem", &pem("CERTIFICATE", b"no certificate"));
    let locked = ca.write("locked.key", &pem("ENCRYPTED PRIVATE KEY", b"locked"));
    let missing = ca.file("missing.pem");
    let default = TlsFiles::default;
    let trust = |path: &PathBuf| TlsFiles { ca: Some(path.clone()), ..default() };
    let client = |cert: &PathBuf, key: &PathBuf| TlsFiles {
        cert: Some(cert.clone()),
        key: Some(key.clone()),
        ..default()
    };
    for (key, path, files, expected) in [
        ("ca", &missing, trust(&missing), "No such file"),
        ("ca", &empty, trust(&empty), "holds no certificate"),
        ("ca", &key, trust(&key), "holds no certificate"),
        ("ca", &broken, trust(&broken), "is not a PEM file"),
        ("ca", &no_der, trust(&no_der), "certificate"),
        ("cert", &missing, client(&missing, &key), "No such file"),
        ("cert", &empty, client(&empty, &key), "holds no certificate"),
        ("key", &missing, client(&good, &missing), "No such file"),
        ("key", &empty, client(&good, &empty), "holds no unencrypted private key"),
        ("key", &locked, client(&good, &locked), "holds no unencrypted private key"),
        ("key", &other, client(&good, &other), "does not match"),
    ] {
        let error = Address::new(&url(""), None, &files).expect_err(key).to_string();
        assert!(error.starts_with(&format!("store.tls_{key}_file: {}: ", path.display())), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    for alone in [TlsFiles { cert: Some(good), ..default() }, TlsFiles { key: Some(key), ..default() }] {
        let error = Address::new(&url(""), None, &alone).unwrap_err().to_string();
        assert!(error.contains("set both or neither"), "{error}");
    }
}
