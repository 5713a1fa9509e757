"""Glewlwyd, which Debian packages: another make of issuer, written in C, with ways of its own.

The claim aud of its tokens is the list of scopes where the program names no resource. Claims that it is set up to add are
a user's, so a program has a user whose password it sends; a token by client credentials has none of them.
"""

import gzip
import json
import sqlite3

import pytest

from conftest import TIMES, Issuer, new_key
from service import READ, ROOT, WRITE

INSTALLED = ROOT / "target" / "tools" / "glewlwyd" / "usr"
SCOPES, CLAIMS = f"{READ} {WRITE}", ["organisationType", "organisationCode", "adgang"]
RESOURCE = "https://login.example.dk"
LET_IN, REFUSED = [204, 200, 200], [401, 401, 401]


class Glewlwyd(Issuer):
    """Glewlwyd with a database of its own, set up over its own interface for administrators."""

    def __init__(self, authority, directory):
        super().__init__(authority, directory)
        database = sqlite3.connect(directory / "database")
        with gzip.open(INSTALLED / "share/doc/glewlwyd/database/init.sqlite3.sql.gz", "rt", encoding="utf-8") as made:
            database.executescript(made.read())
        kept = json.loads(database.execute("SELECT gumi_parameters FROM g_user_module_instance").fetchone()[0])
        kept["data-format"].update({claim: {"multiple": False, "read": True, "write": True} for claim in CLAIMS})
        database.execute("UPDATE g_user_module_instance SET gumi_parameters = ?", [json.dumps(kept)])
        database.commit()
        database.close()
        modules = "".join(f'{kind}_module_path="{INSTALLED}/lib/glewlwyd/{place}"\n' for kind, place in [
            ("user", "user"), ("user_middleware", "user_middleware"), ("client", "client"), ("plugin", "plugin"),
            ("user_auth_scheme", "scheme")])
        (directory / "glewlwyd.conf").write_text(f"""port={self.port}
bind_address="127.0.0.1"
external_url="https://localhost:{self.port}"
api_prefix="api"
log_mode="console"
log_level="WARNING"
cookie_secure=1
session_key="session"
admin_scope="g_admin"
profile_scope="g_profile"
{modules}use_secure_connection=true
secure_connection_pem_file="{self.certificate[0]}"
secure_connection_key_file="{self.certificate[1]}"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{directory}/database"; }};
""", encoding="utf-8")
        self.headers = {"Content-Type": "application/json"}

    def command(self):
        """What starts it."""
        return [INSTALLED / "bin" / "glewlwyd", f"--config-file={self.directory}/glewlwyd.conf"]

    def administer(self, verb, path, content):
        """A request to the interface for administrators; the headers of its answer."""
        status, headers, text = self.ask(verb, f"/api/{path}", json.dumps(content), self.headers)
        assert status == 200, (path, status, text, self.log())
        return headers

    def set_up(self, *keys):
        """A program, its user and the plugin with these private keys, of which the first signs."""
        login = self.administer("POST", "auth", {"username": "admin", "password": "password"})
        self.headers["Cookie"] = login["Set-Cookie"].partition(";")[0]
        for scope in [READ, WRITE]:
            self.administer("POST", "scope", {"name": scope, "password_required": True, "password_max_age": 0})
        self.administer("POST", "client", {
            "client_id": "star-program", "enabled": True, "confidential": True, "client_secret": "secret",
            "scope": [READ, WRITE], "authorization_type": ["client_credentials", "password"],
            "token_endpoint_auth_method": ["client_secret_post"]})
        self.administer("POST", "user", {
            "username": "star", "password": "password", "enabled": True, "scope": [READ, WRITE],
            **dict(zip(CLAIMS, ["STAR", "1", "AlleBorgere"]))})
        self.administer("POST", "mod/plugin", self.plugin(keys))

    def plugin(self, keys):
        """The plugin for OpenID Connect with these private keys."""
        ways = ["code", "token", "id-token", "none", "refresh", "device", "client", "password"]
        return {"module": "oidc", "name": "oidc", "parameters": {
            "iss": f"https://localhost:{self.port}/api/oidc", "jwks-private": json.dumps({"keys": keys}), "jwks-show": True,
            "jwt-type": "sha", "jwt-key-size": "256", "access-token-duration": 600, "refresh-token-duration": 600,
            "code-duration": 60, "refresh-token-rolling": False, "allow-non-oidc": True, "subject-type": "public",
            **{f"auth-type-{way}-enabled": way in ["id-token", "client", "password"] for way in ways},
            "resource-allowed": True, "resource-scope": {READ: [RESOURCE], WRITE: [RESOURCE]},
            "additional-parameters": [{"user-parameter": claim, "token-parameter": claim} for claim in CLAIMS]}}

    def rotate(self, *keys):
        """Puts these private keys in the place of the others, while it runs."""
        self.administer("PUT", "mod/plugin/oidc", self.plugin(keys))
        self.administer("PUT", "mod/plugin/oidc/reset", {})

    def token(self, way="password", **form):
        """A token for the program, by its user's password or its own credentials."""
        if way == "password":
            form |= {"username": "star", "password": "password"}
        return self.grant("/api/oidc/token", grant_type=way, client_id="star-program", client_secret="secret",
                          scope=SCOPES, **form)


@pytest.fixture
def glewlwyd(authority, tmp_path):
    """One that runs and is not set up."""
    issuer = Glewlwyd(authority, tmp_path)
    issuer.start()
    yield issuer
    issuer.stop()


def test_the_methods_algorithms_and_rotation(glewlwyd, relying):
    algorithms = {"ES256": "P-256", "RS256": "RSA", "PS256": "RSA", "ES384": "P-384", "EdDSA": "Ed25519"}
    keys = [new_key(kind, f"key-{algorithm}", alg=algorithm) for algorithm, kind in algorithms.items()]
    glewlwyd.set_up(*keys)
    service = relying(f"""[token]
issuer = "https://localhost:{glewlwyd.port}/api/oidc"
audience = "{SCOPES}"
jwks = "discover"
algorithms = {json.dumps([*algorithms])}
types = ["at+jwt"]
ca_file = "{glewlwyd.authority.file}"
{TIMES}""")
    tokens = {}
    for first, algorithm in enumerate(algorithms):
        glewlwyd.rotate(*keys[first:], *keys[:first])
        tokens[algorithm] = glewlwyd.token()
        assert service.statuses(tokens[algorithm]) == LET_IN, algorithm
        code, text = service.explain(tokens[algorithm])
        assert code == 0 and f'alg: "{algorithm}"' in text, text

    glewlwyd.rotate(new_key("P-256", "new", alg="ES256"))
    assert service.statuses(glewlwyd.token()) == LET_IN
    for algorithm, token in tokens.items():
        service.wait(20, lambda: service.statuses(token) == REFUSED)

    # By the program's own credentials: another audience with a resource, and without one no organisation.
    code, text = service.explain(other := glewlwyd.token("client_credentials", resource=RESOURCE))
    assert code == 1 and f'aud: "{RESOURCE}"' in text and "aud does not contain" in text, text
    assert service.statuses(other) == REFUSED
    code, text = service.explain(stranger := glewlwyd.token("client_credentials"))
    assert code == 1 and "organisationType" in text.partition("looked for")[0], text
    assert service.statuses(stranger) == [403, 403, 403]
