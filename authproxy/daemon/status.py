"""What is known of the process itself: for `/readyz`, `/status` and the metrics."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, unique

from authproxy.daemon.expiry import Ending


@unique
class Stage(Enum):
    """Where in its life the process is."""

    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"
    """Still accepting, not ready any more: balancers take notice."""
    DRAINING = "draining"


@dataclass(slots=True, kw_only=True)
class PartStatus:
    """How the last reload of one part ended: `config`, `trust`, or `catalog:<name>`."""

    success: bool
    at: datetime
    error: str = ""


@dataclass(slots=True)
class Status:
    """Filled in by the daemon, read by the ops endpoints."""

    started: datetime
    stage: Stage = Stage.STARTING
    generation: int = 0
    parts: dict[str, PartStatus] = field(default_factory=dict)
    reloads: dict[tuple[str, str], int] = field(default_factory=dict)
    """Reloads by part and result (`ok`, `failed`)."""
    records: dict[str, int] = field(default_factory=dict)
    """Rows that count, by catalog."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Rows that do not, by catalog."""
    endings: tuple[Ending, ...] = ()
    """What ends, and when: keystores, trusted authorities."""
    unsafe: tuple[str, ...] = ()
    """The unsafe wishes that the configuration makes."""

    clock_jumps: int = 0
    """How often the wall clock was set by a minute or more, either way."""

    away: dict[str, str] = field(default_factory=dict)
    """Why a session store cannot be asked, by its name: who needs it is told 503."""

    def note(self, part: str, now: datetime, error: str = "") -> None:
        """Remember how reloading `part` ended."""
        self.parts[part] = PartStatus(success=not error, at=now, error=error)
        key = (part, "failed" if error else "ok")
        self.reloads[key] = self.reloads.get(key, 0) + 1

    @property
    def word(self) -> str:
        """What keeps new work away: the stage, or that sessions cannot be asked for; `serving` when nothing does."""
        return "sessions-away" if self.stage is Stage.SERVING and self.away else self.stage.value

    @property
    def is_ready(self) -> bool:
        """Whether new work is welcome."""
        return self.stage is Stage.SERVING and not self.away
