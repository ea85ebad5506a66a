"""Drives a real Chromium by the protocol of its developer tools: go to a page, run what a person does, hear complaints."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from authproxy.core.pages import SignInProblem

_PATIENCE = 60
_DOMAINS = ("Page", "Runtime", "Log", "Network")


class Tab:
    """One page; `complaints` is all that the browser had to say against it."""

    def __init__(self, wire: aiohttp.ClientWebSocketResponse) -> None:
        self._wire = wire
        self._session = ""
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded: set[str] = set()
        self.complaints: list[str] = []

    async def listen(self) -> None:
        """Take what the browser says, until it is gone."""
        async for message in self._wire:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said["method"] in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}:
                self.complaints.append(json.dumps(said["params"]))
            elif said["method"] == "Page.lifecycleEvent" and said["params"]["name"] == "load":
                self._loaded.add(said["params"]["loaderId"])

    async def call(self, method: str, **params: Any) -> Any:
        """Return the answer to a command; one that the browser could not carry out fails the test."""
        said = await self._ask(method, **params)
        assert "error" not in said, said
        return said["result"]

    async def _ask(self, method: str, **params: Any) -> Any:
        """Return what the browser says to a command: a `result`, or an `error`."""
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._wire.send_json(asked)
        return await asyncio.wait_for(answer, _PATIENCE)

    async def open(self) -> None:
        """Open the page, in a profile of its own."""
        context = (await self.call("Target.createBrowserContext", disposeOnDetach=True))["browserContextId"]
        target = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in _DOMAINS:
            await self.call(f"{domain}.enable")
        await self.call("Page.setLifecycleEventsEnabled", enabled=True)

    async def go(self, address: str) -> None:
        """Go to an address, and wait until all of it is there."""
        went = await self.call("Page.navigate", url=address)
        assert not went.get("errorText"), went
        # The answer comes before the page does; until that is there, the page before it would be asked.
        ends = asyncio.get_running_loop().time() + _PATIENCE
        while went["loaderId"] not in self._loaded:
            assert asyncio.get_running_loop().time() < ends, f"never whole: {address}"
            await asyncio.sleep(0.01)

    async def js(self, expression: str) -> Any:
        """Return what an expression is; a promise is waited for."""
        said = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Return the first true value of an expression on a page that is whole; while the page changes there is none."""
        wanted = f"document.readyState === 'complete' && ({expression})"
        ends = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            # A page that is left in the middle of the question is an `error` ("Inspected target navigated or closed").
            said = await self._ask("Runtime.evaluate", expression=wanted, awaitPromise=True, returnByValue=True)
            answer = said.get("result", {})
            value = answer.get("result", {}).get("value")
            if value and "exceptionDetails" not in answer:
                return value
            assert asyncio.get_running_loop().time() < ends, (
                f"never: {expression}: {await self.js('location.href + document.body.innerText')}; last: {said}"
            )
            await asyncio.sleep(0.05)

    async def click(self, selector: str) -> None:
        """Click on an element, in a turn of its own: the answer to this is there before the page is left."""
        assert await self.js(f"!!document.querySelector({selector!r})"), f"no {selector} on the page"
        await self.js(f"void setTimeout(() => document.querySelector({selector!r}).click())")

    async def leave(self, act: str) -> str:
        """Do what leads to another page, and return the text on that one, once it is whole."""
        await self.js("document.isLeft = true")
        await self.js(f"void setTimeout(() => {{ {act} }})")
        return str(await self.until("!document.isLeft && (document.body.innerText || ' ')"))

    async def submit(self, fill: str) -> None:
        """Fill in the login's form and send it; again, where the page says so.

        A disk that is busy with others may take longer to write than a login waits.
        """
        ends = asyncio.get_running_loop().time() + _PATIENCE
        while SignInProblem.UNAVAILABLE.value in await self.leave(f"{fill}; document.getElementById('submit').click()"):
            assert asyncio.get_running_loop().time() < ends
            self.complaints = [told for told in self.complaints if "503" not in told]
            await asyncio.sleep(1)

    async def cookies(self) -> dict[str, Any]:
        """Return the cookies of the page's origin, by name."""
        return {one["name"]: one for one in (await self.call("Network.getCookies"))["cookies"]}

    async def set_cookie(self, origin: str, name: str, value: str, **more: Any) -> None:
        """Put a cookie of ours into the browser, or change one."""
        flags: dict[str, Any] = {"path": "/", "secure": True, "httpOnly": True, "sameSite": "Lax"}
        done = await self.call("Network.setCookie", url=origin, name=name, value=value, **flags, **more)
        assert done["success"]


@contextmanager
def chromium(program: str, directory: Path, key: str) -> Iterator[str]:
    """Start the browser, which believes a certificate with this key (base64 of its SHA-256); where it takes commands."""
    process = subprocess.Popen(
        [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={directory}",
            f"--ignore-certificate-errors-spki-list={key}", "about:blank",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port, path = _address(directory / "DevToolsActivePort", process)
        yield f"ws://127.0.0.1:{port}{path}"
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Tab]:
    """Open a page in a browser; it shares neither cookies nor anything else with other pages."""
    async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as wire:
        tab = Tab(wire)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(tab.listen())
            await tab.open()
            yield tab
            listening.cancel()


def _address(told: Path, process: "subprocess.Popen[bytes]") -> tuple[str, str]:
    """Return the port and path where the browser takes commands."""
    ends = time.monotonic() + _PATIENCE
    while True:
        assert process.poll() is None, "the browser ended"
        assert time.monotonic() < ends, "the browser never said where it listens"
        # The file is there before it is whole.
        lines = told.read_text().splitlines() if told.exists() else []
        if len(lines) > 1:
            return lines[0], lines[1]
        time.sleep(0.05)
