"""What the process does to itself before it serves."""

import resource

import pytest
from aiohttp import http_parser

from authproxy.daemon import process
from authproxy.errors import ConfigError


def test_the_pure_python_parser_of_aiohttp_is_refused(monkeypatch):
    """That is where its request smuggling faults were."""
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)

    with pytest.raises(ConfigError, match="C parser"):
        process.check_aiohttp()


@pytest.mark.parametrize(
    ("granted", "told"), [(63, "may open 63 files and connections, and needs 64"), (12, "open 12 ")]
)
def test_too_few_descriptors_are_refused(monkeypatch, granted, told):
    """With a handful of them the event loop ends in a traceback, or ends the process."""
    limit = [granted, granted]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limit))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limit.__setitem__(slice(None), wanted))

    with pytest.raises(ConfigError, match=told):
        process.raise_descriptor_limit()


@pytest.mark.parametrize(
    ("soft", "hard", "granted"), [(12, 64, 64), (64, 64, 64), (12, resource.RLIM_INFINITY, 1 << 20)]
)
def test_all_the_descriptors_that_are_granted_are_used(monkeypatch, soft, hard, granted):
    """A soft limit is raised before it is judged."""
    limit = [soft, hard]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limit))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limit.__setitem__(slice(None), wanted))

    assert process.raise_descriptor_limit() == granted
    assert limit == [hard, hard]
