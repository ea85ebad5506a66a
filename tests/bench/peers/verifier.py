"""What nginx's auth_request asks: `verifier.py FOLDER SOCKET`.

A small aiohttp daemon; it checks tokens with authproxy's own functions, so that nginx is not charged for slow ones.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import uvloop
from aiohttp import web

from authproxy.core.match import match
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.secret import Secret
from authproxy.core.token import parse


class Verifier:
    """Answers 200 with the user's id, or 401."""

    def __init__(self, path: Path) -> None:
        known = json.loads(path.read_text())
        self._peppers = (Pepper(Secret(bytes.fromhex(known["pepper"]))),)
        self._records = {}
        for user in known["users"]:
            user_id = UserId(UUID(user["id"]).bytes)
            self._records[user_id] = TokenRecord(
                user_id=user_id, rotation_version=user["version"], hash=bytes.fromhex(user["hash"])
            )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one question."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        token = parse(text.encode()) if scheme.lower() == "bearer" else None
        record = None if token is None else self._records.get(token.user_id)
        if token is None or record is None or match(self._peppers, token, record, datetime.now(UTC)) is None:
            return web.Response(status=401)
        return web.Response(headers={"X-User-Id": record.user_id_header.decode()})


async def main(folder: str, path: str) -> None:
    runner = web.ServerRunner(web.Server(Verifier(Path(folder) / "tokens.json").handle, access_log=None))
    await runner.setup()
    await web.UnixSite(runner, path, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main(*sys.argv[1:]))
