"""What an upstream's settings become."""

import pytest

from authproxy.daemon.upstreams import health_check
from authproxy.settings.upstreams import Health


@pytest.mark.parametrize(
    ("named", "line"),
    [
        ({}, b"Host: legacy.internal:9443"),
        ({"host": "app.example.org"}, b"Host: app.example.org"),
        ({"host": "192.0.2.7"}, b"Host: 192.0.2.7"),
        ({"host": "2001:db8::7"}, b"Host: [2001:db8::7]"),
    ],
)
def test_a_check_says_whom_it_asks(named, line):
    """One Host field that a strict server takes."""
    check = health_check(Health.model_validate({"path": "/health", "timeout": "2s", **named}), b"legacy.internal:9443")

    assert check is not None
    lines = check.head.split(b"\r\n")
    assert lines[0] == b"GET /health HTTP/1.1"
    assert [each for each in lines if each.lower().startswith(b"host:")] == [line]


def test_no_settings_mean_no_check():
    """An upstream is asked nothing by default."""
    assert health_check(None, b"legacy.internal") is None
