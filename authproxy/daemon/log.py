"""Events on standard error: one line of JSON each, or colours where a person is watching.

Why: every line goes through one standard `logging` handler, structlog's own too. It costs some microseconds per event
(the access log, which is hot, has a writer of its own), and buys one order, one redaction and one stream for aiohttp's
and asyncio's lines and ours, and that a full disk loses a line instead of failing a request.
"""

import asyncio
import logging
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger
from typing_extensions import override

from authproxy import events

# Dropped wherever they stand in a fact's name: `set-cookie`, `client_secret`, `key_password`. Only the last word
# counts, so that `pepper_id` and `token_age` stay.
SECRET_WORDS = frozenset({"authorization", "cookie", "pepper", "password", "secret", "token"})

# A turvata token from its version on; the prefix before it is no secret, and leaving it out keeps the search linear.
# A token is 84 characters here (turvata 0.4, core.clj); a long piece of one, cut off by somebody's limit, is masked too.
_TOKEN = re.compile(r"_02[0-9a-f]{4}_[a-z2-7]{32,}", re.IGNORECASE)
# A header line inside a longer text, as parsers quote them in their complaints.
_HEADER = re.compile(r"""\b(authorization|cookie)(['"]?\s*[:,]\s*).+""", re.IGNORECASE)
_LAST_WORD = re.compile(r"[a-z]+$")
_MASK = "[redacted]"


def configure(level: str, stream: TextIO) -> None:
    """Send every event of at least `level` (`debug`, `info`, `warning`, `error`) to `stream`, and nowhere else.

    May be called again: the last call counts. Handlers that somebody else put on the root logger stay.
    """
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[_arrange, structlog.processors.format_exc_info, redact, *_renderers(stream)]
        )
    )
    root = logging.getLogger()
    for old in [present for present in root.handlers if isinstance(present, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=_TO_LOGGING,
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger called `name`; it may be asked for before `configure`, not used."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def handle_loop_exception(_loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> bool:
    """Log what nobody awaited: one line when a peer or its network failed, else a `loop.crashed` with its traceback.

    Return whether it was the latter. Any OSError counts as the former: ssl.SSLError, TimeoutError and ConnectionError are all of that family.
    """
    error = context.get("exception")
    # Not the objects in `context`: the repr of a future or a transport shows what it carries.
    task = context.get("task") or context.get("future")
    facts = {"message": str(context.get("message", ""))}
    if isinstance(task, asyncio.Task):
        facts["task"] = task.get_name()
    if isinstance(error, OSError):
        get(__name__).info(events.CONNECTION_FAILED, **facts, error=error)
        return False
    get(__name__).error(events.LOOP_CRASHED, **facts, exc_info=error)
    return True


def redact(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Drop facts whose name says that they are secret, mask what looks like a token, and leave plain values only."""
    return {name: _plain(value) for name, value in event_dict.items() if not _is_secret(name)}


class _Handler(logging.StreamHandler[TextIO]):
    """A line that cannot be written is lost; the work it tells of goes on."""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        # The inherited way prints the record's arguments to standard error, and nothing would have redacted them.
        return


# The same list at every `configure`, because loggers keep what they were first given.
_TO_LOGGING: list[Processor] = [
    structlog.stdlib.filter_by_level,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def _renderers(stream: TextIO) -> list[Processor]:
    if stream.isatty():
        # The plain formatter: the others show the value of every local variable beside a traceback.
        pretty = structlog.dev.ConsoleRenderer(
            timestamp_key="time", sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        )
        return [_escape, pretty]
    return [structlog.processors.JSONRenderer()]


def _arrange(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    record: logging.LogRecord = event_dict.pop("_record")
    ours: bool = event_dict.pop("_from_structlog")
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head = {"time": time.replace("+00:00", "Z"), "level": record.levelname.lower()}
    said: object = event_dict.pop("event", "")
    if ours:
        return {**head, "event": said, **event_dict, **head}
    # A library's sentence is no event name; it comes as a fact.
    return {**head, "event": events.LIBRARY_LOGGED, "logger": record.name, "message": said, **event_dict, **head}


def _is_secret(name: str) -> bool:
    word = _LAST_WORD.search(name.lower())
    return word is not None and (word[0] in SECRET_WORDS or word[0].removesuffix("s") in SECRET_WORDS)


def _plain(value: object) -> object:
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Enum():
            return _plain(value.value)
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items() if not _is_secret(str(name))}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case BaseException():
            return _masked(str(value) or type(value).__name__)
        case _:
            return _masked(str(value))


def _masked(text: str) -> str:
    return _HEADER.sub(rf"\1\2{_MASK}", _TOKEN.sub(f"_{_MASK}", text))


def _escape(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Make control characters visible: a client's bytes must not drive the terminal of whoever watches."""
    return {name: _visible(value) if isinstance(value, str) else value for name, value in event_dict.items()}


def _visible(text: str) -> str:
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text
    )
