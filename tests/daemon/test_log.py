"""The event log: one line each, in one order, without secrets."""

import asyncio
import io
import json
import logging
import re
import ssl
import warnings
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from authproxy.core.secret import Secret
from authproxy.daemon import log

TOKEN = "svc_020001_" + "kuhibcatt4dokwuqzuhbm4bgmy" + "a" * 58
PAYLOAD = TOKEN.rpartition("_")[2]


class Terminal(io.StringIO):
    """A stream that says a person is watching."""

    @override
    def isatty(self):
        return True


class Colour(Enum):
    """An enum with a value for the log."""

    RED = "red"


@pytest.fixture(autouse=True)
def as_it_was():
    """Leaves the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def stream():
    """The log as a file; `configure` was called with it."""
    text = io.StringIO()
    log.configure("info", text)
    return text


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_in_order(stream):
    """Time, level and event come first, then the facts as they were given."""
    log.get("authproxy.test").warning("reload.rejected", zone="api", generation=3, error="two\nlines")

    (line,) = lines(stream)
    assert list(line) == ["time", "level", "event", "zone", "generation", "error"]
    assert line | {"time": ""} == {
        "time": "",
        "level": "warning",
        "event": "reload.rejected",
        "zone": "api",
        "generation": 3,
        "error": "two\nlines",
    }


def test_time_is_utc_in_milliseconds(stream):
    """RFC 3339 with a Z, and it is the time of the call."""
    before = datetime.now(UTC)
    log.get("authproxy.test").info("proxy.started")

    said = lines(stream)[0]["time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said)
    assert abs((datetime.fromisoformat(said) - before).total_seconds()) < 5


def test_a_fact_cannot_pose_as_the_head(stream):
    """Facts called `time`, `level` or `_record` do not replace the line's own."""
    log.get("authproxy.test").info("proxy.started", time="never", level="none")

    assert lines(stream)[0]["level"] == "info"
    assert lines(stream)[0]["time"] != "never"


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["d", "i", "w", "e"]),
        ("info", ["i", "w", "e"]),
        ("warning", ["w", "e"]),
        ("error", ["e"]),
    ],
)
def test_lower_levels_are_left_out(stream, level, events):
    """Only events of at least the level are written, and `configure` may change it for loggers that exist."""
    logger = log.get("authproxy.test")
    logger.error("before")
    log.configure(level, stream)

    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    logger.error("e")

    assert [line["event"] for line in lines(stream)] == ["before", *events]


def test_the_last_stream_counts(stream):
    """Configured again, the log moves: nothing is written twice."""
    later = io.StringIO()
    log.configure("info", later)

    log.get("authproxy.test").info("proxy.started")

    assert (len(lines(stream)), len(lines(later))) == (0, 1)


def test_libraries_speak_in_the_same_form(stream):
    """A line of a standard logger becomes an event with the logger's name and its sentence, once."""
    logging.getLogger("aiohttp.server").error("no luck with %s", "10.0.0.1")

    (line,) = lines(stream)
    assert list(line) == ["time", "level", "event", "logger", "message"]
    assert (line["event"], line["logger"], line["message"]) == (
        "library.logged",
        "aiohttp.server",
        "no luck with 10.0.0.1",
    )


def test_warnings_speak_in_the_same_form(stream):
    """Python's own warnings do not appear as loose text on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        log.configure("info", stream)
        warnings.warn("old spelling", DeprecationWarning, stacklevel=1)

    assert "old spelling" in lines(stream)[0]["message"]


def test_a_traceback_is_a_fact(stream):
    """An exception comes with its traceback, in the same line."""
    try:
        raise ValueError("broken")
    except ValueError:
        log.get("authproxy.test").exception("request.crashed")
        logging.getLogger("asyncio").exception("oh")

    ours, theirs = lines(stream)
    assert ours["exception"].startswith("Traceback")
    assert theirs["exception"].endswith("ValueError: broken")


@pytest.mark.parametrize(
    "name",
    ["authorization", "Cookie", "set-cookie", "token", "client_secret", "key_password", "peppers", "X-Api-Token"],
)
def test_a_secret_fact_is_dropped(stream, name):
    """A fact whose name ends like a secret is left out, also inside another."""
    log.get("authproxy.test").info("proxy.started", **{name: "s3cret"}, headers={name: "s3cret"}, zone="api")

    assert "s3cret" not in stream.getvalue()
    assert lines(stream)[0]["headers"] == {}
    assert lines(stream)[0]["zone"] == "api"


@pytest.mark.parametrize("name", ["pepper_id", "token_age", "user_id", "reason"])
def test_a_harmless_fact_stays(stream, name):
    """Facts about secrets are facts."""
    log.get("authproxy.test").info("proxy.started", **{name: "1a2b"})

    assert lines(stream)[0][name] == "1a2b"


@pytest.mark.parametrize(
    "token", [TOKEN, TOKEN.upper(), TOKEN.title(), f"Bearer {TOKEN}", f"/?t={TOKEN}&x", TOKEN[:80]]
)
@pytest.mark.parametrize(
    "speak",
    [
        lambda logger, text: logger.info(text),
        lambda logger, text: logger.info("e", path=text),
        lambda logger, text: logger.info("e", nested=[{"deep": (text,)}]),
        lambda logger, text: logger.info("e", error=ValueError(text)),
        lambda logger, text: logger.error("e", exc_info=ValueError(text)),
        lambda logger, text: logger.info("e", raw=text.encode()),
        lambda logger, text: logging.getLogger("aiohttp").error("bad %s", text),
    ],
    ids=["event", "fact", "nested", "error", "traceback", "bytes", "library"],
)
@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_token_never_appears(token, speak, kind):
    """What looks like a token is masked wherever it stands; its prefix and neighbours stay."""
    stream = kind()
    log.configure("info", stream)

    speak(log.get("authproxy.test"), token)

    said = stream.getvalue()
    assert PAYLOAD[:20] not in said.lower()
    assert "svc_[redacted]" in said.lower()


def test_what_is_no_token_stays(stream):
    """A name with underscores and a short tail is left as it is."""
    log.get("authproxy.test").info("proxy.started", path="/svc_020001_abcdef/x")

    assert lines(stream)[0]["path"] == "/svc_020001_abcdef/x"


@pytest.mark.parametrize(
    "text",
    [
        "Cookie: a=s3cret; b=1",
        "b'authorization: Basic s3cret'",
        "('Set-Cookie', 's3cret')",
        "{'Authorization': 's3cret'}",
    ],
)
def test_a_quoted_header_line_is_masked(stream, text):
    """Parsers quote the line that they refuse: the value of a credential field does not come along."""
    logging.getLogger("aiohttp.server").error("400, message: invalid header: %s", text)

    assert "s3cret" not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()


@given(
    before=st.text(max_size=40),
    prefix=st.from_regex(r"[A-Za-z0-9-]{1,40}", fullmatch=True),
    payload=st.text("abcxyz234567", min_size=84, max_size=84),
    after=st.text(max_size=40),
)
def test_no_surroundings_save_a_token(before, prefix, payload, after):
    """Whatever stands before and after, the payload is gone."""
    said = log.redact(None, "info", {"message": f"{before}{prefix}_020007_{payload}{after}"})

    assert payload not in said["message"]


def test_masking_is_linear():
    """A client's long line does not hold up the process."""
    text = "a" * 2_000_000 + "_02" * 300_000

    assert log.redact(None, "info", {"message": text})["message"] == text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Path("/etc/x"), "/etc/x"),
        (Colour.RED, "red"),
        (frozenset({"a"}), ["a"]),
        (float("nan"), "nan"),
        (1.5, 1.5),
        (True, True),
        (None, None),
        (Secret("s3cret"), "Secret(...)"),
        (TimeoutError(), "TimeoutError"),
        (OSError(2, "No such file"), "[Errno 2] No such file"),
        ("\ud800", "\ud800"),
    ],
)
def test_every_value_can_be_written(stream, value, said):
    """A fact of any type ends as plain JSON."""
    log.get("authproxy.test").info("proxy.started", fact=value)

    assert lines(stream)[0]["fact"] == said


def test_a_person_sees_text_without_control_characters():
    """On a terminal the line is coloured for people, and a client cannot drive the terminal."""
    terminal = Terminal()
    log.configure("info", terminal)

    log.get("authproxy.test").info("request.refused", path="/\x1b]0;owned\x07", zone="api")

    said = terminal.getvalue()
    assert "request.refused" in said
    assert "\x1b]0" not in said
    assert "\\x1b]0;owned\\x07" in said


def test_a_person_sees_the_traceback_without_variables():
    """A traceback for people shows code, never the values of local variables."""
    terminal = Terminal()
    log.configure("info", terminal)
    local = "s3cret".upper()
    try:
        raise ValueError(len(local))
    except ValueError:
        log.get("authproxy.test").exception("request.crashed")

    assert "ValueError: 6" in terminal.getvalue()
    assert "S3CRET" not in terminal.getvalue()


def test_a_line_that_cannot_be_written_is_lost(capsys):
    """A full disk or a closed pipe costs the line, not the work, and nothing is printed instead."""

    class Full(io.StringIO):
        @override
        def write(self, _text):
            raise OSError(28, "No space left on device")

    log.configure("info", Full())

    log.get("authproxy.test").info("proxy.started", token="s3cret")

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "reset"),
        ssl.SSLError(1, "application data after close notify"),
        TimeoutError(),
        OSError(5, "I/O"),
    ],
)
async def test_a_failed_connection_is_one_line_without_traceback(stream, error):
    """Peers come and go; what they break is told in one short line."""
    assert not log.handle_loop_exception(asyncio.get_running_loop(), {"message": "Fatal error", "exception": error})

    (line,) = lines(stream)
    assert (line["event"], line["level"], line["message"]) == ("connection.failed", "info", "Fatal error")
    assert line["error"] == (str(error) or type(error).__name__)
    assert "exception" not in line


async def test_a_crashed_task_is_told_in_full(stream):
    """A defect in a task that nobody awaited comes with its traceback and the task's name, not its repr."""
    loop = asyncio.get_running_loop()

    async def crash():
        raise ValueError("broken")

    task = asyncio.ensure_future(crash())
    task.set_name("watcher")
    await asyncio.wait([task])
    told = {"message": "never retrieved", "exception": task.exception(), "task": task}
    assert log.handle_loop_exception(loop, told)

    (line,) = lines(stream)
    assert (line["event"], line["level"], line["task"]) == ("loop.crashed", "error", "watcher")
    assert line["exception"].endswith("ValueError: broken")


async def test_a_loop_may_complain_without_an_exception(stream):
    """Some complaints of the loop have a message only, and the objects beside it are not shown."""
    log.handle_loop_exception(
        asyncio.get_running_loop(), {"message": "Unclosed connection", "transport": Secret("x"), "future": "s3cret"}
    )

    (line,) = lines(stream)
    assert (line["event"], line["message"]) == ("loop.crashed", "Unclosed connection")
    assert "exception" not in line
    assert "s3cret" not in stream.getvalue()


async def test_the_loop_takes_the_handler(stream):
    """Installed in a real loop, the handler hears of a crashed callback."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log.handle_loop_exception)
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

    assert [line["event"] for line in lines(stream)] == ["loop.crashed"]
