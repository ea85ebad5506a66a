"""Bodies of any size pass through, whole and in pieces, and cost nearly no memory."""

import hashlib
import os
import threading
import time

import pytest

pytestmark = [pytest.mark.promise, pytest.mark.timeout(300)]

MIB = 1 << 20
SIZE = (1024 if os.environ.get("AUTHPROXY_LONG") else 128) * MIB
BLOCK = bytes(range(256)) * 256
WARM = 4 * MIB


class Memory:
    """Samples the proxy's memory while something goes on; `growth` is over the start."""

    def __init__(self, running):
        self._running = running
        self._start = running.rss()
        self._most = self._start
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join(5)

    def _sample(self):
        while not self._over.wait(0.02):
            self._most = max(self._most, self._running.rss())

    @property
    def growth(self):
        return (max(self._most, self._running.rss()) - self._start) / MIB


def expected(size):
    digest = hashlib.sha256()
    for _ in range(size // len(BLOCK)):
        digest.update(BLOCK)
    return digest.hexdigest()


def download(client, path, user):
    """Read an answer in pieces; return its hash and size."""
    client.request("GET", path, headers={"Authorization": f"Bearer {user.token}"})
    digest, size = hashlib.sha256(), 0
    with client.getresponse() as response:
        assert response.status == 200
        while data := response.read(1 << 18):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size


def blocks(size):
    for _ in range(size // len(BLOCK)):
        yield BLOCK


@pytest.fixture
def warm(house):
    """The proxy, after some bytes have gone both ways."""
    running = house.start()
    with house.client() as client:
        for path in (f"/down/{WARM}", f"/down-chunked/{WARM}"):
            download(client, path, house.user)
        client.ask("/up", house.user, method="POST", body=blocks(WARM), Content_Length=str(WARM))
        client.ask("/up", house.user, method="POST", body=blocks(WARM), Transfer_Encoding="chunked")
    return running


@pytest.mark.parametrize("path", ["down", "down-chunked"])
def test_a_large_answer_arrives_whole_and_is_never_held(house, warm, path):
    """Every byte of it, in either framing, and at most 16 MiB of memory for them."""
    with house.client() as client, Memory(warm) as memory:
        digest, size = download(client, f"/{path}/{SIZE}", house.user)

    assert size == SIZE
    assert digest == expected(SIZE)
    assert memory.growth <= 16


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_upload_arrives_whole_and_is_never_held(house, warm, framing):
    """Every byte of it, framed as the client framed it, and at most 16 MiB of memory for them."""
    fields = {"Content_Length": str(SIZE)} if framing == "length" else {"Transfer_Encoding": "chunked"}
    with house.client() as client, Memory(warm) as memory:
        told = client.ask("/up", house.user, method="POST", body=blocks(SIZE), **fields).json()

    assert told == {"sha256": expected(SIZE), "size": SIZE, "framing": framing}
    assert memory.growth <= 16


def stands_still(count, seconds=1.0):
    """Return once `count()` has not changed for a while."""
    last, since = count(), time.monotonic()
    ends = since + 30
    while time.monotonic() - since < seconds:
        assert time.monotonic() < ends, "it never stops"
        now = count()
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.02)


@pytest.mark.parametrize("path", ["down", "down-chunked"])
def test_a_client_that_stops_reading_costs_little(house, service, warm, path):
    """The service is made to wait; at most 8 MiB are held; the rest comes whole when the client reads on."""
    size = 100 * MIB
    before = service.sent
    with house.client() as client, Memory(warm) as memory:
        client.request("GET", f"/{path}/{size}", headers={"Authorization": f"Bearer {house.user.token}"})
        with client.getresponse() as response:
            stands_still(lambda: service.sent)
            held = service.sent - before
            growth = memory.growth
            digest = hashlib.sha256()
            while data := response.read(1 << 18):
                digest.update(data)

    assert held < size / 2
    assert growth <= 8
    assert digest.hexdigest() == expected(size)


@pytest.mark.parametrize("framing", [b"Content-Length: 104857600\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_service_that_stops_reading_costs_little(house, service, warm, framing):
    """The client is made to wait, and at most 8 MiB are held."""
    piece = BLOCK if b"Length" in framing else b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK)
    sent = 0
    over = threading.Event()
    with house.client() as client, Memory(warm) as memory:
        client.connect()
        wire = client.wire
        wire.sendall(
            b"POST /deaf/ear HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n%b\r\n"
            % (house.user.token.encode(), framing)
        )

        def push():
            nonlocal sent
            try:
                while not over.is_set() and sent < 100 * MIB:
                    wire.sendall(piece)
                    sent += len(BLOCK)
            except OSError:
                return

        pushing = threading.Thread(target=push)
        pushing.start()
        stands_still(lambda: sent)
        held, growth = sent, memory.growth
        over.set()
        service.gate("ear").set()
        pushing.join(20)

    assert held < 50 * MIB
    assert growth <= 8


def test_many_stalled_clients_cost_little_each(house, service, warm):
    """Twenty clients that stop reading cost less than 2 MiB each."""
    clients = [house.client() for _ in range(20)]
    with Memory(warm) as memory:
        for client in clients:
            client.request("GET", f"/down/{50 * MIB}", headers={"Authorization": f"Bearer {house.user.token}"})
        stands_still(lambda: service.sent)
        growth = memory.growth
    for client in clients:
        client.close()

    assert growth <= 40


def test_events_pass_one_by_one(house, service, warm):
    """The first event arrives while the service still holds the second."""
    with house.client() as client:
        client.request("GET", "/sse/second", headers={"Authorization": f"Bearer {house.user.token}"})
        with client.getresponse() as response:
            first = response.readline()
            assert not service.gate("second").is_set()
            service.gate("second").set()
            rest = response.read()

    assert response.getheader("Content-Type") == "text/event-stream"
    assert first == b"data: first\n"
    assert rest == b"\ndata: second\n\n"


def test_every_event_arrives_before_the_next_is_made(house, service, warm):
    """A hundred times: the client has the whole event, and only then is the service allowed to make another."""
    with house.client() as client:
        client.request("GET", "/events/100", headers={"Authorization": f"Bearer {house.user.token}"})
        with client.getresponse() as response:
            assert response.getheader("Content-Type") == "text/event-stream"
            for number in range(100):
                service.gate(f"event {number}").set()
                lines = [response.readline() for _ in range(3)]
                assert lines == [b"id: %d\n" % number, b"data: %d\n" % number, b"\n"]
            assert response.read() == b""


def test_a_slow_reader_of_events_holds_up_their_maker_and_loses_none(house, service, warm, until):
    """The service is made to wait, the proxy holds at most 8 MiB, and every event comes in order in the end."""
    count = 100 * 1024
    with house.client() as client, Memory(warm) as memory:
        client.request("GET", f"/flood/{count * 1024}", headers={"Authorization": f"Bearer {house.user.token}"})
        with client.getresponse() as response:
            until(lambda: service.sent, what="the first events")
            stands_still(lambda: service.sent)
            made, growth = service.sent, memory.growth
            for number in range(count):
                event = response.read(1024)
                assert event.startswith(b"id: %d\n" % number), number
            assert response.read() == b""

    assert 0 < made < count / 2
    assert growth <= 8


def test_an_upload_passes_piece_by_piece(house, service, warm, until):
    """The service has the head and the first piece while the client still holds the second."""

    def body():
        yield b"first"
        until(lambda: service.seen[-1].path == "/up?pieces", what="the head is with the service")
        yield b"second"

    with house.client() as client:
        answer = client.ask("/up?pieces", house.user, method="POST", body=body(), Transfer_Encoding="chunked")

    assert answer.json()["size"] == len(b"firstsecond")
