"""What families of kinds share: which kinds there are, built in and of plug-ins, and what one is given to open it."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from authproxy.core.secret import Secret
from authproxy.errors import ConfigError
from authproxy.options import SecretRef

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How to speak TLS to a server outside: chain and host name are verified by the context."""

    context: ssl.SSLContext
    refusal: Callable[[object], str]
    """Says of a session (`ssl_object`) why nothing must be sent to that server all the same, empty for nothing.

    The truststore's deny list is behind it: call it once for each connection, before anything is sent.
    """


class Supplies(Protocol):
    """What a kind may ask for when one of it is opened: what its keys refer to.

    Whatever is asked for here counts: when it has changed at a reload, another one is opened in its place.
    """

    def secret(self, reference: SecretRef, key: str) -> Secret[bytes]:
        """Return the secret that the options' `key` refers to.

        Raises:
            SecretError: It is missing, unreadable, or readable by people it should not be readable by.
        """
        ...

    def tls(self, *, trust: str | None, keystore: str | None) -> ClientTls:
        """Return how to reach a server whose certificate leads to the truststore `trust` (None: the system's).

        `keystore`: what is shown to a server that asks for a client certificate.

        Raises:
            ConfigError: One of them cannot be used; so does MaterialError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[K]):
    """Things of many kinds, one of which the operator chooses by its word after `kind:`."""

    group: str
    """The group of entry points under which plug-ins register further kinds."""
    member: str
    """What one of the family is called in messages."""
    kind: type[K]
    """What an entry point must name."""
    built_in: Mapping[str, K]

    def kinds(self) -> Mapping[str, K]:
        """Return every kind under its word after `kind:`.

        Raises:
            ConfigError: An installed plug-in cannot be used, with one problem for each.
        """
        found = dict(self.built_in)
        problems: list[str] = []
        for point in entry_points(group=self.group):
            if point.name in found:
                problems.append(f"{self._named(point)}: the name is taken: two plug-ins, or one and a built-in kind")
                continue
            try:
                found[point.name] = self._load(point)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*problems)
        return found

    def _load(self, point: EntryPoint) -> K:
        try:
            kind: object = point.load()
        except Exception as error:
            raise ConfigError(f"{self._named(point)}: cannot be imported: {type(error).__name__}: {error}") from error
        if not isinstance(kind, self.kind):
            raise ConfigError(f"{self._named(point)}: names no {self.kind.__name__} but {type(kind).__name__}")
        return kind

    def _named(self, point: EntryPoint) -> str:
        package = f" of {point.dist.name}" if point.dist is not None else ""
        return f"{self.member} plug-in {point.name}{package} ({point.value})"
