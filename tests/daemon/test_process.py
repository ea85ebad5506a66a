"""What the process does to itself before it serves."""

import subprocess
import sys

import pytest
from aiohttp import http_parser

from authproxy.daemon import process
from authproxy.errors import ConfigError

_SHOW = """
import os
from authproxy.daemon.process import fill_standard_descriptors
fill_standard_descriptors()
fresh = os.open("/dev/zero", os.O_RDONLY)
os.write({tell}, " ".join([os.readlink(f"/proc/self/fd/{{n}}") for n in {closed}] + [str(fresh > 2)]).encode())
"""


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_standard_descriptor_is_dev_null(closed):
    """The next file or socket does not get its number, and nothing that is printed goes into it."""
    tell = 2 if closed == 1 else 1
    code = _SHOW.format(tell=tell, closed=(closed,))
    shell = f"exec \"$0\" -c '{code}' {closed}>&-"
    done = subprocess.run(["sh", "-c", shell, sys.executable], capture_output=True, text=True, timeout=20)

    assert (done.stderr if closed == 1 else done.stdout) == "/dev/null True"


def test_the_pure_python_parser_of_aiohttp_is_refused(monkeypatch):
    """That is where its request smuggling faults were."""
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)

    with pytest.raises(ConfigError, match="C parser"):
        process.check_aiohttp()
