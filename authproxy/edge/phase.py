"""What a client connection is about."""

from enum import Enum, auto, unique
from typing import Final


@unique
class Phase(Enum):
    """What a connection is about."""

    HEAD = auto()
    """Between requests, or within a head."""
    BODY = auto()
    """The request's body is passed on."""
    BUSY = auto()
    """The request is in; its answer is not out."""
    TUNNEL = auto()
    OWN = auto()
    """aiohttp answers."""
    SKIP = auto()
    """The body of a refused request is read away, then the next request comes."""
    FORM = auto()
    """The body is a form of the proxy's own."""
    CLOSED = auto()
    """What still comes is forgotten."""


# Bound once: reaching a member through its class costs a call on Python 3.11.
HEAD: Final = Phase.HEAD
BODY: Final = Phase.BODY
BUSY: Final = Phase.BUSY
