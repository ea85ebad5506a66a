"""The proxy that one writes first: `naive.py FOLDER PORT UPSTREAM_PORT`.

aiohttp's application in front, its client session behind, asyncio's own loop, and the check of a token written down
as its description reads. Nothing in it is slow on purpose, and nothing is fast on purpose.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import ssl
import sys
import uuid
import zlib
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, TCPConnector, web

_HOP_BY_HOP: Final = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade",
}  # fmt: skip
_REPLACED: Final = {"authorization", "x-user-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
_MAX_LENGTH: Final = 4096
_PAYLOAD_BYTES: Final = 52


class Verifier:
    """Knows whose token it is."""

    def __init__(self, path: Path) -> None:
        known = json.loads(path.read_text())
        self._pepper = bytes.fromhex(known["pepper"])
        self._users: dict[str, dict[str, Any]] = {user["id"]: user for user in known["users"]}

    def user_of(self, token: str) -> str | None:
        """Return the user's id, or None when the token is not good."""
        parts = token.lower().split("_")
        if len(token) > _MAX_LENGTH or len(parts) != 3 or len(parts[1]) != 6 or parts[1][:2] != "02":
            return None
        try:
            version = int(parts[1], 16) & 0xFFFF
            payload = base64.b32decode(parts[2].upper() + "=" * (-len(parts[2]) % 8))
        except (ValueError, binascii.Error):
            return None
        if len(payload) != _PAYLOAD_BYTES or zlib.crc32(payload[:48]) != int.from_bytes(payload[48:], "big"):
            return None
        user = self._users.get(str(uuid.UUID(bytes=payload[:16])))
        if user is None:
            return None
        text = b"TRV2" + payload[:16] + version.to_bytes(2, "big") + payload[16:48]
        digest = hmac.new(self._pepper, text, hashlib.sha512).hexdigest()
        if not hmac.compare_digest(digest, user["hash"]) or version != user["version"]:
            return None
        return str(user["id"])


class Proxy:
    """Passes on what may pass."""

    def __init__(self, verifier: Verifier, session: ClientSession, upstream: str) -> None:
        self._verifier = verifier
        self._session = session
        self._upstream = upstream

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self._verifier.user_of(token) if scheme.lower() == "bearer" else None
        if user is None:
            return web.json_response({"error": "unauthorized"}, status=401, headers={"WWW-Authenticate": "Bearer"})
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP | _REPLACED
        }
        headers["X-User-Id"] = user
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Proto"] = "https"
        headers["X-Forwarded-Host"] = request.host
        async with self._session.request(
            request.method,
            self._upstream + request.path_qs,
            headers=headers,
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
            server_hostname="upstream.test",
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def main(folder: Path, port: int, upstream: str) -> None:
    inside = ssl.create_default_context(cafile=folder / "ca.pem")
    outside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    outside.load_cert_chain(folder / "server.pem")
    for context in (inside, outside):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    async with ClientSession(connector=TCPConnector(ssl=inside), auto_decompress=False) as session:
        app = web.Application()
        proxy = Proxy(Verifier(folder / "tokens.json"), session, f"https://127.0.0.1:{upstream}")
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=outside, backlog=1024).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
