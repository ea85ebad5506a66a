"""Users known by their certificates: what a reload takes away from them is gone, and nothing else is."""

import subprocess
import sys
from dataclasses import replace

import pytest

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]

UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "c2l4dGVlbiBieXRlcyEh",
}  # fmt: skip
PING = b"\x81\x82\0\0\0\0hi"


@pytest.fixture
def people(house, pki):
    """Two users with certificates of an authority of their own, and the zone that knows them; not started."""
    users = {name: house.new_user() for name in ("alice", "bob")}
    house.put_users(*users.values())
    house.put("own.pem", pki.other.certificate_pem(), 0o644)
    house.put("both.pem", pki.other.certificate_pem() + pki.root.certificate_pem(), 0o644)
    house.config["truststores"] |= {"own": {"file": "own.pem"}, "both": {"file": "both.pem"}}
    house.config["listeners"]["public"]["client_certificates"] = {"mode": "optional", "trust": "both"}
    house.config["zones"]["api"] |= {
        "accepts": ["certificate", "token"],
        "certificate": {"trust": "own", "from": ["cn"], "users": "users.yaml"},
    }
    put_map(house, users)
    return users


def put_map(house, users, *lines):
    house.put(
        "users.yaml",
        "".join(f"- {{user_id: {u.user_id}, cn: {n}}}\n" for n, u in users.items()) + "".join(lines) or "[]",
    )


class Talk:
    """A WebSocket that a certificate opened."""

    def __init__(self, client):
        self.wire = client.wire
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in UPGRADE.items())
        self.wire.sendall(f"GET /ws HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            more = self.wire.recv(1)
            assert more, head
            head += more
        assert head.startswith(b"HTTP/1.1 101"), head

    def frame(self):
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
def shows(house, pki):
    """`shows(name)` is a client with that person's certificate."""
    opened = []

    def dial(name):
        client = house.client(shows=pki.client(name, pki.other))
        client.connect()
        opened.append(client)
        return client

    yield dial
    for client in opened:
        client.close()


def off_the_map(house, users):
    put_map(house, {"bob": users["bob"]})


def disabled(house, users):
    house.put_users(replace(users["alice"], row=users["alice"].row | {"disabled": True}), users["bob"])


def out_of_the_catalog(house, users):
    house.put_users(users["bob"])


def another_user(house, users):
    put_map(house, {"alice": users["bob"], "bob": users["bob"]})


def no_certificates_any_more(house, users):
    house.config["zones"]["api"]["require"] = ["certificate", "token"]
    house.save()


@pytest.mark.parametrize("change", [off_the_map, disabled, out_of_the_catalog, another_user, no_certificates_any_more])
def test_a_websocket_ends_with_the_user_that_opened_it(house, people, shows, change):
    """1008 as soon as a reload says so; somebody else's stays."""
    running = house.start()
    talk, other = Talk(shows("alice")), Talk(shows("bob"))
    change(house, people)
    running.reload()

    assert talk.frame() == (8, (1008).to_bytes(2, "big"))
    if change is not no_certificates_any_more:
        other.wire.sendall(PING)
        assert other.frame() == (1, b"hi")


@pytest.mark.parametrize("change", [off_the_map, disabled, out_of_the_catalog])
def test_the_next_request_obeys(house, people, shows, change):
    """On a connection that stands."""
    running = house.start()
    alice, bob = shows("alice"), shows("bob")
    assert alice.ask("/").status == bob.ask("/").status == 200
    change(house, people)
    running.reload()

    assert alice.ask("/").status == 401
    assert bob.ask("/").status == 200


def test_a_removed_authority_of_the_zone_is_out(house, pki, people, shows):
    """The listener still believes it, and lets the connection stand; the zone does not know its users any more."""
    running = house.start()
    alice = shows("alice")
    assert alice.ask("/").status == 200
    house.put("own.pem", pki.root.certificate_pem(), 0o644)
    running.reload()

    assert alice.ask("/").status == 401
    assert alice.ask("/", people["alice"]).status == 200
    house.put("own.pem", pki.root.certificate_pem() + pki.other.certificate_pem(), 0o644)
    running.reload()
    assert alice.ask("/").status == 200


def test_a_bad_row_does_not_keep_a_removed_one(house, people, shows):
    """The mistake is told with its line, the part counts as failed, and what is good counts."""
    running = house.start()
    alice, bob = shows("alice"), shows("bob")
    assert alice.ask("/").status == 200
    put_map(house, {"bob": people["bob"]}, "- {user_id: nobody, cn: x}\n")
    mark = running.reload()

    (told,) = running.told("reload.rejected", since=mark, part="trust")
    assert f"{house.directory}/users.yaml:2: user_id: must be a UUID" in told["error"]
    assert "zones.api.certificate.users" in told["error"]
    assert alice.ask("/").status == 401
    assert bob.ask("/").status == 200


@pytest.mark.parametrize("text", ["{", "", "cn: alice"])
def test_a_broken_map_leaves_the_old_one(house, people, shows, text):
    """It is probably half written; what else changed is put to work all the same."""
    running = house.start()
    alice = shows("alice")
    house.put("users.yaml", text)
    out_of_the_catalog(house, {"bob": people["alice"]})
    mark = running.reload()

    assert running.told("reload.rejected", since=mark, part="trust")
    assert running.told("reload.applied", since=mark, part="config")
    assert alice.ask("/").status == 200
    assert house.ask("/", people["bob"]).status == 401


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {user_id: x, cn: y}\n- {cn: z}", ":1: user_id: must be a UUID"),
        ("[", "is not YAML"),
        (None, "no such file"),
    ],
)
def test_a_bad_map_refuses_the_start(house, people, text, problem):
    """With its place in both files; `check` says the same."""
    house.save()
    if text is None:
        (house.directory / "users.yaml").unlink()
    else:
        house.put("users.yaml", text)
    for command in ("run", "check"):
        done = subprocess.run(
            [sys.executable, "-m", "authproxy", command, "-c", "authproxy.yaml"],
            cwd=house.directory, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 78
        assert problem in done.stderr
        assert "zones.api.certificate.users" in done.stderr
