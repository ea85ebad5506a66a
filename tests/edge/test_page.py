"""The built-in pages, read as a browser and a screen reader do; and who is shown them."""

import re
from html.parser import HTMLParser

import pytest
from typing_extensions import override

from authproxy.core.colour import READABLE, Colour
from authproxy.core.pages import Look, SignInProblem, make_pages
from authproxy.edge.page import BUILT_IN, TEXTS, field_of, is_navigation, pages_of, wants_page
from authproxy.edge.refusal import told
from tests.edge.made import head, runtime

TOLD = [told(status) for status in (403, 404, 421, 502, 503, 504)]
BODIES = {
    "sign-in": BUILT_IN.sign_in(title="Sign in", action="/auth/login", wanted="/a?b=c&d=%22"),
    "sign-in-wrong": BUILT_IN.sign_in(title="Sign in", action="/auth/login", problem=SignInProblem.REFUSED),
    "signed-out": BUILT_IN.signed_out(action="/auth/login"),
} | {f"refused-{one.status}": BUILT_IN.refused(one, "0123abc") for one in TOLD if one is not None}
VOID = {"meta", "link", "input", "br", "img", "hr"}
# What gives way to a shorter name when it is focused, typed into or looked at from afar: WCAG 2.2, 1.4.11.
VISIBLE = 3.0


class Seen(HTMLParser):
    """Every element with its attributes and its own text, and which are open at the end."""

    def __init__(self, body):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(body.decode())
        self.close()

    @override
    def handle_starttag(self, tag, attrs):
        """Open it."""
        element: tuple[str, dict[str, str | None], list[str]] = (tag, dict(attrs), [])
        assert len(dict(attrs)) == len(attrs)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    @override
    def handle_endtag(self, tag):
        """Elements end in order."""
        assert self.open.pop()[0] == tag

    @override
    def handle_data(self, data):
        """It is the text of all that are open."""
        for element in self.open:
            element[2].append(data)

    def all(self, tag):
        """Return the attributes and texts of these elements."""
        return [(attributes, "".join(text).strip()) for name, attributes, text in self.elements if name == tag]


@pytest.mark.parametrize("name", BODIES)
def test_a_page_is_whole_and_can_be_found_ones_way_about_in(name):
    """Language, title, one main part, one heading, room to zoom; ids once, references to something."""
    seen = Seen(BODIES[name])

    assert seen.open == []
    assert BODIES[name].startswith(b"<!doctype html>\n")
    assert seen.all("html")[0][0]["lang"] == "en"
    assert seen.all("title")[0][1]
    assert len(seen.all("main")) == 1
    assert [text for _, text in seen.all("h1") if text] == [seen.all("h1")[0][1]]
    viewport = next(one for one, _ in seen.all("meta") if one.get("name") == "viewport")["content"]
    assert viewport == "width=device-width, initial-scale=1"
    ids = [attributes["id"] for _, attributes, _ in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes, _ in seen.elements:
        for reference in (attributes.get("for"), *(attributes.get("aria-describedby") or "").split()):
            assert reference is None or reference in ids


@pytest.mark.parametrize("name", BODIES)
def test_a_page_asks_for_nothing_from_elsewhere(name):
    """No address but of this origin, in markup, style and script; no attribute that the policy would block."""
    seen = Seen(BODIES[name])

    for tag, attributes, _ in seen.elements:
        for key, value in attributes.items():
            assert not key.startswith("on")
            assert key not in {"src", "style"}
            if key in {"href", "action"}:
                assert value == "" or re.match(r"/(?!/)|data:image/svg", value or ""), (tag, key, value)
    inside = "".join(text for tag in ("style", "script") for _, text in seen.all(tag))
    assert not re.search(r"url\(|@import|https?:|//\w", inside)


def test_the_form_works_without_script_and_with_a_password_manager():
    """POST to the login, labelled fields of the right kinds, `next` beside them, one button."""
    seen = Seen(BODIES["sign-in"])
    fields = {attributes["name"]: attributes for attributes, _ in seen.all("input")}

    assert seen.all("form")[0][0] == {"method": "post", "action": "/auth/login"}
    assert list(fields) == ["user-id", "token", "next"]
    assert (fields["user-id"]["type"], fields["user-id"]["autocomplete"]) == ("text", "username")
    assert (fields["token"]["type"], fields["token"]["autocomplete"]) == ("password", "current-password")
    assert (fields["next"]["type"], fields["next"]["value"]) == ("hidden", "/a?b=c&d=%22")
    labels = {attributes["for"]: text for attributes, text in seen.all("label")}
    assert labels == {"user-id": "User id", "token": "Token"}
    for name in ("user-id", "token"):
        assert "required" in fields[name]
        assert "value" not in fields[name]
        assert fields[name]["id"] == name
    assert [attributes["type"] for attributes, _ in seen.all("button")] == ["submit"]
    assert seen.all("button")[0][1] == "Sign in"


def test_a_problem_is_announced_and_tied_to_the_fields():
    """A screen reader says it with the field that has the focus."""
    for name, text, invalid in (("sign-in", "", "false"), ("sign-in-wrong", SignInProblem.REFUSED.value, "true")):
        seen = Seen(BODIES[name])
        problem = next((one, said) for one, said in seen.all("p") if one.get("id") == "problem")
        assert problem == ({"class": "problem", "id": "problem", "role": "alert"}, text)
        for attributes, _ in seen.all("input")[:2]:
            assert "problem" in (attributes["aria-describedby"] or "").split()
            assert attributes["aria-invalid"] == invalid
        assert ["autofocus" in attributes for attributes, _ in seen.all("input")] == [True, False, False]


@pytest.mark.parametrize("one", TOLD, ids=lambda one: str(one.status))
def test_a_refusal_offers_another_try_only_where_that_may_help(one):
    """A link to the same address; nothing at all where it would not."""
    attributes, text = Seen(BODIES[f"refused-{one.status}"]).all("a")[0]

    assert attributes == {"class": "again", "href": ""}
    assert text == ("Try again" if one.status >= 500 else "")
    assert ".again:empty { display: none }" in TEXTS["style.css"]


def colours(body):
    """Return the custom colours of the light and of the dark mode."""
    style = Seen(body).all("style")[0][1]
    light, dark = (style[: style.index("@media")], style[style.index("@media") : style.index("* {")])
    assert "prefers-color-scheme: dark" in dark
    found = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]
    return [{name: Colour.parse(value) for name, value in one.items()} for one in found]


PAIRS = [
    ("text", "card", READABLE), ("text", "page", READABLE), ("muted", "card", READABLE), ("bad", "bad-page", READABLE),
    ("on-accent", "accent", READABLE), ("line", "card", VISIBLE), ("focus", "card", VISIBLE), ("bad", "card", VISIBLE),
]  # fmt: skip


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
@pytest.mark.parametrize("accent", ["#1b5e9e", "#f5b301", "#777777", "#000000", "#ffffff"])
def test_everything_can_be_read_in_either_mode(mode, front, back, least, accent):
    """WCAG 2.2, 1.4.3 and 1.4.11, whatever accent is chosen."""
    chosen = Colour.parse(accent)
    assert chosen is not None
    look = Look(accent=chosen, accent_dark=chosen)
    known = colours(make_pages(TEXTS, look).sign_in(title="", action=""))[mode]

    assert known[front].contrast(known[back]) >= least


def test_every_colour_has_a_dark_counterpart():
    """And none is left over."""
    light, dark = colours(BODIES["sign-in"])

    assert set(light) == set(dark) == {name for pair in PAIRS for name in pair[:2]}


# ---------------------------------------------------------------------- who is shown a page

BROWSER = b"Accept: text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.mark.parametrize(
    ("start", "lines", "page", "navigation"),
    [
        (b"GET", [BROWSER], True, True),
        (b"HEAD", [BROWSER], True, True),
        (b"POST", [BROWSER], False, False),
        (b"POST", [BROWSER, b"Sec-Fetch-Mode: navigate"], True, False),
        (b"POST", [BROWSER, b"Sec-Fetch-Mode: cors"], False, False),
        (b"POST", [b"Accept: */*", b"Sec-Fetch-Mode: navigate"], False, False),
        (b"PUT", [BROWSER, b"Sec-Fetch-Mode: navigate"], False, False),
        (b"OPTIONS", [BROWSER], False, False),
        (b"GET", [BROWSER, b"Connection: Upgrade", b"Upgrade: websocket"], True, False),
        (b"GET", [], False, False),
        (b"GET", [b"Accept: */*"], False, False),
        (b"GET", [b"Accept: application/json, text/html"], True, True),
        (b"GET", [b"Accept: application/json", b"ACCEPT: text/html"], True, True),
        (b"GET", [b"X-Accept: text/html"], False, False),
        (b"GET", [BROWSER, b"Sec-Fetch-Mode: navigate"], True, True),
        (b"GET", [BROWSER, b"Sec-Fetch-Mode: cors"], True, False),
        (b"GET", [BROWSER, b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Mode: cors"], True, False),
        (b"GET", [BROWSER, b"Sec-Fetch-Mode: "], True, False),
        (b"GET", [b"Sec-Fetch-Mode: navigate"], False, False),
    ],
)
def test_a_page_is_for_browsers_and_a_redirect_for_their_navigation(start, lines, page, navigation):
    """A `fetch` that takes HTML gets a page at most, never a form in place of its answer; a form that was sent, too."""
    asked = head(*lines, start=start + b" / HTTP/1.1")

    assert wants_page(asked) is page
    assert is_navigation(asked) is navigation


def test_a_field_is_read_whole():
    """Of several, all of them: no rule that compares takes such a value for one of its own."""
    asked = head(b"Origin: https://a", b"X-Origin: x", b"oRiGiN:\thttps://b ", b"Sec-Fetch-Site:")

    assert field_of(asked, b"origin") == b"https://a, https://b"
    assert field_of(asked, b"sec-fetch-site") == b""
    assert field_of(asked, b"sec-fetch-mode") is None


def test_the_pages_at_work_are_the_configured_ones():
    """Else the built-in ones."""
    own = make_pages(TEXTS, Look(name="Mine"))

    assert pages_of(runtime()) is BUILT_IN
    assert pages_of(runtime(pages=own)) is own
