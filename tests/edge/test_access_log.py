"""The access log's line: numbers that a program can read, and the time that the wall clock shows."""

import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.path import worth_a_look
from authproxy.edge.access_log import AccessLog
from authproxy.edge.facts import Facts, facts_of
from authproxy.http1.head import request_head


def facts(
    started: float, answered_at: float = 0.0, path: bytes = b"/a", host: bytes = b"localhost", method: bytes = b"GET"
) -> Facts:  # fmt: skip
    """Return the facts of a request without a route."""
    listener = SimpleNamespace(log_facts=b'"listener":"public","generation":1')
    usual = worth_a_look(path) is None and b'"' not in path and method == b"GET"
    head = request_head(method, path, path, host, is_usual=usual)
    made = facts_of(
        cast("Any", None), cast("Any", listener), head, b"0" * 32, cast("Any", SimpleNamespace(said=b"::1")), started
    )
    made.answered_at = answered_at
    return made


def line(one: Facts, now: float) -> dict[str, Any]:
    """Return the line of a request that ended at `now`, read as JSON."""
    written: list[bytes] = []
    log = AccessLog(written.append)
    log.add(one, "request.forwarded", 200, now, "", "")
    log.flush()
    return cast("dict[str, Any]", json.loads(b"".join(written)))


@given(started=st.floats(0.0, 1e9), lasted=st.floats(0.0, 1e5), share=st.floats(0.0, 1.0))
def test_durations_are_numbers_of_milliseconds(started: float, lasted: float, share: float) -> None:
    """To a hundredth, cut off."""
    now, answered = started + lasted, started + lasted * share
    told = line(facts(started, answered), now)

    assert told["duration_ms"] == pytest.approx((now - started) * 1e3, abs=0.0101)
    assert told["upstream_ms"] == pytest.approx((answered - started) * 1e3 if answered else 0.0, abs=0.0101)


def test_without_an_answer_nothing_was_waited_for() -> None:
    """`upstream_ms` is 0 then."""
    assert line(facts(5.0), 5.25)["upstream_ms"] == 0
    assert line(facts(5.0), 5.25)["duration_ms"] == 250


def test_the_line_says_when_by_the_wall_clock() -> None:
    """In UTC, to the millisecond, whatever the monotonic clock says."""
    before = time.time()
    told = datetime.fromisoformat(line(facts(1.0), 1.5)["time"])

    assert told.tzinfo is UTC
    assert before - 0.001 <= told.timestamp() <= time.time()


def test_a_later_line_tells_a_later_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is read once in a millisecond, and again in the next."""
    written: list[bytes] = []
    log = AccessLog(written.append)
    for wall, now in ((100.0, 7.0), (100.5, 7.0004), (161.25, 7.001)):
        monkeypatch.setattr(time, "time", lambda wall=wall: wall)
        log.add(facts(1.0), "request.forwarded", 200, now, "", "")
    log.flush()

    assert [json.loads(one)["time"] for one in b"".join(written).splitlines()] == [
        "1970-01-01T00:01:40.000Z", "1970-01-01T00:01:40.000Z", "1970-01-01T00:02:41.250Z",
    ]  # fmt: skip


TOKEN = b"svc_020003_" + b"a" * 84


@pytest.mark.parametrize(
    "path", [b"/" + TOKEN, b"/a/%b/b" % TOKEN, b"/%2F" + TOKEN, b'/"' + TOKEN, b"/a" * 300 + TOKEN]
)
def test_no_token_is_shown_wherever_a_client_puts_it(path: bytes) -> None:
    """The path and the host are shown but for that."""
    told = line(facts(1.0, path=path, host=TOKEN + b".test"), 2.0)

    assert TOKEN.decode()[20:] not in json.dumps(told)
    assert told["host"] == "(token).test"


OTHER = b"web_02ffff_" + b"b" * 84


@pytest.mark.parametrize("between", [b"", b"-", b"_", b"x", b"/", b"7Z", b"\\", b"%2F", b"-a_"])
@pytest.mark.parametrize("method", [b"GET", TOKEN, TOKEN + b"-" + TOKEN, b"!" + TOKEN])
def test_no_token_is_shown_behind_another_one(between: bytes, method: bytes) -> None:
    """Whatever stands between them, if anything does; in the method, too, which is any word."""
    told = line(facts(1.0, path=b"/" + TOKEN + between + OTHER + OTHER, host=TOKEN + OTHER, method=method), 2.0)

    for secret in (b"a" * 84, b"b" * 84):
        assert secret.decode() not in json.dumps(told)
    assert told["path"].startswith("/(token)")


@pytest.mark.parametrize("sign", [b"%%%02X", b"%%%02x", b"%%25%02X"])
@pytest.mark.parametrize("escaped", [b"_", b"s", b"a", b"0", TOKEN])
def test_no_token_is_shown_by_way_of_escapes(escaped: bytes, sign: bytes) -> None:
    """Whoever reads the log can read them, one time or two."""
    hidden = b"".join(sign % byte if byte in escaped else b"%c" % byte for byte in TOKEN)
    told = line(facts(1.0, path=b"/a%20b/" + hidden + b'/"c%0A'), 2.0)

    assert told["path"].startswith("/a%20b/")
    assert "(token)/" in told["path"]
    assert "a" * 84 not in unquote(unquote(told["path"]))
    assert told["path"].isprintable()


@given(st.lists(st.sampled_from([b"/", b"a", b"_02", b'"', b"\\", b"%22", b"ab" * 200]), max_size=8))
def test_a_path_is_shown_as_it_came(pieces: list[bytes]) -> None:
    """Up to its 512th byte."""
    path = b"/" + b"".join(pieces)

    assert line(facts(1.0, path=path), 2.0)["path"] == path[:512].decode()


@pytest.mark.parametrize(
    "made_up",
    [b"/_02" + b"a" * 65_000, b"/" + b"a-" * 32_500 + b"_02", b"/_02" * 16_000, (b"_" + b"a" * 84) * 700 + b"_02", b"%5F02" * 13_000,
     (b"_020000_" + b"a" * 83 + b"_") * 700],
)  # fmt: skip
def test_a_path_that_looks_for_trouble_costs_no_more_than_another(made_up: bytes) -> None:
    """A stranger's request is logged too: nobody else may wait for its line."""
    began = time.thread_time()
    line(facts(1.0, path=made_up), 2.0)

    assert time.thread_time() - began < 0.05


def test_a_token_behind_anything_is_still_none_of_the_log_s_business() -> None:
    """However long the word before its underscore is."""
    for before in (b"x" * 5000, b"a-", b"_", b"%3D", b"02_02"):
        told = line(facts(1.0, path=b"/" + before + TOKEN), 2.0)

        assert TOKEN.decode()[11:] not in told["path"]
