"""An HTML page with gaps: everything that is filled in is escaped, and nothing that it does not hold itself is loaded.

A gap is `{{name}}`. What a `<style>` or `<script>` holds is fixed when the template is made, and allowed by its hash in
the Content-Security-Policy, so that nothing that ever gets into a page by a gap could run. What the policy would block
in the browser is refused here, with its line, when the template is read.

Why no template language: three pages need no loops and no conditions (an element that is empty is hidden by CSS), and
a language that can do more is one that can be got wrong. Source of the policy: CSP Level 3, 2.3 and 6.
"""

import re
from base64 import b64encode
from collections.abc import Collection, Mapping
from hashlib import sha256
from html import escape
from html.parser import HTMLParser
from typing import Final

from typing_extensions import override

from authproxy.errors import AuthproxyError

_gap: Final = re.compile(r"\{\{ *([a-z_]*) *\}\}")
_bare_gap: Final = re.compile(r"=\s*\{\{").search
# What would load, or run, something from elsewhere; or send what a person types there.
_BARRED: Final = frozenset({"base", "embed", "frame", "iframe", "object"})
_LOADING: Final = frozenset({"src", "srcset", "data", "poster", "background"})
# Elements whose `href` is no link to follow, but something to load.
_LOADED: Final = frozenset({"link", "use", "image", "feimage"})
_HREFS: Final = frozenset({"href", "xlink:href"})
# What a stylesheet would load; a reference into the page itself (`#...`) loads nothing.
_fetched: Final = re.compile(r"@import|url\(\s*+[\"']?+\s*+(?!data:|#)", re.IGNORECASE).search


class TemplateError(AuthproxyError):
    """A template cannot be used; the message says the line and what is wrong."""


class Template:
    """A page, ready to be filled in."""

    __slots__ = ("_pieces", "policy")

    def __init__(
        self, text: str, fixed: Mapping[str, str], gaps: Collection[str], needed: Collection[str] = ()
    ) -> None:
        """Read a template; `fixed` is put in now, as it is, `gaps` with every answer; those of `needed` must be there.

        Raises:
            TemplateError: it is none that could be served safely.
        """
        # Browsers read every line end as LF before they compute a hash.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        _check_gaps(text, {*fixed, *gaps}, needed)
        reader = _Reader(fixed)
        reader.feed(text)
        reader.close()
        self.policy = reader.policy()
        """The Content-Security-Policy of the page."""
        pieces = _gap.split(put_in(text, fixed))
        self._pieces = tuple(zip(pieces[::2], [*pieces[1::2], ""], strict=True))

    def fill(self, values: Mapping[str, str]) -> bytes:
        """Return the page, UTF-8; there must be a value for every gap."""
        filled = [text + (escape(values[name]) if name else "") for text, name in self._pieces]
        return "".join(filled).encode("utf-8", "replace")


def put_in(text: str, fixed: Mapping[str, str]) -> str:
    """Return `text` with these gaps filled as they are, the others left."""
    return _gap.sub(lambda found: fixed.get(found[1], found[0]), text)


def _check_gaps(text: str, known: Collection[str], needed: Collection[str]) -> None:
    if "\0" in text:
        raise TemplateError("line 1: holds a NUL character: is this a text file?")
    found: set[str] = set()
    for gap in _gap.finditer(text):
        if gap[1] not in known:
            raise TemplateError(f"{_line(text, gap)}: {gap[0]} is not known here ({', '.join(sorted(known))} are)")
        found.add(gap[1])
    bare = _bare_gap(text)
    if bare is not None:
        raise TemplateError(f"{_line(text, bare)}: what is filled into an attribute stands in quotes")
    for name in needed:
        if name not in found:
            raise TemplateError(f"line 1: {{{{{name}}}}} is missing: without it the page does not work")


def _line(text: str, found: re.Match[str]) -> str:
    return f"line {text.count(chr(10), 0, found.start()) + 1}"


class _Reader(HTMLParser):
    """Finds what the policy must allow, and what it would block."""

    def __init__(self, fixed: Mapping[str, str]) -> None:
        super().__init__()
        self._fixed = fixed
        self._inside = ""
        self._held = ""
        self._hashes: dict[str, list[str]] = {"style": [], "script": []}

    def policy(self) -> str:
        """Return the whole policy."""
        if self._inside:
            raise self._wrong(f"<{self._inside}> has no end")
        allowed = "".join(
            f"; {element}-src {' '.join(hashes)}" for element, hashes in self._hashes.items() if hashes
        )  # fmt: skip
        return (
            f"default-src 'none'{allowed}; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BARRED:
            raise self._wrong(f"<{tag}> has no place in this page")
        for name, value in attrs:
            self._check_attribute(tag, name, (value or "").strip())
        if tag == "link" and "stylesheet" in (dict(attrs).get("rel") or "").lower():
            raise self._wrong("a stylesheet is blocked but in <style>, by whose hash it is allowed")
        if tag in self._hashes:
            self._inside, self._held = tag, ""

    @override
    def handle_data(self, data: str) -> None:
        if self._inside:
            self._held += data

    @override
    def handle_endtag(self, tag: str) -> None:
        if not self._inside or tag != self._inside:
            return
        content = put_in(self._held, self._fixed)
        for sign in ("<!--", f"</{tag}"):
            if sign in content.lower():
                # Where such an element ends is read differently by different readers.
                raise self._wrong(f"<{tag}> holds {sign}")
        if tag == "style" and (fetched := _fetched(content)) is not None:
            raise self._wrong(
                f"<style> holds {fetched[0]!r}: this page loads nothing: write it inline, images as data:"
            )
        gap = _gap.search(content)
        if gap is not None:
            raise self._wrong(f"{gap[0]} stands inside <{tag}>, where nothing is escaped")
        self._hashes[tag].append(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'")
        self._inside = ""

    def _check_attribute(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on") or name == "style":
            raise self._wrong(
                f"the attribute {name} is blocked: write it in <{'style' if name == 'style' else 'script'}>"
            )
        if name in _HREFS and re.sub(r"[\0-\x20]", "", value).lower().startswith("javascript:"):
            raise self._wrong(f"{name}={value[:80]!r} is blocked: write it in <script>")
        is_loaded = tag in _LOADED and name in _HREFS
        if (name in _LOADING or is_loaded) and not value.startswith(("data:", "#") if is_loaded else "data:"):
            raise self._wrong(f"{name}={value[:80]!r}: this page loads nothing: write it inline, images as data:")
        if name in {"action", "formaction"} and (value.startswith("//") or value[:1] not in {"/", "{"}):
            raise self._wrong(f"{name}={value[:80]!r}: a form of this page is sent to this origin, by an absolute path")

    def _wrong(self, problem: str) -> TemplateError:
        return TemplateError(f"line {self.getpos()[0]}: {problem}")
