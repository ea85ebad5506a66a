"""Configurations of the peers: the files in peers/, with `@name` replaced, each in a folder of its own."""

import os
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from typing_extensions import override

PEERS: Final = Path(__file__).parent / "peers"


class _Template(string.Template):
    """`$` belongs to nginx."""

    delimiter = "@"

    @override
    def __repr__(self) -> str:
        return f"_Template({self.template[:20]!r})"


def fill(name: str, folder: Path, values: Mapping[str, object]) -> list[str]:
    """Write the configuration `name` into `folder`; return the command that runs its program with it."""
    folder.mkdir()
    path = folder / name
    path.write_text(_Template((PEERS / name).read_text()).substitute(values))
    if path.suffix == ".cfg":
        return ["haproxy", "-q", "-db", "-f", str(path)]
    return ["nginx", "-p", str(folder), "-c", str(path)]


def user_line() -> str:
    """Return the line that keeps nginx's workers what they are: as root they would lose sight of our folder."""
    return "user root;" if os.geteuid() == 0 else ""
