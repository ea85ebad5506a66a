"""Who may ask on the control socket."""

import os
import socket
import struct
from typing import Any, cast

import pytest

from authproxy.daemon import control

US, GROUP, STRANGER = 4001, 4002, 4003


class Caller:
    """The other end of a Unix socket, as the kernel describes it."""

    def __init__(self, user, group, groups=()):
        self.user, self.group, self.groups = user, group, groups

    def getsockopt(self, level, option, size):
        assert level == socket.SOL_SOCKET
        if option == socket.SO_PEERCRED:
            return struct.pack("=iII", 1, self.user, self.group)[:size]
        if self.groups is None:
            raise OSError("too many")
        return struct.pack(f"={len(self.groups)}I", *self.groups)[:size]


@pytest.mark.parametrize(
    ("caller", "may"),
    [
        (Caller(US, STRANGER), True),
        (Caller(0, 0), True),
        (Caller(STRANGER, GROUP), True),
        (Caller(STRANGER, STRANGER, [5, GROUP]), True),
        (Caller(STRANGER, STRANGER, [5, 6]), False),
        (Caller(STRANGER, 0), False),
        (Caller(STRANGER, STRANGER, None), False),
        (Caller(STRANGER, GROUP, None), True),
    ],
)
def test_user_root_and_group_may(monkeypatch, caller: Any, may):
    """Nobody else, whatever the mode of the socket has come to be."""
    monkeypatch.setattr(control, "geteuid", lambda: US)

    assert control._may_ask(caller, GROUP) is may


def test_without_the_socket_s_group_nobody_comes_in_by_one(monkeypatch):
    """The file has gone."""
    monkeypatch.setattr(control, "geteuid", lambda: US)

    assert not control._may_ask(cast("Any", Caller(STRANGER, GROUP)), None)


def test_the_kernel_describes_the_other_end_so():
    """A real pair of sockets: this process is its own peer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert control._may_ask(ours, None)
        assert set(control._groups(ours)) == set(os.getgroups())
