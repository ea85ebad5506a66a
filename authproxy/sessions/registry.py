"""Which kinds of session store this installation knows."""

from typing import Final

from authproxy.kinds import Family
from authproxy.sessions import memory, redis, sqlite
from authproxy.sessions.interface import SessionKind

FAMILY: Final = Family(
    group="authproxy.sessions",
    member="session store",
    kind=SessionKind,
    built_in={"memory": memory.kind, "sqlite": sqlite.kind, "redis": redis.kind},
)
kinds = FAMILY.kinds
