"""A Unix socket whose file somebody has removed is made again by the next reload."""

import contextlib
import http.client
import json
import signal
import socket

import pytest

from tests.promises.test_control import command

pytestmark = pytest.mark.promise

FIRST, SECOND = (
    b"GET /%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %%s\r\n\r\n" % one for one in (b"1", b"2")
)


@pytest.fixture
def local(house):
    """A house that listens on a Unix socket too; `.path` is its path, `.dial()` shakes hands there."""
    house.path = house.directory / "door.sock"
    house.config["listeners"]["local"] = {"bind": f"unix:{house.path}"}
    house.config["state"] = "kept"

    def dial():
        wire = socket.socket(socket.AF_UNIX)
        wire.settimeout(20)
        wire.connect(str(house.path))
        return house.trusting().wrap_socket(wire, server_hostname="localhost")

    house.dial = dial
    return house


def answer(wire, request, user):
    """The status of the answer to a request on this connection."""
    wire.sendall(request % user.token.encode())
    response = http.client.HTTPResponse(wire)
    response.begin()
    response.read()
    return response.status


def test_a_listener_is_found_again_after_a_reload(local):
    """And whoever is connected already, by the socket that nobody can find any more, is served as before."""
    running = local.start()
    with local.dial() as wire:
        assert answer(wire, FIRST, local.user) == 200
        local.path.unlink()
        mark = running.reload()
        running.told("listener.opened", mark, listener="local", bind=f"unix:{local.path}")

        with local.dial() as other:
            assert answer(other, FIRST, local.user) == 200
        assert answer(wire, SECOND, local.user) == 200
    assert not running.events("request.crashed") + running.events("task.crashed")
    running.term()
    assert running.wait() == 0
    assert not local.path.exists()


def test_a_reload_that_finds_its_sockets_leaves_them(local):
    """It is the same file before and after."""
    running = local.start()
    before = local.path.stat().st_ino
    mark = running.reload()

    assert local.path.stat().st_ino == before
    assert not running.events("listener.opened", mark)


def test_what_has_come_in_its_place_stays_and_is_told(local):
    """The rest of the reload is applied; once the path is free, the next one listens there."""
    running = local.start()
    local.path.unlink()
    local.path.write_bytes(b"precious")
    local.put("ca.pem", local.pki.root.certificate_pem() + local.pki.other.certificate_pem(), 0o644)
    done = command(local, "--wait", "--json")

    assert done.returncode == 1
    found = {part["part"]: part for part in json.loads(done.stdout)["parts"]}
    assert found["listener:local"]["result"] == "rejected"
    assert f"unix:{local.path}: cannot listen: address already in use" in found["listener:local"]["error"]
    assert found["trust"]["result"] == "applied"
    assert running.told("reload.rejected", part="listener:local")
    assert local.path.read_bytes() == b"precious"

    local.path.unlink()
    assert command(local, "--wait").returncode == 0
    with local.dial() as wire:
        assert answer(wire, FIRST, local.user) == 200


def test_ops_are_found_again_after_a_reload(house):
    """Monitoring goes on where the configuration says."""
    path = house.directory / "ops.sock"
    house.config["state"] = "kept"
    running = house.start()
    house.config["ops"] = {"bind": f"unix:{path}"}
    house.save()
    assert command(house, "--wait").returncode == 0
    path.unlink()
    assert command(house, "--wait").returncode == 0

    with contextlib.closing(http.client.HTTPConnection("localhost")) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
    running.term()
    assert running.wait() == 0
    assert not path.exists()


def test_the_control_socket_is_found_again_after_a_signal(house, until):
    """Nobody can ask there for the reload that makes it again; SIGHUP needs no socket. Its directory may be gone, too."""
    house.config["state"] = "kept"
    running = house.start()
    control = house.directory / "kept" / "control.sock"
    control.unlink()
    control.parent.rmdir()
    running.term(signal.SIGHUP)
    until(control.is_socket, what="the socket")

    assert command(house, "--wait").returncode == 0
    running.term()
    assert running.wait() == 0
    assert not control.exists()
