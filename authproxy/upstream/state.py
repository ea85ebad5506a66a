"""Where an upstream connection is in the reading of an answer."""

from enum import Enum, auto, unique
from typing import Final


@unique
class State(Enum):
    """What the next bytes are."""

    IDLE = auto()
    """Nothing that anybody asked for."""
    HEAD = auto()
    LENGTH = auto()
    """A body of a known length."""
    CHUNKED = auto()
    UNTIL_CLOSE = auto()
    """A body that ends with the connection."""
    TUNNEL = auto()
    """Whatever the upgraded protocol says."""
    DONE = auto()
    """Nothing: the answer is whole."""
    DEAD = auto()


# Bound once: reaching a member through its class costs a call on Python 3.11.
IDLE: Final = State.IDLE
HEAD: Final = State.HEAD
LENGTH: Final = State.LENGTH
CHUNKED: Final = State.CHUNKED
DONE: Final = State.DONE
