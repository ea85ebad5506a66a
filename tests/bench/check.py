"""What a proxy must get right before its speed is worth a look."""

import http.client
import re
import ssl
from dataclasses import dataclass

from tests.bench.material import FORGED, PROXY_NAMES, Material, User


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    head: str
    """What the upstream got, line by line, when it was asked."""
    measured: bool
    """Whether the answer said how long it is, as the load generators need it."""


def problems(port: int, material: Material) -> list[str]:
    """Return what the proxy on `port` gets wrong, one clause each; nothing when it may be measured."""
    context = ssl.create_default_context(cafile=material.authority)
    user = material.users[5]
    broken = user.token[:-1] + ("a" if user.token[-1] != "a" else "q")
    try:
        good = _ask(port, context, user.token)
        strange = [
            f"answers {answer.status} instead of 401 {what}"
            for what, answer in (
                ("without a token", _ask(port, context, "")),
                ("with a broken token", _ask(port, context, broken)),
                ("with half a token", _ask(port, context, user.token[:40])),
            )
            if answer.status != http.HTTPStatus.UNAUTHORIZED
        ]
    except (OSError, http.client.HTTPException) as error:
        return [f"does not answer: {error}"]
    return [*_seen(good, user), *strange]


def relay_problems(port: int, material: Material) -> list[str]:
    """Return what a relay gets wrong: it passes a head on as it is, and knows nobody."""
    context = ssl.create_default_context(cafile=material.authority)
    try:
        answer = _ask(port, context, material.users[5].token)
    except (OSError, http.client.HTTPException) as error:
        return [f"does not answer: {error}"]
    wrong = [] if answer.status == http.HTTPStatus.OK else [f"answers {answer.status} instead of 200"]
    whole = [f"X-User-Id: {FORGED}", f"Authorization: Bearer {material.users[5].token}", "GET /echo?a=%20b&c HTTP/1.1"]
    return wrong + [f"loses {part.partition(' ')[0]}" for part in whole if part not in answer.head.split("\n")]


def _seen(good: _Answer, user: User) -> list[str]:
    if good.status != http.HTTPStatus.OK:
        return [f"answers {good.status} instead of 200 to a good token"]
    wrong = []
    told = re.findall(r"^x-user-id: *(.*)$", good.head, re.IGNORECASE | re.MULTILINE)
    if told != [user.id]:
        wrong.append(f"tells the upstream {len(told)} user ids, or the wrong one")
    if FORGED in good.head:
        wrong.append("lets a forged user id pass")
    if not good.head.startswith("GET /echo?a=%20b&c HTTP/1."):
        wrong.append("changes the target")
    if not re.search(r"^x-forwarded-proto: *https$", good.head, re.IGNORECASE | re.MULTILINE):
        wrong.append("does not tell that the client came over TLS")
    if not good.measured:
        wrong.append("does not say how long an answer is")
    return wrong


def _ask(port: int, context: ssl.SSLContext, token: str) -> _Answer:
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    headers = {"Host": PROXY_NAMES[0], "X-User-Id": FORGED}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("GET", "/echo?a=%20b&c", headers=headers)
        response = connection.getresponse()
        head = response.read().decode("latin-1").replace("\r\n", "\n")
        return _Answer(status=response.status, head=head, measured=response.headers.get("Content-Length") is not None)
    finally:
        connection.close()
