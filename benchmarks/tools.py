"""What the benchmark needs beyond Rust and Python: found, or installed by name from the package registries."""

import os
import shutil
import sys
from pathlib import Path

from processes import Failed, run

# Program → the Debian package that has it.
ALWAYS = {"wrk": "wrk", "curl": "curl", "openssl": "openssl", "taskset": "util-linux"}
PROGRAMS = {
    "redis-server": "redis-server", "redis-benchmark": "redis-tools", "nginx": "nginx-light", "gzip": "gzip",
    "zstd": "zstd", "node": "nodejs", "npm": "npm",
}
# The rows that need PostgreSQL, and none of the programs above.
DATABASE = {"pg-set", "pg-set-clients", "pg-get", "pg-list", "pg-changes"}
DATABASE_PROGRAMS = ("initdb", "postgres", "pgbench", "psql")
DATABASE_PACKAGE = "postgresql"
# Debian keeps them out of PATH, a directory for each version.
DATABASE_DIRECTORIES = Path("/usr/lib/postgresql")
PEERS = Path(__file__).with_name("peers")
# nginx stands where only root looks.
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


class Tools:
    """Paths of the tools, once `install` has run."""

    def __init__(self, directory):
        # Kept between runs: building SQLite for node takes a minute.
        self.node_directory = directory / "node"
        self.venv = directory / "venv"

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
        if {"get-peer", "set-peer"} & groups or "set-clients" in groups and not quick:
            self.install_fastify()
        if "fastapi" in groups:
            self.install_fastapi()

    def install_fastify(self):
        """The Fastify peer's packages, SQLite built from source: the registry has no built one."""
        wanted = (PEERS / "package.json").read_text()
        stamp = self.node_directory / "installed.json"
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        print("installing the Fastify peer (builds SQLite: about a minute)", file=sys.stderr)
        self.node_directory.mkdir(parents=True, exist_ok=True)
        (self.node_directory / "package.json").write_text(wanted)
        environment = {**os.environ, "npm_config_build_from_source": "true"}
        # Debian ships node's headers; without them the build would look for them on the network.
        if Path("/usr/include/node/node.h").is_file():
            environment["npm_config_nodedir"] = "/usr"
        run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=self.node_directory, env=environment)
        # The one package that has something to build, named, so that no other's script is run.
        run(["npm", "rebuild", "better-sqlite3", "--foreground-scripts"], cwd=self.node_directory, env=environment)
        run(["node", "-e", "require('better-sqlite3')(':memory:')"], cwd=self.node_directory)
        stamp.write_text(wanted)

    def install_fastapi(self):
        """The FastAPI peer's packages in an environment of their own."""
        wanted = (PEERS / "requirements.txt").read_text()
        stamp = self.venv / "installed.txt"
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        print("installing the FastAPI peer", file=sys.stderr)
        run([sys.executable, "-m", "venv", "--clear", self.venv])
        run([self.venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check",
             "-r", PEERS / "requirements.txt"])
        stamp.write_text(wanted)

    def check(self, groups):
        """What is still missing for these groups, all of it at once."""
        missing = [program for program in programs(groups) if shutil.which(program, path=SEARCH) is None]
        if DATABASE & groups and self.postgresql is None:
            missing.append(f"PostgreSQL ({', '.join(DATABASE_PROGRAMS)} in one directory: {DATABASE_DIRECTORIES}/*/bin or one "
                           f"of PATH; Debian: apt-get install {DATABASE_PACKAGE}), which the rows "
                           f"{', '.join(sorted(DATABASE & groups))} need")
        if missing:
            raise Failed(f"not installed: {', '.join(missing)}")


def programs(groups):
    """Program → package, of what these groups need."""
    return ALWAYS | PROGRAMS if groups - DATABASE else ALWAYS
