"""What the proxy says of itself on its ops port."""

import http.client
from typing import Final

_SECONDS: Final = 10


def is_ready(port: int) -> bool:
    """Tell whether the proxy serves."""
    try:
        ask(port, "/readyz")
    except OSError:
        return False
    return True


def read_metrics(port: int) -> dict[str, float]:
    """Return every sample by its name and labels."""
    found = {}
    for line in ask(port, "/metrics").decode().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def ask(port: int, path: str) -> bytes:
    """Return the body of a 200.

    Raises:
        OSError: nobody is there, or another status came.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status}")
        return body
    finally:
        connection.close()
