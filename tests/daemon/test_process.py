"""What the process does to itself before it serves."""

import pytest
from aiohttp import http_parser

from authproxy.daemon import process
from authproxy.errors import ConfigError


def test_the_pure_python_parser_of_aiohttp_is_refused(monkeypatch):
    """That is where its request smuggling faults were."""
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)

    with pytest.raises(ConfigError, match="C parser"):
        process.check_aiohttp()
