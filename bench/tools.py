"""What the benchmark needs beyond Rust and Python: found, or installed by name from the package registries."""

import os
import shutil
import sys
from pathlib import Path

from processes import Failed, run

# Program → the Debian package that has it.
PROGRAMS = {
    "wrk": "wrk", "redis-server": "redis-server", "redis-benchmark": "redis-tools", "nginx": "nginx-light",
    "curl": "curl", "openssl": "openssl", "taskset": "util-linux", "gzip": "gzip", "zstd": "zstd",
    "node": "nodejs", "npm": "npm",
}
PEERS = Path(__file__).with_name("peers")
# nginx stands where only root looks.
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


class Tools:
    """Paths of the tools, once `install` has run."""

    def __init__(self, folder):
        # Kept between runs: building SQLite for node takes a minute.
        self.node_folder = folder / "node"
        self.venv = folder / "venv"

    @property
    def nginx(self):
        """The nginx program."""
        return shutil.which("nginx", path=SEARCH)

    def install(self, groups, quick):
        """Installs what these groups of rows need and is not there."""
        missing = sorted({package for program, package in PROGRAMS.items()
                          if shutil.which(program, path=SEARCH) is None})
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
        stamp = self.node_folder / "installed.json"
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        print("installing the Fastify peer (builds SQLite: about a minute)", file=sys.stderr)
        self.node_folder.mkdir(parents=True, exist_ok=True)
        (self.node_folder / "package.json").write_text(wanted)
        environment = {**os.environ, "npm_config_build_from_source": "true"}
        # Debian ships node's headers; without them the build would look for them on the network.
        if Path("/usr/include/node/node.h").is_file():
            environment["npm_config_nodedir"] = "/usr"
        run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=self.node_folder, env=environment)
        # The one package that has something to build, named, so that no other's script is run.
        run(["npm", "rebuild", "better-sqlite3", "--foreground-scripts"], cwd=self.node_folder, env=environment)
        run(["node", "-e", "require('better-sqlite3')(':memory:')"], cwd=self.node_folder)
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

    def check(self):
        """What is still missing, told all at once."""
        missing = [program for program in PROGRAMS if shutil.which(program, path=SEARCH) is None]
        if missing:
            raise Failed(f"not installed: {', '.join(missing)}")
