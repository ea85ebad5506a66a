"""Who wants a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.accept import prefers_html

FIREFOX = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (FIREFOX, True),
        (b"text/html", True),
        (b"TEXT/HTML ; Q=0.1", True),
        (b"text/html;level=1;q=0.5, application/json;q=0.4", True),
        (b"application/json;q=0.9, text/html", True),
        (b"text/html, application/json", True),
        (b"text/html;q=0, */*", False),
        (b"text/html;q=0.000", False),
        (b"text/html;q=0.5, application/json", False),
        (b"application/json, text/plain, */*", False),
        (b"*/*", False),
        (b"text/*", False),
        (b"", False),
        (b"text/htmlx", False),
        (b"application/x;text/html", False),
        (b"text/html;q=0.001", True),
        (b"text/html;q=0.", False),
        (b"text/html;q=1", True),
        (b"text/html;q=1.", True),
        (b"text/html;q=1.0", True),
        (b"text/html;q=1.000", True),
        (b"text/html;q=1.0000", False),
        (b"text/html;q=1.001", False),
        (b"text/html;\tq=0.5\t", True),
        (b"text/html; Q=0", False),
        (b"text/html;\tq=0 ", False),
        (b"," * 63 + b"text/html", True),
        (b"," * 64 + b"text/html", False),
        (b"text/html" + b"," * 8000, True),
        (b"text/html;level=1;\t q=0", False),
        (b"*/*,\t text/html\t", True),
        (b"text/html;q=2", False),
        (b"text/html;q=", False),
        (b"text/html;q=-1", False),
        (b"text/html;q=0.1234", False),
        (b"text/html;q=nan", False),
    ],
)
def test_html_must_be_named_and_wanted_no_less_than_json(accept, html):
    """A program that takes anything gets JSON."""
    assert prefers_html(accept) is html


@given(st.binary(max_size=60))
def test_any_bytes_have_an_answer(accept):
    """Never an exception."""
    assert prefers_html(accept) in {True, False}
