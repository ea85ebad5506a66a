"""How far an exchange has come."""

from enum import Enum, auto, unique
from typing import Final


@unique
class Progress(Enum):
    """What happens next."""

    CONNECTING = auto()
    WAITING = auto()
    """For the answer's head."""
    ANSWERING = auto()
    OVER = auto()


# Bound once: reaching a member through its class costs a call on Python 3.11.
CONNECTING: Final = Progress.CONNECTING
WAITING: Final = Progress.WAITING
ANSWERING: Final = Progress.ANSWERING
OVER: Final = Progress.OVER
