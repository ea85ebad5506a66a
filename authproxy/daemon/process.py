"""What the process does to itself before it serves: limits, dumps, and a check of what it runs on."""

import ctypes
import os
import resource
from typing import Final

from aiohttp import http_parser

from authproxy.errors import ConfigError

_PR_SET_DUMPABLE: Final = 4
_UNLIMITED: Final = 1 << 20
# About 15 serve nobody yet, and what the event loop cannot get of those ends the process without a word.
_LEAST: Final = 64


def harden() -> None:
    """Keep secrets out of core files and out of the reach of other processes of the same user."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_descriptor_limit() -> int:
    """Use all the descriptors that the system grants; return how many.

    Raises:
        ConfigError: too few to serve anybody.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    granted = descriptor_limit()
    if granted < _LEAST:
        raise ConfigError(
            f"this process may open {granted} files and connections, and needs {_LEAST}: "
            "raise the limit (ulimit -n, LimitNOFILE= of a systemd unit, --ulimit nofile= of a container)"
        )
    return granted


def descriptor_limit() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else _UNLIMITED


def check_aiohttp() -> None:
    """Refuse to run over aiohttp's pure Python parser, where most of its request smuggling faults were.

    Raises:
        ConfigError: aiohttp was installed without its C extension, or told not to use it.
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigError("aiohttp runs without its C parser (unset AIOHTTP_NO_EXTENSIONS, install a binary wheel)")
