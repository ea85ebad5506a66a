"""The end: what is in progress ends well, what is not in progress does not hold it up."""

import contextlib
import http.client
import os
import secrets
import signal
import socket
import threading
import time
from dataclasses import replace

import pytest

from tests.patience import PATIENCE, SOON

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]


class Asking:
    """A request on its way, in a thread."""

    def __init__(self, house, path):
        self.answer = None
        self.error = None
        self._client = house.client()
        self._thread = threading.Thread(target=self._ask, args=(path, house.user))
        self._thread.start()

    def _ask(self, path, user):
        with self._client:
            try:
                self.answer = self._client.ask(path, user)
            except (OSError, http.client.HTTPException) as error:
                self.error = error

    def result(self, seconds=PATIENCE):
        self._thread.join(seconds)
        assert self.error is None
        assert self.answer is not None
        return self.answer


class WebSocket:
    """The client's end of a WebSocket, no more than is needed."""

    def __init__(self, house):
        self.client = house.client()
        self.client.connect()
        self.wire = self.client.wire
        self.wire.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyEh\r\n\r\n"
            % house.user.token.encode()
        )
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            self.head += self.wire.recv(1)

    def send(self, opcode, payload):
        mask = secrets.token_bytes(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.wire.sendall(bytes((0x80 | opcode, 0x80 | len(payload))) + mask + masked)

    def receive(self):
        head = self._exactly(2)
        return head[0] & 15, self._exactly(head[1] & 127)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.wire.recv(count - len(data))
            assert more, "closed without a close frame"
            data += more
        return data


@pytest.fixture
def websocket(house):
    made = []

    def connect():
        made.append(WebSocket(house))
        return made[-1]

    yield connect
    for one in made:
        one.client.close()


def ended(wire):
    """Whether the other side has closed in good order."""
    with contextlib.suppress(TimeoutError):
        return wire.recv(1) == b""
    return False


def not_ready(running):
    try:
        return running.ops("/readyz").status == 503
    except OSError:
        return True


def test_everything_in_progress_ends_well(house, service, websocket, until):
    """Not ready at once, accepting until `pre_stop` is over; then requests and streams end whole and it exits 0."""
    house.config["timeouts"] = {"drain": "30s", "pre_stop": "3s"}
    running = house.start()
    slow, stream, talk = Asking(house, "/slow/in-flight"), Asking(house, "/sse/event"), websocket()
    talk.send(1, b"hello")
    assert talk.receive() == (1, b"hello")
    until(lambda: len(service.seen) == 3, what="all requests are with the service")
    with house.client() as idle:
        assert idle.ask("/", house.user).status == 200
        running.term()
        began = time.monotonic()

        until(lambda: not_ready(running), what="not ready")
        assert house.ask("/", house.user).status == 200, "accepting while balancers take notice"
        until(house.refuses, what="nobody new is let in")
        assert time.monotonic() - began > 2.9, "not before pre_stop is over"
        assert ended(idle.wire)
    assert talk.receive() == (8, (1001).to_bytes(2, "big"))
    talk.send(8, (1001).to_bytes(2, "big"))
    assert ended(talk.wire)
    talk.client.close()
    service.gate("event").set()
    service.gate("in-flight").set()
    answer = slow.result()
    assert answer.status == 200
    assert answer.body == b"slow but whole"
    assert answer.headers["Connection"] == "close"
    assert stream.result().body == b"data: first\n\ndata: second\n\n"
    assert running.wait() == 0
    assert running.told("proxy.draining")
    assert [line["cut"] for line in running.told("proxy.stopped")] == [0]


def test_every_request_of_the_drain_is_in_the_access_log(house, service, until):
    """Nothing is lost with the end of the process."""
    house.config["timeouts"] = {"drain": "20s"}
    running = house.start()
    slow = Asking(house, "/slow/logged")
    until(lambda: service.seen, what="the request is with the service")
    running.term()
    until(house.refuses, what="nobody new is let in")
    service.gate("logged").set()
    slow.result()

    assert running.wait() == 0
    assert [line["path"] for line in running.access_lines()] == ["/slow/logged"]


def test_the_drain_has_an_end(house, service, websocket, until):
    """What is still there after `drain` is cut, and the process exits 0 within a second of it."""
    house.config["timeouts"] = {"drain": "2s"}
    running = house.start()
    websocket()
    with house.client() as stuck:
        stuck.request("GET", "/slow/never", headers={"Authorization": f"Bearer {house.user.token}"})
        until(lambda: len(service.seen) == 2, what="the request is with the service")
        began = time.monotonic()
        running.term()

        assert running.wait(2 + SOON) == 0
        assert time.monotonic() - began >= 2
        with pytest.raises((OSError, http.client.HTTPException)):
            stuck.getresponse()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_now(house, service, until, number):
    """Whoever asks twice does not wait."""
    house.config["timeouts"] = {"drain": "60s", "pre_stop": "60s"}
    running = house.start()
    with house.client() as stuck:
        stuck.request("GET", "/slow/never", headers={"Authorization": f"Bearer {house.user.token}"})
        until(lambda: service.seen, what="the request is with the service")
        running.term(number)
        until(lambda: not_ready(running), what="not ready")
        running.term(number)

        assert running.wait() == 0


def test_balancers_are_told_before_the_doors_close(house, until):
    """The health page says so from the signal on, while requests that come all the same are served."""
    house.config["listeners"]["public"]["health"] = "/healthz"
    house.config["timeouts"] = {"pre_stop": "30s"}
    running = house.start()
    assert house.ask("/healthz").status == 200
    running.term()
    until(lambda: house.ask("/healthz").status == 503, what="not healthy")

    assert house.ask("/", house.user).status == 200


def test_kept_connections_are_given_up_before_the_doors_close(house, until):
    """Each with an answer that says so: a client whose connection just ends may have sent its next request already."""
    house.config["timeouts"] = {"pre_stop": "30s"}
    running = house.start()
    with house.client() as allowed, house.client() as refused:
        assert "Connection" not in allowed.ask("/", house.user).headers
        assert "Connection" not in refused.ask("/").headers
        running.term()
        until(lambda: not_ready(running), what="not ready")
        answers = allowed.ask("/", house.user), refused.ask("/")

        assert [answer.status for answer in answers] == [200, 401]
        assert [answer.headers.get("Connection") for answer in answers] == ["close", "close"]


def test_nothing_to_wait_for_is_not_waited_for(house):
    """Idle connections that read their end are closed, and the process is gone at once."""
    house.config["timeouts"] = {"drain": "60s"}
    running = house.start()
    with house.client() as idle, house.client() as fresh:
        assert idle.ask("/", house.user).status == 200
        fresh.connect()
        running.term()
        for client in (idle, fresh):
            assert ended(client.wire)
            client.close()

        assert running.wait() == 0


def test_an_idle_client_that_does_not_read_is_not_waited_for(house):
    """A pooled connection whose owner looks at it at the next use only costs the drain no time."""
    house.config["timeouts"] = {"drain": "60s"}
    running = house.start()
    with house.client() as idle:
        assert idle.ask("/", house.user).status == 200
        running.term()

        assert running.wait() == 0


def test_a_handshake_that_ends_during_the_drain_does_not_hold_it_up(house, service, until):
    """Who was accepted before and is silent after its handshake is not waited for."""
    house.config["timeouts"] = {"drain": "60s"}
    running = house.start()
    context = house.trusting()
    slow = Asking(house, "/slow/other")
    with socket.create_connection(("127.0.0.1", house.port)) as silent:
        until(lambda: running.metric('authproxy_connections_accepted_total{listener="public"}') == 2, what="accepted")
        until(lambda: service.seen, what="the request is with the service")
        running.term()
        until(house.refuses, what="nobody new is let in")
        with contextlib.suppress(OSError), context.wrap_socket(silent, server_hostname="localhost"):
            service.gate("other").set()
            assert slow.result().status == 200

            assert running.wait() == 0


def test_a_reload_during_the_drain_is_ignored(house, service, until):
    """SIGHUP neither ends the drain nor opens the doors again."""
    house.config["timeouts"] = {"drain": "20s"}
    running = house.start()
    slow = Asking(house, "/slow/hup")
    until(lambda: service.seen, what="the request is with the service")
    running.term()
    until(house.refuses, what="nobody new is let in")
    mark = running.hup()
    assert not_ready(running)
    assert house.refuses()
    service.gate("hup").set()

    assert slow.result().body == b"slow but whole"
    assert running.wait() == 0
    assert [line["event"] for line in running.events(since=mark) if line["event"].startswith("reload.")] == []


def test_a_kept_connection_may_send_no_further_request(house, service, until):
    """The answer that ends during the drain says close, and the connection ends behind it."""
    house.config["timeouts"] = {"drain": "20s"}
    running = house.start()
    with house.client() as kept:
        assert kept.ask("/", house.user).status == 200
        kept.request("GET", "/slow/last", headers={"Authorization": f"Bearer {house.user.token}"})
        until(lambda: len(service.seen) == 2, what="the request is with the service")
        running.term()
        until(house.refuses, what="nobody new is let in")
        service.gate("last").set()
        with kept.getresponse() as answer:
            assert answer.getheader("Connection") == "close"
            assert answer.read() == b"slow but whole"

    assert running.wait() == 0


def test_an_upload_in_progress_ends_whole(house, service, until):
    """A body that is half in when the signal comes arrives at the service, and is answered."""
    house.config["timeouts"] = {"drain": "20s"}
    running = house.start()
    sent = threading.Event()

    def body():
        yield b"first half, "
        until(lambda: service.seen, what="the head is with the service")
        running.term()
        until(house.refuses, what="nobody new is let in")
        sent.set()
        yield b"second half"

    with house.client() as client:
        answer = client.ask("/up", house.user, method="POST", body=body(), Transfer_Encoding="chunked")

    assert sent.is_set()
    assert answer.json()["size"] == len(b"first half, second half")
    assert running.wait() == 0


def test_a_signal_right_after_the_start_is_obeyed(house, until):
    """From `proxy.started` on, SIGTERM means a drain and exit 0."""
    running = house.spawn()
    until(lambda: running.events("proxy.started"), what="started")
    os.kill(running.pid, signal.SIGTERM)

    assert running.wait() == 0


def test_the_unix_socket_is_free_for_the_next(house, until):
    """After an end, and after a kill, the next start has the same Unix socket."""
    path = house.directory / "front.sock"
    house.config["listeners"]["public"]["bind"] = [f"127.0.0.1:{house.port}", f"unix:{path}"]
    running = house.start()
    running.term(signal.SIGKILL)
    running.wait()
    running = house.start()
    running.term()
    assert running.wait() == 0
    running = house.start()

    assert house.ask("/", house.user).status == 200


@pytest.mark.parametrize("change", ["removed", "disabled", "expired"])
def test_a_websocket_ends_with_the_credential_that_opened_it(house, websocket, change):
    """1008 (policy violation) as soon as the token file says so, though the connection itself stands."""
    running = house.start()
    talk = websocket()
    talk.send(1, b"hello")
    if change == "removed":
        house.put_users(house.new_user())
    else:
        news = {"disabled": True} if change == "disabled" else {"expires_at": "2020-01-01T00:00:00Z"}
        house.put_users(replace(house.user, row=house.user.row | news))
    running.reload()

    while (frame := talk.receive())[0] == 1:
        pass
    assert frame == (8, (1008).to_bytes(2, "big"))


def test_a_revoked_websocket_ends_though_its_client_goes_on(house, service, websocket, until):
    """Whoever heeds no close frame is cut off soon, and the service hears nothing of what he says meanwhile."""
    running = house.start()
    talk = websocket()
    talk.send(1, b"hello")
    house.put_users(house.new_user())
    running.reload()
    while talk.receive()[0] == 1:
        pass
    talk.wire.settimeout(0.3)
    began, open_still = time.monotonic(), True
    while open_still and time.monotonic() - began < PATIENCE:
        try:
            talk.send(1, b"go on")
            open_still = not ended(talk.wire)
        except OSError:
            open_still = False

    assert not open_still
    assert b"go on" not in b"".join(service.heard)
    until(lambda: [line.get("reason") for line in running.access_lines() if line["status"] == 101] == ["revoked"])


def test_a_websocket_survives_a_reload_that_leaves_its_user_alone(house, websocket):
    """Other users come and go."""
    running = house.start()
    talk = websocket()
    house.put_users(house.user, house.new_user())
    running.reload()
    talk.send(1, b"still here")

    assert talk.receive()[0] == 1


def test_a_reload_that_hangs_does_not_hold_up_the_end(house):
    """The configuration became a pipe whose writer says nothing: SIGTERM is still obeyed."""
    running = house.start()
    (house.directory / "authproxy.yaml").unlink()
    os.mkfifo(house.directory / "authproxy.yaml")
    silent = os.open(house.directory / "authproxy.yaml", os.O_RDWR)
    running.hup()
    assert house.ask("/", house.user).status == 200
    running.process.send_signal(signal.SIGTERM)

    assert running.wait() == 0
    os.close(silent)
