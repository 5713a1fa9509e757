"""Each generated client makes all calls of the contract, and decodes what comes back into its own types."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from service import ROOT

HERE = Path(__file__).parent / "clients"
PROGRAMS = Path(sys.executable).parent
GENERATOR = Path(find_spec("openapi_generator_cli").origin).with_name("openapi-generator.jar")
ANNOTATIONS = Path("/usr/share/java/jakarta-annotation-api.jar")
TYPESCRIPT = ROOT / "target" / "e2e" / "generated" / "node_modules" / ".bin" / "tsc"
OPTIONS = {"java": ["--library", "native", "--additional-properties", "openApiNullable=false,useJakartaEe=true"],
           "typescript-fetch": ["--additional-properties", "importFileExtension=.js"]}
# What the generator says of every document of 3.1 (the second for Python alone).
ACCEPTED = ["OpenAPI 3.1 support is still in beta", "ModelUtils - Failed to get the schema name: null"]
TIMEOUT_SECONDS = 600


def run(*command, **options):
    """The output of a program that must succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
                          check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def openapi_generator(document, target, generator):
    """openapi-generator's client, which it must make without a warning."""
    said = run("java", "-XX:TieredStopAtLevel=1", "-jar", GENERATOR, "generate", "-i", document, "-g", generator, "-o", target,
               *OPTIONS.get(generator, []))
    warnings = [line for line in said.splitlines() if re.search("WARN|ERROR", line)]
    assert [line for line in warnings if not any(accepted in line for accepted in ACCEPTED)] == []


def python_urllib3(document, target):
    """openapi-generator's client for Python."""
    openapi_generator(document, target, "python")
    run(sys.executable, "-m", "compileall", "-q", target / "openapi_client")
    return [sys.executable, HERE / "urllib3_client.py"], {"PYTHONPATH": str(target)}


def python_httpx(document, target):
    """openapi-python-client's."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    said = run(PROGRAMS / "openapi-python-client", "generate", "--fail-on-warning", "--path", document, "--output-path", target,
               env={**os.environ, "PATH": path})
    assert "arning" not in said, said
    run(sys.executable, "-m", "compileall", "-q", target / "virksomhedslogin_client")
    return [sys.executable, HERE / "httpx_client.py"], {"PYTHONPATH": str(target)}


def java(document, target):
    """openapi-generator's for Java's own HttpClient; Jackson comes from the generator's jar."""
    openapi_generator(document, target, "java")
    sources = (target / "src" / "main" / "java").rglob("*.java")
    run("javac", "-proc:none", "-cp", f"{GENERATOR}:{ANNOTATIONS}", "-d", target / "classes", *sources, HERE / "Client.java")
    return ["java", "-cp", f"{target / 'classes'}:{GENERATOR}:{ANNOTATIONS}", "Client"], {}


def typescript(document, target):
    """openapi-generator's for fetch."""
    openapi_generator(document, target, "typescript-fetch")
    (target / "client.ts").write_text((HERE / "client.ts").read_text(encoding="utf-8"), encoding="utf-8")
    (target / "package.json").write_text('{"type": "module"}', encoding="ascii")
    run(TYPESCRIPT, "--strict", "--target", "es2022", "--module", "nodenext", "--outDir", target / "made", target / "client.ts")
    return ["node", target / "made" / "client.js"], {}


CLIENTS = [python_urllib3, python_httpx, java, typescript]


class Relay:
    """Passes connections on to the service and counts them."""

    def __init__(self, port):
        self.port, self.connections = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client = self.listener.accept()[0]
            self.connections += 1
            service = socket.create_connection(("127.0.0.1", self.port))
            for source, target in [(client, service), (service, client)]:
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    @staticmethod
    def _copy(source, target):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def clients(service, tmp_path_factory):
    """Every client, being made in the background: as many at once as there are cores."""
    directory = tmp_path_factory.mktemp("clients")
    document = directory / "openapi.json"
    document.write_bytes(service.ask("GET", "/openapi.json").body)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {make: pool.submit(make, document, directory / make.__name__) for make in CLIENTS}


@pytest.mark.parametrize("make", CLIENTS, ids=lambda make: make.__name__)
def test_client_decodes_every_kind_of_answer(service, clients, make):
    program, environment = clients[make].result()
    token = service.token("STAR", "AlleBorgere")
    # So many that two are less than half: beyond that the whole list is the answer.
    base = 10_000_000 * CLIENTS.index(make)
    for number in range(base, base + 10):
        assert service.call("SetLogin", token, f"{number:08}").status == 204
    number, other, unknown = f"{base + 10:08}", f"{base + 11:08}", f"{base + 12:08}"
    before = [company["cvrNummer"] for company in service.call("GetLogins", token).json()["virksomheder"]]

    relay = Relay(service.port)
    result = json.loads(run(*program, relay.base, token, number, other, unknown, env={**os.environ, **environment}))
    login = service.call("GetLogin", token, number).json()["VirksomhedsLoginDto"]
    times = [millis(login[name]) for name in ("tidligsteLoginTidspunkt", "senesteLogintidspunkt")]
    headers = {"x-requestId": "generated"}
    mismatch = service.ask("PUT", f"/v1/Login/{number}", token, {"VirksomhedsLoginDto": {"cvrNummer": other}}, headers)
    missing = service.ask("GET", f"/v1/Login?cvrNummer={unknown}", token, headers=headers)
    assert (missing.status, mismatch.status, len(mismatch.json()["fejl"])) == (404, 400, 1)
    assert result == {"set": 204, "one": [200, number, *times], "one again": 304, "coding": "gzip",
                      "list": [200, sorted([*before, number])], "list again": 304, "changes": [226, [other]],
                      "unknown": missing.json(), "mismatch": mismatch.json()}
    # Java's client offers an upgrade to HTTP/2 with every call: the connection must survive it.
    assert relay.connections <= 2


def millis(time):
    """A time of the service in milliseconds."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)
