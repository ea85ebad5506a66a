"""Listening sockets."""

import contextlib
import os
import socket
import stat

import pytest

from authproxy.core.place import Place
from authproxy.door import sockets
from authproxy.door.sockets import listen
from authproxy.errors import MaterialError


def has_address(host):
    """Whether this machine has it: containers often have no IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return True
    return False


@pytest.mark.parametrize("host", [host for host in ("127.0.0.1", "::1") if has_address(host)])
def test_it_listens_and_does_not_block(host):
    """On a port that the system chooses."""
    made = listen(Place(host=host, port=0))
    with made, socket.create_connection(made.getsockname()[:2], 5):
        assert not made.getblocking()


@pytest.mark.parametrize("host", [host for host in ("127.0.0.1", "::1") if has_address(host)])
def test_who_connects_before_anybody_accepts_does_not_wait_for_nagle(host):
    """All listeners are open before the first one serves; what an accepted socket inherits is settled when it connects."""
    with listen(Place(host=host, port=0)) as made, socket.create_connection(made.getsockname()[:2], 5):
        made.setblocking(True)
        made.settimeout(5)
        accepted, _ = made.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_taken_is_told():
    """By its name, without a stack."""
    with listen(Place(host="127.0.0.1", port=0)) as made:
        port = made.getsockname()[1]
        with pytest.raises(MaterialError, match=f"127.0.0.1:{port}: cannot listen: address already in use"):
            listen(Place(host="127.0.0.1", port=port))


@pytest.mark.parametrize(
    ("port", "cure"), [(443, " (a port below 1024 needs CAP_NET_BIND_SERVICE)"), (1023, " (a port below"), (1024, "")]
)
def test_a_low_port_that_is_denied_names_the_capability(monkeypatch, port, cure):
    """The first thing that goes wrong where port 443 is wanted."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sockets, "_listen_tcp", refuse)
    with pytest.raises(MaterialError) as refused:
        listen(Place(host="127.0.0.1", port=port))

    told, _, said = str(refused.value).partition(f"permission denied to user {os.geteuid()}")
    assert (told, said.startswith(cure), bool(said)) == (f"127.0.0.1:{port}: cannot listen: ", True, bool(cure))


def test_a_unix_socket_is_for_owner_and_group(tmp_path):
    """0660."""
    path = tmp_path / "s"
    with listen(Place(unix=str(path))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_dead_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path):
    """Left by a process that was killed."""
    bind = Place(unix=str(tmp_path / "s"))
    listen(bind).close()
    with listen(bind), pytest.raises(MaterialError, match="cannot listen"):
        listen(bind)


def test_what_is_no_socket_is_never_removed(tmp_path):
    """A file that happens to be there."""
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(MaterialError):
        listen(Place(unix=str(path)))

    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("bind", "text"),
    [(Place(host="::1", port=1), "[::1]:1"), (Place(host="a", port=2), "a:2"), (Place(unix="/x"), "unix:/x")],
)
def test_an_address_reads_as_it_is_written(bind, text):
    """In messages."""
    assert str(bind) == text
