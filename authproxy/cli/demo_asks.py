"""The three requests of the demo: how curl spells them, what comes back, and whether it is what should."""

import http.client
import json
import shlex
import ssl
import urllib.request
from dataclasses import dataclass
from typing import Final

from authproxy.cli.demo_files import USER_NAME, Place

IDENTITY_HEADER: Final = "X-Authproxy-User"
_NAME_HEADER: Final = "Remote-User"
_FORGED: Final = "admin"
_SECONDS: Final = 10.0
_OK: Final = 200
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request."""

    title: str
    """What it shows."""
    status: int
    """What should come back."""
    token: bool
    """Whether it brings the token."""
    forged: bool = False
    """Whether it claims to come from somebody else."""

    def curl(self, place: Place) -> str:
        """Return a command for a POSIX shell; the token is read from a file, never an argument."""
        words = ["curl", *_direct(), *([] if self.token else ["-i"]), "--cacert", str(place.authority)]
        if self.token:
            words += ["-H", f"@{place.bearer}"]
        if not self.forged and not self.token:
            return shlex.join([*words, place.url])
        forged = [word for name in (IDENTITY_HEADER, _NAME_HEADER) for word in ("-H", f"{name}: {_FORGED}")]
        return f"{shlex.join(words)} \\\n  {shlex.join([*(forged if self.forged else []), place.url])}"

    def answer(self, place: Place) -> "Answer":
        """Send it, and return what came back. Blocks.

        Raises:
            OSError: the proxy cannot be reached, or its certificate is not the demo's.
        """
        headers = {}
        if self.token:
            name, _, value = place.bearer.read_text().strip().partition(": ")
            headers[name] = value
        if self.forged:
            headers |= {IDENTITY_HEADER: _FORGED, _NAME_HEADER: _FORGED}
        context = ssl.create_default_context(cafile=str(place.authority))
        connection = http.client.HTTPSConnection("localhost", place.port, timeout=_SECONDS, context=context)
        try:
            connection.request("GET", "/hello", headers=headers)
            response = connection.getresponse()
            return Answer(status=response.status, reason=response.reason, body=response.read().decode())
        finally:
            connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    reason: str
    body: str

    def problem(self, ask: Ask, user_id: str) -> str:
        """Return what is wrong with it, and nothing where it is as it should be."""
        if self.status != ask.status:
            return f"should be {ask.status}"
        if ask.status != _OK:
            return ""
        seen = dict(json.loads(self.body)["headers"])
        told = seen.get(IDENTITY_HEADER), seen.get(_NAME_HEADER)
        if told != (user_id, USER_NAME):
            return f"the service should be told {USER_NAME}, {user_id}"
        return "the service should not see the token" if "Authorization" in seen else ""


ASKS: Final = (
    Ask(title="With the token: 200, and the service is told who calls.", status=_OK, token=True),
    Ask(title="Without it: 401, and the service hears nothing of it.", status=_UNAUTHORIZED, token=False),
    Ask(
        title="With the token and a forged identity: 200, and the service is told who really calls.",
        status=_OK,
        token=True,
        forged=True,
    ),
)


def _direct() -> list[str]:
    """Return what keeps curl from asking a web proxy for localhost, where the environment names one."""
    proxies = urllib.request.getproxies()
    used = {"https", "all"} & proxies.keys() and not urllib.request.proxy_bypass("localhost")
    return ["--noproxy", "localhost"] if used else []
