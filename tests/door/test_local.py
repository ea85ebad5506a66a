"""Unix sockets: what somebody else put at a path is never touched."""

import os
import socket
import stat

import pytest

from authproxy.door.local import identity, listen_unix, remove_unix


def test_owner_and_group_may_connect(tmp_path):
    """Whatever the umask says."""
    before = os.umask(0o077)
    try:
        with listen_unix(tmp_path / "s"):
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
    finally:
        os.umask(before)


def test_a_link_to_a_dead_socket_is_not_followed(tmp_path):
    """It may lead to somebody else's place: it stays, and so does what it leads to."""
    listen_unix(tmp_path / "theirs").close()
    (tmp_path / "s").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="in use"):
        listen_unix(tmp_path / "s")

    assert (tmp_path / "s").is_symlink()
    assert (tmp_path / "theirs").is_socket()


def test_a_link_to_nowhere_is_not_followed(tmp_path):
    """No socket comes to be where it leads."""
    (tmp_path / "s").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="in use"):
        listen_unix(tmp_path / "s")

    assert not (tmp_path / "theirs").exists()


def test_a_live_socket_with_a_full_queue_is_not_taken_for_dead(tmp_path):
    """Its server is busy, no more."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(str(path))
        known = identity(path)
        with pytest.raises(OSError, match="in use"):
            listen_unix(path)
        for one in waiting:
            one.close()

    assert identity(path) == known


def test_a_socket_is_removed_by_whoever_made_it(tmp_path):
    """Once."""
    path = tmp_path / "s"
    with listen_unix(path):
        remove_unix(path, identity(path))

    assert not path.exists()


@pytest.mark.parametrize("other", ["socket", "file", "link"])
def test_what_has_come_in_its_place_is_not_removed(tmp_path, other):
    """Another process may serve there by now."""
    path = tmp_path / "s"
    with listen_unix(path):
        known = identity(path)
        path.rename(tmp_path / "moved")
        if other == "socket":
            listen_unix(path).close()
        elif other == "file":
            path.write_text("mine")
        else:
            path.symlink_to(tmp_path / "moved")
        remove_unix(path, known)

    assert os.path.lexists(path)


def test_what_is_not_there_is_no_trouble(tmp_path):
    """Somebody cleaned up already."""
    remove_unix(tmp_path / "s", identity(tmp_path / "s"))

    assert identity(tmp_path / "s") is None
