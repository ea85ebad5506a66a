"""What one source or one user may have: beyond it 429 or 503, and nobody else notices."""

import threading

import pytest

from tests.conformance.conftest import _base
from tests.conformance.proxy import ALICE, BOB, GOOD, request, start, token
from tests.conformance.upstream import TRUSTED
from tests.patience import PATIENCE

pytestmark = pytest.mark.promise

BAD = f"Authorization: Bearer {token('api', ALICE, version=4)}\r\n".encode()
ASK = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"]
SWITCH = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
COUNTER = iter(range(1, 250))


@pytest.fixture(scope="module")
def proxy(material, recorder, tmp_path_factory):
    """Three failures a minute, two tunnels a user."""
    running = start(
        tmp_path_factory.mktemp("limits"),
        material,
        _base(recorder)
        | {
            "listeners": {"public": {"bind": "@public@"}},
            "routes": [
                {"path": "/", "zone": "api", "upstream": "up"},
                {"path": "/web", "zone": "web", "upstream": "up"},
                {"path": "/public", "public": True, "upstream": "up"},
            ],
            "limits": {"failures_per_minute": 3, "websockets_per_user": 2},
        },
        ["public"],
        recorder,
    )
    yield running
    running.stop()


@pytest.fixture
def source():
    """An address that no other test has used."""
    return f"127.2.0.{next(COUNTER)}"


def test_too_many_bad_credentials_get_429(proxy, dial, fence, source):
    """401 up to the limit, then 429 with the time to wait; the log tells both reasons."""
    wire = dial(source=source)
    statuses = [wire.ask(request(auth=BAD)).status for _ in range(3)]
    answer = wire.ask(request(auth=BAD))
    line = proxy.wait_access(answer.one("X-Request-Id"))

    assert statuses == [401] * 3
    assert (answer.status, answer.kind) == (429, "limit")
    assert 50 <= int(answer.one("Retry-After") or b"") <= 60
    assert answer.all("WWW-Authenticate") == []
    assert (line["reason"], line["error"], line["user_id"]) == ("too-many-failures", "token-rotated", ALICE)
    fence()


@pytest.mark.parametrize(
    "auth",
    [b"Authorization: Bearer x\r\n", b"Authorization: Bearer svc_020003_\r\n", BAD.replace(b"svc", b"web"), BAD,
     f"Authorization: Bearer {token('api', '00000000-0000-4000-8000-000000000000')}\r\n".encode()],
)  # fmt: skip
def test_every_bad_credential_counts(dial, fence, source, auth):
    """Malformed, of another zone, mistyped, of nobody: they look the same, and count the same."""
    wire = dial(source=source)

    assert [wire.ask(request(auth=auth)).status for _ in range(5)] == [401, 401, 401, 429, 429]
    fence()


def test_a_good_credential_is_never_answered_429(dial, upstream, source):
    """Not from the worst of sources."""
    wire = dial(source=source)
    for _ in range(10):
        wire.ask(request(auth=BAD))

    assert wire.ask(request(auth=BAD)).status == 429
    assert [wire.ask(request()).status for _ in range(3)] == [200] * 3
    assert wire.ask(request("GET /public HTTP/1.1", auth=BAD)).status == 200


def test_no_credential_is_no_failure(dial, fence, source):
    """Whoever asks what is needed hears it, before and after."""
    wire = dial(source=source)

    assert [wire.ask(request(auth=b"")).status for _ in range(6)] == [401] * 6
    assert [wire.ask(request(auth=BAD)).status for _ in range(4)] == [401, 401, 401, 429]
    answer = wire.ask(request(auth=b""))
    assert (answer.status, answer.one("WWW-Authenticate")) == (401, b'Bearer realm="api"')
    fence()


def test_a_source_counts_over_all_its_connections(dial, fence, source):
    """A new connection is no new beginning; another source is."""
    assert [dial(source=source).ask(request(auth=BAD)).status for _ in range(4)] == [401, 401, 401, 429]
    assert dial(source=f"127.2.0.{next(COUNTER)}").ask(request(auth=BAD)).status == 401
    fence()


def test_behind_a_trusted_proxy_the_client_counts(dial, fence):
    """One client's failures are not those of all others behind the same balancer."""
    wire = dial(source=TRUSTED)
    ask = [wire.ask(request("GET / HTTP/1.1", "X-Forwarded-For: 192.0.2.50", auth=BAD)).status for _ in range(4)]

    assert ask == [401, 401, 401, 429]
    assert wire.ask(request("GET / HTTP/1.1", "X-Forwarded-For: 192.0.2.51", auth=BAD)).status == 401
    assert wire.ask(request("GET / HTTP/1.1", "X-Forwarded-For: 2001:db8::1", auth=BAD)).status == 401
    fence()


def test_an_untrusted_peer_cannot_blame_another(dial, fence, source):
    """Its X-Forwarded-For is its own fiction."""
    wire = dial(source=source)
    ask = [wire.ask(request("GET / HTTP/1.1", f"X-Forwarded-For: 192.0.2.{n}", auth=BAD)).status for n in range(60, 64)]

    assert ask == [401, 401, 401, 429]
    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", "X-Forwarded-For: 192.0.2.60", auth=BAD)).status == 401
    fence()


# ---------------------------------------------------------------------- tunnels


@pytest.fixture
def ended():
    """Set at the end of the test: until then upstreams hold their tunnels open."""
    event = threading.Event()
    yield event
    event.set()


def holding(ended):
    def script(turn):
        turn.send(SWITCH)
        while not ended.is_set():
            turn.send(turn.read(1))

    return script


def upgrade(wire, auth=GOOD, target="/ws"):
    wire.send(request(f"GET {target} HTTP/1.1", *ASK, auth=auth))
    return wire.interim().status


def test_a_user_has_so_many_tunnels_and_no_more(proxy, dial, upstream, ended):
    """503 without a word to the upstream; others, other zones and ordinary requests go on; one that ends makes room."""
    upstream.answer(*[holding(ended)] * 9)
    bob = f"Authorization: Bearer {token('api', BOB)}\r\n".encode()
    web = f"Authorization: Bearer {token('web', ALICE)}\r\n".encode()
    first, second, third = dial(), dial(), dial()
    assert [upgrade(first), upgrade(second)] == [101, 101]

    answer = third.ask(request("GET /ws HTTP/1.1", *ASK))
    assert (answer.status, answer.kind, answer.one("Retry-After")) == (503, "unavailable", b"1")
    assert proxy.wait_access(answer.one("X-Request-Id"))["reason"] == "too-many-websockets"
    assert len(upstream.requests) == 2
    assert upgrade(dial(), bob) == 101
    assert upgrade(dial(), web, "/web") == 101
    assert upgrade(dial(), b"", "/public") == 101

    first.close()
    upstream.end_of(upstream.requests[0])
    assert upgrade(third) == 101
    assert upgrade_refused(dial())
    upstream.scripts.clear()
    assert dial().ask(request()).status == 200


def upgrade_refused(wire):
    return wire.ask(request("GET /ws HTTP/1.1", *ASK)).status == 503


def test_tunnels_that_come_about_at_once_are_counted_too(dial, upstream, ended):
    """Asked for together, granted together by the upstream: two of four come to be, the others are told."""
    gate = threading.Barrier(4, timeout=PATIENCE)

    def script(turn):
        gate.wait()
        holding(ended)(turn)

    upstream.answer(*[script] * 4)
    wires = [dial() for _ in range(4)]
    for wire in wires:
        wire.send(request("GET /ws HTTP/1.1", *ASK))

    assert sorted(wire.interim().status for wire in wires) == [101, 101, 503, 503]


def test_an_upgrade_that_is_refused_upstream_takes_no_room(dial, upstream):
    """Only what stands is counted."""
    upstream.answer(*[b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n"] * 4)
    wire = dial()

    assert [wire.ask(request("GET /ws HTTP/1.1", *ASK)).status for _ in range(4)] == [403] * 4
