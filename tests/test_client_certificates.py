"""What docs/client-certificates.md says of reasons is all there is."""

import re
from pathlib import Path

from authproxy.keystore import PeerFault

PAGE = Path(__file__).parents[1] / "docs/client-certificates.md"


def test_every_reason_is_explained():
    """And none that does not exist."""
    table = PAGE.read_text().partition("| `reason`: |")[2]

    assert re.findall(r"^\| ([a-z-]+) \|", table, re.MULTILINE) == [fault.value for fault in PeerFault]
