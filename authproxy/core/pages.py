"""The pages that this proxy shows to people, with an operator's look: sign in, signed out, refused.

How they are used: `edge.page` knows the built-in set; a configuration with a look of its own makes another
(`make_pages`). Each function returns the body; the field lines that go with it are in `Page.lines`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from authproxy.core.colour import Colour
from authproxy.core.template import Template, TemplateError, put_in

SIGN_IN: Final = "sign-in.html"
SIGNED_OUT: Final = "signed-out.html"
REFUSED: Final = "refused.html"
STYLE: Final = "style.css"
SCRIPT: Final = "paste.js"
FILES: Final = (SIGN_IN, SIGNED_OUT, REFUSED, STYLE, SCRIPT)
"""What a set is made of."""

_BLUE: Final = Colour(0x1B, 0x5E, 0x9E)
_LIGHT_BLUE: Final = Colour(0x7C, 0xB7, 0xF7)

# Gaps that every answer fills, and those without which a page does not work.
_GAPS: Final[Mapping[str, tuple[frozenset[str], tuple[str, ...]]]] = {
    SIGN_IN: (frozenset({"name", "title", "problem", "action", "invalid", "next"}), ("action", "next", "problem")),
    SIGNED_OUT: (frozenset({"name", "action"}), ("action",)),
    REFUSED: (
        frozenset({"name", "title", "message", "status", "phrase", "request_id", "again"}), ("message", "request_id"),
    ),
}  # fmt: skip


class SignInProblem(Enum):
    """What the sign-in page says went wrong: fixed texts, of which the request chooses none."""

    NONE = ""
    REFUSED = "That did not work. Check that the user id and the token are whole and belong together; the token may also have ended."
    INCOMPLETE = "Please give both, whole: the user id has 36 characters."
    TOO_MANY = "There were too many attempts from here. Please wait a minute, then try again."
    ELSEWHERE = "For your safety, please sign in with this form: the one you sent came from another page."
    ENDED = "Your session has ended. Please sign in again."
    UNAVAILABLE = "Signing in is not possible just now. Please try again in a moment."


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an operator chooses."""

    name: str = ""
    """Whose pages these are: stands above every heading; empty for none."""
    accent: Colour = _BLUE
    """Of the button and the bar, on a light page."""
    accent_dark: Colour = _LIGHT_BLUE
    """On a dark page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A template with the field lines of every answer made from it."""

    template: Template
    lines: bytes
    """About the body, with CRLF: type and what browsers may do with it; the length is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """One set of pages."""

    look: Look
    sign_in_page: Page
    signed_out_page: Page
    refused_page: Page

    def sign_in(
        self, *, title: str, action: str, wanted: str = "", problem: SignInProblem = SignInProblem.NONE
    ) -> bytes:
        """Return the form. `action` is the login's path, `wanted` what `safe_next` made of `next`, empty for none."""
        is_wrong = problem in {SignInProblem.REFUSED, SignInProblem.INCOMPLETE}
        return self.sign_in_page.template.fill({
            "name": self.look.name, "title": title, "problem": problem.value, "action": action,
            "invalid": "true" if is_wrong else "false", "next": wanted,
        })  # fmt: skip

    def signed_out(self, *, action: str) -> bytes:
        """Return the page after the logout. `action` is the login's path."""
        return self.signed_out_page.template.fill({"name": self.look.name, "action": action})

    def refused(self, told: "Told", request_id: str) -> bytes:
        """Return the page of a refusal."""
        return self.refused_page.template.fill({
            "name": self.look.name, "title": told.title, "message": told.message, "status": str(told.status),
            "phrase": told.phrase, "request_id": request_id, "again": "Try again" if told.may_pass else "",
        })  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a person is told of a refusal."""

    status: int
    phrase: str
    """The status in the standard's words."""
    title: str
    message: str
    may_pass: bool
    """Trying again may help."""


def make_pages(texts: Mapping[str, str], look: Look) -> Pages:
    """Return the set that these texts make, by the names in `FILES`.

    Raises:
        TemplateError: the line, and what is wrong.
    """
    fixed = _fixed(texts, look)
    made = {name: _page(name, texts[name], fixed) for name in _GAPS}
    return Pages(
        look=look, sign_in_page=made[SIGN_IN], signed_out_page=made[SIGNED_OUT], refused_page=made[REFUSED]
    )  # fmt: skip


def check_template(name: str, texts: Mapping[str, str], look: Look) -> None:
    """Raise TemplateError, with the line of a template and what is wrong, when this template, or the stylesheet, cannot be used."""
    if name in _GAPS:
        _page(name, texts[name], _fixed(texts, look))
        return
    try:
        Template("<style>{{style}}</style>", _fixed(texts, look), ())
    except TemplateError as error:
        # The line is that of the element, not of what it holds.
        raise TemplateError(str(error).partition(": ")[2]) from None


def _fixed(texts: Mapping[str, str], look: Look) -> dict[str, str]:
    colours = {
        "accent": str(look.accent), "on_accent": str(look.accent.text),
        "accent_dark": str(look.accent_dark), "on_accent_dark": str(look.accent_dark.text),
        "icon": str(look.accent)[1:],
    }  # fmt: skip
    return colours | {"style": put_in(texts[STYLE], colours), "script": texts[SCRIPT]}


def _page(name: str, text: str, fixed: Mapping[str, str]) -> Page:
    gaps, needed = _GAPS[name]
    template = Template(text, fixed, gaps, needed)
    lines = (
        "Content-Type: text/html; charset=utf-8\r\n"
        f"Content-Security-Policy: {template.policy}\r\n"
        # With `no-referrer` a browser would call the form's own Origin `null`.
        "Referrer-Policy: same-origin\r\n"
    )
    return Page(template=template, lines=lines.encode("ascii"))
