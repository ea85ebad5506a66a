"""People who have signed in, and go on asking whatever becomes of the store that remembers them."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from tests.faults.attack import Attacker, tell
from tests.faults.lab import Lab
from tests.faults.verdict import Report, quantile

COOKIE: Final = b"__Host-authproxy-api="
_PATIENCE: Final = 5.0
OUT: Final = 401
AWAY: Final = 503


async def visit(options: dict[str, Any]) -> list[tuple[float, float, int, bool, int]]:
    """Sign in as each of `users`, tell so, then ask `rate` times a second for `seconds`; return all answers.

    Every fifth asks to sign in as `newcomer`. Each answer: when it was asked for (monotonic), after how many seconds it came, its
    status (0: none), whether it says Retry-After, which user's it is (-1: a sign-in).
    """
    attacker = Attacker(options)
    cookies = [(await _sign_in(*await attacker.open(), user))[2] for user in options["users"]]
    tell({"signed_in": sum(map(bool, cookies))})
    came: list[tuple[float, float, int, bool, int]] = []

    async def one(number: int) -> None:
        asked = begin = time.monotonic()
        who = -1 if number % 5 == 0 else number % len(cookies)
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await attacker.open()
                # How busy the machine is with handshakes is no matter of the store.
                asked = time.monotonic()
                if who < 0:
                    status, again, _ = await _sign_in(reader, writer, options["newcomer"])
                else:
                    status, again, _ = await _ask(reader, writer, "GET /check/session HTTP/1.1", cookies[who])
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status, again = 0, False
        came.append((begin, time.monotonic() - asked, status, again, who))

    begin, count = time.monotonic(), int(options["seconds"] * options["rate"])
    tasks = []
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + number / options["rate"] - time.monotonic()))
        tasks.append(asyncio.get_running_loop().create_task(one(number)))
    await asyncio.gather(*tasks)
    return came


async def _sign_in(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: dict[str, str]
) -> tuple[int, bool, bytes]:
    body = urlencode({"user-id": user["id"], "token": user["token"]}).encode()
    lines = (
        "POST /auth/login HTTP/1.1",
        "Content-Type: application/x-www-form-urlencoded",
        "Sec-Fetch-Site: same-origin",
        f"Content-Length: {len(body)}",
    )
    return await _ask(reader, writer, "\r\n".join(lines), body=body)


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: str, cookie: bytes = b"", body: bytes = b""
) -> tuple[int, bool, bytes]:
    """Return status, whether Retry-After is there, and the session that was given."""
    try:
        shown = b"Cookie: " + COOKIE + cookie + b"\r\n" if cookie else b""
        writer.write(lines.encode() + b"\r\nHost: proxy.test\r\n" + shown + b"\r\n" + body)
        head = await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.transport.abort()
    given = head.partition(b"Set-Cookie: " + COOKIE)[2].partition(b";")[0]
    return int(head[9:12]), b"\r\nRetry-After: " in head, given


@dataclass(frozen=True)
class Answer:
    """One answer, as `visit` tells it."""

    at: float
    seconds: float
    status: int
    again: bool
    who: int


class Answers:
    """What visitors were told."""

    def __init__(self, told: list[list[Any]]) -> None:
        self.all = [Answer(*one) for one in told]

    def between(self, begin: float, end: float, *who: int) -> list[Answer]:
        """Return the answers to what was asked then, of everybody or of these."""
        return [one for one in self.all if begin <= one.at < end and (not who or one.who in who)]


def all_503(report: Report, name: str, answers: list[Answer], milliseconds: float) -> None:
    """Add that these were all told to come again later, and soon."""
    report.at_least(f"{name}: asked", len(answers), 5)
    wrong = [one.status for one in answers if one.status != AWAY or not one.again]
    report.exactly(f"{name}: neither 503 nor when to come again", len(wrong), 0)
    slowest = sorted(one.seconds for one in answers)
    report.at_most(f"{name}: 503 after (p99)", quantile(slowest, 0.99) * 1000, milliseconds, "ms", noisy=True)
    if wrong:
        report.notes.append(f"{name}: statuses {sorted(set(wrong))}")


def config(lab: Lab, store: dict[str, Any]) -> dict[str, Any]:
    """Return the usual configuration with people who sign in; a refused login is nobody's guess here."""
    made = lab.config(sessions={"people": store}, **lab.limits(failures_per_minute="off"))
    made["zones"]["api"] |= {"accepts": ["session", "token"], "sessions": "people"}
    return made


def stalls(lab: Lab) -> float:
    """Return how many of the loop's timers went off more than 25 ms late since the attack began."""
    name = "authproxy_event_loop_lag_seconds"
    return lab.delta(f"{name}_count") - lab.delta_of(f"{name}_bucket", le="0.025")


def people(lab: Lab, count: int) -> dict[str, Any]:
    """Return so many users for `visit`, and its newcomer, all of whom the checker is not."""
    newcomer, *users = ({"id": one.id, "token": one.token} for one in lab.material.users[10 : 11 + count])
    return {"newcomer": newcomer, "users": users}
