"""Whose call it is, through each of the proxies as shipped: address, scheme, host, and the client's certificate."""

import datetime
import hashlib
import json
import ssl
from base64 import b64encode, urlsafe_b64encode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxies import PROXIES

# An address of loopback that only the client of these tests has.
CLIENT = "127.0.0.9"
# What a client calls a matter of its connection alone must not take these headers out again.
HOP = {"Connection": "close, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Forwarded, Client-Cert"}
FORGED = {"Forwarded": "for=203.0.113.9;proto=http;host=evil.example", "X-Forwarded-For": "203.0.113.9",
          "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}


class Certificate:
    """A key and its certificate, by itself or by an authority."""

    def __init__(self, name, authority=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        signer = authority or self
        made = (x509.CertificateBuilder().subject_name(self.name).issuer_name(signer.name).public_key(self.key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(days=2))
                .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
                .sign(signer.key, hashes.SHA256()))
        self.der, self.pem = (made.public_bytes(encoding) for encoding in (serialization.Encoding.DER, serialization.Encoding.PEM))

    def cnf(self):
        """What a token that is bound to it says."""
        return {"x5t#S256": urlsafe_b64encode(hashlib.sha256(self.der).digest()).rstrip(b"=").decode()}

    def header(self):
        """As RFC 9440 writes it."""
        return f":{b64encode(self.der).decode()}:"

    def file(self, path):
        """Key and certificate, for a client."""
        key = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(key + self.pem)
        return path


def ask(proxy, path, token=None, headers=None, certificate=None):
    """A read from an address of its own, with this client certificate."""
    context = ssl.create_default_context(cafile=proxy.proxied.certificate)
    if certificate:
        context.load_cert_chain(certificate)
    return proxy.ask("GET", path, token, headers=headers, context=context, source=(CLIENT, 0))


@pytest.mark.parametrize("name", PROXIES)
def test_the_client_is_known_and_forged_headers_are_removed(proxied, tmp_path, name):
    own = Certificate("klient")
    with PROXIES[name](proxied, tmp_path) as proxy:
        token = proxied.service.token("STAR", "AlleBorgere")
        for headers in [{}, FORGED, HOP, {**FORGED, **HOP}, {"Forwarded": FORGED["Forwarded"]}, {"X-Forwarded-For": "203.0.113.9, 10.0.0.1"}]:
            assert ask(proxy, "/v1/Login?cvrNummer=00000001", token, headers).status == 200
            assert json.loads(proxied.audit()[-1])["remote"] == CLIENT, headers
            page = ask(proxy, "/", headers=headers).body.decode()
            assert f"curl -i &#39;https://localhost:{proxy.port}/v1/" in page or f"curl -i 'https://localhost:{proxy.port}/v1/" in page, page
            assert "evil.example" not in page
        # A header that the client writes itself is no certificate.
        token = proxied.service.token("STAR", "AlleBorgere", cnf=own.cnf())
        assert ask(proxy, "/v1/Login?cvrNummer=00000001", token, {"Client-Cert": own.header()}).status == 401
        assert "showed no certificate" in json.loads(proxied.audit()[-1])["aarsag"]


@pytest.mark.parametrize("name", PROXIES)
def test_a_bound_token_is_good_with_its_certificate_alone(proxied, tmp_path, name):
    authority = Certificate("authority")
    own, other, stranger = Certificate("own", authority), Certificate("other", authority), Certificate("stranger")
    authorities = tmp_path / "clients.pem"
    authorities.write_bytes(authority.pem)
    files = {each: each.file(tmp_path / f"{index}.pem") for index, each in enumerate([own, other, stranger])}
    token = proxied.service.token("STAR", "AlleBorgere", cnf=own.cnf())
    path = "/v1/Login?cvrNummer=00000001"

    def reason():
        return json.loads(proxied.audit()[-1])["aarsag"]

    with PROXIES[name](proxied, tmp_path, lambda text: PROXIES[name].bound(text, authorities)) as proxy:
        # What the client says in the header has no effect, with a certificate and without.
        for headers in [None, {"Client-Cert": other.header()}, {"client-cert": "x"}]:
            answer = ask(proxy, path, token, headers, files[own])
            assert answer.status == 200, (headers, answer.body, reason())
        for headers in [None, {"Client-Cert": own.header()}, {"Client_Cert": own.header()}]:
            answer = ask(proxy, path, token, headers)
            # Caddy sends the name of its placeholder where there is none.
            assert answer.status == 401 and ("is neither" if name == "caddy" else "showed no certificate") in reason(), reason()
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            answer = ask(proxy, path, token, headers, files[other])
            assert answer.status == 401 and "another certificate" in reason(), (headers, reason())
        # Of an authority that the proxy does not know.
        try:
            answer = ask(proxy, path, proxied.service.token("STAR", "AlleBorgere", cnf=stranger.cnf()), None, files[stranger])
            assert answer.status in (400, 401), answer.status
        except OSError:
            pass
        for cnf in [{"jkt": own.cnf()["x5t#S256"]}, {**own.cnf(), "jkt": "x"}]:
            answer = ask(proxy, path, proxied.service.token("STAR", "AlleBorgere", cnf=cnf), None, files[own])
            assert answer.status == 401 and reason().startswith("cnf"), (cnf, reason())
        assert ask(proxy, path, proxied.service.token("STAR", "AlleBorgere")).status == 200, "not bound"
