"""A small service that believes every header, as services do that were written for a quiet network.

It answers with what it saw: JSON for programs, a page with a button to sign out for browsers. It speaks TLS, and lets in only
who shows a certificate of its own authority: the proxy. Nothing but the standard library is needed.

    python3 service.py            serves on port 9443
    python3 service.py --check    exits 0 if it answers
"""

import html
import json
import signal
import socket
import ssl
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEYS = Path("/run/secrets/legacy")
PORT = 9443
PATIENCE = 60

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Legacy</title>
<h1>Hello {name}</h1>
<p>The service behind the proxy was told who you are, by these headers:</p>
<pre>{headers}</pre>
<form method="post" action="/auth/logout"><button>Sign out</button></form>
</html>
"""


class Handler(BaseHTTPRequestHandler):
    """Answers every request with what it was."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def answer(self) -> None:
        """Tell who is asking, and everything that came along."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        name = self.headers.get("Remote-User", "stranger")
        if "text/html" in self.headers.get("Accept", ""):
            shown = "\n".join(f"{field}: {value}" for field, value in self.headers.items())
            self.reply("text/html; charset=utf-8", PAGE.format(name=html.escape(name), headers=html.escape(shown)))
        else:
            told = {"hello": name, "request": f"{self.command} {self.path}", "headers": dict(self.headers.items())}
            self.reply("application/json", json.dumps(told, indent=2) + "\n")

    def reply(self, kind: str, text: str) -> None:
        """Send a 200 with `text`."""
        body = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  (names that the library looks for)

    def log_message(self, *_: object) -> None:
        """Say nothing: the proxy has the access log."""


class Server(ThreadingHTTPServer):
    """Shakes hands in the connection's own thread, so that a silent client keeps nobody waiting."""

    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing of those who hang up, or have no certificate to show."""


def serve() -> None:
    """Serve until SIGTERM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(KEYS / "server.pem")
    context.load_verify_locations(KEYS / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(("", PORT), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    # The first process of a container has no default for signals.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


def check() -> None:
    """Shake hands, as far as one without a certificate gets; raises OSError when nobody is there."""
    context = ssl.create_default_context(cafile=str(KEYS / "ca.pem"))
    with socket.create_connection(("127.0.0.1", PORT), timeout=3) as connection:
        context.wrap_socket(connection, server_hostname="legacy").close()


if __name__ == "__main__":
    check() if "--check" in sys.argv else serve()
