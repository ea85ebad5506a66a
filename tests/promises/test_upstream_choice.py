"""Several URLs behind one name: requests are shared out, and go past what is dead or unhealthy."""

import socketserver
import threading
import time
from collections import Counter
from typing import Any

import pytest
from typing_extensions import override

from tests.patience import PATIENCE
from tests.promises.conftest import Handler

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]


class Named(Handler):
    """Says which service it is; its health is what the service says."""

    server: Any
    # Head and body in one piece: a service that ends between the two has cut an answer, and that is told as such.
    wbufsize = -1

    def on_who(self, _):
        self.answer(str(self.server.port).encode())

    def on_health(self, _):
        self.server.checks.append(dict(self.headers.items()))
        self.send_response(self.server.health)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def named(serve, pki):
    """`named()` starts a service that says which one it is."""

    def start(port=0):
        service = serve(pki.server(), handler=Named, port=port)
        service.health, service.checks = 200, []
        return service

    return start


def url(port):
    return f"https://127.0.0.1:{port}"


def share(house, *ports, **more):
    house.config["upstreams"]["legacy"] = {"urls": [url(port) for port in ports], "trust": "ca", **more}


def ask_all(house, count):
    """Ask one request after the other; every one must be answered. Return who answered how often."""
    answers = [house.ask("/who", house.user) for _ in range(count)]

    assert {answer.status for answer in answers} == {200}
    return Counter(int(answer.body) for answer in answers)


def endpoint(name, port):
    return f'authproxy_upstream_endpoint_{name}{{endpoint="127.0.0.1:{port}",upstream="legacy"}}'


def test_requests_are_shared_out(house, named):
    """One after the other, they go to each service alike."""
    first, second = named(), named()
    share(house, first.port, second.port)
    house.start()

    assert ask_all(house, 20) == {first.port: 10, second.port: 10}


def test_a_dead_service_costs_no_request(house, named, free_port):
    """Not one fails; the log says once that it is left alone, and where that can be seen it is seen."""
    alive, dead = named(), free_port()
    share(house, dead, alive.port)
    running = house.start()

    assert ask_all(house, 20) == {alive.port: 20}
    (line,) = running.told("upstream.endpoint_ejected")
    assert (line["upstream"], line["endpoint"], line["level"]) == ("legacy", f"127.0.0.1:{dead}", "warning")
    assert running.metric(endpoint("ejected", dead)) == 1
    assert running.metric(endpoint("ejected", alive.port)) == 0
    # Were it not left alone, it would be every second time.
    assert 1 <= running.metric(endpoint("connects_total", dead)) < 8
    assert running.metric('authproxy_upstream_failures_total{reason="upstream-refused",upstream="legacy"}') is None
    shown = running.ops("/status").json()["upstreams"]["legacy"]
    assert {label: one["state"] for label, one in shown.items()} == {
        f"127.0.0.1:{dead}": "ejected", f"127.0.0.1:{alive.port}": "good"
    }  # fmt: skip
    ready = running.ops("/readyz?verbose")
    assert ready.status == 200
    assert f"[+] upstream:legacy 127.0.0.1:{dead} ejected" in ready.body.decode()


def test_a_service_that_dies_under_load_fails_no_request_that_may_be_repeated(house, named, until):
    """Kept connections to it are cut; GETs on them are sent again, elsewhere."""
    first, second = named(), named()
    share(house, first.port, second.port)
    running = house.start()
    ask_all(house, 10)
    first.aclose()

    assert ask_all(house, 20) == {second.port: 20}
    assert running.metric(endpoint("busy_connections", second.port)) == 0


def test_a_service_that_is_restarted_under_load_costs_no_request(house, named, until):
    """From its last answer to its first, whoever reads something is answered by the other; and then by both."""
    first, second = named(), named()
    share(house, first.port, second.port)
    running = house.start()
    statuses: Counter[int] = Counter()
    enough = threading.Event()

    def read():
        with house.client() as client:
            while not enough.is_set():
                statuses[client.ask("/who", house.user).status] += 1

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    until(lambda: statuses[200] > 20)
    first.aclose()
    until(lambda: running.events("upstream.endpoint_ejected"))
    again = named(first.port)
    until(lambda: running.events("upstream.endpoint_readmitted"))
    until(lambda: len(again.seen) > 20)
    enough.set()
    for reader in readers:
        reader.join(PATIENCE)

    assert set(statuses) == {200}
    assert running.metric('authproxy_upstream_busy_connections{upstream="legacy"}') == 0


def test_a_service_that_does_not_answer_is_gone_round(house, named):
    """It takes the connection and never shakes hands: within `timeouts.connect` the other answers."""
    alive = named()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silence) as silent:
        silent.daemon_threads = True
        threading.Thread(target=silent.serve_forever, daemon=True).start()
        share(house, silent.server_address[1], alive.port, timeouts={"connect": "900ms"})
        house.start()
        begin = time.monotonic()
        assert ask_all(house, 30) == {alive.port: 30}
        took = time.monotonic() - begin
        silent.shutdown()

    # Half of them are its turn; each that waited for it would take 900 ms.
    assert took < 10


class Silence(socketserver.BaseRequestHandler):
    """Reads, and says nothing."""

    @override
    def handle(self):
        while self.request.recv(65536):
            pass


HEALTH = {"path": "/health", "every": "1s", "timeout": "900ms"}


def test_an_unhealthy_service_gets_no_requests_until_it_is_healthy(house, named, until):
    """Told once each way; checks carry no credential and no identity."""
    first, second = named(), named()
    share(house, first.port, second.port, health=HEALTH)
    running = house.start()
    assert set(ask_all(house, 4)) == {first.port, second.port}
    first.health = 503
    (line,) = until(lambda: running.events("upstream.endpoint_unhealthy"))
    assert line["error"] == "answered 503"
    assert ask_all(house, 6) == {second.port: 6}
    assert running.metric(endpoint("healthy", first.port)) == 0
    first.health = 200
    until(lambda: running.events("upstream.endpoint_healthy"))
    assert set(ask_all(house, 4)) == {first.port, second.port}

    assert len(running.told("upstream.endpoint_unhealthy")) == 1
    assert all(check["Host"] == f"127.0.0.1:{first.port}" for check in first.checks)
    assert not any(name in check for check in first.checks for name in ("Authorization", "X-Authproxy-User"))


def test_with_no_healthy_service_the_answer_is_503_at_once(house, named, until):
    """And the proxy itself stays ready; a reload that takes the checks away ends them."""
    only, other = named(), named()
    only.health = 404
    share(house, only.port, health=HEALTH)
    house.config["upstreams"]["other"] = {"urls": [url(other.port)], "trust": "ca", "health": HEALTH}
    house.config["routes"].append({"path": "/other", "upstream": "other"})
    running = house.start()
    until(lambda: running.events("upstream.endpoint_unhealthy"))
    seen = len(only.seen) - len(only.checks)
    answer = house.ask("/who", house.user)
    line = running.access(answer)

    assert (answer.status, line["reason"]) == (503, "upstream-unhealthy")
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["X-Authproxy-Response"].startswith("unavailable;")
    assert len(only.seen) - len(only.checks) == seen
    assert running.ops("/readyz").status == 200
    assert "[-] upstream:legacy" in running.ops("/readyz?verbose").body.decode()

    share(house, only.port)
    house.save()
    running.reload()
    checks = len(only.checks)
    assert ask_all(house, 2) == {only.port: 2}
    due = len(other.checks) + 3
    until(lambda: len(other.checks) >= due)
    assert len(only.checks) <= checks + 1


def test_a_service_that_takes_one_request_at_a_time_gets_one_at_a_time(house, named, until):
    """The next waits for its turn, the one behind it is told to come again, and the first hears nothing of it."""
    only = named()
    share(house, only.port, max_connections=1)
    running = house.start()
    answers = {}

    def ask(name, path):
        answers[name] = house.ask(path, house.user)

    threads = {name: threading.Thread(target=ask, args=(name, path)) for name, path in (
        ("first", "/slow/gate"), ("second", "/who"), ("third", "/who")
    )}  # fmt: skip
    threads["first"].start()
    until(lambda: only.seen)
    threads["second"].start()
    until(lambda: running.metric('authproxy_upstream_waiting_requests{upstream="legacy"}') == 1)
    threads["third"].start()
    threads["third"].join(PATIENCE)
    line = running.access(answers["third"])
    assert (line["status"], line["reason"]) == (503, "upstream-busy")
    assert answers["third"].headers["Retry-After"] == "1"
    assert len(only.seen) == 1
    only.gate("gate").set()
    for thread in threads.values():
        thread.join(PATIENCE)

    assert (answers["first"].body, answers["second"].status) == (b"slow but whole", 200)
    assert only.accepted == 1


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"hello")])
def test_a_client_that_went_away_while_it_waited_keeps_no_place(house, named, until, method, body):
    """The next one waits in its place, and the service hears nothing of the one that went."""
    only = named()
    share(house, only.port, max_connections=1)
    running = house.start()
    waiting = 'authproxy_upstream_waiting_requests{upstream="legacy"}'
    first, gone, next_one = house.client(), house.client(), house.client()
    fields = {"Authorization": f"Bearer {house.user.token}"}
    first.request("GET", "/slow/gate", headers=fields)
    until(lambda: only.seen)
    gone.request(method, "/who", body=body, headers=fields)
    until(lambda: running.metric(waiting) == 1)
    gone.close()
    # Its time would be over after five seconds.
    until(lambda: running.metric(waiting) == 0, seconds=3)
    next_one.request("GET", "/who", headers=fields)
    until(lambda: running.metric(waiting) == 1)
    only.gate("gate").set()

    with first, next_one:
        assert [one.getresponse().status for one in (first, next_one)] == [200, 200]
    assert [seen.path for seen in only.seen] == ["/slow/gate", "/who"]


def test_a_reload_that_changes_nothing_keeps_what_is_known(house, named, until):
    """An unhealthy service does not become healthy by a signal."""
    first, second = named(), named()
    first.health = 500
    share(house, first.port, second.port, health=HEALTH)
    running = house.start()
    until(lambda: running.events("upstream.endpoint_unhealthy"))
    running.reload()

    assert ask_all(house, 6) == {second.port: 6}


def test_a_name_with_an_address_where_nobody_listens_works(house, named):
    """`localhost` may be ::1 first; the service is at 127.0.0.1 only."""
    only = named()
    house.config["upstreams"]["legacy"] = {"urls": [f"https://localhost:{only.port}"], "trust": "ca"}
    running = house.start()

    assert ask_all(house, 3) == {only.port: 3}
    shown = running.ops("/status").json()["upstreams"]["legacy"][f"localhost:{only.port}"]
    assert "127.0.0.1" in shown["addresses"]


def test_a_unix_socket_and_plain_http_on_this_machine_work(house, serve, tmp_path):
    """No TLS to verify, and nothing leaves the machine."""
    plain = serve(None)
    path = tmp_path / "legacy.sock"
    with UnixService(str(path), Handler) as unix:
        threading.Thread(target=unix.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        house.config["upstreams"] = {"legacy": f"unix:{path}", "other": f"http://127.0.0.1:{plain.port}"}
        house.config["routes"] = [
            {"path": "/unix", "upstream": "legacy"}, {"path": "/plain", "upstream": "other"}
        ]  # fmt: skip
        house.start()
        answers = [house.ask(f"/{kind}/x", house.user) for kind in ("unix", "plain") for _ in range(2)]
        unix.shutdown()

    assert [(answer.status, answer.json()["path"]) for answer in answers] == [
        (200, "/unix/x"), (200, "/unix/x"), (200, "/plain/x"), (200, "/plain/x")
    ]  # fmt: skip
    assert all(answer.json()["headers"]["X-Authproxy-User"] == house.user.user_id for answer in answers)


class UnixService(socketserver.ThreadingUnixStreamServer):
    """The service behind, at a path."""

    daemon_threads = True

    def __init__(self, path, handler):
        super().__init__(path, handler)
        self.seen = []

    @override
    def get_request(self):
        request, _ = super().get_request()
        return request, ("local", 0)
