"""A tcp listener of a house, clients for it, and the service behind, played by the test."""

import socket

from authproxy.keystore import generate as keys
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.tls_end import TlsEnd


class Target:
    """A service behind: gives its connections to the test, which plays it."""

    def __init__(self, path=None):
        self.port = 0 if path else free_port()
        self.listening = socket.socket(socket.AF_UNIX) if path else socket.socket()
        if not path:
            self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(str(path) if path else ("127.0.0.1", self.port))
        self.listening.listen(1200)
        self.listening.settimeout(PATIENCE)

    def accept(self):
        wire, _ = self.listening.accept()
        wire.settimeout(PATIENCE)
        return wire


def read(wire, size):
    data = b""
    while len(data) < size:
        piece = wire.recv(size - len(data))
        assert piece, f"ended after {len(data)} of {size} bytes"
        data += piece
    return data


def rest(wire):
    """Return what comes until the end, and whether that was a clean one."""
    data = bytearray()
    try:
        while piece := wire.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        return bytes(data), "reset"
    return bytes(data), "fin"


class Lane:
    """A tcp listener of a house, and clients for it."""

    def __init__(self, house, target):
        self.house, self.target, self.port = house, target, free_port()
        self.client = house.pki.client("somebody")
        house.put("server.keys", keys.keys_file(house.pki.root, house.pki.server()))
        house.config["keystores"]["nrepl"] = {"file": "server.keys"}
        self.listener = house.config["listeners"]["repl"] = {
            "bind": f"127.0.0.1:{self.port}",
            "mode": "tcp",
            "keystore": "nrepl",
            "client_certificates": {"mode": "required"},
            "target": f"127.0.0.1:{target.port}",
        }
        self.context = house.trusting(self.client)

    def start(self):
        self.running = self.house.start()
        return self.running

    def connect(self, **more):
        return TlsEnd(self.port, self.context, **more).shake()

    def pair(self):
        """Return a client, and its connection at the target."""
        return self.connect(), self.target.accept()

    def lines(self, count, until):
        """The lines of this listener's connections, once there are so many."""
        return until(
            lambda: (
                (found := [line for line in self.running.access_lines() if line["event"] == "tcp.closed"])[count - 1 :]
                and found
            ),
            what=f"{count} lines of tcp.closed",
        )

    def line(self, until):
        return self.lines(1, until)[0]

    def counted(self, reason):
        return self.running.metric(f'authproxy_tcp_connections_closed_total{{listener="repl",reason="{reason}"}}')
