"""hey as the load of new connections: it makes so many of them that a proxy has no time to sleep between two."""

import re
from pathlib import Path
from typing import Final

NAME: Final = "hey"
_PATIENCE_SECONDS: Final = 10
_ANSWERS: Final = re.compile(r"^ +\[(\d{3})\]\t(\d+) responses$", re.MULTILINE)
_ERRORS: Final = re.compile(r"^ +\[(\d+)\]\t(?!\d+ responses$)", re.MULTILINE)
_WITHIN: Final = re.compile(r"^ +(50|99)% in ([\d.]+) secs$", re.MULTILINE)
_GOOD: Final = 200


def command(port: int, connections: int, requests: Path, *, host: str, seconds: str) -> list[str]:
    """Return the command: the first head in `requests`, again and again, each on a connection of its own.

    Its Go client keeps no sessions, so that every handshake is a full one, and says `Connection: close`.
    """
    line, *fields = requests.read_bytes().decode().split("\r\n\r\n", 1)[0].split("\r\n")
    # The host is an option of its own.
    headers = [f"-H={field}" for field in fields if not field.lower().startswith("host:")]
    return [
        NAME,
        f"-z={seconds}",
        f"-c={connections}",
        f"-t={_PATIENCE_SECONDS}",
        "-cpus=1",
        "-disable-keepalive",
        f"-host={host}",
        *headers,
        f"https://127.0.0.1:{port}{line.split()[1]}",
    ]


def tally(told: str) -> dict[str, float] | None:
    """Return what hey's summary says in the words of client.py; None when there is no summary.

    Times are in milliseconds; hey rounds them to a tenth of one.
    """
    if "\nSummary:" not in told:
        return None
    statuses = {int(status): int(count) for status, count in _ANSWERS.findall(told)}
    within = {int(share): float(seconds) * 1e3 for share, seconds in _WITHIN.findall(told)}
    answers = sum(statuses.values())
    return {
        "answers": answers,
        "refused": answers - statuses.get(_GOOD, 0),
        "broken": sum(map(int, _ERRORS.findall(told))),
        "p50": within.get(50, 0.0),
        "p99": within.get(99, 0.0),
    }
