"""Standard streams that are open, whoever has started us.

A descriptor from 0 to 2 that is closed is given to the next thing that is opened, say a client's socket, and whatever a
library prints would go there. OpenSSH opens /dev/null in its place, and so is done here.
"""

from __future__ import annotations

import os
import sys
from typing import Final

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_missing_streams() -> None:
    """Give every standard descriptor that is closed to /dev/null, and Python a stream where it found none."""
    for number in range(len(_STREAMS)):
        try:
            os.fstat(number)
        except OSError:
            _open(number)
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            # Of its own: Python saw none, and what has the number now may be another's.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # for the process's life


def _open(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, number)
    if nowhere > number:
        os.close(nowhere)
