"""The pages in a real browser: nothing is blocked, and a pasted token fills both fields."""

import json
import subprocess
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from authproxy.core.pages import Page, SignInProblem
from authproxy.core.record import UserId
from authproxy.core.token import generate
from authproxy.edge.page import BUILT_IN
from authproxy.edge.refusal import told

pytestmark = [pytest.mark.promise, pytest.mark.timeout(180)]

TOLD = told(503)
assert TOLD is not None
FORM = BUILT_IN.sign_in(title="Sign in", action="/auth/login", wanted="/admin", problem=SignInProblem.REFUSED)
PAGES: dict[str, tuple[Page, bytes]] = {
    "/sign-in": (BUILT_IN.sign_in_page, FORM),
    "/signed-out": (BUILT_IN.signed_out_page, BUILT_IN.signed_out(action="/auth/login")),
    "/refused": (BUILT_IN.refused_page, BUILT_IN.refused(TOLD, "0123abc")),
    "/tampered": (BUILT_IN.sign_in_page, FORM.replace(b"</style>", b" </style>").replace(b"</script>", b" </script>")),
}
USERS = [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), *(uuid.UUID(int=(37 * n + 5) ** 25 % 2**128) for n in range(60))]
TOKENS = [generate("my-svc", n, UserId(user.bytes), bytes([n] * 32)) for n, user in enumerate(USERS)]
PASTED = [
    *TOKENS, TOKENS[3].upper(), f"  {TOKENS[4]}\n", f"user: {USERS[5]}\ntoken: {TOKENS[5]}", f"Bearer {TOKENS[6]}",
]  # fmt: skip
LEFT_ALONE = [
    "",
    "hello",
    TOKENS[0][:-1],
    TOKENS[0] + "a",
    TOKENS[0] + "_x",
    "_" + TOKENS[0][7:],
    TOKENS[0].replace("_02", "_01"),
]
# What a person's paste does, for each text in turn; the answer stands in the document's title, which is then printed.
PASTE = """
<script>
const told = [];
for (const text of %s) for (const id of ["user-id", "token"]) {
  const user = document.getElementById("user-id"), token = document.getElementById("token");
  user.value = token.value = "";
  const data = new DataTransfer();
  data.setData("text", text);
  const event = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
  const isPasted = document.getElementById(id).dispatchEvent(event);
  told.push([isPasted, user.value, token.value]);
}
document.title = JSON.stringify(told);
</script>
"""


class Handler(BaseHTTPRequestHandler):
    """Serves the pages with the lines that go with them, and one more that pastes."""

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer; what nobody knows is 404."""
        if self.path == "/pasting":
            body, lines = FORM + (PASTE % json.dumps(PASTED + LEFT_ALONE)).encode(), "Content-Type: text/html"
        elif self.path in PAGES:
            page, body = PAGES[self.path]
            lines = page.lines.decode().rstrip()
        else:
            self.send_error(404)
            return
        self.send_response(200)
        for line in lines.split("\r\n"):
            name, _, value = line.partition(": ")
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def visit(tool, tmp_path: Path):
    """`visit("/path")` returns the document as the browser has it at the end, and what it had to complain about."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    chromium = [
        tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--dump-dom",
    ]  # fmt: skip

    def look(path: str) -> tuple[str, list[str]]:
        address = f"http://127.0.0.1:{server.server_port}{path}"
        done = subprocess.run([*chromium, address], capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    yield look
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/sign-in", "/signed-out", "/refused"])
def test_nothing_of_a_page_is_blocked(visit, path):
    """The policy that goes with it allows all of it: the browser complains about nothing."""
    document, complaints = visit(path)

    assert "</main>" in document
    assert complaints == []


def test_what_is_not_of_the_page_is_blocked(visit):
    """One blank more in style and script, and the browser uses neither."""
    _, complaints = visit("/tampered")

    assert len([line for line in complaints if "Content Security Policy" in line]) == 2


def test_a_pasted_token_fills_both_fields(visit):
    """Into either field, with whatever stands around it; anything else is pasted as ever."""
    document, _ = visit("/pasting")
    told = json.loads(document.partition("<title>")[2].partition("</title>")[0])

    for place, text in enumerate(PASTED + LEFT_ALONE):
        for is_pasted, user, token in told[2 * place : 2 * place + 2]:
            if text in LEFT_ALONE:
                assert (is_pasted, user, token) == (True, "", ""), text
            else:
                assert not is_pasted
                assert token.lower() in TOKENS
                assert token in text
                assert uuid.UUID(user) == USERS[TOKENS.index(token.lower())]
