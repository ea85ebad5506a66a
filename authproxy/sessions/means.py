"""What a zone whose people sign in is given: rules, store, cookie, and the places of its login."""

from asyncio import Semaphore
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final

from authproxy.core.cookie import CookieRules
from authproxy.core.session import SessionRules
from authproxy.core.stats import SessionStats
from authproxy.sessions.interface import SessionStore

_STREAMS: Final = 4


@unique
class LoginPage(Enum):
    """A page of the proxy's own."""

    LOGIN = "login"
    LOGOUT = "logout"
    SIGNED_OUT = "signed-out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where people sign in and out; plain paths, but `after` and `after_logout`, which may have a query."""

    path: str
    after: str
    logout: str
    after_logout: str
    title: str
    own: tuple[str, str] = field(init=False, default=("", ""))
    """The paths that lead nowhere after a login."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", (self.path, self.logout))

    @property
    def places(self) -> dict[str, LoginPage]:
        """The proxy's own pages by their paths; signing out may lead to another one than its own."""
        found = {self.path: LoginPage.LOGIN, self.logout: LoginPage.LOGOUT}
        if self.after_logout.startswith(self.logout.rstrip("/") + "/") and "?" not in self.after_logout:
            found.setdefault(self.after_logout, LoginPage.SIGNED_OUT)
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SessionMeans:
    """All that a request may see of a zone's sessions."""

    rules: SessionRules
    store: SessionStore
    cookie: CookieRules
    login: Login
    or_token: bool
    """A token will do as well, and outranks the cookie."""
    stats: SessionStats = field(default_factory=SessionStats)
    turns: Semaphore = field(default_factory=lambda: Semaphore(_STREAMS))
    """Taken by streams while their sessions are asked for: a few at a time, first come, first served."""
