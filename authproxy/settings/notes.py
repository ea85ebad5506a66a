"""What is allowed but should be known: every unsafe wish, in one line each."""

from collections.abc import Iterator

from authproxy.options import Options
from authproxy.settings.document import Document
from authproxy.settings.model import Settings
from authproxy.settings.tree import Path


def notes(settings: Settings, document: Document) -> tuple[str, ...]:
    """Return `file:line:column: dotted.key: ...` for each key that begins with `unsafe_` and is true, or is as bad."""
    wishes = tuple(f"{document.where(path)}: in use" for path in unsafe_wishes(settings, ()))
    text = "believes everybody about where they come from: name the networks of your balancers"
    return (*wishes, *(f"{document.where(path)}: {text}" for path in _believed_strangers(settings)))


def _believed_strangers(settings: Settings) -> Iterator[Path]:
    for name, listener in settings.listeners.items():
        believed = () if listener.proxy_protocol is None else listener.proxy_protocol.senders
        for index, network in enumerate(believed):
            if network.prefixlen == 0:
                yield "listeners", name, "proxy_protocol", "from", index


def unsafe_wishes(value: object, path: Path) -> list[Path]:
    """Return where `unsafe_...: true` stands anywhere under `value`."""
    match value:
        case Options():
            inner: list[tuple[str | int, object]] = [(name, getattr(value, name)) for name in type(value).model_fields]
        case dict():
            inner = list(value.items())
        case tuple():
            inner = list(enumerate(value))
        case _:
            return []
    here = [
        (*path, name) for name, one in inner if isinstance(name, str) and name.startswith("unsafe_") and one is True
    ]
    return [*here, *(found for name, one in inner for found in unsafe_wishes(one, (*path, name)))]
