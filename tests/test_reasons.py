"""Every reason that can stand in a log line is explained to the operator."""

import re
from pathlib import Path

from authproxy.core.decision import Reason
from authproxy.core.login import FormProblem
from authproxy.core.route import NoRoute
from authproxy.core.session import SessionReason
from authproxy.tunnel.ended import End
from authproxy.upstream.interface import Failure

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/reasons.md").read_text()
TCP = "## How a connection of mode tcp ended"


def explained(text):
    """Return the reasons that a table explains."""
    return set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)) - {"reason"}


def test_every_reason_is_explained():
    """And nothing is explained that does not exist."""
    told = explained(PAGE.partition(TCP)[0])
    source = "".join(path.read_text() for path in (ROOT / "authproxy/edge").glob("*.py"))
    said = set(re.findall(r'(?:reason=|abandon\(|end\(|refuse_unavailable\()"([a-z-]+)"', source))
    # Chosen by an if-else in redirect.py and tunnel.py.
    said |= {"credential-in-clear"} & set(re.findall(r'"(credential-in-clear)"', source))
    # The two words of an if-else in tunnel.py.
    said |= set(re.findall(r'"(drained|tunnel-idle)"', source))
    known = {one.value for family in (Reason, SessionReason, FormProblem, NoRoute, Failure) for one in family}

    assert told == said | known


def test_every_end_of_a_tunnel_is_explained():
    """In the page's second table."""
    assert explained(PAGE.partition(TCP)[2]) == {one.value for one in End if one.value}
