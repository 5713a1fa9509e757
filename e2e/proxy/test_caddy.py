"""Caddy's file is formatted; what holds of its answers is in test_every_proxy.py and test_callers.py."""

import subprocess

from proxies import Caddy


def test_the_shipped_file_is_formatted():
    subprocess.run(["caddy", "fmt", "--diff", Caddy.shipped], check=True, capture_output=True)
    assert subprocess.run(["caddy", "fmt", Caddy.shipped], capture_output=True, text=True).stdout == Caddy.shipped.read_text(encoding="utf-8")
