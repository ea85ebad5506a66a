"""Section `pages`: how the pages look that people are shown."""

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from authproxy.core.colour import Colour
from authproxy.options import LocalPath
from authproxy.settings.section import Section

_LONGEST: Final = 80


def _title(value: str) -> str:
    if len(value) > _LONGEST or not value.isprintable():
        raise ValueError(f"must be one line of at most {_LONGEST} characters")
    return value


def _colour(value: object) -> object:
    if not isinstance(value, str) or Colour.parse(value) is None:
        raise ValueError('must be a colour such as "#1b5e9e", in quotes: a bare # begins a comment')
    return value.lower()


Title = Annotated[str, AfterValidator(_title)]
"""A line for people."""
# Before: without quotes the value is null, which would pass for an absent one.
HexColour = Annotated[
    str | None,
    BeforeValidator(_colour),
    WithJsonSchema({"type": "string", "pattern": "^#[0-9a-fA-F]{6}$", "examples": ["#1b5e9e"]}),
]


class Pages(Section):
    """The look of the pages that people are shown; programs get JSON."""

    name: Title = ""
    """Whose pages these are; stands above every heading."""
    accent: HexColour = None
    """The colour of buttons, as `"#1b5e9e"`; the text on them is black or white, whichever can be read."""
    accent_dark: HexColour = None
    """The same in dark mode; by default `accent`."""
    style: LocalPath | None = None
    """A stylesheet in place of the built-in one."""
    refused: LocalPath | None = None
    """A template in place of the page for 403, 404, 421, 502, 503 and 504."""
    sign_in: LocalPath | None = None
    """A template in place of the page where people sign in."""
    signed_out: LocalPath | None = None
    """A template in place of the page that says that one is signed out."""
