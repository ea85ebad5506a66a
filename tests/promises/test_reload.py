"""A reload takes effect for what comes next, costs nothing of what is going on, and never makes things worse."""

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import statistics
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.keystore import generate as keys
from tests.patience import PATIENCE

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]

LONG = bool(os.environ.get("AUTHPROXY_LONG"))
ROUNDS, PERIOD = (100, 0.3) if LONG else (20, 0.25)


def der(issued):
    return issued.certificate.public_bytes(Encoding.DER)


def shown(house, name="localhost", port=0):
    """The certificate that a fresh handshake shows."""
    with house.client(name, port=port) as client:
        client.connect()
        return client.shown


class Load:
    """Clients that ask without a pause until told to stop: two on one connection each, one on fresh ones."""

    def __init__(self, house):
        self.house = house
        self.failures = []
        self.answers = []
        self._over = threading.Event()
        self._context = house.trusting()
        self._threads = [threading.Thread(target=run) for run in (self._keep, self._keep, self._renew)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def _one(self, client, number):
        path = f"/load/{number}"
        answer = client.ask(path, self.house.user)
        self.answers.append(answer)
        if answer.status != 200 or answer.json()["path"] != path:
            self.failures.append((path, answer))

    def _keep(self):
        with self._client() as client:
            client.connect()
            first = client.sock
            for number in self._numbers():
                with self._noting():
                    self._one(client, number)
                    if client.sock is not first:
                        self.failures.append(("a kept connection was closed", number))
                        first = client.sock

    def _renew(self):
        for number in self._numbers():
            with self._noting(), self._client() as client:
                self._one(client, number)

    def _client(self):
        client = self.house.client()
        client._tls = self._context
        return client

    def _numbers(self):
        number = 0
        while not self._over.is_set():
            number += 1
            yield number

    @contextlib.contextmanager
    def _noting(self):
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(error)


@pytest.mark.timeout(150)
def test_certificates_change_under_load_and_nobody_notices(house, until):
    """Signals under load, the certificate alternating: no request fails, the new one is shown within a second."""
    pair = [house.pki.server(), house.pki.server()]
    house.config["keystores"]["main"] = {"file": "both.pem"}
    house.put("both.pem", keys.combined_file(pair[0]))
    running = house.start()
    took = []
    with Load(house) as load:
        for turn in range(1, ROUNDS + 1):
            began = time.monotonic()
            house.put("both.pem", keys.combined_file(pair[turn % 2]))
            running.hup()
            until(lambda now=turn: shown(house) == der(pair[now % 2]), what=f"certificate {turn} is shown")
            took.append(time.monotonic() - began)
            until(lambda since=began: time.monotonic() - since > PERIOD, what="the next turn")

    # The machine may be busy with others for longer than that, and not each time.
    assert statistics.median(took) < 1.0
    assert load.failures == []
    assert len(load.answers) > ROUNDS
    assert running.events("reload.rejected") == []
    assert running.metric('authproxy_reload_total{part="config",result="ok"}') >= ROUNDS + 1
    assert running.metric("authproxy_config_generation") >= ROUNDS + 1


@pytest.mark.timeout(180)
def test_no_request_sees_a_mix_of_two_configurations(house, until):
    """Route and identity change together; each generation in the access log has one meaning."""

    def write(color):
        house.config["routes"][0]["headers"] = {"request": {"X-In": color}, "response": {"X-Out": color}}
        house.config["identity"] = {"headers": {f"X-User-{color}": "id"}}
        house.save()

    write("red")
    running = house.start()
    with Load(house) as load:
        for turn in range(ROUNDS):
            write("blue" if turn % 2 == 0 else "red")
            running.reload()
            # Of so many answers one at least was asked for after the reload: three ask at the same time.
            enough = len(load.answers) + 4
            until(lambda enough=enough: len(load.answers) >= enough or load.failures, what="answers")
    colors = {}
    for answer in load.answers:
        headers = answer.json()["headers"]
        users = [name for name in headers if name.startswith("X-User-")]
        colors[answer.headers["X-Request-Id"]] = (answer.headers["X-Out"], headers["X-In"], *users)
    until(lambda: len(running.access_lines()) >= len(load.answers), what="all access lines")
    meant: dict[int, set[tuple[str, ...]]] = {}
    for line in running.access_lines():
        meant.setdefault(line["generation"], set()).add(colors[line["request_id"]])

    assert load.failures == []
    assert {color for some in meant.values() for color in some} == {
        ("red", "red", "X-User-red"),
        ("blue", "blue", "X-User-blue"),
    }
    assert [len(some) for some in meant.values()] == [1] * len(meant)
    assert len(meant) >= ROUNDS


def test_a_bad_certificate_keeps_the_old_one_and_delays_no_revocation(house, breakage, until):
    """One line names file and reason, the metric says so, it stays ready; whom the token file lost is out at once."""
    newcomer = house.new_user()
    running = house.start()
    failed = 'authproxy_reload_total{part="config",result="failed"}'
    with house.client() as kept:
        assert kept.ask("/", house.user).status == 200
        before = kept.shown
        wire = kept.wire
        failures = running.metric(failed) or 0
        breakage.spoil(house)
        house.put_users(newcomer)
        mark = running.reload()

        assert kept.ask("/", house.user).status == 401
        assert kept.ask("/", newcomer).status == 200
        assert kept.wire is wire
    assert shown(house) == before
    [line] = running.told("reload.rejected", since=mark)
    assert line["part"] == "config"
    assert line["level"] == "error"
    assert breakage.file in line["error"]
    assert re.search(breakage.reason, line["error"])
    assert running.metric(failed) == failures + 1
    assert running.metric('authproxy_config_last_reload_success{part="config"}') == 0
    assert running.metric('authproxy_config_last_reload_success{part="catalog:users"}') == 1
    assert running.metric('authproxy_cert_expiry_seconds{keystore="main"}') > 0
    assert running.ops("/readyz").status == 200


def test_a_mended_certificate_is_taken_at_the_next_reload(house):
    """A rejected reload leaves nothing behind that stands in the way of the next one."""
    running = house.start()
    house.put("server.pem", b"")
    running.reload()
    mended = house.pki.server()
    house.put_pair("server", mended)
    mark = running.reload()

    assert shown(house) == der(mended)
    assert running.events("reload.rejected", since=mark) == []
    assert running.metric('authproxy_config_last_reload_success{part="config"}') == 1


def test_a_half_written_pair_is_tried_again(house, until):
    """Whoever replaces certificate and key one after the other, with the signal in between, gets the new pair."""
    running = house.start()
    fresh = house.pki.server()
    key = fresh.key_pem()
    house.put("server.pem", fresh.certificate_pem(), 0o644)
    mark = running.hup()
    until(lambda: running.events("reload.rejected", since=mark, part="config"), what="the first try fails")
    house.put("server.key", key)

    until(lambda: shown(house) == der(fresh), what="the pair is taken without another signal")


def test_a_certificate_that_expires_unchanged_stays(house, until):
    """It warns, naming the keystore, and the rest of the reload is applied."""
    running = house.start()
    now = datetime.now(UTC)
    house.put_pair("server", house.pki.server(now=now, end=timedelta(seconds=8)))
    running.reload()
    newcomer = house.new_user()
    house.put_users(newcomer)
    house.config["routes"][0]["headers"] = {"response": {"X-Out": "second"}}
    house.save()
    context = house.trusting()
    context.verify_flags |= ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME
    with house.client() as client:
        client._tls = context
        until(lambda: datetime.now(UTC) > now + timedelta(seconds=9), what="the certificate has expired")
        mark = running.reload()
        answer = client.ask("/", newcomer)

    assert answer.status == 200
    assert answer.headers["X-Out"] == "second"
    assert running.events("reload.rejected", since=mark) == []
    told = [line for line in running.events(since=mark) if "expir" in str(line) and "server.pem" in str(line)]
    assert told
    assert {line["level"] for line in told} <= {"warning", "error"}


def test_a_name_added_for_a_certificate_that_lacks_it_is_rejected(house, capsys):
    """An `sni` entry is checked though the certificate itself did not change, as a start would check it."""
    house.put_pair("site", house.pki.server("site.test"))
    house.config["keystores"]["site"] = {"certificate": "site.pem", "key": "site.key"}
    house.config["listeners"]["public"]["sni"] = {"site.test": "site"}
    running = house.start()
    house.config["listeners"]["public"]["sni"]["other.test"] = "site"
    house.save()
    mark = running.reload()

    [line] = running.told("reload.rejected", since=mark)
    assert line["part"] == "config"
    assert "other.test" in line["error"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda house: house.put("authproxy.yaml", "routes: [\n"), "authproxy.yaml:"),
        (lambda house: house.put("authproxy.yaml", b"\xff\xfe\x00 nonsense"), "authproxy.yaml"),
        (lambda house: house.put("authproxy.yaml", "[" * 5000), "authproxy.yaml"),
        (lambda house: house.put("authproxy.yaml", ""), "authproxy.yaml"),
        (lambda house: (house.directory / "authproxy.yaml").unlink(), "authproxy.yaml: there is no such file"),
        (
            lambda house: (
                (house.directory / "authproxy.yaml").unlink(),
                (house.directory / "authproxy.yaml").mkdir(),
            ),
            "authproxy.yaml",
        ),
    ],
    ids=["syntax", "bytes", "deep", "empty", "missing", "directory"],
)
def test_an_unreadable_configuration_keeps_the_old_one(house, spoil, words):
    """Whatever stands there: one line, everything goes on, and users still come and go."""
    newcomer = house.new_user()
    running = house.start()
    with house.client() as kept:
        assert kept.ask("/", house.user).status == 200
        spoil(house)
        house.put_users(newcomer)
        mark = running.reload()

        assert kept.ask("/", newcomer).status == 200
        assert kept.ask("/", house.user).status == 401
    [line] = running.told("reload.rejected", since=mark)
    assert line["part"] == "config"
    assert words in line["error"]
    assert "\n" not in line["error"]
    assert running.ops("/readyz").status == 200


def test_routes_act_at_the_next_request_of_a_kept_connection(house):
    """A route that is added, changed or removed counts at once, on connections that stand."""
    house.config["routes"] = [{"name": "a", "path": "/a", "zone": "api", "upstream": "legacy"}]
    running = house.start()
    with house.client() as kept:
        assert kept.ask("/a", house.user).status == 200
        assert kept.ask("/b", house.user).status == 404
        wire = kept.wire
        house.config["routes"] = [{"name": "b", "path": "/b", "zone": "api", "upstream": "legacy"}]
        house.save()
        running.reload()

        assert kept.ask("/a", house.user).status == 404
        assert kept.ask("/b", house.user).status == 200
        assert kept.wire is wire


def test_zones_act_at_the_next_request_of_a_kept_connection(house):
    """A token of a zone that came with a reload passes, and one of a zone that went does not."""
    running = house.start()
    stranger = house.new_user("web")
    house.put_users(house.user, stranger)
    with house.client() as kept:
        assert kept.ask("/", house.user).status == 200
        assert kept.ask("/", stranger).status == 401
        house.config["zones"] = {"other": {"prefix": "web", "peppers": [{"file": "pepper"}], "catalog": "users"}}
        house.config["routes"][0]["zone"] = "other"
        house.save()
        running.reload()

        assert kept.ask("/", stranger).status == 200
        assert kept.ask("/", house.user).status == 401


def test_upstreams_act_at_the_next_request_of_a_kept_connection(house, serve, service):
    """The request goes to the new service; connections to the old one are closed."""
    running = house.start()
    other = serve(house.pki.server())
    with house.client() as kept:
        assert kept.ask("/one", house.user).status == 200
        house.config["upstreams"]["legacy"]["urls"] = [f"https://127.0.0.1:{other.port}"]
        house.save()
        running.reload()

        assert kept.ask("/two", house.user).status == 200
    assert [seen.path for seen in service.seen] == ["/one"]
    assert [seen.path for seen in other.seen] == ["/two"]
    assert running.metric('authproxy_upstream_idle_connections{upstream="legacy"}') == 1


def test_an_unchanged_upstream_keeps_its_connections(house, service):
    """A reload of something else does not make upstreams shake hands again."""
    running = house.start()
    with house.client() as kept:
        kept.ask("/", house.user)
        running.reload()
        kept.ask("/", house.user)

    assert service.accepted == 1


def test_requests_under_way_end_with_the_configuration_they_began_with(house, service, serve, until):
    """An answer that is waited for across a reload that removes its upstream arrives whole."""
    running = house.start()
    answers = []
    with house.client() as slow:
        asking = threading.Thread(target=lambda: answers.append(slow.ask("/slow/across", house.user)))
        asking.start()
        until(lambda: service.seen, what="the request is with the service")
        house.config["upstreams"]["legacy"]["urls"] = [f"https://127.0.0.1:{serve(house.pki.server()).port}"]
        house.save()
        running.reload()
        service.gate("across").set()
        asking.join(PATIENCE)

    assert [answer.body for answer in answers] == [b"slow but whole"]


def test_listeners_come_and_go(house, free_port, until):
    """A listener that a reload adds accepts, one that it removes refuses; the others are not touched."""
    running = house.start()
    second = free_port()
    with house.client() as kept:
        assert kept.ask("/", house.user).status == 200
        house.config["listeners"]["second"] = {"bind": f"127.0.0.1:{second}", "keystore": "main"}
        house.save()
        running.reload()
        with house.client(port=second) as other:
            assert other.ask("/", house.user).status == 200
        del house.config["listeners"]["second"]
        house.save()
        running.reload()

        until(lambda: house.refuses(second), what="the removed listener is closed")
        assert kept.ask("/", house.user).status == 200
    assert [line["bind"] for line in running.events("listener.opened")][1:] == [f"127.0.0.1:{second}"]
    assert [line["bind"] for line in running.told("listener.closed")] == [f"127.0.0.1:{second}"]


def test_a_connection_of_a_removed_listener_gets_nothing_more(house, free_port):
    """Its next request is not answered by routes that no longer name its listener: it is closed."""
    second = free_port()
    house.config["listeners"]["second"] = {"bind": f"127.0.0.1:{second}", "keystore": "main"}
    running = house.start()
    with house.client(port=second) as other:
        assert other.ask("/", house.user).status == 200
        del house.config["listeners"]["second"]
        house.save()
        running.reload()

        with pytest.raises((OSError, http.client.HTTPException)):
            other.ask("/", house.user)


def test_an_idle_connection_of_a_removed_listener_ends(house, free_port):
    """Cleanly and soon: its client need not find out by a request that is lost."""
    second = free_port()
    house.config["listeners"]["second"] = {"bind": f"127.0.0.1:{second}", "keystore": "main"}
    running = house.start()
    with house.client(port=second) as other, house.client() as kept:
        assert other.ask("/", house.user).status == kept.ask("/", house.user).status == 200
        del house.config["listeners"]["second"]
        house.save()
        running.reload()

        assert other.sock.recv(1) == b""
        assert kept.ask("/", house.user).status == 200


def test_a_listener_may_be_renamed(house):
    """The address goes on under the new name without a gap."""
    running = house.start()
    house.config["listeners"] = {"renamed": house.config["listeners"].pop("public")}
    house.save()
    with Load(house) as load:
        running.reload()
        until_answers = len(load.answers) + 20
        while len(load.answers) < until_answers and not load.failures:
            time.sleep(0.01)

    # What stands on the old name ends with it; nobody who connects anew is refused.
    refused = [failure for failure in load.failures if isinstance(failure, ConnectionRefusedError)]
    assert refused == []
    assert running.access(house.ask("/", house.user))["listener"] == "renamed"


def test_a_taken_port_at_reload_changes_nothing(house, free_port):
    """The configuration is rejected as a whole, naming the address; the listeners at work stay."""
    running = house.start()
    port = free_port()
    house.config["listeners"]["second"] = {"bind": f"127.0.0.1:{port}", "keystore": "main"}
    house.config["routes"][0]["headers"] = {"response": {"X-Out": "second"}}
    house.save()
    with socket.create_server(("127.0.0.1", port)):
        mark = running.reload()

    [line] = running.told("reload.rejected", since=mark)
    assert line["part"] == "config"
    assert f"127.0.0.1:{port}" in line["error"]
    answer = house.ask("/", house.user)
    assert answer.status == 200
    assert "X-Out" not in answer.headers


def demanding(house):
    """Client certificates are demanded, of authorities in a file of their own."""
    house.put("clients.pem", house.pki.root.certificate_pem() + house.pki.other.certificate_pem(), 0o644)
    house.config["truststores"]["clients"] = {"file": "clients.pem"}
    house.config["listeners"]["public"]["client_certificates"] = {"mode": "required", "trust": "clients"}
    return house.pki.client("somebody"), house.pki.client("another", house.pki.other)


def passes(house, shows):
    try:
        with house.client(shows=shows) as client:
            return client.ask("/", house.user).status == 200
    except OSError:
        return False


@pytest.mark.parametrize("also", ["nothing", "certificate", "syntax", "port", "pepper"])
def test_a_removed_authority_is_out_whatever_else_is_broken(house, also, free_port):
    """Trust is a transaction of its own: nothing that is wrong elsewhere delays a revocation."""
    good, removed = demanding(house)
    running = house.start()
    assert passes(house, good)
    assert passes(house, removed)
    taken = free_port()
    with socket.create_server(("127.0.0.1", taken)):
        if also == "certificate":
            house.put("server.pem", b"")
        elif also == "syntax":
            house.put("authproxy.yaml", "routes: [\n")
        elif also == "port":
            house.config["listeners"]["second"] = {"bind": f"127.0.0.1:{taken}", "keystore": "main"}
            house.save()
        elif also == "pepper":
            (house.directory / "pepper").unlink()
        house.put("clients.pem", house.pki.root.certificate_pem(), 0o644)
        running.reload()

        assert passes(house, good)
        assert not passes(house, removed)
    assert running.metric('authproxy_config_last_reload_success{part="trust"}') == 1
    assert running.metric('authproxy_config_last_reload_success{part="config"}') == (also == "nothing")


@pytest.mark.parametrize("content", [b"", b"garbage\n", None], ids=["empty", "garbled", "missing"])
def test_bad_trust_keeps_the_old(house, content):
    """Never everybody's, never nobody's: who was believed is believed, one line says why."""
    good, _ = demanding(house)
    running = house.start()
    if content is None:
        (house.directory / "clients.pem").unlink()
    else:
        house.put("clients.pem", content, 0o644)
    mark = running.reload()

    assert passes(house, good)
    assert not passes(house, None)
    [line] = running.told("reload.rejected", since=mark)
    assert line["part"] == "trust"
    assert "clients.pem" in line["error"]


def test_a_garbled_token_file_keeps_the_old_rows(house):
    """It is probably half written: nobody is locked out, one line says why, the certificate is renewed all the same."""
    running = house.start()
    fresh = house.pki.server()
    house.put_pair("server", fresh)
    house.put("tokens.yaml", "- {user_id: [\n")
    mark = running.reload()

    assert house.ask("/", house.user).status == 200
    assert shown(house) == der(fresh)
    [line] = running.told("reload.rejected", since=mark)
    assert line["part"] == "catalog:users"
    assert "tokens.yaml:" in line["error"]
    assert running.metric('authproxy_config_last_reload_success{part="catalog:users"}') == 0
    assert running.ops("/readyz").status == 200


def test_an_emptied_token_file_lets_nobody_in(house):
    """Removing a row always takes effect, also the last one."""
    running = house.start()
    house.put("tokens.yaml", yaml.safe_dump([]))
    running.reload()

    assert house.ask("/", house.user).status == 401


def test_a_bad_row_disables_its_user_only(house):
    """Everybody else's changes in the same file count."""
    spoilt, newcomer = house.new_user(), house.new_user()
    house.put_users(house.user, spoilt)
    running = house.start()
    assert house.ask("/", spoilt).status == 200
    spoilt.row["rotation_version"] = "many"
    house.put_users(house.user, spoilt, newcomer)
    mark = running.reload()

    assert [house.ask("/", user).status for user in (house.user, spoilt, newcomer)] == [200, 401, 200]
    [line] = running.told("catalog.row_rejected", since=mark)
    assert "rotation_version" in line["error"]
    assert running.metric('authproxy_catalog_rejected_rows{catalog="users"}') == 1
    assert running.metric('authproxy_catalog_records{catalog="users"}') == 2


def test_a_polled_token_file_needs_no_signal(house, until):
    """With `poll: 1s` a removed user is out within moments, and a garbled file is told once, not every second."""
    house.config["catalogs"]["users"]["poll"] = "1s"
    running = house.start()
    newcomer = house.new_user()
    with house.client() as kept:
        assert kept.ask("/", house.user).status == 200
        house.put_users(newcomer)
        until(lambda: kept.ask("/", house.user).status == 401, what="the removed user is out")
        assert kept.ask("/", newcomer).status == 200
        mark = running.mark()
        house.put("tokens.yaml", "- {user_id: [\n")
        running.told("reload.rejected", mark)
        polled = time.monotonic()
        until(lambda: time.monotonic() - polled > 2.5, what="two more polls")

        assert len(running.told("reload.rejected", since=mark)) == 1
        assert kept.ask("/", newcomer).status == 200


def test_many_signals_at_once_make_few_reloads(house, until):
    """Signals that come during a reload are taken together, and the last state of the files counts."""
    running = house.start()
    last = house.pki.server()
    config = house.directory / "authproxy.yaml"
    text = config.read_text()
    # The first of them finds a pipe, and reads until this test has written all of it.
    config.unlink()
    os.mkfifo(config)
    mark = running.hup()
    with config.open("w") as pipe:
        house.put("authproxy.yaml", text)
        for issued in [house.pki.server() for _ in range(30)] + [last]:
            house.put_pair("server", issued)
            running.hup()
        pipe.write(text)

    until(lambda: shown(house) == der(last), what="the last certificate is shown")
    done = running.told("reload.applied", mark, part="config") + running.events("reload.rejected", mark, part="config")
    assert 1 <= len(done) <= 3


def test_a_signal_during_the_start_does_not_end_the_process(house, until):
    """Whoever renews certificates at boot may signal before the proxy is quite there."""
    house.put_users(house.user, *(house.new_user() for _ in range(3000)))
    running = house.spawn()
    until(lambda: running.threads() > 1, what="the start is at work")
    os.kill(running.pid, signal.SIGHUP)
    until(lambda: running.process.poll() is not None or not house.refuses(house.ops_port), what="the start is over")

    assert running.process.poll() is None
    assert house.ask("/", house.user).status == 200


def test_ops_follow_the_configuration(house, free_port, until):
    """The endpoints move to a new address at a reload."""
    running = house.start()
    old, house.ops_port = house.ops_port, free_port()
    house.config["ops"]["bind"] = f"127.0.0.1:{house.ops_port}"
    house.save()
    running.reload()

    until(lambda: not house.refuses(house.ops_port), what="the new address answers")
    assert running.ops("/readyz").status == 200
    until(lambda: house.refuses(old), what="the old address is closed")


def test_an_ops_address_that_is_taken_leaves_the_old_one(house, free_port, until):
    """Monitoring is not lost over a mistake in its configuration."""
    running = house.start()
    port = free_port()
    house.config["ops"]["bind"] = f"127.0.0.1:{port}"
    house.save()
    with socket.create_server(("127.0.0.1", port)):
        mark = running.reload()
        until(lambda: running.events("reload.rejected", since=mark), what="the rejection")

        assert running.ops("/readyz").status == 200


def test_the_level_and_the_place_of_logs_follow_the_configuration(house, until):
    """A reload moves the access log to another file."""
    running = house.start()
    house.ask("/before", house.user)
    house.config["logging"]["access"] = "./other.log"
    house.save()
    running.reload()
    house.ask("/after", house.user)

    other = house.directory / "other.log"
    until(lambda: other.exists() and "/after" in other.read_text(), what="the line in the other file")
    assert "/after" not in (house.directory / "access.log").read_text()


def test_a_rotated_access_log_goes_on_under_its_old_name(house, until):
    """After rename and SIGHUP the next line is in a new file, and none is lost."""
    running = house.start()
    house.ask("/before", house.user)
    until(running.access_lines, what="the first line")
    (house.directory / "access.log").rename(house.directory / "access.log.1")
    running.reload()
    answer = house.ask("/after", house.user)

    assert running.access(answer)["path"] == "/after"
    assert "/before" in (house.directory / "access.log.1").read_text()


def test_ops_show_a_renewed_certificate_and_refuse_nobody_meanwhile(house, pki):
    """The address is handed on from the old certificate to the new one without a gap."""
    house.put_pair("ops", house.leaf)
    house.config["keystores"]["ops"] = {"certificate": "ops.pem", "key": "ops.key"}
    house.config["listeners"]["public"]["health"] = "/livez"
    house.config["ops"] |= {"keystore": "ops"}
    running = house.spawn()
    context = house.trusting()

    def ask():
        connection = http.client.HTTPSConnection("127.0.0.1", house.ops_port, timeout=10, context=context)
        with contextlib.closing(connection):
            connection.connect()
            shown = connection.sock.getpeercert(binary_form=True)
            connection.request("GET", "/livez")
            return shown, connection.getresponse().status

    running.told("proxy.started")
    fresh = pki.server()
    house.put_pair("ops", fresh)
    asked = [ask()]
    running.hup()
    ends = time.monotonic() + PATIENCE
    while asked[-1][0] != der(fresh) and time.monotonic() < ends:
        asked.append(ask())

    assert asked[0][0] == der(house.leaf)
    assert asked[-1][0] == der(fresh)
    assert {status for _, status in asked} == {200}


def test_an_entry_of_sni_that_cannot_be_shown_leaves_every_listener_as_it_was(house, pki, free_port):
    """All listeners change together or not at all, each entry of `sni` included."""
    house.put_pair("site", pki.server("site.test"))
    house.config["keystores"]["site"] = {"certificate": "site.pem", "key": "site.key"}
    house.config["listeners"]["public"]["sni"] = {"site.test": "site"}
    second = free_port()
    house.config["listeners"]["second"] = {"bind": f"127.0.0.1:{second}", "keystore": "main"}
    running = house.start()
    house.put_pair("server", pki.server())
    house.put("site.pem", pki.server("site.test").certificate_pem(), 0o644)
    mark = running.reload()

    [line] = running.told("reload.rejected", since=mark)
    assert "site.pem" in line["error"]
    assert shown(house) == der(house.leaf)
    with house.client(port=second) as client:
        client.connect()
        assert client.shown == der(house.leaf)
