"""Only the server's own pages, and those that are listed, may connect from a browser."""

import pytest
from seve_broadcaster.auth.grants import origin_allowed
from seve_runtime.hosts import host_allowed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:99", True),
        ("[::1]:8080", True),
        ("seve.example", True),
        ("Seve.Example:443", True),
        ("evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("seve.example@evil.example", False),
        ("seve.example:99999", False),
        ("localhost ", False),
        ("", False),
        (None, False),
    ],
)
def test_a_host_is_a_literal_address_localhost_or_listed(host, allowed):
    """Any other name may belong to a foreign page and be resolved to this server (DNS rebinding)."""
    assert host_allowed(host, ["seve.example"]) is allowed


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "localhost:8080", True),
        ("http://localhost:8080", "localhost:8080", True),
        ("http://LOCALHOST:8080", "localhost:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("https://seve.example", "seve.example", True),
        ("http://seve.example", "seve.example", True),
        ("https://seve.example", "seve.example:443", True),
        ("http://seve.example", "seve.example:80", True),
        ("https://board.example", "seve.example", True),
        ("https://BOARD.example", "seve.example", True),
        ("https://board.example:8443", "seve.example", False),
        ("http://localhost:9999", "localhost:8080", False),
        ("http://localhost", "localhost:8080", False),
        ("http://localhost:8080", "localhost", False),
        ("https://seve.example", "seve.example:80", False),
        ("http://evil.example:8080", "localhost:8080", False),
        ("ftp://localhost:8080", "localhost:8080", False),
        ("//localhost:8080", "localhost:8080", False),
        ("http://localhost:port", "localhost:8080", False),
        ("null", "localhost:8080", False),
        ("", "localhost:8080", False),
    ],
)
def test_an_origin_is_this_server_s_own_or_listed(origin, host, allowed):
    """Scheme, host and port; the same host on another port is another program."""
    assert origin_allowed(origin, host, ["https://board.example/"]) is allowed


def test_any_origin_may_be_allowed_outright():
    """`*` allows every origin."""
    assert origin_allowed("https://evil.example", "localhost", ["*"])
