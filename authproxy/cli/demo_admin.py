"""The admin page of the demo's service, for people who have signed in: it has no login, no session, no check of its own.

Plain HTML that works without JavaScript; what needs it, a fetch and a WebSocket, is in a file of its own, so that the
page's policy allows nothing else.
"""

import html
from importlib.resources import files
from string import Template
from typing import Final

from aiohttp import WSMsgType, web

_FILES: Final = files("authproxy.cli") / "demo_page"
_PAGE: Final = Template((_FILES / "admin.html").read_text("utf-8"))
_PARTS: Final = {
    name: ((_FILES / name).read_text("utf-8"), kind)
    for name, kind in (("admin.css", "text/css"), ("admin.js", "text/javascript"))
}
# What the service is told about the caller, and what must not reach it.
_TOLD: Final = ("Remote-User", "X-Authproxy-User", "X-Authproxy-Method")
_KEPT: Final = ("Cookie", "Authorization")
_NOTHING: Final = "(nothing came)"
_MOST: Final = 200
_HEADERS: Final = {
    "Server": "legacy",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


class Admin:
    """The page, and what it can do; what it remembers goes with the process."""

    def __init__(self) -> None:
        self._note, self._author = "nothing yet", "nobody"
        self._count = 0

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve it under /admin."""
        router.add_get("/admin", self._show)
        router.add_post("/admin/note", self._change)
        router.add_get("/admin/whoami", self._tell)
        router.add_get("/admin/echo", _echo)
        router.add_get("/admin/{name:admin\\.(?:css|js)}", _file)

    async def _show(self, request: web.Request) -> web.Response:
        shown = {name: request.headers.get(name, _NOTHING) for name in (*_TOLD, *_KEPT)}
        fields = "\n".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in shown.items())
        texts = {"name": _name(request), "note": self._note, "author": self._author}
        escaped = {name: html.escape(text) for name, text in texts.items()}
        text = _PAGE.substitute(escaped, fields=fields)
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=_HEADERS)

    async def _change(self, request: web.Request) -> web.Response:
        form = await request.post()
        self._note, self._author = str(form.get("text", ""))[:_MOST], _name(request)
        # Going back to the page or reloading it does not send the form again.
        return web.Response(status=303, headers={**_HEADERS, "Location": "/admin"})

    async def _tell(self, request: web.Request) -> web.Response:
        self._count += 1
        return web.json_response({"name": _name(request), "count": self._count}, headers=_HEADERS)


async def _echo(request: web.Request) -> web.WebSocketResponse:
    wire = web.WebSocketResponse(max_msg_size=4096)
    await wire.prepare(request)
    async for message in wire:
        if message.type is WSMsgType.TEXT:
            await wire.send_str(f"{_name(request)}: {message.data}")
    return wire


async def _file(request: web.Request) -> web.Response:
    text, kind = _PARTS[request.match_info["name"]]
    return web.Response(text=text, content_type=kind, charset="utf-8", headers=_HEADERS)


def _name(request: web.Request) -> str:
    return request.headers.get("Remote-User", "stranger")
