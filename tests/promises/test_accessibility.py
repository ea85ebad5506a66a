"""Nobody is kept out by what the pages are made of: axe finds nothing, on a phone and on a desktop, in the light and in the dark.

axe (MPL-2.0) comes with the package axe-core-python; of WCAG 2.0 and 2.1 it knows all rules of levels A and AA that a program can tell.
"""

import json
from importlib.resources import files
from string import Template

import pytest

from authproxy.core.colour import Colour
from authproxy.core.pages import Look, SignInProblem, make_pages
from authproxy.edge.page import BUILT_IN, TEXTS
from authproxy.edge.refusal import told
from tests.promises.chromium import chromium, opened

pytestmark = [pytest.mark.promise, pytest.mark.timeout(240)]

# A title and a name that need several lines, and colours that are hard to write on.
OWN = make_pages(
    TEXTS,
    Look(
        name="Example Water Works, Department of Long Names",
        accent=Colour(255, 224, 0),
        accent_dark=Colour(119, 119, 119),
    ),
)
SCREENS = {"phone in the light": (375, 740, "light"), "desktop in the dark": (1280, 800, "dark")}
# 1280 pixels at a zoom of 400 % (WCAG 1.4.10).
NARROW = (320, 256, "light")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
ASK = """
axe.run(document, {runOnly: %s}).then(found => JSON.stringify(
  [...found.violations, ...found.incomplete].map(one => [one.id, one.nodes.map(node => [node.html, node.failureSummary])])))
"""


def refused(status, pages=BUILT_IN):
    """The page of a refusal."""
    text = told(status)
    assert text is not None
    return pages.refused(text, "0123456789abcdef" * 2)


def sign_in(pages=BUILT_IN, problem=SignInProblem.NONE):
    """The form."""
    return pages.sign_in(title="Sign in to the administration", action="/auth/login", wanted="/a", problem=problem)


def admin():
    """The demo's own page, its style put in, since it is shown without its service here."""
    parts = files("authproxy.cli") / "demo_page"
    texts = dict.fromkeys(("name", "note", "author"), "Alice") | {"fields": "<dt>Cookie</dt><dd>(nothing came)</dd>"}
    link = '<link rel="stylesheet" href="/admin/admin.css">'
    page = Template((parts / "admin.html").read_text("utf-8")).substitute(texts)
    assert link in page
    return page.replace(link, f"<style>{(parts / 'admin.css').read_text('utf-8')}</style>").encode()


PAGES = {
    "sign-in": sign_in(),
    "sign-in-refused": sign_in(problem=SignInProblem.REFUSED),
    "sign-in-own": sign_in(OWN, SignInProblem.TOO_MANY),
    "signed-out": BUILT_IN.signed_out(action="/auth/login"),
    "forbidden": refused(403),
    "unavailable-own": refused(503, OWN),
    "demo-admin": admin(),
}


@pytest.fixture(scope="module")
def browser(tool, tmp_path_factory):
    with chromium(tool("chromium"), tmp_path_factory.mktemp("chromium"), "") as address:
        yield address


class Desk:
    """A tab whose screen can be changed, and which axe looks at."""

    def __init__(self, tab):
        self.tab = tab

    async def show(self, page):
        """Show a page; no policy is in the way of axe."""
        frame = (await self.tab.call("Page.getFrameTree"))["frameTree"]["frame"]["id"]
        await self.tab.call("Page.setDocumentContent", frameId=frame, html=page.decode())
        await self.tab.js((files("axe_core_python") / "axe.min.js").read_text() + ";0")

    async def screen(self, width, height, scheme):
        """Be as wide, and as dark."""
        await self.tab.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.tab.call("Emulation.setEmulatedMedia", features=wanted)

    async def faults(self):
        """What axe finds, or cannot tell."""
        return json.loads(await self.tab.js(ASK % json.dumps(RULES)))


@pytest.mark.parametrize("page", PAGES)
async def test_axe_finds_nothing(browser, page):
    """On either screen; and nobody has to scroll sideways, however much is magnified."""
    async with opened(browser) as tab:
        desk = Desk(tab)
        await desk.show(PAGES[page])
        for name, screen in SCREENS.items():
            await desk.screen(*screen)

            assert await desk.faults() == [], name
        await desk.screen(*NARROW)
        assert await tab.js("document.documentElement.scrollWidth") <= NARROW[0]


@pytest.mark.parametrize(
    ("part", "instead", "fault"),
    [
        (b'<label for="token">', b"<label>", "label"),
        (b'<html lang="en">', b"<html>", "html-has-lang"),
        (b"--muted: #545d68", b"--muted: #b0b0b0", "color-contrast"),
    ],
)
async def test_axe_would_find_what_is_wrong(browser, part, instead, fault):
    """Else it would say nothing of the pages that it says nothing of."""
    assert part in PAGES["sign-in"]
    async with opened(browser) as tab:
        desk = Desk(tab)
        await desk.show(PAGES["sign-in"].replace(part, instead))
        await desk.screen(*SCREENS["phone in the light"])

        assert fault in [found for found, _ in await desk.faults()]
